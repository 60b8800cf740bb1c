package s3test

import (
	"context"
	"errors"
	"io"
	"log"
	"sync"
	"time"
)

// copySize is large enough that copying costs little beside the network.
const copySize = 256 << 10

var discard = log.New(io.Discard, "", 0)

var errCut = errors.New("connection cut")

// faultyBody is the body of an answer on its way through a proxy.
type faultyBody struct {
	io.ReadCloser
	ctx   context.Context
	fault Fault
	paces []pace
	done  int64
}

func (b *faultyBody) Read(p []byte) (int, error) {
	p = p[:min(len(p), b.room())]
	if len(p) == 0 {
		if b.fault.Cut > 0 && b.done >= b.fault.Cut {
			return 0, errCut // ReverseProxy drops the connection
		}
		<-b.ctx.Done() // stalled until the client goes away
		return 0, b.ctx.Err()
	}
	n, err := b.ReadCloser.Read(p)
	if i := b.fault.Flip - 1 - b.done; b.fault.Flip > 0 && i >= 0 && i < int64(n) {
		p[i] ^= 1
	}
	b.done += int64(n)
	for _, pc := range b.paces {
		if !Sleep(b.ctx, pc.reserve(n)) {
			return n, b.ctx.Err()
		}
	}
	return n, err
}

// room is how many bytes may pass before a cut or stall. Slow bodies come in
// small pieces, so that they are slow and not only late.
func (b *faultyBody) room() int {
	room := int64(copySize)
	for _, stop := range []int64{b.fault.Cut, b.fault.Stall} {
		if stop > 0 {
			room = min(room, stop-b.done)
		}
	}
	for _, pc := range b.paces {
		if pc.rate > 0 {
			room = min(room, max(1, pc.rate/100))
		}
	}
	return int(room)
}

// A Pacer lets bytes through at a rate, however many share it.
type Pacer struct {
	mu   sync.Mutex
	next time.Time
}

// Reserve returns how long n bytes have to wait at rate bytes per second; 0 is no limit.
func (p *Pacer) Reserve(n, rate int64) time.Duration {
	if rate <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	return p.next.Sub(now)
}

// pace is a Pacer, or none, at a rate.
type pace struct {
	*Pacer
	rate int64
}

func (p pace) reserve(n int) time.Duration {
	if p.Pacer == nil {
		return 0
	}
	return p.Reserve(int64(n), p.rate)
}

// Sleep reports whether the time passed before ctx ended. Very short waits are
// left to add up: a timer is no finer than that.
func Sleep(ctx context.Context, d time.Duration) bool {
	if d < time.Millisecond {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// buffers gives ReverseProxy its copy buffers.
type buffers struct{ pool sync.Pool }

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, copySize)
}

// Put implements httputil.BufferPool.
func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
