package zoo

import (
	"context"
	"errors"
	iofs "io/fs"
	"path"
	"slices"
	"strings"

	"modelfs/providers"
)

// A place is a real file or directory that a path of the tree means.
type place struct {
	*layer
	path    string // without links
	anchor  string // links that stay below it are links, others are followed
	crossed int    // links followed out of an anchor on the way
	mode    iofs.FileMode
}

// maxCrossed bounds trees in which two directories link to one another.
const maxCrossed = 2

// step goes from a directory to its child el. Above the model, which begins
// below base, each directory is its own anchor.
func (p place) step(el string, inModel bool) (place, error) {
	next, err := p.resolve(p.path, el)
	if err != nil {
		return place{}, err
	}
	fi, err := p.Lstat(native(next))
	if err != nil {
		return place{}, err
	}
	out := place{layer: p.layer, path: next, anchor: p.anchor, crossed: p.crossed, mode: fi.Mode()}
	switch {
	case !inModel:
		out.anchor = next
	case !below(next, p.anchor):
		out.anchor = next
		if out.crossed++; out.crossed > maxCrossed && fi.IsDir() {
			return place{}, iofs.ErrNotExist
		}
	}
	return out, nil
}

// below reports whether p is dir or inside it.
func below(p, dir string) bool {
	return dir == "" || p == dir || strings.HasPrefix(p, dir+"/")
}

// settle applies the rule that files of two roots do not meet in a directory. It
// returns the places that have a say, and the index of the one whose files show;
// -1 if none has files.
func settle(ctx context.Context, places []place) ([]place, int, error) {
	if len(places) == 1 {
		return places, 0, nil
	}
	owner := slices.IndexFunc(places, func(p place) bool { return p.hasFile(ctx) })
	if owner == 0 {
		places = places[:1]
	}
	return places, owner, ctx.Err() // had it ended, hasFile would not know
}

// shows reports whether e, found in the place of index i, is in the listing.
func shows(e providers.Entry, i, owner int) bool {
	return i == owner || e.IsDir() || owner < 0 && e.IsSymlink()
}

// hasFile reports whether a file, or a link to one, is directly in p. What cannot
// be read counts as none: listing it will say why.
func (p place) hasFile(ctx context.Context) bool {
	found := false
	_ = p.scan(ctx, func(dir *layer, e iofs.DirEntry) bool {
		mode := e.Type()
		if mode == iofs.ModeSymlink {
			if fi, err := dir.Stat(e.Name()); err == nil {
				mode = fi.Mode()
			}
		}
		found = mode.IsRegular()
		return !found
	})
	return found
}

// walk goes from the places of one directory down the elements of p.
func walk(ctx context.Context, places []place, p string, inModel bool) ([]place, error) {
	if p == "" {
		return places, nil
	}
	var failed error
	for i, el := range strings.Split(p, "/") {
		owner := -1
		if i > 0 || inModel {
			var err error
			if places, owner, err = settle(ctx, places); err != nil {
				return nil, err
			}
		}
		var next []place
		for j, pl := range places {
			child, err := pl.step(el, inModel)
			switch {
			case err != nil && !absent(err):
				failed = errors.Join(failed, err)
			case err != nil:
			case child.mode.IsDir():
				next = append(next, child)
			case j == owner && len(next) == 0:
				return onlyLast(child, i == strings.Count(p, "/"))
			}
		}
		switch places = next; {
		case len(places) == 0 && failed != nil:
			return nil, failed
		case len(places) == 0:
			return nil, iofs.ErrNotExist
		}
	}
	return places, nil
}

// onlyLast refuses a file in the middle of a path.
func onlyLast(file place, last bool) ([]place, error) {
	if !last {
		return nil, iofs.ErrNotExist
	}
	return []place{file}, nil
}

// find returns the places of rest in the model base, in the order of the roots: of
// a directory several, of a file one. It is none, without an error, for a
// directory that only the names of grafts make.
func (z *Zoo) find(ctx context.Context, v *view, base, rest string) ([]place, error) {
	if rest != "" && providers.ValidPath(rest) != nil {
		return nil, iofs.ErrNotExist // a ".." would be followed out of the model
	}
	places, err := v.real(ctx, base, rest)
	if err == nil || !absent(err) {
		return places, err
	}
	index, ierr := z.grafts.get(ctx)
	if ierr != nil {
		return nil, ierr
	}
	full := path.Join(base, rest)
	if g, name := index.covering(full); name != "" {
		if places, err := v.graft(ctx, g, name, base, full); err == nil || !absent(err) {
			return places, err
		}
	}
	if len(index.below[full]) > 0 {
		return nil, nil
	}
	if v.err != nil {
		return nil, v.err
	}
	return nil, err
}

// real finds a path by its directories.
func (v *view) real(ctx context.Context, base, rest string) ([]place, error) {
	top := make([]place, 0, len(v.layers))
	for _, l := range v.layers {
		// No link of a root's own directory stays below ".": all are followed.
		top = append(top, place{layer: l, anchor: ".", mode: iofs.ModeDir})
	}
	if len(top) == 0 {
		return nil, iofs.ErrNotExist
	}
	places, err := walk(ctx, top, base, false)
	if err != nil {
		return nil, err
	}
	return walk(ctx, places, rest, base != "")
}

// graft finds the path full by the graft that is called name.
func (v *view) graft(ctx context.Context, g graft, name, base, full string) ([]place, error) {
	i := slices.IndexFunc(v.layers, func(l *layer) bool { return l.root == g.root })
	if i < 0 {
		return nil, iofs.ErrNotExist
	}
	at, err := place{layer: v.layers[i]}.step(g.dir, false)
	if err != nil {
		return nil, err
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(full, name), "/")
	if above, inside := strings.CutPrefix(base, name+"/"); inside {
		places, err := walk(ctx, []place{at}, above, false)
		if err != nil {
			return nil, err
		}
		return walk(ctx, places, strings.TrimPrefix(strings.TrimPrefix(full, base), "/"), true)
	}
	return walk(ctx, []place{at}, rest, true)
}

// absent reports whether err says that there is nothing.
func absent(err error) bool { return errors.Is(translate(err), iofs.ErrNotExist) }
