package providers

import (
	iofs "io/fs"
	"iter"
	"path"
	"slices"
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
	dirs   map[string][]string // directory → names in it
	hidden []Entry
}

// maxDirs bounds how many directories the paths of a listing may make: a path
// costs its source a few bytes for each, and costs us more. What needs further
// ones is hidden.
const maxDirs = 500_000

// NewTree builds a Tree from files and links in any order.
func NewTree(entries []Entry) *Tree {
	t := &Tree{files: make(map[string]Entry, len(entries)), dirs: map[string][]string{"": nil}}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		_, dup := t.files[e.Path]
		_, made := t.dirs[parent(e.Path)]
		if dup || ValidPath(e.Path) != nil || !made && len(t.dirs) >= maxDirs {
			t.hidden = append(t.hidden, e)
			continue
		}
		t.files[e.Path] = e
		t.link(e.Path)
	}
	twice := map[string]bool{} // directories with a file and a directory of one name
	for dir := range t.dirs {
		if e, both := t.files[dir]; both {
			delete(t.files, dir)
			t.hidden = append(t.hidden, e)
			twice[parent(dir)] = true
		}
	}
	for dir := range twice {
		slices.Sort(t.dirs[dir])
		t.dirs[dir] = slices.Compact(t.dirs[dir])
	}
	return t
}

// parent is the directory of p; "" is the root.
func parent(p string) string { return p[:max(0, strings.LastIndexByte(p, '/'))] }

// link puts p into its parent's names, and a parent that is new into its own.
func (t *Tree) link(p string) {
	for p != "" {
		dir := parent(p)
		names, known := t.dirs[dir]
		t.dirs[dir] = append(names, strings.TrimPrefix(p[len(dir):], "/"))
		if known {
			return
		}
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
		for _, name := range names {
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
