package blockcache

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

// wholeOnly makes s a source without ranges.
func wholeOnly(s *origin) *origin {
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		if off != 0 || n != int64(len(s.data)) {
			return nil, ErrWhole
		}
		return nil, nil
	}
	return s
}

func TestWholeOnlySourceIsAskedOnce(t *testing.T) {
	data := content(20*BlockSize+77, 31)
	s := wholeOnly(&origin{name: "a", data: data})
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Size: int64(len(data)), Digest: sha(data), Source: "a"}, s.source())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 0))
			for range 8 {
				off := random.Int64N(int64(len(data)))
				n := min(100_000, len(data)-int(off))
				if got, err := get(r, off, n, 8<<20); err != nil || !bytes.Equal(got, data[off:off+int64(n)]) {
					t.Errorf("read at %d: got wrong bytes or %v", off, err)
				}
			}
		})
	}
	wg.Wait()
	wantSealed(t, r, data)
	if got := s.bytes.Load(); got != int64(len(data)) {
		t.Errorf("bytes asked for: got %d, want those of the object, %d", got, len(data))
	}
}

// A stream that breaks is begun again by the next who reads, and lands only what is
// missing.
func TestWholeStreamThatBreaks(t *testing.T) {
	data := content(12*BlockSize, 32)
	s := &origin{name: "a", data: data}
	broken := false
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		switch {
		case off != 0 || n != int64(len(data)):
			return nil, ErrWhole
		case !broken:
			broken = true
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:5*BlockSize+9]), failing{})), nil
		}
		return nil, nil
	}
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Size: int64(len(data)), Source: "a"}, s.source())
	if _, err := get(r, 11*BlockSize, 10, 0); !errors.Is(err, errBroken) {
		t.Fatalf("read beyond the break: got %v, want %v", err, errBroken)
	}
	before := c.Stats().Misses
	time.Sleep(failureMemory)
	wantRange(t, r, data, 11*BlockSize, 10)
	wantSealed(t, r, data)
	if got := c.Stats().Misses - before; got != 7 {
		t.Errorf("blocks landed by the second stream: got %d, want the 7 that were missing", got)
	}
}

var errBroken = errors.New("line broke")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// Where nothing can be stored the stream waits for its reader, and every byte comes.
func TestWholeStreamWithoutDisk(t *testing.T) {
	data := content(64*BlockSize, 33)
	s := wholeOnly(&origin{name: "a", data: data})
	c := open(t, t.TempDir(), Options{MaxSize: 1, Recent: 16})
	r := use(t, c, Key{Size: int64(len(data)), Source: "a"}, s.source())
	for off := int64(0); off < int64(len(data)); off += 128 << 10 {
		wantRange(t, r, data, off, 128<<10)
	}
	if got := s.bytes.Load(); got != int64(len(data)) {
		t.Errorf("bytes asked for by a reader in order: got %d, want %d", got, len(data))
	}
}
