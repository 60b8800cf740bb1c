package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
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

// Discard closes a body, after its end if that is near, so that its connection can
// be used again.
func Discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
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

// Exact throws skip bytes of body away and yields the n that follow, not fewer.
// With last set the body must end there.
func Exact(body io.ReadCloser, skip, n int64, last bool) (io.ReadCloser, error) {
	// A small buffer: larger reads go around it.
	src := bufio.NewReaderSize(body, 4<<10)
	if skip > 0 {
		if _, err := io.CopyN(io.Discard, src, skip); err != nil {
			return nil, Short(err)
		}
	}
	return &exact{body: body, src: src, left: n, probe: last}, nil
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
		x.err = Short(err)
		return n, x.err
	case x.left == 0 && x.probe:
		if _, err := x.src.ReadByte(); err == nil {
			x.err = fmt.Errorf("%w: the answer is longer than the range asked for", providers.ErrCorrupt)
		} else if err != io.EOF {
			x.err = Short(err)
		}
		if x.err != nil {
			return 0, x.err
		}
	}
	return n, nil
}

// Close closes the body.
func (x *exact) Close() error { return x.body.Close() }

// Short words the end of a body before its time.
func Short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the answer ended early: %w", providers.ErrUnavailable, io.ErrUnexpectedEOF)
	}
	return err
}

// Named adds to the errors of a body what was read.
func Named(body io.ReadCloser, name func(error) error) io.ReadCloser { return &named{body, name} }

type named struct {
	io.ReadCloser
	name func(error) error
}

func (b *named) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = b.name(err)
	}
	return n, err
}

// DecodeJSON reads an answer of at most limit bytes into v and closes it. A page for
// people (a login, a proxy's error) is told by its type.
func DecodeJSON(resp *http.Response, limit int64, v any) error {
	defer Discard(resp)
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && IsPage(kind) {
		return fmt.Errorf("%w: %s sends a page (%s) in place of JSON", providers.ErrUnavailable, resp.Request.URL.Host, kind)
	}
	limited := &io.LimitedReader{R: resp.Body, N: limit}
	err := json.NewDecoder(limited).Decode(v)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case limited.N <= 0:
		return fmt.Errorf("%w: an answer of more than %d bytes", providers.ErrUnavailable, limit)
	}
	return fmt.Errorf("%w: %s sends JSON that cannot be read", providers.ErrUnavailable, resp.Request.URL.Host)
}

// IsPage reports whether a media type is that of a page for people.
func IsPage(kind string) bool {
	return strings.HasPrefix(kind, "text/html") || kind == "application/xhtml+xml"
}
