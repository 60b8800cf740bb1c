package providertest

import (
	"context"
	"io"
	"iter"
	"os"

	"modelfs/providers"
)

// broken is a provider that breaks one promise: each hook that is set stands in for a
// method.
type broken struct {
	providers.Provider
	resolve func(ctx context.Context, name, ref string) (providers.Model, error)
	list    func(prefix string) []string
	origin  func(providers.Origin) providers.Origin
	readDir func(m providers.Model, dir string) iter.Seq2[providers.Entry, error]
	entry   func(providers.Entry) providers.Entry // of listings
	stat    func(ctx context.Context, m providers.Model, path string) (providers.Entry, error)
	check   func(ctx context.Context, m providers.Model, e providers.Entry) error
	read    func(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error)
	open    func(m providers.Model, e providers.Entry) (*os.File, error)
	digest  providers.Digest
	facts   []providers.Fact
}

// on makes b break p.
func (b broken) on(p providers.Provider) providers.Provider {
	b.Provider = p
	return &b
}

func (b *broken) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := b.Provider.Resolve(ctx, name, ref)
	if b.resolve != nil {
		m, err = b.resolve(ctx, name, ref)
	}
	if err != nil {
		return nil, err
	}
	out := &brokenModel{Model: m, b: b}
	if b.open != nil {
		return brokenOpener{out}, nil
	}
	return out, nil
}

func (b *broken) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	if b.list == nil {
		l, _ := providers.As[providers.Lister](b.Provider)
		return l.List(ctx, prefix)
	}
	return func(yield func(string, error) bool) {
		for _, el := range b.list(prefix) {
			if !yield(el, nil) {
				return
			}
		}
	}
}

type brokenModel struct {
	providers.Model
	b *broken
}

func (m *brokenModel) Origin() providers.Origin {
	if m.b.origin != nil {
		return m.b.origin(m.Model.Origin())
	}
	return m.Model.Origin()
}

func (m *brokenModel) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	seq := m.Model.ReadDir(ctx, dir)
	if m.b.readDir != nil {
		seq = m.b.readDir(m.Model, dir)
	}
	if m.b.entry == nil {
		return seq
	}
	return func(yield func(providers.Entry, error) bool) {
		for e, err := range seq {
			if !yield(m.b.entry(e), err) {
				return
			}
		}
	}
}

func (m *brokenModel) Stat(ctx context.Context, path string) (providers.Entry, error) {
	if m.b.stat != nil {
		return m.b.stat(ctx, m.Model, path)
	}
	return providers.Stat(ctx, m.Model, path)
}

func (m *brokenModel) Check(ctx context.Context, e providers.Entry) error {
	if m.b.check != nil {
		return m.b.check(ctx, m.Model, e)
	}
	return m.Model.Check(ctx, e)
}

func (m *brokenModel) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	if m.b.read != nil {
		return m.b.read(ctx, m.Model, e, off, n)
	}
	return m.Model.ReadRange(ctx, e, off, n)
}

func (m *brokenModel) Digest(context.Context, providers.Entry) (providers.Digest, error) {
	return m.b.digest, nil
}

func (m *brokenModel) Describe(context.Context) ([]providers.Fact, error) { return m.b.facts, nil }

type brokenOpener struct{ *brokenModel }

func (m brokenOpener) Open(_ context.Context, e providers.Entry) (*os.File, error) {
	return m.b.open(m.Model, e)
}
