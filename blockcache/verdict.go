package blockcache

import (
	"context"
	"time"
)

// verdictTick is how often one who waits for a verdict looks whether a block was lost.
const verdictTick = 200 * time.Millisecond

// match notes that the bytes stored have the digest that the source states.
func (o *object) match() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.matched && !o.again {
		o.matched = true
		close(o.judged)
	}
}

// unmatch takes that back: a block was lost. o.mu is held.
func (o *object) unmatch() {
	if o.matched {
		o.matched, o.judged = false, make(chan struct{})
	}
}

// verdict holds a read back that leaves nothing of the object to be read, until the
// digest of the whole is known: who reads a file to its end must not be told that it
// is right when it is not. Before that, reads are answered as their blocks arrive.
func (o *object) verdict(ctx context.Context) error {
	if !o.promised || o.n <= 1 {
		return nil
	}
	for {
		o.mu.Lock()
		// Blocks that are out but not stored yet count: readers have them.
		more := o.have.count()+int64(o.landing) < o.n
		judged, settled := o.judged, o.matched || o.broken != nil || more
		err := o.broken
		o.mu.Unlock()
		if settled || o.file.Load() != nil {
			return err
		}
		o.advance()
		tick := time.NewTimer(verdictTick)
		select {
		case <-judged:
		case <-o.sealed:
		case <-tick.C:
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		}
		tick.Stop()
	}
}
