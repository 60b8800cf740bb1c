package fs

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"modelfs/catalog"
	"modelfs/providers"
)

const (
	// saveDelay gathers what is learned in quick succession into one write. What was
	// learned before that is found again even after a kill.
	saveDelay = 200 * time.Millisecond
	// saveShare bounds the part of the time that goes into saving: a large record
	// that keeps changing is written less often.
	saveShare = 10
	// saveTimeout bounds what saving asks of a source.
	saveTimeout = 5 * time.Second
)

// save has what is known of a directory written to the catalog, in the background.
func (m *model) save(dir string) {
	m.mu.Lock()
	first := !m.saving
	m.saving = true
	if m.unsaved == nil {
		m.unsaved = map[string]bool{}
	}
	m.unsaved[dir] = true
	m.mu.Unlock()
	if first {
		m.f.start(m.saveSoon)
	}
}

// saveSoon saves until there is nothing left to save. What fails, and what is left
// when the file system closes, is saved by Close or with what is learned next.
func (m *model) saveSoon(ctx context.Context) {
	finished := false
	defer func() {
		if !finished { // closing, or a panic
			m.mu.Lock()
			m.saving = false
			m.mu.Unlock()
		}
	}()
	for wait := saveDelay; !finished; {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
		began := time.Now()
		// What is known at the end is worth the time that it takes to keep it.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		err := m.flush(ctx)
		cancel()
		wait = max(saveDelay, saveShare*time.Since(began))
		m.mu.Lock()
		m.saving = len(m.unsaved) > 0 && err == nil
		finished = !m.saving
		m.mu.Unlock()
	}
}

// flush saves what is not saved yet.
func (m *model) flush(ctx context.Context) error {
	m.writing.Lock()
	defer m.writing.Unlock()
	m.mu.Lock()
	dirs, s := m.unsaved, m.snap
	m.unsaved = nil
	m.mu.Unlock()
	if len(dirs) == 0 || !m.f.has(m) {
		return nil
	}
	err := s.save(ctx, dirs)
	if err != nil {
		m.f.log.Warn("catalog", "error", err)
		m.mu.Lock()
		for d := range m.unsaved {
			dirs[d] = true
		}
		m.unsaved = dirs
		m.mu.Unlock()
	}
	return err
}

// save writes what is known of some directories; of a revision that its source lists
// in one go, all of it, once.
func (s *snapshot) save(ctx context.Context, dirs map[string]bool) error {
	catalog := s.owner.f.opts.Catalog
	if _, walk := providers.As[providers.Walker](s.m); walk && !s.live() {
		if s.saved[allDirs] {
			return nil
		}
		// A revision that is too large, or whose source does not answer, is kept
		// by the directories that were listed.
		if rec, err := s.wholeRecord(ctx); err == nil {
			err = catalog.Save(rec)
			s.saved[allDirs] = err == nil
			return err
		}
	}
	for _, rec := range s.records(dirs) {
		if err := catalog.Save(rec); err != nil {
			return err
		}
		s.saved[rec.Dir] = true
	}
	return nil
}

// allDirs stands for all directories in snapshot.saved; no directory is called so.
const allDirs = "/"

func (s *snapshot) header(dir string) catalog.Header {
	k := s.owner.key
	return catalog.Header{Source: s.owner.p.source(), Name: k.name, Ref: k.ref, Dir: dir, Origin: s.origin, Resolved: s.owner.lastHeard(), Saved: s.owner.f.now()}
}

// errTooLarge says that a revision has more files than are kept in one record.
var errTooLarge = errors.New("too many files for one record")

// wholeRecord collects all of a revision that its source lists in one go. A record
// of a part would make the rest absent.
func (s *snapshot) wholeRecord(ctx context.Context) (catalog.Record, error) {
	rec := catalog.Record{Header: s.header("")}
	var files []providers.Entry
	for e, err := range providers.Walk(ctx, s.m) {
		if err != nil {
			return rec, err
		}
		if providers.ValidPath(e.Path) != nil {
			continue
		}
		if len(files) == keepEntries {
			return rec, errTooLarge
		}
		files = append(files, e)
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

// records collects what is known of some directories, and of the root's, which is
// the model's own, if it is not saved yet. What is there because the catalog had it
// is not saved again.
func (s *snapshot) records(dirs map[string]bool) []catalog.Record {
	want := maps.Clone(dirs)
	if !s.saved[""] {
		want[""] = true
	}
	if z, ok := s.m.(*frozen); ok {
		maps.DeleteFunc(want, func(d string, _ bool) bool { return z.dir(d).complete })
	}
	alone := map[string][]providers.Entry{}
	s.mu.Lock()
	for p, a := range s.files {
		if d := dirOf(p); want[d] && p != "" {
			alone[d] = append(alone[d], a.e)
		}
	}
	s.mu.Unlock()
	var recs []catalog.Record
	for d := range want {
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
		if n, done, err := l.state(); done && err == nil && n <= keepEntries {
			rec.Dirs, rec.Entries = []string{dir}, l.taken()
			return rec
		}
	}
	if old, err := s.owner.f.opts.Catalog.Load(rec.Source, rec.Name, rec.Ref, dir); err == nil && old.Origin.Revision == s.origin.Revision {
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
