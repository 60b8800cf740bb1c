package providers

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

// GuardOptions sets the limits of a [Guard]. Its zero value works.
type GuardOptions struct {
	// Protocol is the instance's name, for errors and the log.
	Protocol string
	// Log receives outages, their ends, and panics.
	Log *slog.Logger
	// Timeout bounds Resolve, Check, Stat and Digest with all their retries,
	// and the wait for each next element of a listing; 30 s if zero.
	Timeout time.Duration
	// Attempts is how often an op, or a read that makes no progress, is tried;
	// 4 if zero.
	Attempts int
	// Backoff is the mean wait before the second attempt of an op; it trebles
	// from there. Reads wait four times as long, as a listing can be answered
	// from memory but a failed read kills the program that maps the file.
	// 250 ms if zero.
	Backoff time.Duration
	// StallTimeout is how long a read waits for its next byte before it asks
	// again; 10 s if zero, and never more than ReadTimeout.
	StallTimeout time.Duration
	// ReadTimeout is how long a read goes on without progress; 60 s if zero.
	ReadTimeout time.Duration
	// Concurrency bounds requests under way at once; 64 if zero. A reader is
	// one from its opening to its last byte, error or Close.
	Concurrency int
	// BreakAfter is the number of consecutive failures after which the source
	// counts as down; 4 if zero.
	BreakAfter int
	// BreakFor is how long a source that is down is left alone at first; 1 s
	// if zero. It doubles up to BreakMax; 15 s if zero.
	BreakFor, BreakMax time.Duration
}

func (o GuardOptions) fill() GuardOptions {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&o.Timeout, 30 * time.Second},
		{&o.Backoff, 250 * time.Millisecond},
		{&o.StallTimeout, 10 * time.Second},
		{&o.ReadTimeout, time.Minute},
		{&o.BreakFor, time.Second},
		{&o.BreakMax, 15 * time.Second},
	} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	for _, n := range []struct {
		field *int
		value int
	}{{&o.Attempts, 4}, {&o.Concurrency, 64}, {&o.BreakAfter, 4}} {
		if *n.field <= 0 {
			*n.field = n.value
		}
	}
	o.StallTimeout = min(o.StallTimeout, o.ReadTimeout)
	return o
}

// Guard wraps p so that whatever its source does, calls end, cost little while
// the source is down, and hand out whole ranges or an error:
//
//   - every op has a deadline, and a read must make progress;
//   - [ErrUnavailable] is tried again with growing, jittered waits, or after the
//     time that a [Throttled] names;
//   - a body that is cut, short or stalled is resumed from its last byte, and a
//     byte beyond the range is not passed on;
//   - requests under way are bounded, so that a slow source delays only itself;
//   - a source that keeps failing is left alone, but for one probe at a time;
//   - a panic of the provider's becomes an error.
//
// The optional interfaces of p and its models are found on the result by [As],
// and so is [Healther].
func Guard(p Provider, opts GuardOptions) Provider {
	opts = opts.fill()
	g := &guard{
		provider: p,
		opts:     opts,
		slots:    make(chan struct{}, opts.Concurrency),
		breaker:  breaker{after: opts.BreakAfter, first: opts.BreakFor, max: opts.BreakMax},
		next:     p,
	}
	if l, ok := As[Lister](p); ok {
		g.next = guardedLister{under{p}, g, l}
	}
	return g
}

// Health is how a source has been lately.
type Health struct {
	// LastOK is when it last answered; zero if never.
	LastOK time.Time `json:"last_ok,omitzero"`
	// LastError is the last failure to get an answer, at LastErrorAt.
	LastError   string    `json:"last_error,omitempty"`
	LastErrorAt time.Time `json:"last_error_at,omitzero"`
	// Open is set while the source is left alone because it keeps failing.
	Open bool `json:"open"`
	// Requests counts calls to the provider, Failures those without an answer,
	// Bytes what reads returned.
	Requests int64 `json:"requests"`
	Failures int64 `json:"failures"`
	Bytes    int64 `json:"bytes"`
}

// A Healther tells how its source has been.
type Healther interface{ Health() Health }

// guard is what every call to one provider instance passes through.
type guard struct {
	provider Provider
	opts     GuardOptions
	next     any // what As sees below the guard
	slots    chan struct{}
	breaker  breaker

	requests, failures, bytes atomic.Int64

	mu          sync.Mutex // guards the fields below
	lastOK      time.Time
	lastError   string
	lastErrorAt time.Time
}

var (
	_ Provider = (*guard)(nil)
	_ Healther = (*guard)(nil)
)

// Unwrap lets [As] see through.
func (g *guard) Unwrap() any { return g.next }

// Health implements [Healther].
func (g *guard) Health() Health {
	g.mu.Lock()
	defer g.mu.Unlock()
	return Health{
		LastOK: g.lastOK, LastError: g.lastError, LastErrorAt: g.lastErrorAt,
		Open:     g.breaker.open(),
		Requests: g.requests.Load(), Failures: g.failures.Load(), Bytes: g.bytes.Load(),
	}
}

// Resolve implements [Provider].
func (g *guard) Resolve(ctx context.Context, name, ref string) (Model, error) {
	var out Model
	err := g.ask(ctx, Error{Op: "resolve", Name: name}, func(ctx context.Context) error {
		m, err := g.provider.Resolve(ctx, name, ref)
		if err == nil {
			out = g.model(m)
		}
		return err
	})
	return out, err
}

// under is the link to what a decorator decorates.
type under struct{ next any }

// Unwrap lets [As] see through.
func (u under) Unwrap() any { return u.next }
