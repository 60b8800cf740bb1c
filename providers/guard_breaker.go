package providers

import (
	"sync"
	"time"
)

// A breaker decides whether a source is asked at all. It opens for one name after a
// number of consecutive failures of that name, and for all of them once two names
// fail with no answer between: one broken repository is no broken source.
//
// While it is open calls are refused, and when its time is over one probe is let
// through, whose verdict closes it or doubles the time.
type breaker struct {
	after      int
	first, max time.Duration

	mu    sync.Mutex // guards the fields below
	all   circuit
	names map[string]*circuit // that fail, with no answer since
}

// A circuit is what a breaker knows of one name, or of all.
type circuit struct {
	failures int // consecutive
	wait     time.Duration
	until    time.Time // asked again then; wait is 0 while closed
	probing  bool
}

// A ticket is the leave to ask about a name. It must end in succeed, fail or
// abandon.
type ticket struct {
	name     string
	all, one bool // it is a probe of the circuit
}

func (t ticket) probe() bool { return t.all || t.one }

// maxNames bounds what a breaker remembers, as names come from whoever looks up.
const maxNames = 4096

// admit returns a positive time left when the call is refused.
func (b *breaker) admit(now time.Time, name string) (t ticket, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	t.name = name
	if t.all, left = b.all.admit(now); left > 0 {
		return t, left
	}
	if c := b.names[name]; c != nil {
		if t.one, left = c.admit(now); left > 0 && t.all {
			b.all.probing = false
		}
	}
	return t, left
}

func (c *circuit) admit(now time.Time) (probe bool, left time.Duration) {
	if c.wait == 0 {
		return false, 0
	}
	if left = c.until.Sub(now); left > 0 {
		return false, left
	}
	if c.probing {
		return false, c.wait
	}
	c.probing = true
	return true, 0
}

// succeed reports whether it closed the breaker for all. Any answer does, also one to
// a call that began before it opened.
func (b *breaker) succeed(t ticket) (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	closed = b.all.wait > 0
	b.all = circuit{}
	delete(b.names, t.name)
	return closed
}

// fail reports whether it opened the breaker for all.
func (b *breaker) fail(now time.Time, t ticket) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.names[t.name]
	if c == nil {
		if b.names == nil || len(b.names) >= maxNames {
			b.names = map[string]*circuit{}
		}
		c = &circuit{}
		b.names[t.name] = c
	}
	c.fail(now, t.one, b, true)
	return b.all.fail(now, t.all, b, len(b.names) > 1)
}

// fail reports whether it opened the circuit, which it does only if enough fails.
// Late failures of calls that began before it opened do not make it wait longer.
func (c *circuit) fail(now time.Time, probe bool, b *breaker, enough bool) (opened bool) {
	c.failures++
	switch {
	case c.wait > 0 && probe:
		c.probing = false
		c.wait = min(2*c.wait, b.max)
		c.until = now.Add(c.wait)
	case c.wait == 0 && c.failures >= b.after && enough:
		c.wait = b.first
		c.until = now.Add(c.wait)
		return true
	}
	return false
}

// abandon lets the next call probe in place of one that ended without verdict.
func (b *breaker) abandon(t ticket) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t.all {
		b.all.probing = false
	}
	if c := b.names[t.name]; c != nil && t.one {
		c.probing = false
	}
}

// open reports whether all names are refused.
func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.wait > 0
}
