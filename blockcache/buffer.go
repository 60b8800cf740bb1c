package blockcache

import (
	"container/list"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// A buffer holds one block in memory. It goes back to its pool with its last
// reference.
type buffer struct {
	pool *pool
	mem  []byte // BlockSize, page aligned as direct I/O wants it
	data []byte // mem, cut to the block's length
	refs atomic.Int32
}

func (b *buffer) release() {
	if b.refs.Add(-1) == 0 {
		b.pool.put(b)
	}
}

// pool recycles buffers. How many are in use is bounded by others: one for each
// request of a source (Options.Streams), those kept for readers who follow
// (Options.Recent), and one for each reply on its way to the kernel.
//
// The memory is mapped and not Go's: it is aligned, and the garbage collector does
// not leave as much again lie about.
type pool struct {
	keep int // how many buffers stay mapped when they are free

	mu   sync.Mutex
	free []*buffer
}

func newPool(keep int) *pool { return &pool{keep: keep} }

// get returns a buffer of n bytes with one reference.
func (p *pool) get(n int) *buffer {
	p.mu.Lock()
	var b *buffer
	if last := len(p.free) - 1; last >= 0 {
		b, p.free = p.free[last], p.free[:last]
	}
	p.mu.Unlock()
	if b == nil {
		b = &buffer{pool: p, mem: mapBlock()}
	}
	b.data = b.mem[:n]
	b.refs.Store(1)
	return b
}

// mapBlock maps memory for a block; without that, any memory will do.
func mapBlock() []byte {
	p, err := unix.Mmap(-1, 0, BlockSize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return make([]byte, BlockSize)
	}
	return p
}

func (p *pool) put(b *buffer) {
	b.data = nil
	p.mu.Lock()
	drop := len(p.free) >= p.keep
	if !drop {
		p.free = append(p.free, b)
	}
	p.mu.Unlock()
	if drop {
		// Memory that was not mapped is refused here, and left to the
		// garbage collector.
		_ = unix.Munmap(b.mem)
	}
}

// recent keeps the blocks that arrived last in memory, so that who reads a file
// as it arrives is answered without the disk. A block read to its end goes first.
type recent struct {
	limit int

	mu     sync.Mutex
	blocks map[place]*list.Element // of kept
	order  *list.List              // next to go first
}

type place struct {
	o     *object
	block int64
}

type kept struct {
	at  place
	buf *buffer
}

func newRecent(limit int) *recent {
	return &recent{limit: limit, blocks: map[place]*list.Element{}, order: list.New()}
}

// put keeps a block, with a reference of its own.
func (r *recent) put(o *object, b int64, buf *buffer) {
	buf.refs.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	at := place{o, b}
	if e := r.blocks[at]; e != nil {
		r.remove(e)
	}
	r.blocks[at] = r.order.PushBack(kept{at, buf})
	for r.order.Len() > r.limit {
		r.remove(r.order.Front())
	}
}

// get returns a block with a reference for the caller, or nil. finished says that
// the caller reads it to its end.
func (r *recent) get(o *object, b int64, finished bool) *buffer {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.blocks[place{o, b}]
	if e == nil {
		return nil
	}
	if finished {
		r.order.MoveToFront(e)
	}
	buf := e.Value.(kept).buf
	buf.refs.Add(1)
	return buf
}

func (r *recent) has(o *object, b int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.blocks[place{o, b}] != nil
}

// finish lets a block go first.
func (r *recent) finish(o *object, b int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.blocks[place{o, b}]; e != nil {
		r.order.MoveToFront(e)
	}
}

// forget drops one block.
func (r *recent) forget(o *object, b int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.blocks[place{o, b}]; e != nil {
		r.remove(e)
	}
}

// drop forgets the blocks of an object.
func (r *recent) drop(o *object) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for at, e := range r.blocks {
		if at.o == o {
			r.remove(e)
		}
	}
}

// remove is called with r.mu held.
func (r *recent) remove(e *list.Element) {
	k := r.order.Remove(e).(kept)
	delete(r.blocks, k.at)
	k.buf.release()
}
