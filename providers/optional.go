package providers

import (
	"context"
	iofs "io/fs"
	"iter"
	"path"
	"strings"
)

// As finds the optional interface T on v or on what v decorates.
func As[T any](v any) (T, bool) {
	for v != nil {
		if t, ok := v.(T); ok {
			return t, true
		}
		u, ok := v.(interface{ Unwrap() any })
		if !ok {
			break
		}
		v = u.Unwrap()
	}
	var zero T
	return zero, false
}

// Stat finds one entry of m: by its Stater, else in the listing of its directory.
func Stat(ctx context.Context, m Model, name string) (Entry, error) {
	if s, ok := As[Stater](m); ok {
		return s.Stat(ctx, name)
	}
	if name == "" {
		return Entry{Mode: iofs.ModeDir}, nil
	}
	o := m.Origin()
	absent := &Error{Op: "stat", Protocol: o.Protocol, Name: o.Name, Path: name, Err: iofs.ErrNotExist}
	if ValidPath(name) != nil {
		return Entry{}, absent // a listing may hold names that cannot be
	}
	dir := path.Dir(name)
	if dir == "." {
		dir = ""
	}
	for e, err := range m.ReadDir(ctx, dir) {
		if err != nil {
			return Entry{}, err
		}
		if e.Path == name {
			return e, nil
		}
	}
	return Entry{}, absent
}

// Walk yields every file and link of m: by its Walker, else directory by directory.
func Walk(ctx context.Context, m Model) iter.Seq2[Entry, error] {
	if w, ok := As[Walker](m); ok {
		return w.Walk(ctx)
	}
	return func(yield func(Entry, error) bool) { walk(ctx, m, "", 0, yield) }
}

// maxDepth bounds how deep a model may nest; a source that claims more is refused.
const maxDepth = 64

func walk(ctx context.Context, m Model, dir string, depth int, yield func(Entry, error) bool) bool {
	if depth > maxDepth {
		return true
	}
	for e, err := range m.ReadDir(ctx, dir) {
		switch {
		case err != nil:
			yield(Entry{}, err)
			return false
		case e.IsDir():
			if ValidElement(strings.TrimPrefix(strings.TrimPrefix(e.Path, dir), "/")) != nil {
				continue
			}
			if !walk(ctx, m, e.Path, depth+1, yield) {
				return false
			}
		default:
			if !yield(e, nil) {
				return false
			}
		}
	}
	return true
}
