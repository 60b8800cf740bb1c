package blockcache

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// disk remembers that the cache's disk failed, so that it is left alone for a
// while. Reads go on from the source meanwhile.
type disk struct {
	full  atomic.Bool // said so, and nothing was stored since
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
	switch {
	case errors.Is(err, ErrClosed):
		return
	case errors.Is(err, errFull): // no failure: what could not be written stays to be written
		if !d.full.Swap(true) {
			c.log.Warn("cache disk is full; nothing is stored or recorded until it has room", "error", err)
		}
		return
	case errors.Is(err, syscall.EFBIG): // of one file, whose file system knows no such size
		c.log.Info("a file cannot be stored; its reads stream from the source", "error", err)
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
	d.full.Store(false)
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
		if !errors.Is(err, errSealing) {
			c.disk.trouble(c, err)
		}
		return false
	}
	c.disk.fine()
	return true
}

// errSealing says that an object takes no more blocks.
var errSealing = errors.New("being sealed")

// write puts a block into the data file and takes the file's stamp, so that a
// later change by anybody else is seen.
func (o *object) write(b int64, p []byte) error {
	o.writers.Add(1)
	defer o.writers.Add(-1)
	o.writing.Lock()
	defer o.writing.Unlock()
	o.mu.Lock()
	sealing := o.sealing
	o.mu.Unlock()
	if sealing {
		return errSealing
	}
	st, err := stat(o.part)
	if err != nil {
		return err
	}
	if st.Ctime != o.ctime.Load() {
		o.distrust(st)
	}
	if err := o.put(p, b*BlockSize); err != nil {
		return err
	}
	if st, err = stat(o.part); err == nil {
		o.ctime.Store(st.Ctime)
	}
	return err
}

// distrust has every block in the data file checked again, as somebody else has
// changed the file.
func (o *object) distrust(st stamp) {
	o.c.log.Warn("a cache file was changed from outside; its blocks are checked again", "object", o.id())
	o.mu.Lock()
	clear(o.verified)
	o.again = true
	o.unmatch()
	o.mu.Unlock()
	o.ctime.Store(st.Ctime)
}

// directUnit is the alignment that direct I/O asks for on any disk.
const directUnit = 4096

// put writes past the page cache what can be written so: one model must not fill
// memory twice, and copying into the page cache is slower than many a disk.
func (o *object) put(p []byte, off int64) error {
	if n := len(p) / directUnit * directUnit; o.direct != nil && n > 0 {
		if _, err := o.direct.WriteAt(p[:n], off); err != nil {
			return err
		}
		p, off = p[n:], off+int64(n)
	}
	if len(p) == 0 {
		return nil
	}
	_, err := o.part.WriteAt(p, off)
	return err
}

// trusted reports whether blocks first to last can be answered straight from the
// data file: this process checked them, and nobody else has touched the file since.
func (o *object) trusted(first, last int64) bool {
	o.mu.Lock()
	ok := o.losses == 0 // else every read is compared
	for b := first; b <= last && ok; b++ {
		ok = o.have.has(b) && o.verified.has(b)
	}
	o.mu.Unlock()
	return ok && !o.touched()
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
	o.distrust(st)
	return true
}

// loadBlock reads a stored block and checks it; a block that is not what was
// written is forgotten.
func (o *object) loadBlock(b int64) (*buffer, error) {
	if buf := o.c.recent.get(o, b, false); buf != nil {
		return buf, nil
	}
	o.mu.Lock()
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
	if o.have.has(b) && o.crc[b] == want {
		o.verified.set(b)
	}
	o.mu.Unlock()
	o.progress.Add(1)
	return nil
}

// lose forgets a stored block.
func (o *object) lose(b int64, why error) {
	o.c.stats.corrupt.Add(1)
	o.c.log.Warn("a cached block is damaged; it is fetched again", "object", o.id(), "block", b, "error", why)
	o.mu.Lock()
	lost := o.have.has(b)
	o.losses++
	o.have.unset(b)
	o.verified.unset(b)
	o.dirty[uint32(b/groupBlocks)] = true
	if b < o.next { // what comes in its place is not in the digest
		o.again = true
	}
	o.unmatch()
	o.mu.Unlock()
	o.c.recent.forget(o, b)
	if lost {
		o.c.unreserve(o.slot, int64(blockLen(o.key.Size, b)))
	}
}
