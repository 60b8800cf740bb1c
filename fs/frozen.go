package fs

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"iter"
	"path"
	"sync"

	"modelfs/catalog"
	"modelfs/providers"
)

// frozen is a model as the catalog remembers it. Its listings need no source;
// bytes that are not in the cache do, and then it resolves the revision it stands
// for.
type frozen struct {
	provider providers.Provider
	rec      catalog.Record
	dirs     map[string][]providers.Entry

	mu   sync.Mutex
	live providers.Model
}

func newFrozen(p providers.Provider, rec catalog.Record) *frozen {
	z := &frozen{provider: p, rec: rec, dirs: map[string][]providers.Entry{}}
	for _, d := range rec.Dirs {
		z.dirs[d] = nil
	}
	for _, e := range rec.Entries {
		d := dirOf(e.Path)
		z.dirs[d] = append(z.dirs[d], e)
	}
	return z
}

func dirOf(p string) string {
	if d := path.Dir(p); d != "." {
		return d
	}
	return ""
}

func (z *frozen) Origin() providers.Origin { return z.rec.Origin }

// model resolves the revision that is remembered; a source without revisions is
// resolved at the ref, and its files are held to their validators.
func (z *frozen) model(ctx context.Context) (providers.Model, error) {
	z.mu.Lock()
	m := z.live
	z.mu.Unlock()
	if m != nil {
		return m, nil
	}
	ref := z.rec.Origin.Revision
	if ref == "" {
		ref = z.rec.Ref
	}
	m, err := z.provider.Resolve(ctx, z.rec.Name, ref)
	if err != nil {
		return nil, err
	}
	if r := z.rec.Origin.Revision; r != "" && m.Origin().Revision != r {
		return nil, &providers.Error{Op: "resolve", Protocol: z.rec.Protocol, Name: z.rec.Name, Err: providers.ErrStale}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.live = m
	return m, nil
}

func (z *frozen) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		if es, ok := z.dirs[dir]; ok {
			for _, e := range es {
				if !yield(e, nil) {
					return
				}
			}
			return
		}
		m, err := z.model(ctx)
		if err != nil {
			yield(providers.Entry{}, err)
			return
		}
		for e, err := range m.ReadDir(ctx, dir) {
			if !yield(e, err) {
				return
			}
		}
	}
}

// Check asks what the ref means now. A model that was remembered with a revision
// is compared with it; else the file is asked about.
func (z *frozen) Check(ctx context.Context, e providers.Entry) error {
	if r := z.rec.Origin.Revision; r != "" {
		m, err := z.provider.Resolve(ctx, z.rec.Name, z.rec.Ref)
		switch {
		case errors.Is(err, iofs.ErrNotExist) || err == nil && m.Origin().Revision != r:
			return providers.ErrChanged
		case err != nil:
			return err
		}
		z.mu.Lock()
		defer z.mu.Unlock()
		z.live = m
		return nil
	}
	m, err := z.model(ctx)
	if err != nil {
		return err
	}
	return m.Check(ctx, e)
}

func (z *frozen) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	m, err := z.model(ctx)
	if err != nil {
		return nil, err
	}
	return m.ReadRange(ctx, e, off, n)
}

// Digest asks the live model.
func (z *frozen) Digest(ctx context.Context, e providers.Entry) (providers.Digest, error) {
	m, err := z.model(ctx)
	if err != nil {
		return "", err
	}
	if d, ok := providers.As[providers.Digester](m); ok {
		return d.Digest(ctx, e)
	}
	return "", nil
}

var (
	_ providers.Model    = (*frozen)(nil)
	_ providers.Digester = (*frozen)(nil)
)
