package fs

import (
	"slices"
	"time"
	"weak"
)

const (
	// maxModels and maxEntries bound what is kept of models that nobody uses.
	maxModels  = 1000
	maxEntries = 2_000_000
	// trimEvery is how often it is counted.
	trimEvery = time.Second
)

// known returns the model of a name at a ref, if there is one still. f.mu is held.
func (f *FS) known(k modelKey) *model {
	m := f.models[k]
	if m == nil {
		if m = f.evicted[k].Value(); m == nil {
			return nil
		}
		delete(f.evicted, k)
		f.models[k] = m
	}
	m.used.Store(f.now().UnixNano())
	return m
}

// trim lets go of the models used longest ago, beyond what is kept. One that the
// kernel has inodes of, or that a handle reads, lives on and is found again. f.mu is
// held.
func (f *FS) trim() {
	now := f.now()
	if len(f.models) < maxModels && now.Sub(f.trimmed) < trimEvery {
		return
	}
	f.trimmed = now
	type use struct {
		m    *model
		size int
		at   int64
	}
	var uses []use
	for _, m := range f.models {
		uses = append(uses, use{m, m.current().size(), m.used.Load()})
	}
	slices.SortFunc(uses, func(a, b use) int { return int(min(max(b.at-a.at, -1), 1)) })
	entries := 0
	for i, u := range uses {
		entries += u.size
		// The half is let go, so that this is not done again at once.
		if i >= maxModels/2 && len(uses) >= maxModels || i > 0 && entries > maxEntries {
			delete(f.models, u.m.key)
			f.evicted[u.m.key] = weak.Make(u.m)
		}
	}
	for k, w := range f.evicted {
		if w.Value() == nil {
			delete(f.evicted, k)
		}
	}
}

// size is how many entries a snapshot holds.
func (s *snapshot) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	size := len(s.files)
	for _, l := range s.dirs {
		n, _, _ := l.state()
		size += n
	}
	return size
}
