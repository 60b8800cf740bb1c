package providers

import (
	"sync"
	"time"
)

// A breaker decides whether a source is asked at all. It opens after a number of
// consecutive failures; while it is open calls are refused, and when its time is
// over one probe is let through, whose verdict closes it or doubles the time.
type breaker struct {
	after      int
	first, max time.Duration

	mu       sync.Mutex // guards the fields below
	failures int        // consecutive
	wait     time.Duration
	until    time.Time // asked again then; wait is 0 while closed
	probing  bool
}

// admit returns a positive time left when the call is refused. A probe must end
// in succeed, fail or abandon.
func (b *breaker) admit(now time.Time) (probe bool, left time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wait == 0 {
		return false, 0
	}
	if left = b.until.Sub(now); left > 0 {
		return false, left
	}
	if b.probing {
		return false, b.wait
	}
	b.probing = true
	return true, 0
}

// succeed reports whether it closed the breaker. Any answer closes it, also one
// to a call that began before it opened.
func (b *breaker) succeed() (closed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	closed = b.wait > 0
	b.failures, b.wait, b.probing = 0, 0, false
	return closed
}

// fail reports whether it opened the breaker. Late failures of calls that began
// before it opened do not make it wait longer.
func (b *breaker) fail(now time.Time, probe bool) (opened bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.failures++
	switch {
	case b.wait > 0 && probe:
		b.probing = false
		b.wait = min(2*b.wait, b.max)
		b.until = now.Add(b.wait)
	case b.wait == 0 && b.failures >= b.after:
		b.wait = b.first
		b.until = now.Add(b.wait)
		return true
	}
	return false
}

// abandon lets the next call probe in place of one that ended without verdict.
func (b *breaker) abandon(probe bool) {
	if !probe {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.probing = false
}

func (b *breaker) open() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wait > 0
}
