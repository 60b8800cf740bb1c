package providers

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"math/rand/v2"
	"runtime/debug"
	"time"
)

// errPanic is what a provider's panic becomes. The panic's value goes to the log
// only: it may hold anything.
var errPanic = errors.New("the provider panicked; the log has the stack")

// ask runs one op with its deadline, attempts and accounting.
func (g *guard) ask(ctx context.Context, what Error, call func(context.Context) error) error {
	leave, err := g.admit(what)
	if err != nil {
		return err
	}
	timeout := g.opts.Timeout
	if leave.probe() {
		timeout /= 3 // the caller who happens to probe should not pay the whole
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		began := time.Now()
		if err = g.acquire(bounded); err == nil {
			g.requests.Add(1)
			err = g.call(what, func() error { return call(bounded) })
			g.release()
		}
		if err != nil {
			err = g.explain(ctx, bounded, what, err)
		}
		g.report(ctx.Err(), leave, began, err)
		last := leave.probe() || attempt >= g.opts.Attempts || !errors.Is(err, ErrUnavailable)
		if last || !g.pause(bounded, g.wait(g.opts.Backoff, attempt, err)) {
			return err
		}
	}
}

// admit asks the breaker; a refusal says what the source last failed with.
func (g *guard) admit(what Error) (ticket, error) {
	leave, left := g.breaker.admit(time.Now(), what.Name)
	if left <= 0 {
		return leave, nil
	}
	g.mu.Lock()
	last := g.lastError
	g.mu.Unlock()
	return leave, g.error(what, fmt.Errorf("%w: left alone for %s more after: %s",
		ErrUnavailable, left.Round(100*time.Millisecond), last), "")
}

// acquire waits for a free slot.
func (g *guard) acquire(ctx context.Context) error {
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%d requests are under way: %w", cap(g.slots), ctx.Err())
	}
}

func (g *guard) release() { <-g.slots }

// call runs f and turns its panic into an error.
func (g *guard) call(what Error, f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = g.panicked(what, r)
		}
	}()
	return f()
}

func (g *guard) panicked(what Error, value any) error {
	g.opts.Log.Error("provider panicked", "op", what.Op, "protocol", g.opts.Protocol,
		"name", what.Name, "path", what.Path, "panic", value, "stack", string(debug.Stack()))
	return g.error(what, errPanic, "report it with the stack from the log")
}

func (g *guard) error(what Error, err error, remedy string) error {
	what.Protocol, what.Err, what.Remedy = g.opts.Protocol, err, remedy
	return &what
}

// explain tells the caller's own end from the source's silence. ctx is the
// caller's, bounded the one that the call ran under. Where it decides what err
// means, err goes on as text only: its chain says context.Canceled of both.
func (g *guard) explain(ctx, bounded context.Context, what Error, err error) error {
	switch {
	case final(err):
		return err
	case ctx.Err() != nil:
		if errors.Is(err, ctx.Err()) {
			return err
		}
		return g.error(what, fmt.Errorf("%w: %s", ctx.Err(), err.Error()), "")
	case errors.Is(err, ErrUnavailable):
		return err
	case bounded.Err() != nil:
		return g.error(what, fmt.Errorf("%w: no answer in time: %w (%s)", ErrUnavailable, context.DeadlineExceeded, err.Error()),
			"check that the source is reachable")
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		// A limit inside the provider: the caller's context is alive.
		return g.error(what, fmt.Errorf("%w: %s", ErrUnavailable, err.Error()), "")
	}
	return err
}

// final reports whether err is the source's answer, not its absence.
func final(err error) bool {
	for _, answer := range []error{
		iofs.ErrNotExist, iofs.ErrPermission, iofs.ErrInvalid, errors.ErrUnsupported,
		ErrPartial, ErrWhole, ErrChanged, ErrStale, ErrCorrupt, ErrOffline, errPanic,
	} {
		if errors.Is(err, answer) {
			return true
		}
	}
	return false
}

// patience is how long a caller has to have waited for its going away to say
// something about the source.
const patience = time.Second

// report counts what came of one attempt, for health and the breaker. A caller who
// went away, which ended then says, has no verdict, unless its time was over and
// the source had enough of it.
func (g *guard) report(ended error, leave ticket, began time.Time, err error) {
	now := time.Now()
	tired := errors.Is(ended, context.DeadlineExceeded) && now.Sub(began) >= patience
	switch {
	case err == nil:
	case errors.Is(ended, context.Canceled), errors.Is(err, errPanic):
		g.breaker.abandon(leave)
		return
	case errors.Is(err, ErrUnavailable) || tired && !final(err):
		g.failed(now, leave, err)
		return
	case ended != nil:
		g.breaker.abandon(leave)
		return
	}
	g.mu.Lock()
	g.lastOK = now
	g.mu.Unlock()
	if g.breaker.succeed(leave) {
		g.opts.Log.Info("source answers again", "protocol", g.opts.Protocol)
	}
}

// failed counts an attempt without an answer.
func (g *guard) failed(now time.Time, leave ticket, err error) {
	g.failures.Add(1)
	g.mu.Lock()
	g.lastError, g.lastErrorAt = err.Error(), now
	g.mu.Unlock()
	if g.breaker.fail(now, leave) {
		g.opts.Log.Warn("source keeps failing; it is left alone for a while",
			"protocol", g.opts.Protocol, "error", err)
	}
}

// wait is how long to leave between an attempt that failed with err and the
// next: around base trebled for each attempt so far, spread so that many
// callers do not come back as one.
func (g *guard) wait(base time.Duration, attempt int, err error) time.Duration {
	for range min(attempt-1, 8) {
		base *= 3
	}
	d := base/2 + rand.N(base)
	var t *Throttled
	if errors.As(err, &t) {
		d = max(d, t.After)
	}
	return d
}

// pause waits for d; it is false at once if ctx ends before that.
func (g *guard) pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= d {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
