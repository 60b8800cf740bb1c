package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"iter"
	"path"
	"sync"
	"time"

	"modelfs/providers"
)

// snapshot is a model at one revision (or, where the source has none, its present
// files) with the listings read so far.
type snapshot struct {
	owner  *model
	m      providers.Model
	origin providers.Origin
	frozen bool // m is what the catalog remembers

	mu    sync.Mutex
	dirs  map[string]*listing
	files map[string]answer // of Stat, and of Check

	saved map[string]bool // directories that the catalog has; guarded by owner.writing
}

// answer is what the source last said of one path.
type answer struct {
	e  providers.Entry
	at time.Time
}

// keepAnswers bounds how many answers are kept one by one.
const keepAnswers = 100_000

func newSnapshot(owner *model, pm providers.Model) *snapshot {
	_, frozen := pm.(*frozen)
	return &snapshot{
		owner: owner, m: pm, origin: pm.Origin(), frozen: frozen,
		dirs: map[string]*listing{}, files: map[string]answer{}, saved: map[string]bool{},
	}
}

// live reports whether the source has no revisions, so that files change one by one.
// What is only remembered does not change.
func (s *snapshot) live() bool { return s.origin.Revision == "" && !s.frozen }

// listing returns the listing of a directory, beginning to read it if there is
// none that is good still.
func (s *snapshot) listing(dir string) *listing {
	f := s.owner.f
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.dirs[dir]; l != nil && s.good(l) && l.hold() {
		return l
	}
	s.trim()
	l := f.list(s.readDir, dir)
	l.hold()
	s.dirs[dir] = l
	f.start(func(ctx context.Context) {
		if l.all(ctx) == nil {
			s.listed(dir, l)
		}
	})
	return l
}

// trim drops listings of a live model that are long past use. s.mu is held.
func (s *snapshot) trim() {
	if !s.live() {
		return
	}
	now := s.owner.f.now()
	for d, l := range s.dirs {
		if _, done, _ := l.state(); done && now.Sub(l.at) > time.Minute+s.owner.f.opts.TTL {
			delete(s.dirs, d)
		}
	}
}

// good reports whether a listing may still be used: it did not fail, is not too
// large to be kept, and, of a live model, is young.
func (s *snapshot) good(l *listing) bool {
	n, done, err := l.state()
	age := s.owner.f.now().Sub(l.at)
	switch {
	case err != nil:
		return age < time.Second && !errors.Is(err, errGivenUp)
	case !s.live():
		return true
	case done && n > keepEntries:
		return false
	}
	return age < max(s.owner.f.opts.TTL, lookFloor)
}

// listed notes what a whole listing showed.
func (s *snapshot) listed(dir string, l *listing) {
	l.mu.Lock()
	n, hidden, example := len(l.entries), l.hidden, l.example
	l.mu.Unlock()
	if hidden > 0 {
		s.owner.f.errs.once("hidden\x00"+s.origin.Protocol+"\x00"+s.origin.Name+"\x00"+dir, func() {
			s.owner.f.log.Warn("entries cannot be files and are hidden", "protocol", s.origin.Protocol,
				"name", s.origin.Name, "dir", dir, "hidden", hidden, "example", example)
		})
	}
	if n > keepEntries && s.live() {
		s.mu.Lock()
		if s.dirs[dir] == l {
			delete(s.dirs, dir)
		}
		s.mu.Unlock()
		return
	}
	s.owner.save(dir)
}

// lookup finds the entry at a path: in what is known if that is good still, else by
// asking. A model at a revision is listed, because then absence costs nothing; a
// live one is asked about the path alone.
func (s *snapshot) lookup(ctx context.Context, p string) (providers.Entry, error) {
	if p == "" {
		return providers.Entry{Mode: iofs.ModeDir}, nil
	}
	dir, name := dirOf(p), path.Base(p)
	if e, ok := s.known(p); ok {
		return e, nil
	}
	if s.cheaperListed(dir) {
		if e, err := s.relisted(ctx, dir, name); err == nil || final(err) {
			return s.sized(ctx, e, err)
		}
		return s.stat(ctx, p)
	}
	s.mu.Lock()
	l := s.dirs[dir]
	s.mu.Unlock()
	if l != nil && s.good(l) || !s.canStat() {
		e, err := s.inListing(ctx, dir, name)
		if err == nil || !s.canStat() || final(err) {
			return s.sized(ctx, e, err)
		}
	}
	return s.stat(ctx, p)
}

// smallListing is how many entries come in so few requests that listing again costs
// less than asking for some of them one by one.
const smallListing = 4000

