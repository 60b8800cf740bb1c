package providers

import (
	"context"
	"io"
	"iter"
)

// guardedModel is a model behind the guard of its provider.
type guardedModel struct {
	under // the optional interfaces, guarded as well
	g     *guard
	m     Model
	name  string
}

var _ Model = (*guardedModel)(nil)

// model wraps m. Each optional interface that m has gets its own thin layer
// between the wrapper and m, for As to meet before it meets m's own.
func (g *guard) model(m Model) Model {
	out := &guardedModel{g: g, m: m, name: m.Origin().Name}
	next := any(m)
	if s, ok := As[Stater](m); ok {
		next = guardedStater{under{next}, out, s}
	}
	if w, ok := As[Walker](m); ok {
		next = guardedWalker{under{next}, out, w}
	}
	if d, ok := As[Digester](m); ok {
		next = guardedDigester{under{next}, out, d}
	}
	out.next = next
	return out
}

func (m *guardedModel) what(op, path string) Error { return Error{Op: op, Name: m.name, Path: path} }

// Origin implements [Model].
func (m *guardedModel) Origin() Origin { return m.m.Origin() }

// ReadDir implements [Model].
func (m *guardedModel) ReadDir(ctx context.Context, dir string) iter.Seq2[Entry, error] {
	return guardSeq(ctx, m.g, m.what("list", dir), func(ctx context.Context) iter.Seq2[Entry, error] {
		return m.m.ReadDir(ctx, dir)
	})
}

// Check implements [Model].
func (m *guardedModel) Check(ctx context.Context, e Entry) error {
	return m.g.ask(ctx, m.what("check", e.Path), func(ctx context.Context) error {
		return m.m.Check(ctx, e)
	})
}

// ReadRange implements [Model].
func (m *guardedModel) ReadRange(ctx context.Context, e Entry, off, n int64) (io.ReadCloser, error) {
	return newGuardedReader(ctx, m, e, off, n)
}

type guardedStater struct {
	under
	m *guardedModel
	s Stater
}

// Stat implements [Stater].
func (s guardedStater) Stat(ctx context.Context, path string) (e Entry, err error) {
	err = s.m.g.ask(ctx, s.m.what("stat", path), func(ctx context.Context) error {
		e, err = s.s.Stat(ctx, path)
		return err
	})
	return e, err
}

type guardedDigester struct {
	under
	m *guardedModel
	d Digester
}

// Digest implements [Digester].
func (d guardedDigester) Digest(ctx context.Context, e Entry) (sum Digest, err error) {
	err = d.m.g.ask(ctx, d.m.what("digest", e.Path), func(ctx context.Context) error {
		sum, err = d.d.Digest(ctx, e)
		return err
	})
	return sum, err
}

type guardedWalker struct {
	under
	m *guardedModel
	w Walker
}

// Walk implements [Walker].
func (w guardedWalker) Walk(ctx context.Context) iter.Seq2[Entry, error] {
	return guardSeq(ctx, w.m.g, w.m.what("list", ""), w.w.Walk)
}

type guardedLister struct {
	under
	g *guard
	l Lister
}

// List implements [Lister].
func (l guardedLister) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return guardSeq(ctx, l.g, Error{Op: "list", Name: prefix}, func(ctx context.Context) iter.Seq2[string, error] {
		return l.l.List(ctx, prefix)
	})
}
