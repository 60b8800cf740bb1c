// Package catalog remembers what was resolved: which model a name and ref meant,
// at which revision, with which files. It is what a mount serves when a source
// does not answer, what lets a pinned model be opened without a question, and
// what a protocol directory lists as known.
//
// It is memory, not truth: a record that is lost costs a question to the
// source, and one that cannot be read is forgotten. Records hold no secrets.
//
// A record is about one directory of a model, or, where a source lists a revision
// in one go, about all of them; the record of the root is the model's. Each record
// is one file of JSON lines under a name made by hashing what it is about: a header,
// one line for each entry, and a last line with their number and a checksum. A record
// without it, or that does not match it, is as if it were not there: half a listing
// must not pass for a whole one.
package catalog

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
)

// Header says what a record is about.
type Header struct {
	// Format is 2; records of another one are forgotten.
	Format int `json:"format"`
	// Source is who was asked: the protocol and the place behind it.
	Source string `json:"source"`
	// Name and Ref are what was asked.
	Name string `json:"name"`
	Ref  string `json:"ref,omitempty"`
	// Dir is the directory that the record is about.
	Dir string `json:"dir,omitempty"`
	// Origin is what it meant.
	Origin providers.Origin `json:"origin"`
	// Resolved is when the source last said so.
	Resolved time.Time `json:"resolved"`
	// Saved is when the record was written.
	Saved time.Time `json:"saved"`
	// Dirs are the directories whose listing is here, complete. Of others there
	// are those entries that were asked for one by one.
	Dirs []string `json:"dirs,omitempty"`
}

// Record is a header and the entries of its directories.
type Record struct {
	Header
	Entries []providers.Entry
}

// Catalog is a directory of records. It is safe for concurrent use.
type Catalog struct {
	dir string
	log *slog.Logger

	mu    sync.Mutex
	max   int64                        // bytes, if not 0
	total int64                        // of sizes
	heads map[string]Header            // by key
	sizes map[string]int64             // of the files, by key
	known map[string]map[string]Header // by source, then key: those of roots
}

const (
	suffix = ".jsonl"
	format = 2
)

// Open reads the headers in dir, which is made if it is not there.
func Open(dir string, log *slog.Logger) (*Catalog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := &Catalog{
		dir: dir, log: log,
		heads: map[string]Header{}, sizes: map[string]int64{}, known: map[string]map[string]Header{},
	}
	for _, f := range files {
		if err := c.open(f.Name()); err != nil {
			return nil, fmt.Errorf("catalog: %w", err)
		}
	}
	return c, nil
}

// open takes in the header of a file; what is none of ours, or torn, is removed.
func (c *Catalog) open(file string) error {
	name := filepath.Join(c.dir, file)
	if strings.HasSuffix(file, temporary) {
		return os.Remove(name) // of a save that was cut short
	}
	h, size, err := readHeader(name)
	k := key(h.Source, h.Name, h.Ref, h.Dir)
	if err == nil && file != k+suffix {
		err = errors.New("record under another's name")
	}
	if err != nil {
		c.log.Warn("a record of the catalog is unreadable and forgotten", "file", name, "error", err)
		return os.Remove(name)
	}
	c.note(k, h, size)
	return nil
}

// note takes in a header. c.mu is held, or c is new.
func (c *Catalog) note(k string, h Header, size int64) {
	c.total += size - c.sizes[k]
	c.heads[k], c.sizes[k] = h, size
	if h.Dir != "" {
		return
	}
	if c.known[h.Source] == nil {
		c.known[h.Source] = map[string]Header{}
	}
	c.known[h.Source][k] = h
}

// forget is the opposite of note. c.mu is held.
func (c *Catalog) forget(k string) {
	delete(c.known[c.heads[k].Source], k)
	c.total -= c.sizes[k]
	delete(c.heads, k)
	delete(c.sizes, k)
}

