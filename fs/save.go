package fs

import (
	"context"
	"slices"
	"time"

	"modelfs/catalog"
	"modelfs/providers"
)

// saveDelay gathers what is learned in quick succession into one write.
const saveDelay = 500 * time.Millisecond

// save has what is known of a directory written to the catalog, in the background.
func (m *model) save(dir string) {
	m.mu.Lock()
	first := len(m.unsaved) == 0
	if m.unsaved == nil {
		m.unsaved = map[string]bool{}
	}
	m.unsaved[dir] = true
	m.mu.Unlock()
	if first {
		m.f.start(m.saveAll)
	}
}

func (m *model) saveAll(ctx context.Context) {
	select {
	case <-time.After(saveDelay):
	case <-ctx.Done(): // closing: save at once
	}
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	dirs, s := m.unsaved, m.snap
	m.unsaved = nil
	m.mu.Unlock()
	f := m.f
	var recs []catalog.Record
	if _, walk := providers.As[providers.Walker](s.m); walk && !s.live() {
		rec, err := s.wholeRecord(ctx)
		if err != nil {
			return // what is not remembered is asked for
		}
		recs = append(recs, rec)
	} else {
		recs = s.records(dirs)
	}
	for _, rec := range recs {
		if err := f.opts.Catalog.Save(rec); err != nil {
			f.log.Warn("catalog", "error", err)
			return
		}
	}
}

func (s *snapshot) header(dir string) catalog.Header {
	k := s.owner.key
	return catalog.Header{Source: s.owner.p.source(), Name: k.name, Ref: k.ref, Dir: dir, Origin: s.origin, Resolved: s.owner.f.now()}
}

// wholeRecord collects all of a revision that its source lists in one go.
func (s *snapshot) wholeRecord(ctx context.Context) (catalog.Record, error) {
	rec := catalog.Record{Header: s.header("")}
	var files []providers.Entry
	for e, err := range providers.Walk(ctx, s.m) {
		if err != nil {
			return rec, err
		}
		if providers.ValidPath(e.Path) == nil && len(files) < keepEntries {
			files = append(files, e)
		}
	}
	tree := providers.NewTree(files)
	dirs := []string{""}
	for i := 0; i < len(dirs); i++ {
		rec.Dirs = append(rec.Dirs, dirs[i])
		for e, err := range tree.ReadDir(dirs[i]) {
			if err != nil {
				return rec, err
			}
			rec.Entries = append(rec.Entries, e)
			if e.IsDir() {
				dirs = append(dirs, e.Path)
			}
		}
	}
	return rec, nil
}

// records collects what is known of some directories, and always the root's, which
// is the model's own.
func (s *snapshot) records(dirs map[string]bool) []catalog.Record {
	dirs[""] = true
	alone := map[string][]providers.Entry{}
	s.mu.Lock()
	for p, a := range s.files {
		if d := dirOf(p); dirs[d] && p != "" {
			alone[d] = append(alone[d], a.e)
		}
	}
	s.mu.Unlock()
	var recs []catalog.Record
	for d := range dirs {
		recs = append(recs, s.dirRecord(d, alone[d]))
	}
	return recs
}

// dirRecord makes the record of one directory: its listing, or what was known of it
// before with what was learned of single files since.
func (s *snapshot) dirRecord(dir string, alone []providers.Entry) catalog.Record {
	rec := catalog.Record{Header: s.header(dir)}
	s.mu.Lock()
	l := s.dirs[dir]
	s.mu.Unlock()
	if l != nil {
		if _, done, err := l.state(); done && err == nil {
			rec.Dirs, rec.Entries = []string{dir}, l.taken()
			return rec
		}
	}
	if old, err := s.owner.f.opts.Catalog.Load(rec.Source, rec.Name, rec.Ref, dir); err == nil {
		rec.Dirs, rec.Entries = old.Dirs, old.Entries
	}
	at := map[string]int{}
	for i, e := range rec.Entries {
		at[e.Path] = i
	}
	for _, e := range alone {
		if i, ok := at[e.Path]; ok {
			rec.Entries[i] = e
		} else {
			rec.Entries = append(rec.Entries, e)
		}
	}
	return rec
}

// taken returns the entries that have arrived.
func (l *listing) taken() []providers.Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.entries)
}
