package blockcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// advance moves the check of the object on over the blocks that are there, and
// seals it when it has passed over the last one. The digest is so computed while
// the object arrives, from the data file, which checks what was stored too.
func (o *object) advance() {
	o.mu.Lock()
	idle := !o.checking && o.broken == nil && o.part != nil && o.file.Load() == nil && o.next < o.n && o.have.has(o.next)
	if idle {
		o.checking = true
	}
	o.mu.Unlock()
	if idle {
		o.start(o.checkOn)
	}
}

func (o *object) checkOn(ctx context.Context) {
	buf := o.c.pool.get(BlockSize)
	defer buf.release()
	p := buf.data
	for ctx.Err() == nil {
		o.mu.Lock()
		if o.again {
			o.again, o.next = false, 0
			o.hash, o.sum = newHash(o.key.Digest, o.key.Size)
		}
		b := o.next
		if b == o.n {
			o.mu.Unlock()
			if o.complete(ctx) {
				return
			}
			continue
		}
		if !o.have.has(b) || o.broken != nil {
			o.checking = false
			o.mu.Unlock()
			return
		}
		want, stored := o.crc[b], o.verified.has(b) && o.losses == 0
		skip := stored && o.hash == nil
		o.mu.Unlock()
		if !skip && !o.checkBlock(b, p[:blockLen(o.key.Size, b)], want, stored) {
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

// checkBlock takes a block into the digest: from memory if it is there still and
// known to be stored, else from the data file, where its checksum is compared. It is
// false if the block is lost.
func (o *object) checkBlock(b int64, p []byte, want uint32, stored bool) bool {
	var buf *buffer
	if stored {
		buf = o.c.recent.get(o, b, false)
	}
	if buf != nil {
		defer buf.release()
		p = buf.data
	} else if err := o.check(b, p, want); err != nil {
		o.lose(b, err)
		o.replace(b)
		return false
	}
	if o.hash != nil {
		o.hash.Write(p)
	}
	return true
}

// maxLosses is how many blocks of an object in use are fetched again unasked.
const maxLosses = 64

// replace fetches a lost block for nobody: whoever read it has its bytes already
// and may never ask again, and the object shall be complete all the same.
func (o *object) replace(b int64) {
	o.mu.Lock()
	src, losses := o.src, o.losses
	o.mu.Unlock()
	if losses > maxLosses {
		return // a disk that loses what it is given is not worth more requests
	}
	waits, err := o.want(b, b, 0, src)
	if err != nil {
		o.c.log.Debug("a lost block is not fetched again now", "object", o.slot.rec.ID, "block", b, "error", err)
	}
	o.leave(waits[b])
}

// complete ends the check of an object all of whose blocks were passed. It
// returns false if the check has to begin again.
func (o *object) complete(ctx context.Context) bool {
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
	if o.touched() { // while it was being checked
		return false
	}
	if err := o.seal(); err != nil {
		o.c.disk.trouble(o.c, fmt.Errorf("seal: %w", err))
		o.mu.Lock()
		o.checking = false
		o.mu.Unlock()
	}
	return true
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
	d, err := ask(ctx)
	if err != nil {
		o.c.log.Debug("source gives no digest", "source", o.key.label(), "error", err)
		return false
	}
	o.hash, o.sum = newHash(d, o.key.Size)
	return o.hash != nil
}

// reject throws away an object that does not match its digest. Its open readers
// fail from now on; the next one fetches it once more.
func (o *object) reject() {
	c := o.c
	c.stats.corrupt.Add(1)
	err := fmt.Errorf("%w (%s)", ErrCorrupt, o.key.Digest)
	c.log.Error("content does not match its digest; it is thrown away", "source", o.key.label(), "digest", o.key.Digest)
	c.mu.Lock()
	c.strike(o.key, 1)
	c.doom(o.slot)
	c.mu.Unlock()
	c.discard(o.slot)
	o.mu.Lock()
	o.broken = err
	o.checking = false
	close(o.sealed)
	o.mu.Unlock()
}

// strike counts fetches of an object that did not match its digest. c.mu is held.
func (c *Cache) strike(k Key, n int) {
	if len(c.bad) >= 4096 {
		for id, s := range c.bad {
			if c.now().After(s.until) {
				delete(c.bad, id)
			}
		}
	}
	c.bad[k.partial()] = strike{c.bad[k.partial()].n + n, c.now().Add(time.Minute)}
}

// seal makes the complete, checked data file read-only and gives it the name that
// every source of this content will find.
func (o *object) seal() error {
	c := o.c
	c.mu.Lock()
	old := o.slot.rec
	rec := old
	rec.ID = o.key.sealed()
	taken := rec.ID != old.ID && c.slots[rec.ID] != nil
	c.mu.Unlock()
	if taken { // another source completed it first; ours goes with its last reader
		err := o.adopt(c.path(rec.ID, true))
		close(o.sealed)
		return err
	}
	f, st, err := o.close(c.path(old.ID, false), c.path(rec.ID, true))
	if err != nil {
		return err
	}
	rec.Sealed, rec.Durable, rec.Seal, rec.Boot = true, false, st, c.boot
	o.rename(old, rec, f)
	c.stats.sealed.Add(1)
	o.retain()
	select {
	case c.syncs <- o:
	default:
		o.release() // it stays not durable, and is checked after a power loss
	}
	return nil
}

// close makes the data file read-only under its last name, and returns it opened
// for reading with its stamp.
func (o *object) close(from, to string) (f *os.File, st stamp, err error) {
	o.writers.Add(1) // this changes the file's stamp too
	defer o.writers.Add(-1)
	if err := o.part.Chmod(0o400); err != nil {
		return nil, st, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, st, err
	}
	if err := os.Rename(from, to); err != nil {
		return nil, st, err
	}
	if f, err = os.OpenFile(to, os.O_RDONLY|syscall.O_NOFOLLOW, 0); err != nil {
		return nil, st, err
	}
	if st, err = stat(f); err != nil {
		return nil, st, errors.Join(err, f.Close())
	}
	o.ctime.Store(st.Ctime)
	return f, st, nil
}

// adopt reads from a file sealed meanwhile by another source.
func (o *object) adopt(name string) error {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	o.file.Store(f)
	return nil
}

// rename moves the object to its sealed record, in the index and in the tables.
func (o *object) rename(old, rec record, f *os.File) {
	c := o.c
	o.mu.Lock()
	var groups []*group
	for n := int64(0); n*groupBlocks < o.n; n++ {
		g := o.group(uint32(n))
		g.ID = rec.ID
		groups = append(groups, g)
	}
	clear(o.dirty)
	o.mu.Unlock()
	if err := c.index.write(&rec, groups); err != nil {
		c.disk.trouble(c, err)
	}
	c.mu.Lock()
	delete(c.slots, old.ID)
	delete(c.bad, old.ID)
	rec.Stored, rec.LastUsed = o.slot.rec.Stored, o.slot.rec.LastUsed
	o.slot.rec = rec
	c.slots[rec.ID] = o.slot
	c.mu.Unlock()
	o.file.Store(f)
	o.mu.Lock()
	o.checking = false
	close(o.sealed)
	o.mu.Unlock()
	if old.ID != rec.ID {
		if err := c.index.remove(old.ID, o.n); err != nil {
			c.disk.trouble(c, err)
		}
	}
}

// syncer brings sealed objects to the disk, one at a time, and then marks them durable.
func (c *Cache) syncer() {
	defer c.wg.Done()
	for {
		select {
		case <-c.ctx.Done():
			for {
				select {
				case o := <-c.syncs:
					o.release()
				default:
					return
				}
			}
		case o := <-c.syncs:
			o.sync()
			o.release()
		}
	}
}

func (o *object) sync() {
	if err := o.part.Sync(); err != nil {
		o.c.disk.trouble(o.c, err)
		return
	}
	o.c.mu.Lock()
	o.slot.rec.Durable = true
	rec := o.slot.rec
	o.c.mu.Unlock()
	if err := o.c.index.write(&rec, nil); err != nil {
		o.c.disk.trouble(o.c, err)
	}
}

// openSealed opens the file of a sealed record. One that was touched since, or
// that may not have reached the disk before the power went, is checked whole.
func (o *object) openSealed(rec record) bool {
	c := o.c
	f, err := os.OpenFile(c.path(rec.ID, true), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		c.log.Warn("a sealed cache file is gone", "object", rec.ID, "error", err)
		return false
	}
	st, err := stat(f)
	if err != nil || !ours(f) || st.Size != o.key.Size {
		c.log.Warn("a sealed cache file is not what it was; it is fetched again", "object", rec.ID)
		c.closeFile(f)
		return false
	}
	o.part = f
	if (st != rec.Seal || !rec.Durable && rec.Boot != c.boot) && !o.recheck(rec, st) {
		c.closeFile(f)
		return false
	}
	o.part = nil
	o.file.Store(f)
	close(o.sealed)
	return true
}

// recheck reads a sealed file whole, against its digest if it has one, and
// against its checksums if not.
func (o *object) recheck(rec record, st stamp) bool {
	c := o.c
	c.log.Info("a sealed cache file is checked again", "object", rec.ID)
	p := make([]byte, BlockSize)
	h, want := newHash(rec.Digest, rec.Size)
	for b := range o.n {
		data := p[:blockLen(rec.Size, b)]
		if !o.have.has(b) {
			return false
		}
		if err := o.check(b, data, o.crc[b]); err != nil {
			c.stats.corrupt.Add(1)
			c.log.Warn("a sealed cache file is damaged; it is fetched again", "object", rec.ID, "block", b, "error", err)
			return false
		}
		if h != nil {
			h.Write(data)
		}
	}
	if h != nil && sumHex(h) != want {
		c.stats.corrupt.Add(1)
		return false
	}
	now, err := stat(o.part)
	if err != nil || now != st {
		return false
	}
	rec.Seal, rec.Boot, rec.Durable = st, c.boot, false
	if err := c.index.write(&rec, nil); err != nil {
		c.disk.trouble(c, err)
	}
	c.mu.Lock()
	o.slot.rec.Seal, o.slot.rec.Boot, o.slot.rec.Durable = rec.Seal, rec.Boot, rec.Durable
	c.mu.Unlock()
	return true
}
