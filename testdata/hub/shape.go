package hub

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// Shape limits how fast the server answers; its zero value is no limit.
type Shape struct {
	Latency time.Duration // before each answer
	PerConn int64         // bytes per second of one connection
	Total   int64         // bytes per second of all
}

// Limit shapes all answers from now on.
func (s *Server) Limit(to Shape) {
	s.shape.mu.Lock()
	defer s.shape.mu.Unlock()
	s.shape.to = to
}

type shape struct {
	mu    sync.Mutex
	to    Shape
	total pacer
}

// A pacer hands out the moments at which bytes may go. shape.mu guards it.
type pacer struct{ next time.Time }

// reserve returns how long to wait before n bytes at this rate. It allows a
// burst of 10 ms, so that sleeps need not be finer than a timer is.
func (p *pacer) reserve(n int, rate int64, now time.Time) time.Duration {
	if rate <= 0 {
		return 0
	}
	if floor := now.Add(-10 * time.Millisecond); p.next.Before(floor) {
		p.next = floor
	}
	p.next = p.next.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	return p.next.Sub(now)
}

type connKey struct{}

func (s *shape) perConn(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, &pacer{})
}

func (s *shape) wait(ctx context.Context) {
	s.mu.Lock()
	d := s.to.Latency
	s.mu.Unlock()
	sleep(ctx, d)
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// shapedWriter holds a body to the limits. It hides ReadFrom, which would go
// around them.
type shapedWriter struct {
	http.ResponseWriter
	shape *shape
	ctx   context.Context
}

// Unwrap lets http.ResponseController flush.
func (w *shapedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *shapedWriter) Write(p []byte) (int, error) {
	w.shape.mu.Lock()
	d := w.shape.total.reserve(len(p), w.shape.to.Total, time.Now())
	if conn, ok := w.ctx.Value(connKey{}).(*pacer); ok {
		d = max(d, conn.reserve(len(p), w.shape.to.PerConn, time.Now()))
	}
	w.shape.mu.Unlock()
	sleep(w.ctx, d)
	return w.ResponseWriter.Write(p)
}
