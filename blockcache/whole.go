package blockcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// A source that has no ranges sends an object from its beginning to its end. One
// stream then brings all blocks that are missing, whoever wants which of them; what
// is there already is read past.

const (
	// wholeLinger is how long a whole stream goes on when nobody has the object
	// open: who looked at a header often comes back for the rest.
	wholeLinger = 30 * time.Second
	// wholeLead is how many blocks that cannot be stored a whole stream brings
	// before somebody waits for them. Each is only in memory.
	wholeLead = extentBlocks
)

// becomeWhole notes that the source sends the object only as a whole, and has who
// waits for a part of it ask again.
func (o *object) becomeWhole(x *extent) {
	o.mu.Lock()
	if !o.whole {
		o.whole = true
		close(o.noRanges)
	}
	o.mu.Unlock()
	o.drop(x)
}

// planWhole is plan for an object that comes as a whole. What the stream under way
// has still before it needs no other. o.mu is held.
func (o *object) planWhole(first, last int64) (waits map[int64]*flight, extents []*extent) {
	for b := first; b <= last; b++ {
		if o.flights[b] != nil || o.have.has(b) || o.c.recent.has(o, b) {
			continue
		}
		if o.coming == nil || b < o.coming.next {
			o.coming = &extent{whole: true, flights: make([]*flight, o.n)}
			extents = []*extent{o.coming}
		}
		o.enlist(b)
	}
	if extents != nil { // begun now: it brings whatever is missing
		for b := range o.n {
			if o.flights[b] == nil && !o.have.has(b) {
				o.enlist(b)
			}
		}
	}
	for b := first; b <= last; b++ {
		if fl := o.flights[b]; fl != nil {
			waits = fl.join(waits, b)
		}
	}
	if waits != nil {
		select {
		case o.wanted <- struct{}{}:
		default:
		}
	}
	return waits, extents
}

// enlist has the stream bring block b too. o.mu is held.
func (o *object) enlist(b int64) {
	fl := &flight{done: make(chan struct{})}
	o.flights[b], o.coming.flights[b] = fl, fl
}

// pass returns the flight that the stream brings for block b, or nil if it is there
// already. After it the block no longer lies before the stream. A request for a part
// that was under way when the stream began has ended soon.
func (o *object) pass(ctx context.Context, x *extent, b int64) (*flight, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for x.flights[b] == nil && !o.have.has(b) {
		part := o.flights[b]
		if part == nil {
			x.flights[b] = &flight{done: make(chan struct{})}
			o.flights[b] = x.flights[b]
			break
		}
		o.mu.Unlock()
		select {
		case <-part.done:
		case <-ctx.Done():
		}
		o.mu.Lock()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	x.next = b + 1
	return x.flights[b], nil
}

func (o *object) endWhole(x *extent) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.coming == x {
		o.coming = nil
	}
}

// streamWhole lands the blocks of a whole stream. It ends early when nobody uses
// the object any more.
func (o *object) streamWhole(ctx context.Context, x *extent, body io.Reader, src Source, done *int) error {
	var unused time.Time
	lead := 0
	for b := range o.n {
		if o.inUse() {
			unused = time.Time{}
		} else if unused.IsZero() {
			unused = o.c.now()
		} else if o.c.now().Sub(unused) > wholeLinger {
			return errLost
		}
		if lead >= wholeLead && !o.awaited(ctx, x, b) {
			return errLost
		}
		fl, err := o.pass(ctx, x, b)
		if err != nil {
			return err
		}
		if fl == nil {
			if err := skip(body, blockLen(o.key.Size, b)); err != nil {
				return fmt.Errorf("block %d: %w", b, err)
			}
			*done++
			continue
		}
		stored, err := o.receive(ctx, b, fl, body, src)
		if err != nil {
			return err
		}
		*done++
		if lead++; stored {
			lead = 0
		}
		if b%extentBlocks == extentBlocks-1 {
			o.advance()
		}
	}
	return nil
}

func skip(body io.Reader, n int) error {
	_, err := io.CopyN(io.Discard, body, int64(n))
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func (o *object) inUse() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.readers > 0
}

// awaited waits until somebody waits for a block that a stream at block b has still
// before it; false if nobody comes.
func (o *object) awaited(ctx context.Context, x *extent, b int64) bool {
	patience := time.NewTimer(wholeLinger)
	defer patience.Stop()
	for {
		if o.anyJoined(x, b) {
			return true
		}
		select {
		case <-o.wanted:
		case <-patience.C:
			return false
		case <-ctx.Done():
			return false
		}
	}
}

func (o *object) anyJoined(x *extent, b int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, fl := range x.flights[b:] {
		if fl != nil && fl.joined > 0 {
			return true
		}
	}
	return false
}
