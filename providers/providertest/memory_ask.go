package providertest

import (
	"bytes"
	"context"
	"io"
	iofs "io/fs"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"modelfs/providers"
)

// ask records a call, waits as a source far away would, and fails as one would.
func (m *Memory) ask(ctx context.Context, c Call) error {
	m.mu.Lock()
	m.calls = append(m.calls, c)
	delay, fail := m.delay, m.fail
	m.mu.Unlock()
	if delay > 0 {
		t := time.NewTimer(delay)
		defer t.Stop()
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
	if err := ctx.Err(); err != nil {
		return m.error(c, err)
	}
	if fail != nil {
		return m.error(c, fail)
	}
	return nil
}

func (m *Memory) error(c Call, err error) error {
	if err == nil {
		return nil
	}
	return &providers.Error{Op: c.Op, Protocol: m.opts.Protocol, Name: c.Name, Path: c.Path, Err: err}
}

// Resolve implements [providers.Provider].
func (m *Memory) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	c := Call{Op: "resolve", Name: name, Ref: ref}
	if err := m.ask(ctx, c); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.models[name]
	if n == nil {
		return nil, m.error(c, m.missing(name))
	}
	o := providers.Origin{Protocol: m.opts.Protocol, Name: name, Ref: ref, Source: "memory:" + name}
	s := n.at(ref)
	if s == nil || (m.opts.NoRevisions && ref != "") {
		return nil, m.error(c, iofs.ErrNotExist)
	}
	if !m.opts.NoRevisions {
		o.Revision, o.Immutable = s.revision, ref == s.revision
	}
	return m.offer(&memoryModel{memory: m, origin: o, pinned: s}), nil
}

// offer adds the optional interfaces that the source has.
func (m *Memory) offer(model *memoryModel) providers.Model {
	var out providers.Model = memoryStater{model}
	if m.opts.Plain {
		out = model
	}
	if m.opts.LateDigests {
		out = memoryDigester{out, model}
	}
	if m.opts.Facts != nil {
		out = memoryDescriber{out, m.opts.Facts}
	}
	return out
}

// at returns what ref means, nil if nothing. A ref may be a revision.
func (n *memoryName) at(ref string) *snapshot {
	if ref == "" {
		ref = DefaultRef
	}
	if revision, ok := n.refs[ref]; ok {
		return n.revisions[revision]
	}
	return n.revisions[ref]
}

// missing tells the beginning of a name from the absence of one; m.mu is held.
func (m *Memory) missing(name string) error {
	for known := range m.models {
		if strings.HasPrefix(known, name+"/") {
			return providers.ErrPartial
		}
	}
	return iofs.ErrNotExist
}

// List implements [providers.Lister].
func (m *Memory) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := m.ask(ctx, Call{Op: "list", Name: prefix}); err != nil {
			yield("", err)
			return
		}
		for _, next := range m.elements(prefix) {
			if !yield(next, nil) {
				return
			}
		}
	}
}

func (m *Memory) elements(prefix string) []string {
	if prefix != "" {
		prefix += "/"
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	found := map[string]bool{}
	for name := range m.models {
		if rest, ok := strings.CutPrefix(name, prefix); ok {
			next, _, _ := strings.Cut(rest, "/")
			found[next] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// current returns what the model's ref means now.
func (m *Memory) current(o providers.Origin) *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := m.models[o.Name]; n != nil {
		return n.at(o.Ref)
	}
	return nil
}

// reader reads data and fails once ctx has ended.
type reader struct {
	ctx context.Context
	r   *bytes.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// Close implements [io.Closer].
func (r *reader) Close() error { return nil }

func newReader(ctx context.Context, data []byte) io.ReadCloser {
	return &reader{ctx, bytes.NewReader(data)}
}