// cheaperListed reports whether a directory of a live model is better listed anew than
// asked about name by name: it was listed before, is small, and is not on a local disk.
func (s *snapshot) cheaperListed(dir string) bool {
	if !s.live() {
		return false
	}
	if _, local := providers.As[providers.Opener](s.m); local {
		return false
	}
	s.mu.Lock()
	l := s.dirs[dir]
	s.mu.Unlock()
	if l == nil || s.good(l) {
		return false
	}
	n, done, err := l.state()
	return done && err == nil && n <= smallListing
}

// relisted finds a name in a listing that is no older than it has to be, waiting for
// all of it.
func (s *snapshot) relisted(ctx context.Context, dir, name string) (providers.Entry, error) {
	l := s.listing(dir)
	defer l.release()
	if err := l.all(ctx); err != nil {
		return providers.Entry{}, err
	}
	e, ok, _, err := l.find(name)
	if err == nil && !ok {
		err = iofs.ErrNotExist
	}
	return e, err
}

func (s *snapshot) canStat() bool {
	_, ok := providers.As[providers.Stater](s.m)
	return ok && (s.live() || s.frozen)
}

// errAskAlone says that a listing under way does not tell yet.
var errAskAlone = errors.New("not listed yet")

// inListing finds a name in its directory's listing, waiting for it as it arrives.
func (s *snapshot) inListing(ctx context.Context, dir, name string) (providers.Entry, error) {
	l := s.listing(dir)
	defer l.release()
	for {
		e, ok, more, err := l.find(name)
		switch {
		case ok || err != nil:
			return e, err
		case more == nil:
			return e, iofs.ErrNotExist
		case s.canStat():
			return e, errAskAlone
		}
		select {
		case <-more:
		case <-ctx.Done():
			return e, ctx.Err()
		}
	}
}

// known returns what was said of p one by one, if that is good still.
func (s *snapshot) known(p string) (providers.Entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, ok := s.files[p]
	if !ok || s.live() && s.owner.f.now().Sub(a.at) >= max(s.owner.f.opts.TTL, lookFloor) {
		return providers.Entry{}, false
	}
	return a.e, true
}

// stat asks the source about one path and remembers the answer.
func (s *snapshot) stat(ctx context.Context, p string) (providers.Entry, error) {
	f := s.owner.f
	return once(ctx, f, "stat\x00"+s.key()+"\x00"+p, func(ctx context.Context) (providers.Entry, error) {
		if s.live() && s.everKnown(p) {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, f.checkTimeout())
			defer cancel()
		}
		e, err := providers.Stat(ctx, s.m, p)
		if err != nil {
			return s.instead(p, err)
		}
		e.Path = p
		if e.IsSymlink() && !providers.LinkInside(e.Path, e.Target) {
			return e, iofs.ErrNotExist
		}
		s.remember(e)
		return e, nil
	})
}

// sized fills in a size that the listing did not tell.
func (s *snapshot) sized(ctx context.Context, e providers.Entry, err error) (providers.Entry, error) {
	if err != nil || e.Size != providers.SizeUnknown || !e.Mode.IsRegular() {
		return e, err
	}
	return s.stat(ctx, e.Path)
}

// instead returns what was last known of a path of a live model whose source does not
// answer; err if nothing is known, or the source did answer.
func (s *snapshot) instead(p string, err error) (providers.Entry, error) {
	if !s.live() || final(err) || s.owner.answered(s, err) != nil {
		return providers.Entry{}, err
	}
	s.mu.Lock()
	a, ok := s.files[p]
	s.mu.Unlock()
	if ok {
		return a.e, nil
	}
	for _, e := range s.remembered(dirOf(p)).entries {
		if e.Path == p {
			return e, nil
		}
	}
	return providers.Entry{}, err
}

// everKnown reports whether instead may have something to say of a path.
func (s *snapshot) everKnown(p string) bool {
	s.mu.Lock()
	_, ok := s.files[p]
	s.mu.Unlock()
	return ok || s.dirKnown(dirOf(p))
}

func (s *snapshot) dirKnown(dir string) bool {
	k := s.owner.key
	return s.owner.f.opts.Catalog.Has(s.owner.p.source(), k.name, k.ref, dir)
}

// remembered returns the last listing of a directory of a live model, however old.
func (s *snapshot) remembered(dir string) *remembered {
	f, k := s.owner.f, s.owner.key
	rec, err := f.opts.Catalog.Load(s.owner.p.source(), k.name, k.ref, dir)
	if err != nil {
		return &remembered{}
	}
	return newFrozen(nil, f.opts.Catalog, rec).dir(dir)
}

