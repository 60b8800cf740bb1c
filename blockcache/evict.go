package blockcache

import (
	"errors"
	"os"
	"syscall"
)

// lowWater is the share of a limit that eviction goes down to.
const lowWater = 0.95

// dataFloor is left free by data whatever MinFree says, so that the index can go on
// above its own floor.
const dataFloor = 2 * indexFloor

// reserve makes room for n more bytes of s, evicting what was used least lately
// and is not in use; false if there is none to be had.
func (c *Cache) reserve(s *slot, n int64) bool {
	short := c.shortage(n)
	c.mu.Lock()
	victims := c.victims(s, n, short)
	c.mu.Unlock()
	c.evict(victims)
	if short > 0 && (len(victims) == 0 || c.shortage(n) > 0) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.MaxSize > 0 && c.used+n > c.opts.MaxSize { // no room, or somebody took it
		return false
	}
	c.used += n
	s.rec.Stored += n
	return true
}

func (c *Cache) unreserve(s *slot, n int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used -= n
	s.rec.Stored -= n
}

// victims dooms idle objects so that n more bytes of s find room, where the disk has
// short bytes too few. If what is idle cannot make that room, or never all the room
// that s takes once it is complete, it stays: a file larger than the cache must not
// empty it. c.mu is held.
func (c *Cache) victims(s *slot, n, short int64) []*slot {
	need := short
	if c.opts.MaxSize > 0 {
		need = max(need, c.used+n-c.opts.MaxSize)
	}
	room := c.used + n - short // of all objects, as the disk is now
	if c.opts.MaxSize > 0 {
		room = min(room, c.opts.MaxSize)
	}
	if need <= 0 || s.rec.Size > room || need > c.idleBytes() {
		return nil
	}
	return c.coldest(max(short, c.overLowWater(n)))
}

// overLowWater returns by how much n more bytes would exceed the low water of MaxSize, if
// they exceed MaxSize. c.mu is held.
func (c *Cache) overLowWater(n int64) int64 {
	if c.opts.MaxSize <= 0 || c.used+n <= c.opts.MaxSize {
		return 0
	}
	return c.used + n - int64(float64(c.opts.MaxSize)*lowWater)
}

// idleBytes is what evicting all idle objects would free. c.mu is held.
func (c *Cache) idleBytes() (n int64) {
	for e := c.idle.Front(); e != nil; e = e.Next() {
		n += e.Value.(*slot).rec.Stored
	}
	return n
}

// coldest dooms idle objects worth n bytes, or all of them. c.mu is held.
func (c *Cache) coldest(n int64) (doomed []*slot) {
	for n > 0 && c.idle.Len() > 0 {
		s := c.idle.Front().Value.(*slot)
		n -= s.rec.Stored
		c.stats.evicted.Add(s.rec.Stored)
		doomed = append(doomed, s)
		c.doom(s)
	}
	return doomed
}

// enforce evicts what the limits do not allow: they may be lower than when it was
// stored, and others fill the disk too.
func (c *Cache) enforce() {
	short := c.shortage(0)
	c.mu.Lock()
	victims := c.coldest(max(short, c.overLowWater(0)))
	c.mu.Unlock()
	c.evict(victims)
}

func (c *Cache) evict(victims []*slot) {
	for _, v := range victims {
		c.discard(v)
	}
}

// doom takes a slot out of use: whoever wants its object waits until discard has
// removed its files, and then begins anew. c.mu is held.
func (c *Cache) doom(s *slot) {
	if s.elem != nil {
		c.idle.Remove(s.elem)
		s.elem = nil
	}
	s.busy = make(chan struct{})
	c.used -= s.rec.Stored
	s.rec.Stored = 0
}

// discard removes the files and records of a doomed slot.
func (c *Cache) discard(s *slot) {
	c.mu.Lock()
	id := s.rec.ID
	c.mu.Unlock()
	c.removeFiles(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(s)
	close(s.busy)
	s.busy = nil
}

// removeFiles deletes an object's data and then its record, as the index may be
// waiting for the room: a record without its file is forgotten at the next start.
func (c *Cache) removeFiles(id ID) {
	for _, sealed := range []bool{true, false} {
		if err := os.Remove(c.path(id, sealed)); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.disk.trouble(c, err)
		}
	}
	if err := c.index.remove(id); err != nil {
		c.disk.trouble(c, err)
	}
}

// shortage returns how many bytes too few are free for n more; it is negative where
// there is room.
func (c *Cache) shortage(n int64) int64 {
	total, free, err := diskSpace(c.opts.Dir)
	if err != nil {
		c.disk.trouble(c, err)
		return 0
	}
	floor := int64(dataFloor)
	if c.opts.MinFree != nil {
		floor = max(floor, c.opts.MinFree(total))
	}
	return floor + n - free
}

func diskSpace(dir string) (total, free int64, err error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Blocks) * st.Bsize, int64(st.Bavail) * st.Bsize, nil
}
