package transformers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"modelfs/providers"
)

// watched is the body of an answer. A server that falls silent in the middle
// ends it, as does the caller's context; both are told apart in its errors.
type watched struct {
	io.ReadCloser
	ctx     context.Context // the caller's, for as long as the body is read
	cancel  context.CancelCauseFunc
	silence time.Duration
	timer   *time.Timer
}

var errSilent = errors.New("the server fell silent in the middle of an answer")

func (w *watched) Read(p []byte) (int, error) {
	// Only the server's time counts, not that between two reads.
	if w.timer == nil {
		w.timer = time.AfterFunc(w.silence, func() { w.cancel(errSilent) })
	} else {
		w.timer.Reset(w.silence)
	}
	n, err := w.ReadCloser.Read(p)
	silent := !w.timer.Stop()
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case w.ctx.Err() != nil:
		return n, w.ctx.Err()
	case silent:
		return n, fmt.Errorf("%w: %w", providers.ErrUnavailable, errSilent)
	}
	return n, fmt.Errorf("%w: %w", providers.ErrUnavailable, hideContext(err))
}

// Close ends the request.
func (w *watched) Close() error {
	w.cancel(nil)
	return w.ReadCloser.Close()
}

// exact yields n bytes of a body or fails: with what came before, if the body
// is too short, and before the last byte, if it is too long.
type exact struct {
	body  io.Closer
	src   *bufio.Reader
	left  int64
	probe bool // the body must end with the range, and nothing else says so
	err   error
}

// newExact throws skip bytes away and yields the n that follow.
func newExact(body io.ReadCloser, skip, n int64, probe bool) (io.ReadCloser, error) {
	// A small buffer: larger reads go around it.
	src := bufio.NewReaderSize(body, 4<<10)
	if skip > 0 {
		if _, err := io.CopyN(io.Discard, src, skip); err != nil {
			return nil, short(err)
		}
	}
	return &exact{body: body, src: src, left: n, probe: probe}, nil
}

func (x *exact) Read(p []byte) (int, error) {
	if x.err != nil || len(p) == 0 {
		return 0, x.err
	}
	if x.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), x.left)]
	n, err := x.src.Read(p)
	x.left -= int64(n)
	switch {
	case x.left > 0 && err != nil:
		x.err = short(err)
		return n, x.err
	case x.left == 0 && x.probe:
		if _, err := x.src.ReadByte(); err == nil {
			x.err = fmt.Errorf("%w: the answer is longer than the range asked for", providers.ErrCorrupt)
		} else if err != io.EOF {
			x.err = short(err)
		}
		if x.err != nil {
			return 0, x.err
		}
	}
	return n, nil
}

// Close closes the body.
func (x *exact) Close() error { return x.body.Close() }

// short words the end of a body before its time.
func short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the answer ended early: %w", providers.ErrUnavailable, io.ErrUnexpectedEOF)
	}
	return err
}
