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
// then one line for each entry.
package catalog

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
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
	// Format is 1; records of another one are forgotten.
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
	heads map[string]Header            // by key
	known map[string]map[string]Header // by source, then key: those of roots
}

const suffix = ".jsonl"

// Open reads the headers in dir, which is made if it is not there.
func Open(dir string, log *slog.Logger) (*Catalog, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	c := &Catalog{dir: dir, log: log, heads: map[string]Header{}, known: map[string]map[string]Header{}}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		h, err := readHeader(name)
		if err == nil && f.Name() != key(h.Source, h.Name, h.Ref, h.Dir)+suffix {
			err = errors.New("record under another's name")
		}
		if err != nil {
			log.Warn("a record of the catalog is unreadable and forgotten", "file", name, "error", err)
			if err := os.Remove(name); err != nil {
				return nil, fmt.Errorf("catalog: %w", err)
			}
			continue
		}
		c.note(key(h.Source, h.Name, h.Ref, h.Dir), h)
	}
	return c, nil
}

// note takes in a header. c.mu is held, or c is new.
func (c *Catalog) note(k string, h Header) {
	c.heads[k] = h
	if h.Dir != "" {
		return
	}
	if c.known[h.Source] == nil {
		c.known[h.Source] = map[string]Header{}
	}
	c.known[h.Source][k] = h
}

func key(source, name, ref, dir string) string {
	h := sha256.New()
	for _, s := range []string{source, name, ref, dir} {
		fmt.Fprintf(h, "%d:%s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func readHeader(name string) (h Header, err error) {
	f, err := os.Open(name)
	if err != nil {
		return h, err
	}
	err = json.NewDecoder(bufio.NewReaderSize(f, 4096)).Decode(&h)
	if err == nil && h.Format != 1 {
		err = fmt.Errorf("format %d", h.Format)
	}
	return h, errors.Join(err, f.Close())
}

// Load returns what is known of a directory of a name at a ref; iofs.ErrNotExist if
// nothing.
func (c *Catalog) Load(source, name, ref, dir string) (Record, error) {
	k := key(source, name, ref, dir)
	c.mu.Lock()
	h, ok := c.heads[k]
	c.mu.Unlock()
	if !ok {
		return Record{}, iofs.ErrNotExist
	}
	r, err := c.read(filepath.Join(c.dir, k+suffix))
	if err != nil {
		c.log.Warn("a record of the catalog is unreadable", "source", source, "name", name, "error", err)
		return Record{}, iofs.ErrNotExist
	}
	r.Header = h
	return r, nil
}

func (c *Catalog) read(name string) (r Record, err error) {
	f, err := os.Open(name)
	if err != nil {
		return r, err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReaderSize(f, 64<<10))
	if err := d.Decode(&r.Header); err != nil {
		return r, err
	}
	for d.More() {
		var e providers.Entry
		if err := d.Decode(&e); err != nil {
			return r, err
		}
		r.Entries = append(r.Entries, e)
	}
	return r, nil
}

// Save replaces what is known of the record's directory.
func (c *Catalog) Save(r Record) error {
	r.Format = 1
	k := key(r.Source, r.Name, r.Ref, r.Dir)
	f, err := os.CreateTemp(c.dir, k+".*.tmp")
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	w := bufio.NewWriterSize(f, 64<<10)
	enc := json.NewEncoder(w)
	err = enc.Encode(r.Header)
	for i := range r.Entries {
		if err == nil {
			err = enc.Encode(&r.Entries[i])
		}
	}
	if err == nil {
		err = w.Flush()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), filepath.Join(c.dir, k+suffix))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("catalog: %w", err), os.Remove(f.Name()))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(k, r.Header)
	return nil
}

// Remove forgets a name at a ref.
func (c *Catalog) Remove(source, name, ref string) error {
	var keys []string
	c.mu.Lock()
	for k, h := range c.heads {
		if h.Source == source && h.Name == name && h.Ref == ref {
			keys = append(keys, k)
			delete(c.heads, k)
			delete(c.known[source], k)
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
