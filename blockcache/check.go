package blockcache

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// advance moves the check of the object on over the blocks that are there, and
// seals it when it has passed over the last one and read back what was stored. The
// digest is so computed while the object arrives.
func (o *object) advance() {
	o.mu.Lock()
	idle := !o.checking && o.broken == nil && o.part != nil && o.file.Load() == nil && (o.next == o.n || o.have.has(o.next))
	if idle {
		o.checking = true
	}
	o.mu.Unlock()
	if idle {
		o.start(o.checkOn)
	}
}

// complete reports whether all blocks are stored, but the object is not sealed.
func (o *object) complete() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n > 0 && o.part != nil && o.file.Load() == nil && o.broken == nil && o.have.count() == o.n
}

func (o *object) checkOn(ctx context.Context) {
	buf := o.c.pool.get(BlockSize)
	defer buf.release()
	p := buf.data
	for ctx.Err() == nil {
		o.mu.Lock()
		if o.again {
			o.again, o.next = false, 0
			o.hash, o.sum = newHash(o.stated, o.key.Size)
		}
		b := o.next
		if b == o.n {
			o.mu.Unlock()
			if o.finish(ctx, p) {
				return
			}
			continue
		}
		if !o.have.has(b) || o.broken != nil {
			o.checking = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
		if o.hash != nil && !o.digest(b, p[:blockLen(o.key.Size, b)]) {
			continue
		}
		o.mu.Lock()
		o.next++
		o.mu.Unlock()
	}
	o.mu.Lock()
	o.checking = false
	o.mu.Unlock()
}

// digest takes a block into the digest: from memory if it is there still, else from
// the data file, where its checksum is compared. It is false if the block is lost.
func (o *object) digest(b int64, p []byte) bool {
	if buf := o.c.recent.get(o, b, false); buf != nil {
		defer buf.release()
		p = buf.data
	} else if !o.recheck(b, p) {
		return false
	}
	o.hash.Write(p)
	o.progress.Add(1)
	return true
}

// recheck reads block b from the data file and compares its checksum; one that is
// lost is fetched again.
func (o *object) recheck(b int64, p []byte) bool {
	o.mu.Lock()
	have, want := o.have.has(b), o.crc[b]
	o.mu.Unlock()
	if !have {
		return false
	}
	if err := o.check(b, p, want); err != nil {
		o.lose(b, err)
		o.replace(b)
		return false
	}
	return true
}

// maxLosses is how many blocks of an object in use are fetched again unasked.
const maxLosses = 64

// replace fetches a lost block for nobody: whoever read it has its bytes already
// and may never ask again, and the object shall be complete all the same.
func (o *object) replace(b int64) {
	o.mu.Lock()
	losses := o.losses
	o.mu.Unlock()
	if losses > maxLosses {
		return // a disk that loses what it is given is not worth more requests
	}
	waits, err := o.want(b, b, 0, o.source())
	if err != nil {
		o.c.log.Debug("a lost block is not fetched again now", "object", o.id(), "block", b, "error", err)
	}
	o.leave(waits[b])
}

// finish ends the check of an object all of whose blocks were passed. It
// returns false if the check has to begin again.
func (o *object) finish(ctx context.Context, p []byte) bool {
	if o.hash == nil && o.key.Digest == "" && o.askDigest(ctx) {
		o.mu.Lock()
		o.next = 0
		o.mu.Unlock()
		return false
	}
	if o.hash != nil && sumHex(o.hash) != o.sum {
		o.reject()
		return true
	}
	o.match()
	if !o.readBack(ctx, p) {
		return false
	}
	if o.touched() || !o.freeze() { // while it was being checked
		return false
	}
	if err := o.seal(ctx); err != nil { // it is tried again from time to time
		if !errors.Is(err, errLater) && ctx.Err() == nil {
			o.c.disk.trouble(o.c, fmt.Errorf("seal: %w", err))
		}
		o.mu.Lock()
		o.checking, o.sealing = false, false
		o.mu.Unlock()
	}
	return true
}

// freeze ends all writing to the data file, if it holds what was checked still: a
// block that was lost meanwhile would be stored again, unchecked, in a sealed file.
func (o *object) freeze() bool {
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sealing = !o.again
	return o.sealing
}

// askDigest asks the source for a digest that its listing did not tell.
func (o *object) askDigest(ctx context.Context) bool {
	o.mu.Lock()
	ask := o.src.Digest
	o.src.Digest = nil // once
	o.mu.Unlock()
	if ask == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	d, err := guarded(ctx, ask)
	if err != nil {
		o.c.log.Debug("source gives no digest", "source", o.key.label(), "error", err)
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.stated = d
	o.hash, o.sum = newHash(d, o.key.Size)
	return o.hash != nil
}

// guarded has a panic of the source be an error.
func guarded(ctx context.Context, ask func(context.Context) (string, error)) (d string, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return ask(ctx)
}

// reject throws away an object that does not match its digest. Its open readers
// fail from now on; the next one fetches it once more.
func (o *object) reject() {
	c := o.c
	c.stats.corrupt.Add(1)
	err := fmt.Errorf("%w (%s)", ErrCorrupt, o.key.Digest)
	c.log.Error("content does not match its digest; it is thrown away", "source", o.key.label(), "digest", o.key.Digest)
	c.mu.Lock()
	c.rejects.add(o.key.partial(), 1, c.now().Add(rejectTime))
	c.doom(o.slot)
	c.mu.Unlock()
	c.discard(o.slot)
	o.mu.Lock()
	o.broken = err
	o.checking = false
	close(o.sealed)
	o.mu.Unlock()
}
