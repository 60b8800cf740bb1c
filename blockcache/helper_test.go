package blockcache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// content returns n bytes that differ at every offset.
func content(n int, seed uint64) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{byte(seed)})
	if _, err := r.Read(p); err != nil {
		panic(err)
	}
	return p
}

func sha(p []byte) string {
	s := sha256.Sum256(p)
	return "sha256:" + hex.EncodeToString(s[:])
}

// origin is a source in memory that counts what it is asked.
type origin struct {
	name     string
	mu       sync.Mutex
	data     []byte
	requests atomic.Int64
	bytes    atomic.Int64
	hook     func(off, n int64) (io.ReadCloser, error)
}

func (s *origin) source() Source {
	return Source{Name: s.name, Fetch: func(ctx context.Context, off, n int64) (io.ReadCloser, error) {
		s.requests.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.hook != nil {
			if r, err := s.hook(off, n); r != nil || err != nil {
				return r, err
			}
		}
		s.bytes.Add(n)
		return io.NopCloser(bytes.NewReader(s.data[off : off+n])), nil
	}}
}

func (s *origin) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func open(t *testing.T, dir string, o Options) *Cache {
	t.Helper()
	o.Dir = dir
	c, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func use(t *testing.T, c *Cache, k Key, s Source) *Reader {
	t.Helper()
	r, err := c.Reader(context.Background(), k, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// get reads a range and copies it out of the view.
func get(r *Reader, off int64, n int, ahead int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	v, err := r.Read(ctx, off, n, ahead)
	if err != nil {
		return nil, err
	}
	defer v.Release()
	p := make([]byte, 0, n)
	for _, s := range v.Slices() {
		p = append(p, s...)
	}
	if f, at := v.Range(); f != nil {
		p = p[:v.Len()]
		if _, err := f.ReadAt(p, at); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func wantRange(t *testing.T, r *Reader, data []byte, off int64, n int) {
	t.Helper()
	got, err := get(r, off, n, 0)
	if err != nil {
		t.Fatalf("read %d bytes at %d: %v", n, off, err)
	}
	want := data[min(off, int64(len(data))):min(off+int64(n), int64(len(data)))]
	if !bytes.Equal(got, want) {
		t.Fatalf("read %d bytes at %d: got %d other bytes, want %d", n, off, len(got), len(want))
	}
}

func waitSealed(t *testing.T, r *Reader) *os.File {
	t.Helper()
	if err := wait(r); err != nil {
		t.Fatalf("wait for seal: %v", err)
	}
	f, ok := r.Sealed()
	if !ok {
		t.Fatal("not sealed")
	}
	return f
}

func wantSealed(t *testing.T, r *Reader, data []byte) {
	t.Helper()
	f := waitSealed(t, r)
	got, err := io.ReadAll(io.NewSectionReader(f, 0, int64(len(data))+1))
	if err != nil || !bytes.Equal(got, data) {
		t.Fatalf("sealed file: got %d bytes (%v), want the %d of the source", len(got), err, len(data))
	}
	if fi, err := f.Stat(); err != nil || fi.Mode().Perm() != 0o400 {
		t.Fatalf("sealed file has mode %v (%v), want 0400", fi.Mode(), err)
	}
}

type waitFor chan struct{}

func (w waitFor) Read([]byte) (int, error) { <-w; return 0, io.EOF }

// parts returns the data files of the cache.
func parts(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "objects", "??", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no data files %s: %v", pattern, err)
	}
	return files
}

func flip(name string, at int64) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		return err
	}
	b[0] ^= 0x10
	_, err = f.WriteAt(b, at)
	return errors.Join(err, f.Close())
}

func fillAndClose(t *testing.T, dir string, key Key, s *origin, data []byte, all bool) {
	t.Helper()
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Reader(context.Background(), key, s.source())
	if err != nil {
		t.Fatal(err)
	}
	if all {
		wantRange(t, r, data, 0, len(data))
		wantSealed(t, r, data)
	} else {
		wantRange(t, r, data, 0, 3*BlockSize)
	}
	r.Close()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// waitIdle waits until the background work on objects has let go of them.
func waitIdle(t *testing.T, c *Cache) {
	t.Helper()
	eventually(t, "objects stay in use", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.loaded) <= 1
	})
}

// cached is how many bytes of the reader's object are stored.
func cached(r *Reader) int64 {
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	return r.o.bytes()
}

// wait waits until the reader's object is sealed or thrown away.
func wait(r *Reader) error {
	select {
	case <-r.o.sealed:
		r.o.mu.Lock()
		defer r.o.mu.Unlock()
		return r.o.broken
	case <-time.After(20 * time.Second):
		return errors.New("neither sealed nor thrown away")
	}
}

// eventually waits until ok holds.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal(what)
}
