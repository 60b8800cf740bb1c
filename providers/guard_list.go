package providers

import (
	"context"
	"errors"
	"iter"
	"time"
)

// guardSeq guards a listing. Its deadline is for each next element, as a bucket
// of millions has no sensible one for the whole, and it is tried again only
// while nothing has been yielded.
func guardSeq[T any](ctx context.Context, g *guard, what Error, list func(context.Context) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		leave, err := g.admit(what)
		if err != nil {
			yield(zero, err)
			return
		}
		for attempt := 1; ; attempt++ {
			began := time.Now()
			p := pass[T]{g: g, what: what, leave: leave, yield: yield}
			p.run(ctx, list)
			if p.err != nil || p.yielded == 0 {
				g.report(ctx.Err(), leave, began, p.err)
			}
			if p.err == nil {
				return
			}
			again := !leave.probe() && p.yielded == 0 && attempt < g.opts.Attempts && errors.Is(p.err, ErrUnavailable)
			if !again || !g.pause(ctx, g.wait(g.opts.Backoff, attempt, p.err)) {
				yield(zero, p.err)
				return
			}
		}
	}
}

// pass is one run over a listing.
type pass[T any] struct {
	g       *guard
	what    Error
	leave   ticket
	yield   func(T, error) bool
	yielded int
	slot    bool // held while the provider works, not while the consumer does
	away    bool // in the consumer's code: a panic is its own
	err     error
}

func (p *pass[T]) run(ctx context.Context, list func(context.Context) iter.Seq2[T, error]) {
	bounded, cancel := context.WithCancel(ctx)
	defer cancel()
	timer := time.AfterFunc(p.g.opts.Timeout, cancel)
	defer timer.Stop()
	defer func() {
		if p.slot {
			p.g.release()
		}
		if p.away {
			return // the first element was the verdict on the source
		}
		if r := recover(); r != nil {
			p.err = p.g.panicked(p.what, r)
		} else if p.err != nil {
			p.err = p.g.explain(ctx, bounded, p.what, p.err)
		}
	}()
	if !p.take(bounded) {
		return
	}
	p.g.requests.Add(1)
	for v, err := range list(bounded) {
		timer.Stop()
		if p.err = err; err != nil || !p.hand(v) {
			return
		}
		timer.Reset(p.g.opts.Timeout)
		if !p.take(bounded) {
			return
		}
	}
}

func (p *pass[T]) take(ctx context.Context) bool {
	p.err = p.g.acquire(ctx)
	p.slot = p.err == nil
	return p.slot
}

// hand gives v to the consumer, who may ask the same source for more meanwhile:
// a walk of any depth needs no second slot.
func (p *pass[T]) hand(v T) bool {
	p.g.release()
	p.slot, p.away = false, true
	if p.yielded++; p.yielded == 1 {
		p.g.report(nil, p.leave, time.Time{}, nil)
	}
	more := p.yield(v, nil)
	p.away = false
	return more
}
