package blockcache

import (
	"context"
	"fmt"
	"time"
)

// fillTick is how often a strict read looks whether a block was lost meanwhile.
const fillTick = 200 * time.Millisecond

// fill fetches whatever is missing, in order, and waits until the object is sealed. It
// ends when there is no room for all of it.
func (o *object) fill(ctx context.Context, src Source) error {
	if limit := o.c.opts.MaxSize; limit > 0 && o.key.Size > limit {
		return o.noRoom()
	}
	o.filling.Add(1)
	defer o.filling.Add(-1)
	for {
		if err := o.fetchAll(ctx, src); err != nil {
			return err
		}
		o.advance()
		tick := time.NewTimer(fillTick)
		select {
		case <-o.sealed:
			tick.Stop()
			o.mu.Lock()
			defer o.mu.Unlock()
			return o.broken
		case <-tick.C: // read back in vain, perhaps, or not sealed for want of room
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		}
	}
}

// fetchAll fetches what is neither stored nor on its way, and waits for it.
func (o *object) fetchAll(ctx context.Context, src Source) error {
	const window = 8 * extentBlocks * BlockSize
	for b := o.missing(0); b < o.n; b = o.missing(b) {
		if o.unstored() {
			return o.noRoom()
		}
		waits, err := o.want(b, b, window, src)
		if err != nil {
			return err
		}
		if fl := waits[b]; fl != nil {
			buf, err := o.block(ctx, b, fl)
			if err == errLost { //nolint:errorlint // our own sentinel, unwrapped
				continue
			}
			if err != nil {
				return err
			}
			buf.release()
		}
		b++
	}
	if o.unstored() {
		return o.noRoom()
	}
	return nil
}

// missing returns the first block from b on that is not stored, nor being stored.
func (o *object) missing(b int64) int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	for b < o.n && (o.have.has(b) || o.flights[b] != nil && o.flights[b].buf != nil) {
		b++
	}
	return b
}

// unstored reports whether the last block that arrived could not be stored.
func (o *object) unstored() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.passing > 0
}

func (o *object) noRoom() error {
	return fmt.Errorf("no room in the cache for the %d MiB to be checked before they are read (verify: strict): raise cache.max_size, lower cache.min_free or free some of the disk", o.key.Size>>20)
}
