package blockcache

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

func TestOneFetchServesAll(t *testing.T) {
	data := content(5*BlockSize, 2)
	s := &origin{name: "mem", data: data}
	gate := make(chan struct{})
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(waitFor(gate), bytes.NewReader(data[off:off+n]))), nil
	}
	c := open(t, t.TempDir(), Options{})
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	var wg sync.WaitGroup
	for i := range 64 {
		r := use(t, c, key, s.source())
		wg.Go(func() {
			off := int64(i%5) * BlockSize
			got, err := get(r, off, BlockSize, 0)
			if err != nil || !bytes.Equal(got, data[off:off+BlockSize]) {
				t.Errorf("reader %d: %v", i, err)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(gate)
	wg.Wait()
	if got := c.Stats().Fetched; got != int64(len(data)) {
		t.Errorf("fetched %d bytes, want %d", got, len(data))
	}
}

func TestAheadIsJoinedIntoExtents(t *testing.T) {
	data := content(20*BlockSize, 3)
	s := &origin{name: "mem", data: data}
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Size: int64(len(data))}, s.source())
	if _, err := get(r, 0, 4096, 19*BlockSize); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, r, data)
	if got := s.requests.Load(); got > 4 {
		t.Errorf("20 blocks took %d requests, want at most 4", got)
	}
}

func TestShortAndFailingFetches(t *testing.T) {
	data := content(3*BlockSize, 13)
	boom := errors.New("boom")
	s := &origin{name: "mem", data: data}
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data[off : off+n-1])), nil
	}
	if _, err := get(r, BlockSize, BlockSize, 0); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short body: %v, want unexpected EOF", err)
	}
	before := s.requests.Load()
	if _, err := get(r, BlockSize, 4096, 0); err == nil || s.requests.Load() != before {
		t.Errorf("error was not remembered: %v, %d requests", err, s.requests.Load()-before)
	}
	s.set(func() {
		s.hook = func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[off:off+BlockSize+9]), iotest.ErrReader(boom))), nil
		}
	})
	time.Sleep(failureMemory)
	if _, err := get(r, 0, len(data), 0); !errors.Is(err, boom) {
		t.Errorf("cut body: %v, want boom", err)
	}
	s.set(func() { s.hook = nil })
	time.Sleep(failureMemory)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

func TestPanickingFetchFailsItsReaders(t *testing.T) {
	data := content(3*BlockSize, 17)
	s := &origin{name: "mem", data: data}
	s.hook = func(int64, int64) (io.ReadCloser, error) { panic("boom") }
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Size: int64(len(data))}, Source{Name: "mem", Fetch: s.source().Fetch})
	if _, err := get(r, 0, len(data), 0); err == nil || !strings.Contains(err.Error(), "boom") {
		t.Errorf("got %v, want the panic as an error", err)
	}
	s.set(func() { s.hook = nil })
	time.Sleep(failureMemory)
	wantRange(t, r, data, 0, len(data))
}
