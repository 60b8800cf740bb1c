package blockcache

import (
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lowWater is the share of a limit that eviction goes down to.
const lowWater = 0.95

// indexFloor is left free whatever MinFree says: Badger writes through mapped
// files, and a full disk would kill the process.
const indexFloor = 64 << 20

// reserve makes room for n more bytes of s, evicting what was used least lately
// and is not in use; false if there is none to be had.
func (c *Cache) reserve(s *slot, n int64) bool {
	over := c.overDisk(n)
	c.mu.Lock()
	if c.opts.MaxSize > 0 && c.used+n > c.opts.MaxSize {
		over = max(over, c.used+n-int64(float64(c.opts.MaxSize)*lowWater))
	}
	if over <= 0 {
		c.used += n
		s.rec.Stored += n
		c.mu.Unlock()
		return true
	}
	victims, freed := c.victims(over)
	fits := c.opts.MaxSize == 0 || c.used+n <= c.opts.MaxSize
	c.mu.Unlock()
	for _, v := range victims {
		c.discard(v)
	}
	c.stats.evicted.Add(freed)
	if !fits || c.overDisk(n) > 0 {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.opts.MaxSize > 0 && c.used+n > c.opts.MaxSize { // somebody took the room
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

// victims dooms idle objects worth at least n bytes, coldest first. c.mu is held.
func (c *Cache) victims(n int64) (doomed []*slot, freed int64) {
	if !c.evictable(n) {
		return nil, 0 // a file larger than the cache must not empty it
	}
	for e := c.idle.Front(); e != nil && freed < n; {
		s, next := e.Value.(*slot), e.Next()
		if !s.rec.Pinned {
			doomed = append(doomed, s)
			freed += s.rec.Stored
			c.doom(s)
		}
		e = next
	}
	return doomed, freed
}

// evictable reports whether idle objects hold n bytes. c.mu is held.
func (c *Cache) evictable(n int64) bool {
	for e := c.idle.Front(); e != nil && n > 0; e = e.Next() {
		if s := e.Value.(*slot); !s.rec.Pinned {
			n -= s.rec.Stored
		}
	}
	return n <= 0
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
	c.removeFiles(s.rec, blocksOf(s.rec.Size))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(s)
	close(s.busy)
	s.busy = nil
}

// overDisk returns how many bytes too few are free for n more.
func (c *Cache) overDisk(n int64) int64 {
	var st syscall.Statfs_t
	if err := syscall.Statfs(c.opts.Dir, &st); err != nil {
		c.disk.trouble(c, err)
		return 0
	}
	floor := int64(indexFloor)
	if c.opts.MinFree != nil {
		floor = max(floor, c.opts.MinFree(int64(st.Blocks)*st.Bsize))
	}
	return floor + n - int64(st.Bavail)*st.Bsize
}

func diskSize(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks) * st.Bsize, nil
}

// removeFiles deletes an object's record and data.
func (c *Cache) removeFiles(rec record, blocks int64) {
	if err := c.index.remove(rec.ID, blocks); err != nil {
		c.disk.trouble(c, err)
	}
	for _, sealed := range []bool{true, false} {
		if err := os.Remove(c.path(rec.ID, sealed)); err != nil && !errors.Is(err, os.ErrNotExist) {
			c.disk.trouble(c, err)
		}
	}
}

// sweep writes changed records from time to time, so that a killed process loses
// little.
func (c *Cache) sweep() {
	defer c.wg.Done()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-tick.C:
			for _, o := range c.inUse() {
				o.mu.Lock()
				dirty := len(o.dirty) > 0
				o.mu.Unlock()
				if dirty {
					o.flush()
				}
				o.release()
			}
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

// removeOrphans deletes data files that no record knows: what a killed process
// began and did not record. It runs before anything else uses the directory.
func (c *Cache) removeOrphans() error {
	files, err := filepath.Glob(filepath.Join(c.opts.Dir, "objects", "??", "*"))
	if err != nil {
		return err
	}
	for _, f := range files {
		name, part := strings.CutSuffix(filepath.Base(f), ".part")
		raw, err := hex.DecodeString(name)
		if err == nil && len(raw) == len(ID{}) {
			if s := c.slots[ID(raw)]; s != nil && s.rec.Sealed == !part {
				continue
			}
		}
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	return nil
}
