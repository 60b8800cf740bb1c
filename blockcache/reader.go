package blockcache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// ErrWhole is what Fetch answers to a part of an object that its source sends only
// from the beginning to the end. The cache then asks for all of it, once.
var ErrWhole = errors.New("the source sends the object only as a whole")

// Source is how a reader's missing bytes are obtained.
type Source struct {
	// Name groups objects that share a source's limits: the protocol.
	Name string
	// Fetch returns a stream of the n bytes at off, or an error. It is called
	// with a context of the cache's own, and may outlive the reader.
	Fetch func(ctx context.Context, off, n int64) (io.ReadCloser, error)
	// Digest, if set, is asked once for a whole-content digest when Key has
	// none and the object is complete; empty means that there is none.
	Digest func(ctx context.Context) (string, error)
	// Strict makes reads wait until the whole object is checked.
	Strict bool
}

// Reader is one use of an object. Its methods may be called concurrently; Close
// comes after all of them have returned.
type Reader struct {
	o       *object
	src     Source
	filling bool // it was not sealed when it was opened
	closed  atomic.Bool
}

// Reader opens the object that key names. Nothing is fetched yet; ctx bounds the wait
// while its record is read, or an older one's file removed.
func (c *Cache) Reader(ctx context.Context, key Key, src Source) (*Reader, error) {
	if key.Size < 0 || key.Size > maxSize {
		return nil, fmt.Errorf("object of %d bytes cannot be cached", key.Size)
	}
	o, err := c.acquire(ctx, key, src)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	o.src = src
	o.readers++
	o.mu.Unlock()
	r := &Reader{o: o, src: src, filling: o.file.Load() == nil}
	if r.filling {
		c.active.Add(1)
	}
	return r, nil
}

// Close ends the use. What is being fetched for somebody is finished; what was
// only fetched ahead and not begun is given up.
func (r *Reader) Close() error {
	if r.closed.CompareAndSwap(false, true) {
		if r.filling {
			r.o.c.active.Add(-1)
		}
		r.o.mu.Lock()
		r.o.readers--
		r.o.mu.Unlock()
		r.o.release()
	}
	return nil
}

// Sealed returns the object's complete, checked, read-only file once there is
// one. It stays open until Close.
func (r *Reader) Sealed() (*os.File, bool) {
	f := r.o.file.Load()
	return f, f != nil
}

// Progress grows while blocks of the object arrive or are checked, whoever asked for
// them. A reader whose patience has ended may have it again if this has grown: a
// strict read of a large file takes as long as the file does.
func (r *Reader) Progress() int64 { return r.o.progress.Load() }

// Read returns the n bytes at off, fewer only at the end. It waits until they
// are there, or until ctx ends; the fetch goes on without it. ahead is how many
// bytes after them the reader will probably want; they are fetched too while
// there is room for it.
func (r *Reader) Read(ctx context.Context, off int64, n int, ahead int64) (*View, error) {
	o := r.o
	if off < 0 || off >= o.key.Size || n <= 0 {
		return &View{}, nil
	}
	n = int(min(int64(n), o.key.Size-off))
	if r.src.Strict && o.file.Load() == nil {
		if err := o.fill(ctx, r.src); err != nil {
			return nil, err
		}
	}
	if f := o.file.Load(); f != nil {
		o.c.stats.file.Add(int64(n))
		return &View{n: n, file: f, off: off}, nil
	}
	for try := 0; ; try++ {
		v, err := r.read(ctx, off, n, ahead)
		if err != errLost || try == 16 { //nolint:errorlint // our own sentinel, unwrapped
			if err == nil {
				if err = o.verdict(ctx); err != nil {
					v.Release()
					v = nil
				}
			}
			return v, err
		}
	}
}

// errLost says that a block that was there turned out not to be.
var errLost = fmt.Errorf("a cached block was lost")

func (r *Reader) read(ctx context.Context, off int64, n int, ahead int64) (*View, error) {
	o := r.o
	first, last := off/BlockSize, (off+int64(n)-1)/BlockSize
	waits, err := o.want(first, last, ahead, r.src)
	if err != nil {
		return nil, err
	}
	if waits == nil && !o.c.recent.has(o, first) && o.trusted(first, last) {
		o.c.stats.file.Add(int64(n))
		return &View{n: n, file: o.part, off: off}, nil
	}
	v := &View{n: n}
	for b := first; b <= last; b++ {
		buf, err := o.block(ctx, b, waits[b])
		if err != nil {
			for b++; b <= last; b++ {
				o.leave(waits[b])
			}
			v.Release()
			return nil, err
		}
		lo, hi := max(off-b*BlockSize, 0), min(off+int64(n)-b*BlockSize, int64(len(buf.data)))
		v.add(buf, buf.data[lo:hi])
		if hi == int64(len(buf.data)) {
			o.c.recent.finish(o, b)
		}
	}
	o.c.stats.memory.Add(int64(n))
	return v, nil
}

// block waits for a flight, or loads a stored block, and returns its bytes with
// one reference.
func (o *object) block(ctx context.Context, b int64, fl *flight) (*buffer, error) {
	if fl == nil {
		return o.loadBlock(b)
	}
	select {
	case <-fl.done:
	default:
		select {
		case <-fl.done:
		case <-ctx.Done():
			o.leave(fl)
			return nil, ctx.Err()
		}
	}
	if fl.err != nil {
		return nil, fl.err
	}
	return fl.buf, nil
}

// leave gives up waiting for a flight.
func (o *object) leave(fl *flight) {
	if fl == nil {
		return
	}
	o.mu.Lock()
	buf := fl.buf
	if buf == nil {
		fl.joined--
	}
	o.mu.Unlock()
	if buf != nil {
		buf.release()
	}
}

// Stored returns how many bytes of an object are on disk, without using it.
func (c *Cache) Stored(key Key) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range []ID{key.sealed(), key.partial()} {
		if s := c.slots[id]; s != nil {
			return s.rec.Stored
		}
	}
	return 0
}