// readDir lists a directory. Where the source does not answer, the last listing that
// was complete stands in for it.
func (s *snapshot) readDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		n := 0
		asked, cancel := context.WithCancel(ctx)
		defer cancel()
		limit := time.AfterFunc(time.Hour, func() {})
		if s.live() && s.dirKnown(dir) {
			limit = time.AfterFunc(s.owner.f.checkTimeout(), cancel)
		}
		defer limit.Stop()
		for e, err := range s.m.ReadDir(asked, dir) {
			limit.Stop() // it answers
			if err != nil && n == 0 && s.live() && !final(err) && ctx.Err() == nil && s.owner.answered(s, err) == nil {
				if old := s.remembered(dir); old.complete {
					for _, e := range old.entries {
						if !yield(e, nil) {
							return
						}
					}
					return
				}
			}
			if n++; !yield(e, err) || err != nil {
				return
			}
		}
	}
}

func (s *snapshot) remember(e providers.Entry) {
	s.mu.Lock()
	if len(s.files) >= keepAnswers {
		clear(s.files)
	}
	old := s.files[e.Path].e
	s.files[e.Path] = answer{e, s.owner.f.now()}
	s.mu.Unlock()
	if old.Identity() != e.Identity() || old.Mode != e.Mode {
		s.owner.save(dirOf(e.Path))
	}
}

func (s *snapshot) key() string {
	o := s.origin
	return o.Protocol + "\x00" + o.Name + "\x00" + o.Ref + "\x00" + o.Revision
}

// check asks about one file of a live model, unless that was asked a moment ago.
// ErrChanged makes what is known of it void.
func (s *snapshot) check(ctx context.Context, e providers.Entry, force bool) error {
	if known, ok := s.youngAnswer(e.Path); ok && !force {
		if known.Identity() != e.Identity() {
			return providers.ErrChanged // somebody else has met the new content
		}
		return nil
	}
	if !force && s.cheaperListed(dirOf(e.Path)) {
		// One question for all files of the directory.
		now, err := s.relisted(ctx, dirOf(e.Path), path.Base(e.Path))
		if absent(err) || err == nil && now.Identity() != e.Identity() {
			return providers.ErrChanged
		}
		if err == nil {
			return nil
		}
	}
	f := s.owner.f
	_, err := once(ctx, f, "check\x00"+s.key()+"\x00"+e.Path+"\x00"+e.Identity(), func(ctx context.Context) (struct{}, error) {
		ctx, cancel := context.WithTimeout(ctx, f.checkTimeout())
		defer cancel()
		err := s.m.Check(ctx, e)
		if errors.Is(err, providers.ErrChanged) || absent(err) {
			s.forget(e.Path)
			return struct{}{}, providers.ErrChanged
		}
		if err = s.owner.answered(s, err); err == nil {
			s.remember(e)
		}
		return struct{}{}, err
	})
	return err
}

// youngAnswer returns what the source said of a path less than the TTL ago.
func (s *snapshot) youngAnswer(p string) (e providers.Entry, ok bool) {
	ttl, now := s.owner.f.opts.TTL, s.owner.f.now()
	s.mu.Lock()
	a, l := s.files[p], s.dirs[dirOf(p)]
	s.mu.Unlock()
	if l != nil && l.at.After(a.at) && now.Sub(l.at) < ttl {
		if e, ok, _, _ := l.find(path.Base(p)); ok {
			return e, true
		}
	}
	return a.e, now.Sub(a.at) < ttl
}

// doubt has the next open of a file ask: the source did not serve the content that
// it said is there. What is known of another content at the path is no matter.
func (s *snapshot) doubt(e providers.Entry) {
	if !s.live() {
		s.owner.doubt(s)
		return
	}
	if now, _ := s.youngAnswer(e.Path); now.Path == "" || now.Identity() == e.Identity() {
		s.forget(e.Path)
	}
}

// forget drops what is known of a path, so that the next lookup asks.
func (s *snapshot) forget(p string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.files, p)
	delete(s.dirs, dirOf(p))
}

// anyFile returns some file of the model's root, for a source that has to be asked
// about one; the zero entry if none is known.
func (s *snapshot) anyFile() providers.Entry {
	s.mu.Lock()
	l := s.dirs[""]
	s.mu.Unlock()
	if l == nil {
		return providers.Entry{}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.Mode.IsRegular() {
			return e
		}
	}
	return providers.Entry{}
}
