package providers

import (
	iofs "io/fs"
	"iter"
	"path"
	"strings"
)

// Tree is a whole listing held in memory, for sources that list a revision in
// one go. It is built once and then only read, by any number of goroutines.
//
// Where a path is both a file and a directory the directory wins; of two files
// of one path the first wins. Losers and entries whose path cannot be one are
// found in the listing of the root only, for whoever counts what is hidden.
type Tree struct {
	files  map[string]Entry
	dirs   map[string]map[string]bool // directory → names in it
	hidden []Entry
}

// NewTree builds a Tree from files and links in any order.
func NewTree(entries []Entry) *Tree {
	t := &Tree{files: make(map[string]Entry, len(entries)), dirs: map[string]map[string]bool{"": {}}}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if _, dup := t.files[e.Path]; dup || ValidPath(e.Path) != nil {
			t.hidden = append(t.hidden, e)
			continue
		}
		t.files[e.Path] = e
		t.link(e.Path)
	}
	for dir := range t.dirs {
		if e, both := t.files[dir]; both {
			delete(t.files, dir)
			t.hidden = append(t.hidden, e)
		}
	}
	return t
}

// link puts p into its parent's names, and the parent into its own.
func (t *Tree) link(p string) {
	for p != "" {
		dir, name := path.Split(p)
		dir = strings.TrimSuffix(dir, "/")
		names := t.dirs[dir]
		if names == nil {
			names = map[string]bool{}
			t.dirs[dir] = names
		}
		names[name] = true
		p = dir
	}
}

// Stat returns the entry at p.
func (t *Tree) Stat(p string) (Entry, error) {
	if _, ok := t.dirs[p]; ok {
		return Entry{Path: p, Mode: iofs.ModeDir}, nil
	}
	if e, ok := t.files[p]; ok {
		return e, nil
	}
	return Entry{}, iofs.ErrNotExist
}

// ReadDir yields the entries directly in dir.
func (t *Tree) ReadDir(dir string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		names, ok := t.dirs[dir]
		if !ok {
			yield(Entry{}, iofs.ErrNotExist)
			return
		}
		for name := range names {
			e, _ := t.Stat(path.Join(dir, name))
			if !yield(e, nil) {
				return
			}
		}
		if dir != "" {
			return
		}
		for _, e := range t.hidden {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Walk yields every file and link.
func (t *Tree) Walk() iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, e := range t.files {
			if !yield(e, nil) {
				return
			}
		}
	}
}
