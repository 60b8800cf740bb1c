package blockcache

import (
	"context"
	"sync/atomic"
)

// A buffer holds one block in memory while it is fetched and answered from. It
// goes back to its pool with its last reference.
type buffer struct {
	pool *pool
	mem  []byte // BlockSize
	data []byte // mem, cut to the block's length
	refs atomic.Int32
}

func (b *buffer) release() {
	if b.refs.Add(-1) == 0 {
		b.pool.put(b)
	}
}

// pool recycles buffers and bounds how many fetches hold one: reservations are
// the memory budget. Readers are not bounded by it, so that one who holds a block
// and waits for the next cannot keep that from being fetched.
type pool struct {
	tokens chan struct{}
	free   chan *buffer
}

func newPool(n int) *pool {
	return &pool{tokens: make(chan struct{}, n), free: make(chan *buffer, n)}
}

func (p *pool) reserve(ctx context.Context) error {
	select {
	case p.tokens <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *pool) unreserve() { <-p.tokens }

// get returns a buffer of n bytes with one reference.
func (p *pool) get(n int) *buffer {
	var b *buffer
	select {
	case b = <-p.free:
	default:
		b = &buffer{pool: p, mem: make([]byte, BlockSize)}
	}
	b.data = b.mem[:n]
	b.refs.Store(1)
	return b
}

func (p *pool) put(b *buffer) {
	b.data = nil
	select {
	case p.free <- b:
	default:
	}
}
