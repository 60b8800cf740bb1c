package fs

import (
	"context"
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
	catalog  *catalog.Catalog
	rec      catalog.Record // of the root

	mu   sync.Mutex
	live providers.Model
	dirs map[string]*remembered
}

// remembered is what the catalog knows of a directory.
type remembered struct {
	entries  []providers.Entry
	complete bool
}

func newFrozen(p providers.Provider, c *catalog.Catalog, rec catalog.Record) *frozen {
	z := &frozen{provider: p, catalog: c, rec: rec, dirs: map[string]*remembered{}}
	z.take(rec)
	return z
}

// take sorts a record's entries into their directories. z.mu is held, or z is new.
func (z *frozen) take(rec catalog.Record) {
	for _, d := range rec.Dirs {
		z.dirs[d] = &remembered{complete: true}
	}
	for _, e := range rec.Entries {
		d := dirOf(e.Path)
		if z.dirs[d] == nil {
			z.dirs[d] = &remembered{}
		}
		z.dirs[d].entries = append(z.dirs[d].entries, e)
	}
}

// dir returns what is remembered of a directory, never nil.
func (z *frozen) dir(dir string) *remembered {
	z.mu.Lock()
	d := z.dirs[dir]
	z.mu.Unlock()
	if d != nil {
		return d
	}
	rec, err := z.catalog.Load(z.rec.Source, z.rec.Name, z.rec.Ref, dir)
	if err != nil || rec.Origin.Revision != z.rec.Origin.Revision {
		return &remembered{} // a directory that was not listed since the ref moved
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.dirs[dir] == nil { // nobody else was as quick
		z.take(rec)
	}
	if d = z.dirs[dir]; d == nil {
		return &remembered{}
	}
	return d
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
		return nil, &providers.Error{Op: "resolve", Protocol: z.rec.Origin.Protocol, Name: z.rec.Name, Err: providers.ErrStale}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.live = m
	return m, nil
}

func (z *frozen) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		if d := z.dir(dir); d.complete {
			for _, e := range d.entries {
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

// Stat finds what is remembered of one path.
func (z *frozen) Stat(ctx context.Context, p string) (providers.Entry, error) {
	d := z.dir(dirOf(p))
	for _, e := range d.entries {
		if e.Path == p {
			return e, nil
		}
	}
	if d.complete {
		return providers.Entry{}, iofs.ErrNotExist
	}
	m, err := z.model(ctx)
	if err != nil {
		return providers.Entry{}, err
	}
	return providers.Stat(ctx, m, p)
}

// Check has the ref resolved anew: what is remembered is not kept current.
func (z *frozen) Check(context.Context, providers.Entry) error { return providers.ErrChanged }

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
	_ providers.Stater   = (*frozen)(nil)
	_ providers.Digester = (*frozen)(nil)
)
