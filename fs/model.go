package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"sync"
	"sync/atomic"
	"time"

	"modelfs/providers"
)

// maxCheck bounds checkTimeout.
const maxCheck = 5 * time.Second

// checkTimeout bounds a question for which there is an older answer to fall back on:
// who waits for it has time left then to be served that.
func (f *FS) checkTimeout() time.Duration { return min(f.opts.LookupTimeout/3, maxCheck) }

// lookFloor is the least age at which a listing is asked about again, so that a
// TTL of 0 does not turn ls -l into a question per file.
const lookFloor = 100 * time.Millisecond

// model is a name at a ref, and what it meant when last asked.
//
// A model whose source has revisions moves as a whole: one question stands for all
// its files. One without is as fresh as each of its files.
type model struct {
	f   *FS
	p   *Protocol
	key modelKey

	mu        sync.Mutex
	snap      *snapshot
	asked     time.Time // when the source last answered, or failed to
	stale     bool      // it failed to
	failure   error     // with that, if such an open has to fail
	lastOpen  time.Time
	loadStart time.Time       // when the opens began that come closer together than TTL
	unsaved   map[string]bool // directories that the catalog has not as they are known
	saving    bool            // saveSoon is under way
	heard     time.Time       // when the source last said that snap is what the ref means

	writing sync.Mutex   // one save at a time
	used    atomic.Int64 // when it was last looked up
}

func newModel(f *FS, p *Protocol, k modelKey, pm providers.Model) *model {
	m := &model{f: f, p: p, key: k, asked: f.now(), heard: f.now()}
	m.snap = newSnapshot(m, pm)
	if z, ok := pm.(*frozen); ok {
		m.heard = z.rec.Resolved
	}
	return m
}

func (m *model) current() *snapshot {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.snap
}

func (m *model) markStale(now time.Time) {
	m.mu.Lock()
	m.asked, m.stale = now, true
	m.mu.Unlock()
}

// look returns the snapshot for lookups and listings: at most TTL old, but not
// moved while a load holds it.
func (m *model) look(ctx context.Context) (*snapshot, error) {
	now := m.f.now()
	m.mu.Lock()
	s := m.snap
	young := s.live() || s.origin.Immutable || now.Sub(m.asked) < max(m.f.opts.TTL, lookFloor) || m.holds(now)
	failure := m.failure
	m.mu.Unlock()
	if young {
		return s, failure
	}
	return m.ask(ctx, s.anyFile())
}

// holds reports whether opens keep coming closer together than TTL, so that a load
// is probably under way. m.mu is held.
func (m *model) holds(now time.Time) bool {
	return now.Sub(m.lastOpen) < m.f.opts.TTL && now.Sub(m.loadStart) < m.f.opts.Hold
}

// open returns the snapshot for an open of e, after asking whether it still is what
// the ref means, unless that was asked a moment ago or a load holds the snapshot.
func (m *model) open(ctx context.Context, e providers.Entry, force bool) (*snapshot, error) {
	now := m.f.now()
	m.mu.Lock()
	s, held := m.snap, m.holds(now)
	if now.Sub(m.lastOpen) >= m.f.opts.TTL || !held {
		m.loadStart = now
	}
	m.lastOpen = now
	young, failure := now.Sub(m.asked) < m.f.opts.TTL, m.failure
	m.mu.Unlock()
	switch {
	case s.origin.Immutable:
		return s, nil
	case s.live():
		return s, s.check(ctx, e, force)
	case !force && (young || held):
		return s, failure
	}
	return m.ask(ctx, e)
}

// ask asks the source whether the snapshot is still what the ref means, and moves
// to the new one if not. All who ask at once share the answer.
func (m *model) ask(ctx context.Context, e providers.Entry) (*snapshot, error) {
	k := m.key
	return once(ctx, m.f, "check\x00"+k.protocol+"\x00"+k.name+"\x00"+k.ref, func(ctx context.Context) (*snapshot, error) {
		ctx, cancel := context.WithTimeout(ctx, m.f.checkTimeout())
		defer cancel()
		s := m.current()
		err := s.m.Check(ctx, e)
		if errors.Is(err, providers.ErrChanged) || absent(err) {
			s, err = m.move(ctx, s)
		}
		return s, m.answered(s, err)
	})
}

// move resolves the ref anew.
func (m *model) move(ctx context.Context, old *snapshot) (*snapshot, error) {
	pm, err := m.p.Provider.Resolve(ctx, m.key.name, m.key.ref)
	if err != nil {
		if absent(err) || errors.Is(err, providers.ErrPartial) {
			m.f.drop(m.p, m.key, iofs.ErrNotExist)
			return nil, iofs.ErrNotExist
		}
		return old, err
	}
	if o := pm.Origin(); o.Revision == old.origin.Revision && o.Name == old.origin.Name && !old.frozen {
		return old, nil
	}
	s := newSnapshot(m, pm)
	m.mu.Lock()
	m.snap = s
	m.mu.Unlock()
	if s.origin.Revision != old.origin.Revision {
		m.f.log.Info("model moved", "protocol", m.key.protocol, "name", m.key.name, "ref", m.key.ref,
			"from", old.origin.Revision, "to", s.origin.Revision)
	}
	return s, nil
}

// answered notes how asking went. A source that does not answer leaves what was
// last known in force; one that refuses or denies is believed.
func (m *model) answered(s *snapshot, err error) error {
	now := m.f.now()
	m.mu.Lock()
	was := m.stale
	m.stale = err != nil && !final(err)
	if err == nil {
		m.heard = now
	}
	m.asked = now
	m.failure = nil
	if m.f.opts.FailStale {
		m.failure = err
	}
	m.mu.Unlock()
	switch {
	case err == nil:
		if was {
			m.f.log.Info("source answers again", "protocol", m.key.protocol, "name", m.key.name)
		}
		return nil
	case final(err):
		return err
	}
	if !was {
		m.f.log.Warn("source does not answer; serving the revision last known", "protocol", m.key.protocol,
			"name", m.key.name, "revision", s.origin.Revision, "error", err)
	}
	if m.f.opts.FailStale {
		return err
	}
	return nil
}

// final reports whether err is the source's own word, and not a failure to hear it.
func final(err error) bool {
	return absent(err) || errors.Is(err, iofs.ErrPermission)
}

// timeout is how long the kernel may believe what this model said just now.
func (m *model) timeout() time.Duration {
	ttl := m.f.opts.TTL
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snap.origin.Immutable {
		return 24 * time.Hour
	}
	if m.snap.live() || ttl == 0 {
		return ttl
	}
	left := ttl - m.f.now().Sub(m.asked)
	return max(left, min(ttl, time.Second))
}

// doubt has the next open and lookup ask, whatever was asked before: the source did
// not serve what it said that it has.
func (m *model) doubt(s *snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.snap == s {
		m.asked, m.lastOpen = time.Time{}, time.Time{}
	}
}

func (m *model) lastHeard() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard
}

func (m *model) isStale() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.stale
}
