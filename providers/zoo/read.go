package zoo

import (
	"context"
	"fmt"
	"io"
	iofs "io/fs"
	"os"
	"syscall"

	"modelfs/providers"
)

// Open implements [providers.Opener].
func (m *Model) Open(ctx context.Context, e providers.Entry) (*os.File, error) {
	f, err := m.open(ctx, e)
	return f, m.zoo.error("read", m.name, e.Path, err)
}

func (m *Model) open(ctx context.Context, e providers.Entry) (*os.File, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	v := m.zoo.view()
	defer v.close()
	places, err := m.zoo.find(ctx, v, m.name, e.Path)
	switch {
	case err != nil && !absent(err):
		return nil, err
	case err != nil || len(places) == 0 || !places[0].mode.IsRegular():
		return nil, providers.ErrStale
	}
	// Were a pipe put in the file's place meanwhile, opening it would wait for a
	// writer but for O_NONBLOCK, which means nothing to a regular file.
	f, err := places[0].OpenFile(places[0].path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil && absent(err) {
		return nil, providers.ErrStale
	} else if err != nil {
		return nil, err
	}
	if err := identical(f, e.Validator); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// identical asks whether f is still in the state that want names.
func identical(f *os.File, want string) error {
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !fi.Mode().IsRegular() || validator(fi) != want {
		return providers.ErrStale
	}
	return nil
}

// ReadRange implements [providers.Model].
func (m *Model) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 || off > e.Size-n {
		err := fmt.Errorf("%w: range of %d bytes at %d of %d", iofs.ErrInvalid, n, off, e.Size)
		return nil, m.zoo.error("read", m.name, e.Path, err)
	}
	f, err := m.Open(ctx, e)
	if err != nil {
		return nil, err
	}
	return &body{ctx: ctx, m: m, e: e, f: f, r: io.NewSectionReader(f, off, n), left: n}, nil
}

// body hands out bytes of a file that is the same after reading them as before.
type body struct {
	ctx  context.Context // of the call that the body answers
	m    *Model
	e    providers.Entry
	f    *os.File
	r    io.Reader
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.read(p)
	if err != nil {
		return 0, b.m.zoo.error("read", b.m.name, b.e.Path, err)
	}
	b.left -= int64(n)
	return n, nil
}

func (b *body) read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := b.r.Read(p)
	if changed := identical(b.f, b.e.Validator); changed != nil {
		return 0, changed
	}
	if err == io.EOF && n == 0 {
		return 0, fmt.Errorf("%w: the file ended early", providers.ErrUnavailable)
	}
	if err == io.EOF {
		err = nil
	}
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error { return b.f.Close() }
