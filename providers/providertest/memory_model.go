package providertest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	iofs "io/fs"
	"iter"

	"modelfs/providers"
)

// memoryModel is one snapshot of a [Memory], or in a source without revisions
// the presence of one.
type memoryModel struct {
	memory *Memory
	origin providers.Origin
	pinned *snapshot
}

type memoryStater struct{ *memoryModel }

var (
	_ providers.Model  = (*memoryModel)(nil)
	_ providers.Stater = memoryStater{}

	_ providers.Describer = memoryDescriber{}
	_ providers.Digester  = memoryDigester{}
)

// Origin implements [providers.Model].
func (m *memoryModel) Origin() providers.Origin { return m.origin }

func (m *memoryModel) call(op, path string) Call {
	return Call{Op: op, Name: m.origin.Name, Ref: m.origin.Ref, Path: path}
}

// view returns the snapshot that listings and reads see: the pinned one while
// the source keeps it, the present one where there are no revisions.
func (m *memoryModel) view() (*snapshot, error) {
	if m.origin.Revision == "" {
		if s := m.memory.current(m.origin); s != nil {
			return s, nil
		}
		return nil, iofs.ErrNotExist
	}
	m.memory.mu.Lock()
	defer m.memory.mu.Unlock()
	n := m.memory.models[m.origin.Name]
	if n == nil || n.revisions[m.origin.Revision] == nil {
		return nil, providers.ErrStale
	}
	return m.pinned, nil
}

// ReadDir implements [providers.Model].
func (m *memoryModel) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		c := m.call("list", dir)
		err := m.memory.ask(ctx, c)
		var s *snapshot
		if err == nil {
			s, err = m.view()
		}
		if err != nil {
			yield(providers.Entry{}, m.wrap(c, err))
			return
		}
		for e, err := range s.tree.ReadDir(dir) {
			if m.memory.opts.NoSizes && e.Mode.IsRegular() {
				e.Size = providers.SizeUnknown
			}
			if !yield(e, m.wrap(c, err)) {
				return
			}
		}
	}
}

// wrap adds what was asked, unless err says so already.
func (m *memoryModel) wrap(c Call, err error) error {
	var told *providers.Error
	if err == nil || errors.As(err, &told) {
		return err
	}
	return m.memory.error(c, err)
}

// Stat implements [providers.Stater].
func (m memoryStater) Stat(ctx context.Context, path string) (providers.Entry, error) {
	c := m.call("stat", path)
	if err := m.memory.ask(ctx, c); err != nil {
		return providers.Entry{}, err
	}
	s, err := m.view()
	if err != nil {
		return providers.Entry{}, m.wrap(c, err)
	}
	e, err := s.tree.Stat(path)
	return e, m.wrap(c, err)
}

// Check implements [providers.Model].
func (m *memoryModel) Check(ctx context.Context, e providers.Entry) error {
	c := m.call("check", e.Path)
	if err := m.memory.ask(ctx, c); err != nil {
		return err
	}
	now := m.memory.current(m.origin)
	if now == nil {
		return m.wrap(c, providers.ErrChanged)
	}
	if m.origin.Revision != "" {
		if now.revision != m.origin.Revision {
			return m.wrap(c, providers.ErrChanged)
		}
		return nil
	}
	if is, err := now.tree.Stat(e.Path); err != nil || !same(is, e) {
		return m.wrap(c, providers.ErrChanged)
	}
	return nil
}

// same compares content; a listing may have left the size out.
func same(a, b providers.Entry) bool {
	return a.Mode.Type() == b.Mode.Type() && a.Digest == b.Digest && a.Validator == b.Validator && a.Target == b.Target
}

// ReadRange implements [providers.Model].
func (m *memoryModel) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	c := m.call("read", e.Path)
	c.Off, c.N = off, n
	if err := m.memory.ask(ctx, c); err != nil {
		return nil, err
	}
	s, err := m.view()
	if err != nil {
		return nil, m.wrap(c, providers.ErrStale)
	}
	is, err := s.tree.Stat(e.Path)
	if err != nil || !same(is, e) {
		return nil, m.wrap(c, providers.ErrStale)
	}
	data := s.files[e.Path]
	if off < 0 || n <= 0 || off+n > int64(len(data)) {
		return nil, m.wrap(c, iofs.ErrInvalid)
	}
	if m.memory.opts.Whole && n < int64(len(data)) {
		return nil, m.wrap(c, providers.ErrWhole)
	}
	return newReader(ctx, data[off:off+n]), nil
}

// memoryDescriber tells facts about the model that it wraps.
type memoryDescriber struct {
	providers.Model
	facts []providers.Fact
}

// Unwrap lets [providers.As] see through.
func (m memoryDescriber) Unwrap() any { return m.Model }

// Describe implements [providers.Describer].
func (m memoryDescriber) Describe(context.Context) ([]providers.Fact, error) { return m.facts, nil }

// memoryDigester tells digests of the model that it wraps.
type memoryDigester struct {
	providers.Model
	of *memoryModel
}

// Unwrap lets [providers.As] see through.
func (m memoryDigester) Unwrap() any { return m.Model }

// Digest implements [providers.Digester].
func (m memoryDigester) Digest(ctx context.Context, e providers.Entry) (providers.Digest, error) {
	c := m.of.call("digest", e.Path)
	if err := m.of.memory.ask(ctx, c); err != nil {
		return "", err
	}
	s, err := m.of.view()
	if err != nil {
		return "", m.of.wrap(c, err)
	}
	sum := sha256.Sum256(s.files[e.Path])
	return providers.NewDigest("sha256", hex.EncodeToString(sum[:])), nil
}
