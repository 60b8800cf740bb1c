package fs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"modelfs/blockcache"
	"modelfs/providers"
)

// handle is one open of a content. It reads that content to its end, whatever
// becomes of the ref meanwhile.
type handle struct {
	f       *FS
	c       *content
	variant int
	s       *snapshot // where the bytes are asked for
	e       providers.Entry
	sure    bool // the source was asked, after it had not served this content

	local  *os.File // the source's own file, or nil
	reader *blockcache.Reader
	src    blockcache.Source
	pass   bool // the kernel reads the file itself
	ahead  readahead
}

var (
	_ fusefs.FileReader          = (*handle)(nil)
	_ fusefs.FileReleaser        = (*handle)(nil)
	_ fusefs.FilePassthroughFder = (*handle)(nil)
)

// source is how the block cache obtains what it lacks of an entry.
func (n *file) source(s *snapshot, e providers.Entry) blockcache.Source {
	src := blockcache.Source{
		Name:   n.c.key.protocol,
		Strict: s.origin.Verify,
		Fetch: func(ctx context.Context, off, size int64) (io.ReadCloser, error) {
			body, err := s.m.ReadRange(ctx, e, off, size)
			if errors.Is(err, providers.ErrWhole) {
				err = fmt.Errorf("%w: %w", blockcache.ErrWhole, err)
			}
			return body, err
		},
	}
	if d, ok := providers.As[providers.Digester](s.m); ok {
		src.Digest = func(ctx context.Context) (string, error) {
			sum, err := d.Digest(ctx, e)
			return string(sum), err
		}
	}
	return src
}

// PassthroughFd gives the kernel the file whose bytes this handle reads.
func (h *handle) PassthroughFd() (int, bool) {
	if !h.pass {
		return 0, false
	}
	if h.local != nil {
		return int(h.local.Fd()), true
	}
	sealed, ok := h.reader.Sealed()
	if !ok {
		return 0, false
	}
	return int(sealed.Fd()), true
}

func (h *handle) Read(ctx context.Context, dest []byte, off int64) (fuse.ReadResult, syscall.Errno) {
	n := int(min(int64(len(dest)), h.e.Size-off))
	if n <= 0 {
		return fuse.ReadResultData(nil), 0
	}
	if h.local != nil {
		return fuse.ReadResultFd(h.local.Fd(), off, n), 0
	}
	v, err := h.view(ctx, off, n)
	if err != nil {
		return nil, h.f.errno(op{"read", h.c.key.protocol, h.c.key.name, h.e.Path}, h.stale(err))
	}
	if file, at := v.Range(); file != nil {
		return &splice{fuse.ReadResultFd(file.Fd(), at, v.Len()), v, file.Fd(), at}, 0
	}
	return &memory{v}, 0
}

// view waits for a range as long as its object makes progress.
func (h *handle) view(req context.Context, off int64, n int) (*blockcache.View, error) {
	if h.c.late.was(h.f.now(), off, n) {
		return nil, fmt.Errorf("asked again within a second: %w", context.DeadlineExceeded)
	}
	ahead := h.ahead.read(off, int64(n))
	for {
		before := h.reader.Progress()
		wait, cancel := patient(req, h.f.opts.ReadTimeout)
		v, err := h.reader.Read(wait, off, n, ahead)
		cancel()
		switch {
		case !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, providers.ErrUnavailable):
			return v, err
		case h.src.Strict && h.reader.Progress() > before:
			continue // what is waited for is the whole file
		}
		h.c.late.note(h.f.now(), off, n)
		return nil, err
	}
}

// stale decides what it means that the source has not got what this handle reads. The
// next open asks it; if that was done before this handle was opened, or is never done
// because nothing can have moved, opening again would not help.
func (h *handle) stale(err error) error {
	if !errors.Is(err, providers.ErrStale) {
		return err
	}
	h.c.doubt()
	h.s.doubt(h.e)
	if h.sure || h.s.origin.Immutable {
		return fmt.Errorf("%w: the source says that this content is there, and does not serve it: %s", providers.ErrUnavailable, err.Error())
	}
	return err
}

func (h *handle) Release(context.Context) syscall.Errno {
	h.c.exit(h.variant, h.pass)
	h.close()
	return 0
}

func (h *handle) close() {
	var err error
	if h.local != nil {
		err = h.local.Close()
	} else {
		err = h.reader.Close()
	}
	if err != nil {
		h.f.log.Warn("close", "path", h.e.Path, "error", err)
	}
}

// memory answers a read with blocks that are in memory, without joining them.
type memory struct{ v *blockcache.View }

func (r *memory) Size() int                       { return r.v.Len() }
func (r *memory) Done()                           { r.v.Release() }
func (r *memory) Slices() ([][]byte, fuse.Status) { return r.v.Slices(), fuse.OK }
func (r *memory) Bytes(b []byte) ([]byte, fuse.Status) {
	n := 0
	for _, s := range r.v.Slices() {
		n += copy(b[n:], s)
	}
	return b[:n], fuse.OK
}

// splice answers a read from a range of a file, which the kernel moves by itself.
type splice struct {
	fuse.ReadResult
	v  *blockcache.View
	fd uintptr
	at int64
}

func (r *splice) Done() { r.v.Release() }

// Seekable is how go-fuse recognises what can be spliced.
func (r *splice) Seekable() (fd uintptr, off int64, n int) { return r.fd, r.at, r.v.Len() }
