package blockcache

import "time"

// sweepTime is how often changed blocks are recorded and the limits enforced;
// recordTime is how often records are written of which only the last use changed.
const (
	sweepTime  = 500 * time.Millisecond
	recordTime = 10 * time.Second
)

// sweep writes what changed from time to time, so that a killed process loses
// little, keeps the limits, and takes up what failed.
func (c *Cache) sweep() {
	defer c.wg.Done()
	tick := time.NewTicker(sweepTime)
	defer tick.Stop()
	for n := 1; ; n++ {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
		}
		for _, o := range c.inUse() {
			o.flush()
			if o.complete() && c.disk.usable(c) {
				o.advance() // a seal that failed is tried again
			}
			o.release()
		}
		c.enforce()
		if n%int(recordTime/sweepTime) == 0 {
			c.saveRecords()
		}
	}
}

// inUse returns the loaded objects, each with one more use.
func (c *Cache) inUse() (objs []*object) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.loaded {
		if s.busy == nil {
			s.refs++
			objs = append(objs, s.obj)
		}
	}
	return objs
}

// saveRecords writes the object records that differ from the index.
func (c *Cache) saveRecords() {
	c.mu.Lock()
	var slots []*slot
	var recs []record
	for s := range c.unsaved {
		if s.busy != nil {
			continue
		}
		delete(c.unsaved, s)
		if s.rec.Gen != 0 {
			slots, recs = append(slots, s), append(recs, s.rec)
		}
	}
	c.mu.Unlock()
	if len(recs) == 0 {
		return
	}
	err := c.index.write(recs, nil)
	if err == nil {
		return
	}
	c.disk.trouble(c, err)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slots {
		if c.slots[s.rec.ID] == s {
			c.unsaved[s] = true
		}
	}
}

// flush writes the object's changed groups, and its record, to the index. What cannot
// be written stays to be written.
func (o *object) flush() {
	id := o.id()
	o.mu.Lock()
	broken := o.broken != nil
	var groups []*group
	for n := range o.dirty {
		groups = append(groups, o.group(id, n))
	}
	clear(o.dirty)
	o.mu.Unlock()
	if len(groups) == 0 || broken || o.part == nil && o.file.Load() == nil {
		return
	}
	o.c.mu.Lock()
	rec := o.slot.rec
	mine := o.c.slots[id] == o.slot && rec.ID == id
	o.c.mu.Unlock()
	if !mine {
		return // thrown away, or sealed, which wrote it all
	}
	if err := o.c.index.write([]record{rec}, groups); err != nil {
		o.unwritten(groups, err)
	}
}

// unwritten notes that groups could not be written to the index.
func (o *object) unwritten(groups []*group, err error) {
	o.c.disk.trouble(o.c, err)
	o.mu.Lock()
	for _, g := range groups {
		o.dirty[g.Index] = true
	}
	o.mu.Unlock()
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	if o.c.slots[o.slot.rec.ID] == o.slot {
		o.c.unsaved[o.slot] = true
	}
}

// group makes the index record of group n under an ID. o.mu is held.
func (o *object) group(id ID, n uint32) *group {
	g := &group{ID: id, Gen: o.gen, Index: n}
	first := int64(n) * groupBlocks
	for i := range min(groupBlocks, o.n-first) {
		if o.have.has(first + i) {
			g.Have[i/64] |= 1 << (i % 64)
			g.CRC[i] = o.crc[first+i]
		}
	}
	return g
}
