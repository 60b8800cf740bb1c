package fs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"
	"weak"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"golang.org/x/sync/singleflight"

	"modelfs/blockcache"
	"modelfs/catalog"
	"modelfs/providers"
)

// Protocol is a provider instance and the names under which the root shows it.
type Protocol struct {
	Name     string
	Aliases  []string
	Provider providers.Provider
}

// source names the instance and the place it asks: what is remembered and cached
// belongs to both.
func (p *Protocol) source() string {
	if e, ok := providers.As[providers.Endpointer](p.Provider); ok {
		return p.Name + " " + e.Endpoint()
	}
	return p.Name
}

// Options set up an FS. Protocols, Cache and Catalog are required.
type Options struct {
	Protocols []Protocol
	Cache     *blockcache.Cache
	Catalog   *catalog.Catalog

	// TTL is how old an answer of a source may be at open; 0 asks every time.
	TTL time.Duration
	// Hold is how long a load in progress keeps its snapshot.
	Hold time.Duration
	// FailStale makes an open fail when the source does not answer, instead of
	// serving what was last known.
	FailStale bool
	// LookupTimeout bounds lookups and opens, ReadTimeout reads.
	LookupTimeout, ReadTimeout time.Duration

	FileMode, DirMode uint32
	UID, GID          uint32

	// CanPass reports whether the kernel takes this file for passthrough; nil
	// is never.
	CanPass func(fd int) bool

	// Disk is a directory on the disk that statfs tells of.
	Disk string

	Log *slog.Logger
	Now func() time.Time
}

// FS is the state behind one mount.
type FS struct {
	opts    Options
	log     *slog.Logger
	now     func() time.Time
	ctx     context.Context // ends with Close; bounds what no request owns
	cancel  context.CancelFunc
	began   time.Time    // the time of directories that no source dates
	closing sync.RWMutex // held shared to add to wg, which Close waits for
	wg      sync.WaitGroup
	flight  singleflight.Group
	errs    errorLog

	mu       sync.Mutex
	models   map[modelKey]*model
	evicted  map[modelKey]weak.Pointer[model] // not kept for their own sake
	trimmed  time.Time
	absent   map[modelKey]absence
	partial  map[modelKey]time.Time // names that only begin names, and until when
	contents map[contentKey]weak.Pointer[content]
}

type modelKey struct{ protocol, name, ref string }

type absence struct {
	err   error
	until time.Time
}

// New returns the file system; Root is what to mount.
func New(o Options) *FS {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.LookupTimeout == 0 {
		o.LookupTimeout = 30 * time.Second
	}
	if o.ReadTimeout == 0 {
		o.ReadTimeout = time.Minute
	}
	if o.FileMode == 0 {
		o.FileMode = 0o444
	}
	if o.DirMode == 0 {
		o.DirMode = 0o555
	}
	f := &FS{
		opts: o, log: o.Log, now: o.Now,
		models: map[modelKey]*model{}, evicted: map[modelKey]weak.Pointer[model]{}, absent: map[modelKey]absence{},
		partial: map[modelKey]time.Time{}, contents: map[contentKey]weak.Pointer[content]{},
	}
	f.errs.now = o.Now
	f.began = o.Now()
	f.ctx, f.cancel = context.WithCancel(context.Background())
	return f
}

// Root returns the node to mount.
func (f *FS) Root() fusefs.InodeEmbedder { return &root{node{f: f}} }

// Close ends what no request owns. The mount must be gone before.
func (f *FS) Close() error {
	f.closing.Lock()
	f.cancel()
	f.closing.Unlock()
	f.wg.Wait()
	f.mu.Lock()
	models := slices.Collect(maps.Values(f.models))
	for _, w := range f.evicted {
		if m := w.Value(); m != nil {
			models = append(models, m)
		}
	}
	f.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(f.ctx), saveTimeout)
	defer cancel()
	var errs []error
	for _, m := range models {
		errs = append(errs, m.flush(ctx))
	}
	return errors.Join(errs...)
}

// enter counts one who works behind a request that may be over before; Close awaits
// them. After Close it is false.
func (f *FS) enter() bool {
	f.closing.RLock()
	defer f.closing.RUnlock()
	if f.ctx.Err() != nil { // a detached mount still gets requests
		return false
	}
	f.wg.Add(1)
	return true
}

