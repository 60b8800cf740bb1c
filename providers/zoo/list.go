package zoo

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"iter"
	"maps"
	"path"
	"slices"

	"modelfs/providers"
)

// ReadDir implements [providers.Model].
func (m *Model) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return m.zoo.readDir(ctx, m.name, dir)
}

// List implements [providers.Lister]: the directories of the roots, and the names
// of grafts.
func (z *Zoo) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for e, err := range z.readDir(ctx, "", prefix) {
			if err != nil {
				yield("", err)
				return
			}
			if e.IsDir() && !yield(path.Base(e.Path), nil) {
				return
			}
		}
	}
}

func (z *Zoo) readDir(ctx context.Context, base, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		v := z.view()
		defer v.close()
		l := listing{base: base, dir: dir, seen: map[string]bool{}, yield: yield}
		err := z.list(ctx, v, &l)
		if err != nil && !l.done {
			yield(providers.Entry{}, z.error("list", base, dir, err))
		}
	}
}

// listing is one directory on its way to the consumer.
type listing struct {
	base, dir string
	seen      map[string]bool
	done      bool // the consumer has enough
	yield     func(providers.Entry, error) bool
}

func (l *listing) add(e providers.Entry) bool {
	l.seen[path.Base(e.Path)] = true
	l.done = l.done || !l.yield(e, nil)
	return !l.done
}

func (z *Zoo) list(ctx context.Context, v *view, l *listing) error {
	top := path.Join(l.base, l.dir) == ""
	places, err := z.find(ctx, v, l.base, l.dir)
	if err != nil && (!top || !absent(err)) {
		return err
	}
	if len(places) > 0 && !places[0].mode.IsDir() {
		return iofs.ErrNotExist
	}
	owner := -1
	if !top && len(places) > 0 {
		if places, owner, err = settle(ctx, places); err != nil {
			return err
		}
	}
	for i, p := range places {
		if err := l.addAll(ctx, p, i, owner); err != nil || l.done {
			return err
		}
	}
	if top && v.err != nil {
		return v.err
	}
	index, err := z.grafts.get(ctx)
	if errors.Is(err, errLooking) {
		return nil // what the directories hold is known, and listed
	}
	if err != nil {
		return err
	}
	for _, el := range slices.Sorted(maps.Keys(index.below[path.Join(l.base, l.dir)])) {
		if !l.seen[el] && !l.add(providers.Entry{Path: path.Join(l.dir, el), Mode: iofs.ModeDir}) {
			return nil
		}
	}
	return nil
}

// addAll adds what shows of p, the place of index i.
func (l *listing) addAll(ctx context.Context, p place, i, owner int) error {
	var failed error
	err := p.scan(ctx, func(dir *layer, d iofs.DirEntry) bool {
		at := d.Name()
		if l.dir != "" {
			at = l.dir + "/" + at // not path.Join: the name may be hostile
		}
		e, ok, err := p.entry(dir, d.Name(), at)
		switch {
		case err != nil && absent(err): // removed meanwhile
			return true
		case err != nil:
			failed = err
			return false
		case !ok || l.seen[d.Name()] || !shows(e, i, owner):
			return true
		}
		return l.add(e)
	})
	if failed != nil {
		return failed
	}
	return err
}

// scan calls each for the entries of p until it is false. dir is p as a layer of
// its own, so that looking at an entry is one question to the kernel.
func (p place) scan(ctx context.Context, each func(dir *layer, e iofs.DirEntry) bool) error {
	sub, err := p.OpenRoot(native(p.path))
	if err != nil {
		return err
	}
	defer sub.Close()
	f, err := sub.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	dir := &layer{sub, p.root}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if !each(dir, e) {
				return nil
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
