package main

import (
	"context"
	"io"
	"net/http"
	"sync"
	"time"
)

// shape is how slow an object store is. Its zero value is not slowed down.
type shape struct {
	latency time.Duration // before each answer
	perConn int64         // bytes per second of one connection
	total   int64         // bytes per second of all
}

// objectStore is what one instance of a machine of two cores sees of a store in
// its own region.
var objectStore = shape{latency: 20 * time.Millisecond, perConn: 90e6, total: 500e6}

// pieceSize is what passes at once: 3 ms of a connection's rate, so that a slow
// body is slow and not only late.
const pieceSize = 256 << 10

// pacer lets bytes through at a rate, however many share it.
type pacer struct {
	rate int64 // bytes per second; 0 is no limit

	mu   sync.Mutex
	next time.Time
}

// reserve returns how long n bytes have to wait.
func (p *pacer) reserve(n int64) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	return p.next.Sub(now)
}

// sleep reports whether d passed before ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
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

type connKey struct{}

// shaped slows the answers of h down.
func shaped(h http.Handler, s shape) http.Handler {
	total := &pacer{rate: s.total}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !sleep(r.Context(), s.latency) {
			return
		}
		conn, ok := r.Context().Value(connKey{}).(*pacer)
		if !ok {
			conn = &pacer{rate: s.perConn}
		}
		h.ServeHTTP(&pacedWriter{ResponseWriter: w, ctx: r.Context(), paces: []*pacer{total, conn}}, r)
	})
}

// pacedWriter passes a body on piece by piece.
type pacedWriter struct {
	http.ResponseWriter
	ctx   context.Context
	paces []*pacer
}

var _ io.ReaderFrom = (*pacedWriter)(nil)

// ReadFrom hands each piece of a file to the connection as the file that it is, so
// that the kernel sends it without a copy.
func (w *pacedWriter) ReadFrom(src io.Reader) (done int64, err error) {
	from, left := src, int64(1<<62)
	if l, ok := src.(*io.LimitedReader); ok {
		from, left = l.R, l.N
	}
	for left > 0 {
		n, err := io.CopyN(w.ResponseWriter, from, min(left, pieceSize))
		done, left = done+n, left-n
		if err == io.EOF { //nolint:errorlint // CopyN's own word for the end
			return done, nil
		}
		if err != nil {
			return done, err
		}
		for _, p := range w.paces {
			if !sleep(w.ctx, p.reserve(n)) {
				return done, w.ctx.Err()
			}
		}
	}
	return done, nil
}
