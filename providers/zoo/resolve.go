package zoo

import (
	"context"
	iofs "io/fs"
	"log/slog"
	"path"
	"path/filepath"
	"strings"

	"modelfs/providers"
)

// Zoo is a provider of local directories.
type Zoo struct {
	protocol string
	log      *slog.Logger
	strict   bool
	roots    []*root
	grafts   *grafts
}

// Model is one directory of the tree with all that is below it.
type Model struct {
	zoo    *Zoo
	name   string
	origin providers.Origin
}

var (
	_ providers.Provider  = (*Zoo)(nil)
	_ providers.Lister    = (*Zoo)(nil)
	_ providers.PathNamer = (*Zoo)(nil)
	_ providers.Model     = (*Model)(nil)
	_ providers.Stater    = (*Model)(nil)
	_ providers.Opener    = (*Model)(nil)
)

// Resolve implements [providers.Provider]. The first element of a real path is a
// model already; what follows are paths in it.
func (z *Zoo) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	if ref != "" || providers.ValidPath(name) != nil {
		return nil, z.error("resolve", name, "", iofs.ErrNotExist)
	}
	if err := ctx.Err(); err != nil {
		return nil, z.error("resolve", name, "", err)
	}
	v := z.view()
	defer v.close()
	places, err := z.find(ctx, v, name, "")
	switch {
	case err != nil:
		return nil, z.error("resolve", name, "", err)
	case len(places) == 0:
		return nil, z.error("resolve", name, "", providers.ErrPartial)
	case !places[0].mode.IsDir():
		return nil, z.error("resolve", name, "", iofs.ErrNotExist)
	}
	return &Model{zoo: z, name: name, origin: providers.Origin{
		Protocol: z.protocol,
		Name:     name,
		Source:   "file://" + filepath.Join(places[0].root.path, places[0].path),
		Verify:   z.strict,
	}}, nil
}

// Origin implements [providers.Model].
func (m *Model) Origin() providers.Origin { return m.origin }

// Stat implements [providers.Stater].
func (m *Model) Stat(ctx context.Context, p string) (providers.Entry, error) {
	e, err := m.stat(ctx, p)
	return e, m.zoo.error("stat", m.name, p, err)
}

func (m *Model) stat(ctx context.Context, p string) (providers.Entry, error) {
	if err := ctx.Err(); err != nil {
		return providers.Entry{}, err
	}
	if p != "" && providers.ValidPath(p) != nil {
		return providers.Entry{}, iofs.ErrNotExist
	}
	v := m.zoo.view()
	defer v.close()
	if p != "" {
		e, err := m.child(ctx, v, p)
		if err == nil || !absent(err) {
			return e, err
		}
	}
	places, err := m.zoo.find(ctx, v, m.name, p)
	switch {
	case err != nil:
		return providers.Entry{}, err
	case len(places) == 0 || places[0].mode.IsDir():
		return providers.Entry{Path: p, Mode: iofs.ModeDir}, nil
	}
	return providers.Entry{}, iofs.ErrNotExist
}

// child looks p up in its directory, as the listing would show it.
func (m *Model) child(ctx context.Context, v *view, p string) (providers.Entry, error) {
	parent, el := slashed(path.Dir(p)), path.Base(p)
	places, err := m.zoo.find(ctx, v, m.name, parent)
	if err != nil || len(places) == 0 {
		return providers.Entry{}, orAbsent(err)
	}
	if !places[0].mode.IsDir() {
		return providers.Entry{}, iofs.ErrNotExist
	}
	places, owner, err := settle(ctx, places)
	if err != nil {
		return providers.Entry{}, err
	}
	for i, pl := range places {
		e, ok, err := pl.lookup(el, p)
		if err != nil && !absent(err) {
			return providers.Entry{}, err
		}
		if err == nil && ok && shows(e, i, owner) {
			return e, nil
		}
	}
	return providers.Entry{}, iofs.ErrNotExist
}

func (p place) lookup(el, at string) (providers.Entry, bool, error) {
	sub, err := p.OpenRoot(native(p.path))
	if err != nil {
		return providers.Entry{}, false, err
	}
	defer sub.Close()
	return p.entry(&layer{sub, p.root}, el, at)
}

func orAbsent(err error) error {
	if err == nil {
		return iofs.ErrNotExist
	}
	return err
}

// NameOfPath implements [providers.PathNamer].
func (z *Zoo) NameOfPath(abs string) (name, path string, ok bool) {
	for _, r := range z.roots {
		if p, ok := r.rel(filepath.Clean(abs)); ok && p != "" {
			name, path, _ = strings.Cut(p, "/")
			return name, path, true
		}
	}
	return "", "", false
}
