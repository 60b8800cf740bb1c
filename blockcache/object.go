package blockcache

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// object is the state of a content object in use.
type object struct {
	c    *Cache
	slot *slot
	key  Key
	n    int64 // blocks

	part   *os.File // data file while incomplete; nil if nothing can be stored
	direct *os.File // the same, past the page cache; nil if the file system cannot
	gen    uint64

	// writing orders writes to part with taking its stamp, so that a change of
	// the file by anybody else can be told from ours.
	writing sync.Mutex
	writers atomic.Int32
	ctime   atomic.Int64

	sealed chan struct{} // closed when file is set or broken is
	file   atomic.Pointer[os.File]

	mu       sync.Mutex // guards all below; never held over disk or network
	have     bitmap     // blocks in part
	verified bitmap     // of those, the ones checked by this process
	crc      []uint32
	dirty    map[uint32]bool // groups not yet in the index
	flights  map[int64]*flight
	failed   map[int64]failure
	broken   error  // once set, every read fails with it
	passing  int    // blocks served without being stored
	src      Source // the newest user's
	readers  int
	whole    bool          // the source sends it only as a whole
	noRanges chan struct{} // closed when whole is set
	coming   *extent       // the whole stream under way
	wanted   chan struct{} // a reader waits for a block of coming
	hash     hash.Hash     // digest of blocks before next
	sum      string        // what hash has to come to
	next     int64
	checking bool
	again    bool // the check has to begin again
	losses   int  // blocks that the disk did not give back
}

// flight is one block on its way.
type flight struct {
	done   chan struct{}
	joined int32 // waiters, before buf is there
	buf    *buffer
	err    error
}

// failure is remembered for a moment, as the kernel asks again page by page.
type failure struct {
	err   error
	until time.Time
}

const failureMemory = time.Second

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
	if s := c.bad[key.partial()]; s.n > 1 && c.now().Before(s.until) {
		return nil, nil, fmt.Errorf("%w: fetched %d times, asked again in %s", ErrCorrupt, s.n, s.until.Sub(c.now()).Round(time.Second))
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
	if obj == nil { // the sealed file is not what it was
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
	c.used -= s.rec.Stored
	s.rec.Stored = 0
}

// loadObject makes the object of s from its record and files. It returns nil if
// the record was of a sealed file that is not what it was.
func (c *Cache) loadObject(s *slot, rec record, key Key, src Source) *object {
	n := blocksOf(key.Size)
	o := &object{
		c: c, slot: s, key: key, n: n, src: src, gen: rec.Gen,
		sealed: make(chan struct{}), have: newBitmap(n), verified: newBitmap(n),
		crc: make([]uint32, n), dirty: map[uint32]bool{}, wanted: make(chan struct{}, 1), noRanges: make(chan struct{}), flights: map[int64]*flight{}, failed: map[int64]failure{},
	}
	o.hash, o.sum = newHash(key.Digest, key.Size)
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
		c.removeFiles(rec, n)
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

// openPart opens or makes the data file. If that fails the object works without
// one: its blocks are fetched for each use.
func (o *object) openPart(rec record) {
	name := o.c.path(rec.ID, false)
	if rec.Gen != 0 {
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err == nil {
			st, err := stat(f)
			if err == nil && st.Size == o.key.Size && ours(f) {
				o.use(f, st)
				o.account(o.bytes())
				return
			}
			o.c.closeFile(f)
		}
	}
	clear(o.have)
	o.account(0)
	o.gen = rand.Uint64() | 1
	f, err := createPart(name, o.key.Size)
	if err != nil {
		o.c.disk.trouble(o.c, err)
		return
	}
	rec.Gen, rec.Stored, rec.LastUsed = o.gen, 0, o.c.now().UnixNano()
	if err := o.c.index.write(&rec, nil); err != nil {
		o.c.disk.trouble(o.c, err)
	}
	o.c.mu.Lock()
	o.slot.rec.Gen, o.slot.rec.LastUsed = rec.Gen, rec.LastUsed
	o.c.mu.Unlock()
	st, err := stat(f)
	if err != nil {
		o.c.disk.trouble(o.c, err)
	}
	o.use(f, st)
}

// use takes f as the data file, and opens it once more for direct I/O if there is
// more than one block to write.
func (o *object) use(f *os.File, st stamp) {
	o.part = f
	o.ctime.Store(st.Ctime)
	if o.n == 1 {
		return
	}
	d, err := os.OpenFile(f.Name(), os.O_RDWR|syscall.O_DIRECT|syscall.O_NOFOLLOW, 0)
	if err != nil {
		o.c.log.Debug("no direct I/O for the cache", "error", err)
		return
	}
	o.direct = d
}

func createPart(name string, size int64) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return f, nil
}

// bytes is the length of all blocks in the data file. o.mu is held, or o is new.
func (o *object) bytes() int64 {
	n := o.have.count() * BlockSize
	if o.n > 0 && o.have.has(o.n-1) {
		n -= BlockSize - int64(blockLen(o.key.Size, o.n-1))
	}
	return n
}

// account sets how many bytes the object holds on disk.
func (o *object) account(stored int64) {
	o.c.mu.Lock()
	o.c.used += stored - o.slot.rec.Stored
	o.slot.rec.Stored = stored
	o.c.mu.Unlock()
}

func stat(f *os.File) (stamp, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}, err
	}
	return stamp{Ino: st.Ino, Size: st.Size, Ctime: st.Ctim.Nano()}, nil
}

// ours reports whether f is a regular file of this user with one name.
func ours(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid) == os.Geteuid() && st.Nlink == 1
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

func (c *Cache) closeFile(f *os.File) {
	if err := f.Close(); err != nil {
		c.log.Warn("close cache file", "error", err)
	}
}

// flush writes the object's record and its changed groups to the index.
func (o *object) flush() {
	if o.n == 0 || o.part == nil && o.file.Load() == nil {
		return
	}
	o.mu.Lock()
	broken := o.broken != nil
	var groups []*group
	for n := range o.dirty {
		groups = append(groups, o.group(n))
	}
	clear(o.dirty)
	o.mu.Unlock()
	o.c.mu.Lock()
	rec := o.slot.rec
	gone := o.c.slots[rec.ID] != o.slot
	o.c.mu.Unlock()
	if broken || gone {
		return
	}
	for _, g := range groups {
		g.ID = rec.ID
	}
	if err := o.c.index.write(&rec, groups); err != nil {
		o.c.disk.trouble(o.c, err)
	}
}

// group makes the index record of group n; its ID is filled in by flush. o.mu is held.
func (o *object) group(n uint32) *group {
	g := &group{Gen: o.gen, Index: n}
	first := int64(n) * groupBlocks
	for i := range min(groupBlocks, o.n-first) {
		if o.have.has(first + i) {
			g.Have[i/64] |= 1 << (i % 64)
			g.CRC[i] = o.crc[first+i]
		}
	}
	return g
}

// retain takes one more use of an object already in use.
func (o *object) retain() {
	o.c.mu.Lock()
	o.slot.refs++
	o.c.mu.Unlock()
}

// start runs fn in a goroutine that holds the object and is awaited by Close; false
// if the cache is closed.
func (o *object) start(fn func(context.Context)) bool {
	c := o.c
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	o.slot.refs++
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		defer o.release()
		fn(c.ctx)
	}()
	return true
}
