package blockcache

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// disk remembers that the cache's disk failed, so that it is left alone for a
// while. Reads go on from the source meanwhile.
type disk struct {
	mu    sync.Mutex
	until time.Time
	wait  time.Duration
}

const (
	diskRestMin = time.Second
	diskRestMax = time.Minute
)

// trouble notes a failure of the disk.
func (d *disk) trouble(c *Cache, err error) {
	if errors.Is(err, ErrClosed) {
		return
	}
	c.stats.diskErrors.Add(1)
	d.mu.Lock()
	defer d.mu.Unlock()
	now := c.now()
	if now.Before(d.until) {
		return
	}
	d.wait = min(max(2*d.wait, diskRestMin), diskRestMax)
	d.until = now.Add(d.wait)
	c.log.Warn("cache disk failed; reads stream from the source", "error", err, "retry_in", d.wait)
}

// usable reports whether the disk may be written now.
func (d *disk) usable(c *Cache) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !c.now().Before(d.until)
}

func (d *disk) fine() {
	d.mu.Lock()
	d.wait = 0
	d.mu.Unlock()
}

// store writes a block to the data file; false if it could not.
func (o *object) store(b int64, p []byte) bool {
	c := o.c
	if o.part == nil || !c.disk.usable(c) || !c.reserve(o.slot, int64(len(p))) {
		return false
	}
	if err := o.write(b, p); err != nil {
		c.unreserve(o.slot, int64(len(p)))
		c.disk.trouble(c, err)
		return false
	}
	c.disk.fine()
	return true
}

// write puts a block into the data file and takes the file's stamp, so that a
// later change by anybody else is seen.
func (o *object) write(b int64, p []byte) error {
	o.writers.Add(1)
	defer o.writers.Add(-1)
	o.writing.Lock()
	defer o.writing.Unlock()
	if _, err := o.part.WriteAt(p, b*BlockSize); err != nil {
		return err
	}
	st, err := stat(o.part)
	if err == nil {
		o.ctime.Store(st.Ctime)
	}
	return err
}

// trusted reports whether blocks first to last can be answered straight from the
// data file: this process checked them, and nobody else has touched the file since.
func (o *object) trusted(first, last int64) bool {
	o.mu.Lock()
	for b := first; b <= last; b++ {
		if !o.have.has(b) || !o.verified.has(b) {
			o.mu.Unlock()
			return false
		}
	}
	o.mu.Unlock()
	return !o.touched()
}

// touched reports whether the data file was changed by somebody else, and if so
// has every block checked again.
func (o *object) touched() bool {
	before := o.ctime.Load()
	st, err := stat(o.part)
	// While a write of ours is under way the stamp says nothing; it is
	// compared at the first quiet read.
	if err == nil && (st.Ctime == before || o.writers.Load() > 0 || o.ctime.Load() != before) {
		return false
	}
	o.c.log.Warn("a cache file was changed from outside; its blocks are checked again", "object", o.slot.rec.ID)
	o.mu.Lock()
	clear(o.verified)
	o.mu.Unlock()
	if err == nil {
		o.ctime.Store(st.Ctime)
	}
	return true
}

// loadBlock reads a stored block and checks it; a block that is not what was
// written is forgotten.
func (o *object) loadBlock(b int64) (*buffer, error) {
	o.mu.Lock()
	if r := o.inRecent(b); r != nil {
		r.buf.refs.Add(1)
		o.mu.Unlock()
		return r.buf, nil
	}
	if !o.have.has(b) {
		o.mu.Unlock()
		return nil, errLost
	}
	want := o.crc[b]
	o.mu.Unlock()
	buf := o.c.pool.get(blockLen(o.key.Size, b))
	if err := o.check(b, buf.data, want); err != nil {
		buf.release()
		o.lose(b, err)
		return nil, errLost
	}
	return buf, nil
}

// check reads block b into p and compares its checksum.
func (o *object) check(b int64, p []byte, want uint32) error {
	if _, err := io.ReadFull(io.NewSectionReader(o.part, b*BlockSize, int64(len(p))), p); err != nil {
		return err
	}
	if got := checksum(p); got != want {
		return fmt.Errorf("checksum %08x, recorded %08x", got, want)
	}
	o.mu.Lock()
	o.verified.set(b)
	o.mu.Unlock()
	return nil
}

// lose forgets a stored block.
func (o *object) lose(b int64, why error) {
	o.c.stats.corrupt.Add(1)
	o.c.log.Warn("a cached block is damaged; it is fetched again", "object", o.slot.rec.ID, "block", b, "error", why)
	o.mu.Lock()
	lost := o.have.has(b)
	o.have.unset(b)
	o.verified.unset(b)
	o.dirty[uint32(b/groupBlocks)] = true
	o.mu.Unlock()
	if lost {
		o.c.unreserve(o.slot, int64(blockLen(o.key.Size, b)))
	}
}
