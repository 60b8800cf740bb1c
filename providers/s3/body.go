package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"modelfs/providers"
)

// body yields exactly the bytes of one range, or an error. One goroutine reads it.
type body struct {
	from   io.ReadCloser
	left   int64 // bytes still owed to the reader
	skip   int64 // bytes before them
	exact  bool  // nothing may follow them
	cancel context.CancelFunc
	wrap   func(error) error

	stall time.Duration
	watch *time.Timer
	stuck atomic.Bool
	err   error
}

// stalled ends a request that has had no byte for too long: the connection is
// dead, and only a new one helps.
func (b *body) stalled() {
	b.stuck.Store(true)
	b.cancel()
}

// fetch reads what has come, and gives up when nothing comes. The watch runs only
// meanwhile: a reader may take its time.
func (b *body) fetch(p []byte) (int, error) {
	b.watch.Reset(b.stall)
	defer b.watch.Stop()
	return b.from.Read(p)
}

// discard reads up to the beginning of the range.
func (b *body) discard() error {
	for buf := make([]byte, 64<<10); b.skip > 0; {
		n, err := b.fetch(buf[:min(b.skip, int64(len(buf)))])
		b.skip -= int64(n)
		if err != nil && b.skip > 0 {
			return b.fail(err)
		}
	}
	return nil
}

func (b *body) Read(p []byte) (int, error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	n, err := b.fetch(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	if b.left > 0 {
		if err != nil {
			return n, b.fail(err)
		}
		return n, nil
	}
	if b.exact && err == nil {
		// The last bytes are handed out only when nothing follows: a reader
		// with a buffer of just this size would not look for an error after them.
		if err := b.end(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// end makes sure that the source has no more to say.
func (b *body) end() error {
	var extra [1]byte
	for {
		n, err := b.fetch(extra[:])
		switch {
		case n > 0:
			return b.fail(errors.New("more bytes than the range has"))
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return b.fail(err)
		}
	}
}

// fail makes the error that ends the body.
func (b *body) fail(err error) error {
	switch {
	case b.stuck.Load():
		err = fmt.Errorf("no byte for %s", b.stall)
	case errors.Is(err, io.EOF):
		err = fmt.Errorf("%d bytes are missing at the end", b.left+b.skip)
	}
	b.err = b.wrap(quote(providers.ErrUnavailable, err))
	return b.err
}

// Close ends the request; unread bytes cost the connection.
func (b *body) Close() error {
	b.watch.Stop()
	err := b.from.Close()
	b.cancel()
	return err
}
