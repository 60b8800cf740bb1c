package main

import (
	"context"
	"io"
	"net/http"
	"time"

	"modelfs/providers/s3/s3test"
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

// pace is a pacer and its rate in bytes per second.
type pace struct {
	*s3test.Pacer
	rate int64
}

type connKey struct{}

// shaped slows the answers of h down.
func shaped(h http.Handler, s shape) http.Handler {
	total := pace{new(s3test.Pacer), s.total}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s3test.Sleep(r.Context(), s.latency) {
			return
		}
		conn, ok := r.Context().Value(connKey{}).(*s3test.Pacer)
		if !ok {
			conn = new(s3test.Pacer)
		}
		h.ServeHTTP(&pacedWriter{ResponseWriter: w, ctx: r.Context(), paces: []pace{total, {conn, s.perConn}}}, r)
	})
}

// pacedWriter passes a body on piece by piece.
type pacedWriter struct {
	http.ResponseWriter
	ctx   context.Context
	paces []pace
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
			if !s3test.Sleep(w.ctx, p.Reserve(n, p.rate)) {
				return done, w.ctx.Err()
			}
		}
	}
	return done, nil
}
