package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

var errStalled = errors.New("no byte in time")

// body is one answer of the source to one request, and the slot it holds.
type body struct {
	rc     io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	stall  *time.Timer
	leave  ticket
	began  time.Time
	spoke  bool  // sent a byte
	behind int64 // bytes that come first and that the reader has already
}

// dial asks for what is left. ctx bounds the wait for a slot only.
func (r *guardedReader) dial(ctx context.Context) error {
	g := r.m.g
	leave, err := g.admit(r.what())
	if err != nil {
		return err
	}
	if err := g.acquire(ctx); err != nil {
		g.breaker.abandon(leave)
		return err
	}
	b := &body{leave: leave, began: time.Now()}
	b.ctx, b.cancel = context.WithCancelCause(r.ctx)
	b.stall = time.AfterFunc(g.opts.StallTimeout, func() { b.cancel(errStalled) })
	g.requests.Add(1)
	err = g.call(r.what(), func() (err error) {
		b.rc, err = r.m.m.ReadRange(b.ctx, r.e, r.off, r.left)
		if r.off > 0 && r.want == r.e.Size && errors.Is(err, ErrWhole) {
			b.behind = r.off // a whole file can only be begun again
			b.rc, err = r.m.m.ReadRange(b.ctx, r.e, 0, r.e.Size)
		}
		return err
	})
	b.stall.Stop()
	r.body = b
	if err != nil {
		return r.drop(err)
	}
	return nil
}

// readBody reads from the body once. It is 0 when there is none, or it ended;
// r.cause then says why.
func (r *guardedReader) readBody(p []byte) (n int) {
	b := r.body
	if b == nil {
		return 0
	}
	var err error // of the body, kept apart from a panic
	for b.behind > 0 && err == nil {
		err = r.catchUp(b)
	}
	if err != nil {
		r.cause = r.drop(err)
		return 0
	}
	b.stall.Reset(r.m.g.opts.StallTimeout)
	if panicked := r.m.g.call(r.what(), func() error {
		n, err = readSome(b.rc, p)
		return nil
	}); panicked != nil {
		n, err = 0, panicked
	}
	if int64(n) == r.left && err == nil {
		err = r.end(b)
	}
	b.stall.Stop()
	if n > 0 && !b.spoke {
		b.spoke = true
		r.m.g.report(nil, b.leave, b.began, nil)
	}
	switch {
	case err != nil && int64(n) < r.left:
		r.cause = r.drop(err)
	case final(err):
		r.cause = r.drop(err)
		return 0
	}
	return n
}

// catchUp throws some of the bytes away that the reader has already.
func (r *guardedReader) catchUp(b *body) (err error) {
	p := make([]byte, min(b.behind, 64<<10))
	b.stall.Reset(r.m.g.opts.StallTimeout)
	defer b.stall.Stop()
	if panicked := r.m.g.call(r.what(), func() error {
		var n int
		n, err = readSome(b.rc, p)
		b.behind -= int64(n)
		return nil
	}); panicked != nil {
		return panicked
	}
	return err
}

// end looks behind the last byte: a body that proves its checksum does so there,
// and an HTTP connection is used again only if its end was met. Surplus bytes and
// a late break of the line are no matter.
func (r *guardedReader) end(b *body) error {
	var one [1]byte
	var err error
	if panicked := r.m.g.call(r.what(), func() error {
		_, err = readSome(b.rc, one[:])
		return nil
	}); panicked != nil {
		return panicked
	}
	return err
}

// readSome is one Read that says something.
func readSome(rd io.Reader, p []byte) (int, error) {
	for range 100 {
		if n, err := rd.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// drop closes the body, gives its slot back, and says why it ended, which is
// err or what caused it; nil is the end of the range or of the reader.
func (r *guardedReader) drop(err error) error {
	b, g := r.body, r.m.g
	if b == nil {
		return err
	}
	r.body = nil
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case err != nil && errors.Is(context.Cause(b.ctx), errStalled):
		err = g.error(r.what(), fmt.Errorf("%w: %w for %s", ErrUnavailable, errStalled, g.opts.StallTimeout), "check that the source is reachable")
	}
	b.cancel(nil)
	if b.rc != nil {
		// Close has nothing to add: the bytes that count were returned by Read.
		_ = g.call(r.what(), b.rc.Close)
	}
	g.release()
	switch {
	case err != nil && !b.spoke && refused(err):
		g.failures.Add(1)
		g.breaker.abandon(b.leave)
	case err != nil && !b.spoke:
		g.report(r.ctx.Err(), b.leave, b.began, r.unanswered(err))
	case err != nil && !final(err):
		g.failures.Add(1)
	case !b.spoke:
		g.breaker.abandon(b.leave)
	}
	return err
}

// refused reports whether a read failed by an answer: a link that is not honoured
// and a server that is busy say nothing about other files.
func refused(err error) bool {
	var line net.Error
	return errors.Is(err, ErrUnavailable) && !errors.As(err, &line) && !errors.Is(err, errStalled) &&
		!errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// unanswered makes every failure of a body before its first byte count as the
// source's, except an answer and the reader's own end.
func (r *guardedReader) unanswered(err error) error {
	if r.ctx.Err() != nil || final(err) || errors.Is(err, ErrUnavailable) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}
