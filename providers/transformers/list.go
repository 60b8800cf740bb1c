package transformers

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"runtime"
	"sync"
	"weak"

	"modelfs/providers"
)

// model is a repository at one commit.
type model struct {
	p      *Provider
	repo   repo
	origin providers.Origin
	commit *commit
	checks flight[string]
}

// commit is the listing of one commit, shared by all models of it.
type commit struct {
	trees flight[*providers.Tree]

	mu   sync.Mutex
	tree *providers.Tree // once it is complete
}

// commits finds the listing of a commit that is resolved again, as long as
// somebody holds a model of it: a listing costs the dearest requests there are.
type commits struct {
	mu sync.Mutex
	m  map[string]weak.Pointer[commit]
}

func (cs *commits) get(key string) *commit {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if c := cs.m[key].Value(); c != nil {
		return c
	}
	if cs.m == nil {
		cs.m = map[string]weak.Pointer[commit]{}
	}
	c := &commit{}
	cs.m[key] = weak.Make(c)
	runtime.AddCleanup(c, cs.drop, key)
	return c
}

// drop forgets a commit that nobody holds, unless it is back already.
func (cs *commits) drop(key string) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if cs.m[key].Value() == nil {
		delete(cs.m, key)
	}
}

var (
	_ providers.Model  = (*model)(nil)
	_ providers.Stater = (*model)(nil)
	_ providers.Walker = (*model)(nil)
)

// Origin tells what was asked and what it meant.
func (m *model) Origin() providers.Origin { return m.origin }

func (m *model) fail(op, path string, err error) error {
	return m.p.fail(op, m.origin.Name, path, err)
}

// ReadDir yields the entries in dir, out of the listing of the whole commit.
func (m *model) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return m.entries(ctx, dir, func(t *providers.Tree) iter.Seq2[providers.Entry, error] { return t.ReadDir(dir) })
}

// Walk yields every file.
func (m *model) Walk(ctx context.Context) iter.Seq2[providers.Entry, error] {
	return m.entries(ctx, "", (*providers.Tree).Walk)
}

func (m *model) entries(ctx context.Context, dir string, list func(*providers.Tree) iter.Seq2[providers.Entry, error]) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		t, err := m.listing(ctx)
		if err != nil {
			yield(providers.Entry{}, m.fail("list", dir, err))
			return
		}
		for e, err := range list(t) {
			if err != nil {
				err = m.fail("list", dir, err)
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

// Stat finds an entry in the listing. Only for a file whose size the listing
// leaves out does it ask about the file itself.
func (m *model) Stat(ctx context.Context, path string) (providers.Entry, error) {
	t, err := m.listing(ctx)
	if err != nil {
		return providers.Entry{}, m.fail("stat", path, err)
	}
	e, err := t.Stat(path)
	if err == nil && e.Size == providers.SizeUnknown {
		e.Size, err = m.askSize(ctx, path)
	}
	if err != nil {
		return providers.Entry{}, m.fail("stat", path, err)
	}
	return e, nil
}

// listing is the commit's tree, fetched once for all callers.
func (m *model) listing(ctx context.Context) (*providers.Tree, error) {
	c := m.commit
	c.mu.Lock()
	t := c.tree
	c.mu.Unlock()
	if t != nil {
		return t, nil
	}
	return c.trees.do(ctx, "", func(ctx context.Context) (*providers.Tree, error) {
		t, err := m.p.list(ctx, m)
		if err == nil {
			c.mu.Lock()
			c.tree = t
			c.mu.Unlock()
		}
		return t, err
	})
}

// Bounds on what a listing may claim.
const (
	maxEntries = 5_000_000
	maxPages   = 100_000
	maxEmpty   = 16 // pages without an entry, one after another
)

// list asks for the commit's tree, page by page.
func (p *Provider) list(ctx context.Context, m *model) (*providers.Tree, error) {
	u := p.hub.apiURL(m.repo, "tree", m.origin.Revision)
	u.RawQuery = "recursive=true&expand=false&limit=1000"
	l := lister{m: m, seen: map[string]bool{}}
	for u != nil {
		if err := l.admit(u); err != nil {
			return nil, err
		}
		next, err := p.hub.page(ctx, u, l.add)
		if err != nil {
			if len(l.seen) == 1 && code(err) == codeEntry {
				break // a commit without files has no root to list
			}
			return nil, pinned(err)
		}
		u = next
	}
	return providers.NewTree(l.entries), nil
}

// lister gathers the pages of one tree.
type lister struct {
	m       *model
	entries []providers.Entry
	seen    map[string]bool // pages asked for
	empty   int
	before  int // entries at the beginning of the present page
}

// admit refuses listings that do not end.
func (l *lister) admit(u *url.URL) error {
	if len(l.entries) == l.before {
		l.empty++
	} else {
		l.empty = 0
	}
	l.before = len(l.entries)
	if l.seen[u.String()] || len(l.seen) >= maxPages || l.empty > maxEmpty {
		return fmt.Errorf("%w: the pages of the listing lead in a circle", providers.ErrUnavailable)
	}
	l.seen[u.String()] = true
	return nil
}

func (l *lister) add(row treeRow) error {
	if len(l.entries) >= maxEntries {
		return fmt.Errorf("%w: the listing has more than %d entries", providers.ErrUnavailable, maxEntries)
	}
	if e, ok := row.entry(l.m.origin); ok {
		l.entries = append(l.entries, e)
	}
	return nil
}
