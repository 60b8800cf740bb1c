package blockcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"
)

func TestRangesAtEveryEdge(t *testing.T) {
	for _, size := range []int{0, 1, 4095, BlockSize - 1, BlockSize, BlockSize + 1, 3*BlockSize + 17} {
		data := content(size, 1)
		s := &origin{name: "mem", data: data}
		c := open(t, t.TempDir(), Options{})
		r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(size)}, s.source())
		for _, off := range []int64{0, 1, BlockSize - 1, BlockSize, BlockSize + 1, int64(size) - 1, int64(size), int64(size) + 1} {
			for _, n := range []int{1, 4096, BlockSize, 2*BlockSize + 1} {
				if off >= 0 {
					wantRange(t, r, data, off, n)
				}
			}
		}
		if size > 0 {
			wantSealed(t, r, data)
		}
	}
}

func TestSurvivesRestart(t *testing.T) {
	data := content(6*BlockSize+100, 4)
	dir := t.TempDir()
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	s := &origin{name: "mem", data: data}
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.Reader(context.Background(), key, s.source())
	if err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, data, 2*BlockSize, BlockSize)
	r.Close()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	before := s.bytes.Load()
	c = open(t, dir, Options{})
	r = use(t, c, key, s.source())
	if got := cached(r); got != BlockSize {
		t.Errorf("cached after restart: %d, want %d", got, BlockSize)
	}
	wantRange(t, r, data, 2*BlockSize, BlockSize)
	if got := s.bytes.Load(); got != before {
		t.Errorf("a stored block was fetched again")
	}
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

func TestReaderThatGivesUpLosesNothing(t *testing.T) {
	data := content(BlockSize, 14)
	s := &origin{name: "mem", data: data}
	gate := make(chan struct{})
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(waitFor(gate), bytes.NewReader(data[off:off+n]))), nil
	}
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Read(ctx, 0, 10, 0); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("got %v, want deadline exceeded", err)
	}
	close(gate)
	wantRange(t, r, data, 0, len(data))
	if got := s.requests.Load(); got != 1 {
		t.Errorf("asked %d times, want 1: the fetch goes on without its reader", got)
	}
}