func key(source, name, ref, dir string) string {
	h := sha256.New()
	for _, s := range []string{source, name, ref, dir} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Load returns what is known of a directory of a name at a ref; iofs.ErrNotExist if
// nothing.
func (c *Catalog) Load(source, name, ref, dir string) (Record, error) {
	k := key(source, name, ref, dir)
	if !c.Has(source, name, ref, dir) {
		return Record{}, iofs.ErrNotExist
	}
	r, err := read(filepath.Join(c.dir, k+suffix))
	if err != nil {
		c.log.Warn("a record of the catalog is unreadable and forgotten", "source", source, "name", name, "dir", dir, "error", err)
		c.mu.Lock()
		c.forget(k)
		c.mu.Unlock()
		return Record{}, iofs.ErrNotExist
	}
	return r, nil
}

// Has reports whether something is known of a directory of a name at a ref.
func (c *Catalog) Has(source, name, ref, dir string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, ok := c.heads[key(source, name, ref, dir)]
	return ok
}

// Save replaces what is known of the record's directory. When it returns, the record
// is on disk.
func (c *Catalog) Save(r Record) error {
	r.Format = format
	k := key(r.Source, r.Name, r.Ref, r.Dir)
	size, err := write(c.dir, k, r)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	c.mu.Lock()
	c.note(k, r.Header, size)
	limit, over := c.max, c.max > 0 && c.total > c.max
	c.mu.Unlock()
	if !over {
		return nil
	}
	return c.prune(limit / 10 * 9) // not again at once
}

// Limit keeps the catalog below a number of bytes from now on: the models that were
// saved longest ago are forgotten. Revisions that were named as such stay, as nothing
// asks about them again.
func (c *Catalog) Limit(bytes int64) error {
	c.mu.Lock()
	c.max = bytes
	c.mu.Unlock()
	return c.prune(bytes)
}

// Remove forgets a name at a ref.
func (c *Catalog) Remove(source, name, ref string) error {
	return c.removeAll(func(h Header) bool { return h.Source == source && h.Name == name && h.Ref == ref })
}

func (c *Catalog) removeAll(which func(Header) bool) error {
	var keys []string
	c.mu.Lock()
	for k, h := range c.heads {
		if which(h) {
			keys = append(keys, k)
			c.forget(k)
		}
	}
	c.mu.Unlock()
	for _, k := range keys {
		if err := os.Remove(filepath.Join(c.dir, k+suffix)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
			return fmt.Errorf("catalog: %w", err)
		}
	}
	return nil
}

// prune forgets models until the rest takes no more than limit bytes.
func (c *Catalog) prune(limit int64) error {
	type model struct{ source, name, ref string }
	sizes, last := map[model]int64{}, map[model]time.Time{}
	kept := map[model]bool{}
	c.mu.Lock()
	total := c.total
	for k, h := range c.heads {
		m := model{h.Source, h.Name, h.Ref}
		sizes[m] += c.sizes[k]
		kept[m] = kept[m] || h.Origin.Immutable
		if h.Saved.After(last[m]) {
			last[m] = h.Saved
		}
	}
	c.mu.Unlock()
	models := slices.SortedFunc(maps.Keys(sizes), func(a, b model) int { return last[a].Compare(last[b]) })
	gone := map[model]bool{}
	for _, m := range models {
		if total <= limit {
			break
		}
		if !kept[m] {
			gone[m] = true
			total -= sizes[m]
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return c.removeAll(func(h Header) bool { return gone[model{h.Source, h.Name, h.Ref}] })
}

// Known returns the headers of a source whose names lie below prefix ("" is all
// of them), ordered by name and ref.
func (c *Catalog) Known(source, prefix string) []Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	var hs []Header
	for _, h := range c.known[source] {
		if prefix == "" || strings.HasPrefix(h.Name, prefix+"/") {
			hs = append(hs, h)
		}
	}
	slices.SortFunc(hs, func(a, b Header) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Ref, b.Ref))
	})
	return hs
}
