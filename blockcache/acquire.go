package blockcache

import (
	"context"
	"os"
	"time"
)

// acquire takes one use of the object named by key, loading it if need be. Loading
// may take long and is not bound to who asked first.
func (c *Cache) acquire(ctx context.Context, key Key, src Source) (*object, error) {
	for {
		obj, busy, err := c.tryAcquire(key, src)
		if obj != nil || err != nil {
			return obj, err
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// tryAcquire returns the object, or what to wait for before trying again.
func (c *Cache) tryAcquire(key Key, src Source) (*object, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, nil, ErrClosed
	}
	if err := c.rejects.refuse(key.partial(), c.now()); err != nil {
		return nil, nil, err
	}
	s := c.slots[key.sealed()]
	if s == nil {
		s = c.slots[key.partial()]
	}
	if s == nil {
		s = &slot{rec: record{ID: key.partial(), Size: key.Size, Digest: key.Digest, Source: key.label()}}
		c.slots[s.rec.ID] = s
	}
	if s.busy != nil {
		return nil, s.busy, nil
	}
	if s.elem != nil {
		c.idle.Remove(s.elem)
		s.elem = nil
	}
	if s.obj == nil {
		s.busy = make(chan struct{})
		rec := s.rec
		c.wg.Add(1) // under mu, and not closed: Close waits for it
		go c.loadSlot(s, rec, key, src)
		return nil, s.busy, nil
	}
	s.refs++
	s.rec.LastUsed = c.now().UnixNano()
	c.unsaved[s] = true
	return s.obj, nil, nil
}

// loadSlot loads the object of a slot that is marked busy. It stays loaded for a
// moment, for whoever waits for it.
func (c *Cache) loadSlot(s *slot, rec record, key Key, src Source) {
	defer c.wg.Done()
	obj := c.loadObject(s, rec, key, src)
	c.mu.Lock()
	busy := s.busy
	s.busy = nil
	if obj == nil {
		c.forget(s)
		close(busy)
		c.mu.Unlock()
		return
	}
	s.obj = obj
	c.loaded[s] = true
	s.refs++
	close(busy)
	c.mu.Unlock()
	if obj.complete() {
		obj.advance() // a process that ended before it could seal, or a file to check again
	}
	select {
	case <-time.After(loadedTime):
	case <-c.ctx.Done():
	}
	obj.release()
}

// loadedTime is how long a loaded object waits for the reader that it was loaded for.
const loadedTime = 100 * time.Millisecond

// forget drops a slot from the tables. c.mu is held.
func (c *Cache) forget(s *slot) {
	if s.elem != nil {
		c.idle.Remove(s.elem)
		s.elem = nil
	}
	if c.slots[s.rec.ID] == s {
		delete(c.slots, s.rec.ID)
	}
	delete(c.unsaved, s)
	c.used -= s.rec.Stored
	s.rec.Stored = 0
}

// loadObject makes the object of s from its record and files. It returns nil if
// the record was of a sealed file that is of no use.
func (c *Cache) loadObject(s *slot, rec record, key Key, src Source) *object {
	n := blocksOf(key.Size)
	o := &object{
		c: c, slot: s, key: key, n: n, src: src, gen: rec.Gen,
		sealed: make(chan struct{}), judged: make(chan struct{}), have: newBitmap(n), verified: newBitmap(n),
		crc: make([]uint32, n), dirty: map[uint32]bool{}, wanted: make(chan struct{}, 1), noRanges: make(chan struct{}), flights: map[int64]*flight{}, failed: map[int64]failure{},
	}
	o.stated = key.Digest
	o.hash, o.sum = newHash(key.Digest, key.Size)
	o.promised = o.hash != nil
	if n == 0 {
		close(o.sealed)
		return o
	}
	if rec.Gen != 0 {
		err := c.index.groups(rec.ID, rec.Gen, func(g *group) { o.restore(g) })
		if err != nil {
			c.log.Warn("cache index cannot be read", "error", err)
			clear(o.have)
		}
	}
	if rec.Sealed {
		if o.openSealed(rec) {
			return o
		}
		c.removeFiles(rec.ID)
		return nil
	}
	o.openPart(rec)
	return o
}

func (o *object) restore(g *group) {
	first := int64(g.Index) * groupBlocks
	for i := range int64(groupBlocks) {
		if b := first + i; b < o.n && g.Have[i/64]&(1<<(i%64)) != 0 {
			o.have.set(b)
			o.crc[b] = g.CRC[i]
		}
	}
}

// release gives back one use; the last one writes the index and closes files.
func (o *object) release() {
	c, s := o.c, o.slot
	c.mu.Lock()
	if s.refs--; s.refs > 0 {
		c.mu.Unlock()
		return
	}
	s.busy = make(chan struct{})
	c.mu.Unlock()

	o.shutdown()

	c.mu.Lock()
	s.obj = nil
	delete(c.loaded, s)
	close(s.busy)
	s.busy = nil
	switch {
	case c.slots[s.rec.ID] != s: // forgotten meanwhile
	case s.rec.Gen == 0: // nothing of it is on disk
		c.forget(s)
	default:
		s.elem = c.idle.PushBack(s)
	}
	c.mu.Unlock()
}

func (o *object) shutdown() {
	o.flush()
	for _, f := range []*os.File{o.part, o.direct, o.file.Load()} {
		if f != nil {
			o.c.closeFile(f)
		}
	}
	o.c.recent.drop(o)
}
