package providers

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"sync"
)

// guardedReader yields the bytes [off, off+left) of e, over as many bodies as the
// source needs for it.
type guardedReader struct {
	m    *guardedModel
	e    Entry
	want int64
	// ctx lives as long as the reader, which is what the caller of ReadRange
	// asked to bound; stop ends it.
	ctx  context.Context
	stop context.CancelFunc

	mu    sync.Mutex // guards the fields below; held while a body is read
	off   int64
	left  int64
	body  *body // nil between two
	cause error // why the body before ended
	err   error // the end
}

func newGuardedReader(ctx context.Context, m *guardedModel, e Entry, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 {
		return nil, m.g.error(m.what("read", e.Path), fmt.Errorf("%w: range of %d bytes at %d", iofs.ErrInvalid, n, off), "")
	}
	ctx, stop := context.WithCancel(ctx)
	r := &guardedReader{m: m, e: e, want: n, ctx: ctx, stop: stop, off: off, left: n}
	if _, err := r.ask(nil); err != nil { //nolint:contextcheck // r.ctx is made of ctx
		stop()
		return nil, err
	}
	return r, nil
}

func (r *guardedReader) what() Error { return r.m.what("read", r.e.Path) }

// Read implements [io.Reader]. It returns the first bytes it gets, so that the
// limits on attempts and time apply anew to each call, and the time that the
// reader's owner takes between two calls is nobody's stall.
func (r *guardedReader) Read(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil || len(p) == 0 {
		return 0, r.err
	}
	if int64(len(p)) > r.left {
		p = p[:r.left]
	}
	n, err := r.read(p)
	r.off += int64(n)
	r.left -= int64(n)
	r.m.g.bytes.Add(int64(n))
	if r.left == 0 {
		err = io.EOF
	}
	if err != nil {
		r.err = err
		_ = r.drop(nil)
	}
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

// read gets at least one byte, or the error that ends the range.
func (r *guardedReader) read(p []byte) (int, error) {
	if n := r.readBody(p); n > 0 {
		return n, nil
	}
	if err := r.verdict(0); err != nil {
		return 0, err
	}
	return r.ask(p)
}

// ask opens bodies until one of them gives a byte; without a p, until one opens.
// The first goes out at once, as what came before proves the source alive.
func (r *guardedReader) ask(p []byte) (int, error) {
	ctx, cancel := context.WithTimeout(r.ctx, r.m.g.opts.ReadTimeout)
	defer cancel()
	for attempt := 1; ; attempt++ {
		if r.cause = r.dial(ctx); r.cause == nil {
			if p == nil {
				return 0, nil
			}
			if n := r.readBody(p); n > 0 {
				return n, nil
			}
		}
		if err := r.verdict(attempt); err != nil {
			return 0, err
		}
		if !r.m.g.pause(ctx, r.m.g.wait(4*r.m.g.opts.Backoff, attempt, r.cause)) {
			return 0, r.giveUp()
		}
	}
}

// verdict returns the error that ends the range if the cause leaves no hope after
// this many attempts without a byte.
func (r *guardedReader) verdict(attempts int) error {
	switch {
	case r.ctx.Err() != nil || final(r.cause):
		return r.m.g.explain(r.ctx, r.ctx, r.what(), r.cause)
	case attempts >= r.m.g.opts.Attempts:
		return r.giveUp()
	}
	return nil
}

// giveUp says what the range failed by: a source that keeps ending early has
// other content than it says, any other does not answer.
func (r *guardedReader) giveUp() error {
	kind, cause := ErrUnavailable, r.cause
	switch {
	case r.ctx.Err() != nil:
		return r.m.g.explain(r.ctx, r.ctx, r.what(), cause)
	case errors.Is(cause, io.ErrUnexpectedEOF):
		kind = ErrCorrupt
	case errors.Is(cause, ErrUnavailable):
		return cause
	}
	return r.m.g.error(r.what(), fmt.Errorf("%w: %d of %d bytes came: %w", kind, r.want-r.left, r.want, cause),
		"check that the source is reachable and its content whole")
}

// Close ends a Read that is under way, and the reader.
func (r *guardedReader) Close() error {
	r.stop()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = errors.New("read of a closed range")
	}
	_ = r.drop(nil)
	return nil
}
