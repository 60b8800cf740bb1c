package providertest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	iofs "io/fs"
	"maps"
	"slices"
	"sync"
	"time"

	"modelfs/providers"
)

// DefaultRef is the ref that an empty one means in a [Memory] with revisions.
const DefaultRef = "main"

// A File is the content of one path of a [Memory] model.
type File struct {
	Data    []byte
	Target  string        // not empty: a symbolic link
	Mode    iofs.FileMode // executable bits
	ModTime time.Time
	Digest  providers.Digest // overrides the true digest: a source that lies
}

// Files maps paths to their content. Paths may be hostile.
type Files map[string]File

// Text makes Files from strings.
func Text(files map[string]string) Files {
	out := make(Files, len(files))
	for p, s := range files {
		out[p] = File{Data: []byte(s)}
	}
	return out
}

// MemoryOptions sets what kind of source a [Memory] is. The zero value has
// revisions, states sha256 digests, and offers Stat and List; to hide List, put
// the Memory into a struct that embeds a [providers.Provider].
type MemoryOptions struct {
	// Protocol is the instance's name; "memory" if empty.
	Protocol string
	// NoRevisions makes a source like s3: origins without revision, and files
	// held to validators that change with every publication that changes them.
	NoRevisions bool
	// NoDigests leaves digests out of entries.
	NoDigests bool
	// NoSizes leaves sizes out of listings, not out of Stat.
	NoSizes bool
	// Plain leaves Stater out of its models.
	Plain bool
	// Whole makes a source that sends files only as a whole.
	Whole bool
	// Facts are what its models tell of themselves; if nil, they are no Describers.
	Facts []providers.Fact
	// LateDigests makes its models tell sha256 when they are asked for it alone.
	LateDigests bool
}

// Memory is a provider whose source is this process. Its methods may be called
// while it is in use.
type Memory struct {
	opts MemoryOptions

	mu     sync.Mutex
	models map[string]*memoryName
	serial int
	fail   error
	delay  time.Duration
	calls  []Call
}

type memoryName struct {
	refs      map[string]string // ref → revision
	revisions map[string]*snapshot
}

type snapshot struct {
	revision string
	files    map[string][]byte
	tree     *providers.Tree
}

// A Call is one question that a [Memory] was asked.
type Call struct {
	Op, Name, Ref, Path string
	Off, N              int64 // of a read
}

var (
	_ providers.Provider = (*Memory)(nil)
	_ providers.Lister   = (*Memory)(nil)
)

// NewMemory makes a source without models.
func NewMemory(opts MemoryOptions) *Memory {
	if opts.Protocol == "" {
		opts.Protocol = "memory"
	}
	return &Memory{opts: opts, models: map[string]*memoryName{}}
}

// Publish makes files the content of name at ref ("" is [DefaultRef]) and returns
// the new revision. Earlier revisions stay readable until [Memory.Forget]; in a
// source without revisions the content replaces the one before.
func (m *Memory) Publish(name, ref string, files Files) string {
	if ref == "" || m.opts.NoRevisions {
		ref = DefaultRef
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.models[name]
	if n == nil {
		n = &memoryName{refs: map[string]string{}, revisions: map[string]*snapshot{}}
		m.models[name] = n
	}
	m.serial++
	s := m.snapshot(files)
	n.revisions[s.revision], n.refs[ref] = s, s.revision
	return s.revision
}

// snapshot copies files and describes them; m.mu is held.
func (m *Memory) snapshot(files Files) *snapshot {
	sum := sha256.Sum256(fmt.Append(nil, m.serial))
	s := &snapshot{revision: hex.EncodeToString(sum[:20]), files: make(map[string][]byte, len(files))}
	entries := make([]providers.Entry, 0, len(files))
	for _, p := range slices.Sorted(maps.Keys(files)) {
		f := files[p]
		data := bytes.Clone(f.Data)
		s.files[p] = data
		entries = append(entries, m.entry(p, f, data))
	}
	s.tree = providers.NewTree(entries)
	return s
}

func (m *Memory) entry(p string, f File, data []byte) providers.Entry {
	e := providers.Entry{Path: p, Mode: f.Mode.Perm() & 0o111, Size: int64(len(data)), ModTime: f.ModTime}
	if f.Target != "" {
		e.Mode, e.Target, e.Size = iofs.ModeSymlink, f.Target, int64(len(f.Target))
		return e
	}
	sum := sha256.Sum256(data)
	if !m.opts.NoDigests {
		e.Digest = providers.NewDigest("sha256", hex.EncodeToString(sum[:]))
	}
	if f.Digest != "" {
		e.Digest = f.Digest
	}
	e.Validator = "etag-" + hex.EncodeToString(sum[:8]) + "-" + f.ModTime.UTC().Format(time.RFC3339Nano)
	return e
}

// Move points ref of name at a revision that was published before.
func (m *Memory) Move(name, ref, revision string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.models[name]
	if n == nil || n.revisions[revision] == nil {
		return fmt.Errorf("move %s@%s: %w", name, ref, iofs.ErrNotExist)
	}
	if ref == "" {
		ref = DefaultRef
	}
	n.refs[ref] = revision
	return nil
}

// Forget drops a revision: models pinned to it are [providers.ErrStale].
func (m *Memory) Forget(name, revision string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.models[name]; n != nil {
		delete(n.revisions, revision)
		maps.DeleteFunc(n.refs, func(_, r string) bool { return r == revision })
	}
}

// Remove drops a name with all its revisions.
func (m *Memory) Remove(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.models, name)
}

// Fail makes every op fail with err until Fail(nil).
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Delay makes every op wait for d first.
func (m *Memory) Delay(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.delay = d
}

// Calls returns what was asked since the last ResetCalls, in order.
func (m *Memory) Calls() []Call {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.calls)
}

// Count tells how often ops were asked since the last ResetCalls; all of them if
// none is named.
func (m *Memory) Count(ops ...string) int {
	n := 0
	for _, c := range m.Calls() {
		if len(ops) == 0 || slices.Contains(ops, c.Op) {
			n++
		}
	}
	return n
}

// ResetCalls forgets the calls so far.
func (m *Memory) ResetCalls() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.calls = nil
}
