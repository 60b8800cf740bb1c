package fs

import (
	"context"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
)

// keepEntries is how large a listing may be and still be kept for lookups after
// it was read. A larger one is streamed to those who read it.
const keepEntries = 250_000

// errGivenUp ends a listing that nobody waits for, or the mount does not any more.
var errGivenUp = fmt.Errorf("%w: the listing was given up", providers.ErrUnavailable)

// listing is what a source tells of one directory, while it tells it and after.
// Whoever reads it is served from the entries that have arrived.
//
// Names that cannot be file names, links that leave the model and losers of a name
// are counted and left out. A directory wins over a file of its name, the first of
// two files over the second.
type listing struct {
	at     time.Time // when it was asked for
	cancel context.CancelFunc

	mu      sync.Mutex
	entries []providers.Entry
	index   map[string]int
	hidden  int
	example string // the first one hidden, for the log
	done    bool
	err     error
	more    chan struct{} // closed when entries, done or err change
	readers int
	given   bool // nobody waited for it any more, and it was given up
}

// list begins to read a directory of a model.
func (f *FS) list(readDir func(context.Context, string) iter.Seq2[providers.Entry, error], dir string) *listing {
	ctx, cancel := context.WithCancel(f.ctx)
	l := &listing{at: f.now(), cancel: cancel, index: map[string]int{}, more: make(chan struct{})}
	f.start(func(context.Context) {
		defer cancel()
		defer func() {
			if p := recover(); p != nil {
				l.take(dir, nil, true, fmt.Errorf("%w: the provider panicked", providers.ErrUnavailable))
				panic(p) // for start to log
			}
		}()
		l.read(ctx, dir, readDir(ctx, dir))
	})
	return l
}

// read takes in the provider's entries, waking readers once a batch.
func (l *listing) read(ctx context.Context, dir string, entries iter.Seq2[providers.Entry, error]) {
	const batch = 256
	pending := make([]providers.Entry, 0, batch)
	last := time.Now()
	for e, err := range entries {
		if err != nil {
			if ctx.Err() != nil {
				err = errGivenUp // not the reader's own interruption
			}
			l.take(dir, pending, true, err)
			return
		}
		pending = append(pending, e)
		if len(pending) == batch || time.Since(last) > 50*time.Millisecond {
			l.take(dir, pending, false, nil)
			pending, last = pending[:0], time.Now()
		}
	}
	var err error
	if ctx.Err() != nil {
		err = errGivenUp
	}
	l.take(dir, pending, true, err)
}

func (l *listing) take(dir string, es []providers.Entry, done bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range es {
		if !l.add(dir, e) {
			if l.hidden++; l.hidden == 1 {
				l.example = l.describe(dir, e)
			}
		}
	}
	l.done, l.err = done, err
	close(l.more)
	l.more = make(chan struct{})
}

// add puts an entry in; false if it is hidden. l.mu is held.
func (l *listing) add(dir string, e providers.Entry) bool {
	name := e.Path
	if dir != "" {
		var ok bool
		if name, ok = strings.CutPrefix(e.Path, dir+"/"); !ok {
			return false
		}
	}
	if providers.ValidElement(name) != nil || e.Size < providers.SizeUnknown {
		return false
	}
	if e.IsSymlink() && !providers.LinkInside(e.Path, e.Target) {
		return false
	}
	if !e.IsDir() && !e.IsSymlink() && !e.Mode.IsRegular() {
		return false
	}
	i, taken := l.index[name]
	if !taken {
		l.index[name] = len(l.entries)
		l.entries = append(l.entries, e)
		return true
	}
	if e.IsDir() && !l.entries[i].IsDir() {
		l.entries[i] = e
	}
	return false
}

// describe tells a hidden entry and why it is hidden. l.mu is held.
func (l *listing) describe(dir string, e providers.Entry) string {
	name := strconv.Quote(e.Path)
	_, taken := l.index[strings.TrimPrefix(strings.TrimPrefix(e.Path, dir), "/")]
	switch {
	case baseOf(e.Path) == "":
		return name + " (a part of the path is empty)"
	case e.IsSymlink() && !providers.LinkInside(e.Path, e.Target):
		return name + " (a link to " + strconv.Quote(e.Target) + ", outside of the model)"
	case taken:
		return name + " (there is another entry of this name)"
	}
	return name
}

// entry waits for the i-th entry; ok is false at the end.
func (l *listing) entry(ctx context.Context, i int) (e providers.Entry, ok bool, err error) {
	for {
		l.mu.Lock()
		if i < len(l.entries) {
			e = l.entries[i]
			l.mu.Unlock()
			return e, true, nil
		}
		done, err, more := l.done, l.err, l.more
		l.mu.Unlock()
		if done {
			return e, false, err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return e, false, ctx.Err()
		}
	}
}

// find looks for a name in what has arrived. If it is not there, more is closed
// when there is more to look at; nil says that there will be none.
func (l *listing) find(name string) (e providers.Entry, ok bool, more <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if i, ok := l.index[name]; ok {
		return l.entries[i], true, nil, nil
	}
	if l.done {
		return e, false, nil, l.err
	}
	return e, false, l.more, nil
}

// all waits for the end of the listing.
func (l *listing) all(ctx context.Context) error {
	for {
		l.mu.Lock()
		done, err, more := l.done, l.err, l.more
		l.mu.Unlock()
		if done {
			return err
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// hold and release count those who wait for the listing; one that nobody waits
// for any more is given up, and then holds nobody.
func (l *listing) hold() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.given {
		return false
	}
	l.readers++
	return true
}

func (l *listing) release() {
	l.mu.Lock()
	l.readers--
	if l.readers == 0 && !l.done {
		l.given = true
		l.cancel()
	}
	l.mu.Unlock()
}

// state reports whether the listing ended well, failed, or is still under way.
func (l *listing) state() (n int, done bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries), l.done, l.err
}