// start runs fn in a goroutine that Close awaits. After Close fn meets a context that
// has ended, and does nothing but say so to those who wait.
func (f *FS) start(fn func(context.Context)) {
	counted := f.enter()
	go func() {
		if counted {
			defer f.wg.Done()
		}
		defer func() {
			if p := recover(); p != nil { // one model's trouble must not end the mount
				f.log.Error("background work panicked", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		fn(f.ctx)
	}()
}

// once runs fn at most once at a time for each key, not bound to whoever asked
// first, and waits for its answer no longer than ctx lasts.
func once[T any](ctx context.Context, f *FS, key string, fn func(context.Context) (T, error)) (T, error) {
	ch := f.flight.DoChan(key, func() (v any, err error) {
		if !f.enter() {
			return nil, f.ctx.Err()
		}
		defer f.wg.Done()
		defer func() {
			if p := recover(); p != nil {
				err = fmt.Errorf("panic: %v", p)
				f.log.Error("a question panicked", "key", key, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		ctx, cancel := context.WithTimeout(f.ctx, f.opts.LookupTimeout)
		defer cancel()
		return fn(ctx)
	})
	select {
	case r := <-ch:
		v, _ := r.Val.(T)
		return v, r.Err
	case <-ctx.Done():
		var zero T
		return zero, ctx.Err()
	}
}

// absenceTTL is how long an unknown name is believed to be unknown.
func (f *FS) absenceTTL() time.Duration { return max(f.opts.TTL, time.Second) }

// partialTTL is how long a name that begins names is believed to do so.
const partialTTL = 10 * time.Minute

// model resolves a name at a ref: from what is known if that is young enough,
// else by asking the provider.
func (f *FS) model(ctx context.Context, p *Protocol, name, ref string) (*model, error) {
	k := modelKey{p.Name, name, ref}
	f.mu.Lock()
	m, a, until := f.known(k), f.absent[k], f.partial[k]
	now := f.now()
	f.mu.Unlock()
	switch {
	case m != nil:
		_, err := m.look(ctx)
		return m, err
	case now.Before(a.until):
		return nil, a.err
	case now.Before(until):
		return nil, providers.ErrPartial
	}
	return once(ctx, f, "resolve\x00"+p.Name+"\x00"+name+"\x00"+ref, func(ctx context.Context) (*model, error) {
		return f.resolve(ctx, p, k)
	})
}

func (f *FS) resolve(ctx context.Context, p *Protocol, k modelKey) (*model, error) {
	f.mu.Lock()
	known := f.known(k)
	f.mu.Unlock()
	if known != nil {
		return known, nil
	}
	if m := f.remembered(p, k, true); m != nil {
		return f.keep(k, m), nil
	}
	if k.ref == "" && len(f.opts.Catalog.Known(p.source(), k.name)) > 0 && !f.opts.Catalog.Has(p.source(), k.name, "", "") {
		return nil, f.begins(k) // models below it were resolved before
	}
	if f.opts.Catalog.Has(p.source(), k.name, k.ref, "") && !f.opts.FailStale {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.checkTimeout())
		defer cancel()
	}
	pm, err := p.Provider.Resolve(ctx, k.name, k.ref)
	switch {
	case err == nil:
		return f.keep(k, newModel(f, p, k, pm)), nil
	case errors.Is(err, providers.ErrPartial):
		return nil, f.begins(k)
	case final(err):
		f.mu.Lock()
		f.prune()
		f.absent[k] = absence{err, f.now().Add(f.absenceTTL())}
		f.mu.Unlock()
		return nil, err
	}
	if m := f.remembered(p, k, false); m != nil && !f.opts.FailStale {
		f.log.Warn("source does not answer; serving what was last known", "protocol", k.protocol, "name", k.name, "error", err)
		m.markStale(f.now())
		return f.keep(k, m), nil
	}
	return nil, err
}

// begins notes that a name is the beginning of names.
func (f *FS) begins(k modelKey) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.prune()
	f.partial[k] = f.now().Add(partialTTL)
	return providers.ErrPartial
}

// prune drops answers that are believed no more, so that a walk over many unknown
// names costs no lasting memory. f.mu is held.
func (f *FS) prune() {
	now := f.now()
	if len(f.absent) >= maxAnswers {
		maps.DeleteFunc(f.absent, func(_ modelKey, a absence) bool { return !now.Before(a.until) })
	}
	if len(f.absent) >= maxAnswers {
		clear(f.absent)
	}
	if len(f.partial) >= maxAnswers {
		maps.DeleteFunc(f.partial, func(_ modelKey, until time.Time) bool { return !now.Before(until) })
	}
	if len(f.partial) >= maxAnswers {
		clear(f.partial)
	}
}

// maxAnswers bounds how many names are known to be absent, or to begin names.
const maxAnswers = 4096

// keep puts a model into the table, unless one is there already.
func (f *FS) keep(k modelKey, m *model) *model {
	f.mu.Lock()
	defer f.mu.Unlock()
	if known := f.known(k); known != nil {
		return known
	}
	f.trim()
	f.models[k] = m
	delete(f.absent, k)
	delete(f.partial, k)
	return m
}

// has reports whether a model is still in use under its name.
func (f *FS) has(m *model) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.known(m.key) == m
}

// drop forgets a model that is gone at its source.
func (f *FS) drop(p *Protocol, k modelKey, err error) {
	f.mu.Lock()
	delete(f.models, k)
	delete(f.evicted, k)
	f.absent[k] = absence{err, f.now().Add(f.absenceTTL())}
	f.mu.Unlock()
	if err := f.opts.Catalog.Remove(p.source(), k.name, k.ref); err != nil {
		f.log.Warn("catalog", "error", err)
	}
}

// remembered makes a model of what the catalog knows: only what needs no question
// if immutable is set, anything otherwise.
func (f *FS) remembered(p *Protocol, k modelKey, immutable bool) *model {
	rec, err := f.opts.Catalog.Load(p.source(), k.name, k.ref, "")
	if err != nil || immutable && !rec.Origin.Immutable {
		return nil
	}
	return newModel(f, p, k, newFrozen(p.Provider, f.opts.Catalog, rec))
}
