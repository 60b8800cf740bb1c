package blockcache

import (
	"context"
	"time"
)

// verdictTick is how often one who waits for a verdict looks whether a block was lost.
const verdictTick = 200 * time.Millisecond

// match notes that the bytes stored have the digest that the source states.
func (o *object) match() {
	if o.matched.CompareAndSwap(false, true) {
		close(o.judged)
	}
}

// verdict holds a read back that leaves nothing of the object to be read, until the
// digest of the whole is known: who reads a file to its end must not be told that it
// is right when it is not. Before that, reads are answered as their blocks arrive.
func (o *object) verdict(ctx context.Context) error {
	if !o.promised || o.n <= 1 || o.matched.Load() {
		return nil
	}
	for o.complete() {
		o.advance()
		tick := time.NewTimer(verdictTick)
		select {
		case <-o.judged:
		case <-o.sealed:
		case <-tick.C:
			continue
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		}
		tick.Stop()
		break
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.broken
}
