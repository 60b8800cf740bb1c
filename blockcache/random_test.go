package blockcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestRandomOperations compares random reads by many readers, with faults, restarts and
// eviction, to the content itself.
func TestRandomOperations(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	type file struct {
		key  Key
		s    *origin
		data []byte
	}
	var files []file
	for i := range uint64(5) {
		data := content(rnd.IntN(6*BlockSize)+1, 40+i)
		s := &origin{name: "mem", data: data}
		n := atomic.Int64{}
		s.hook = func(off, want int64) (io.ReadCloser, error) {
			switch n.Add(1) % 7 {
			case 3:
				return nil, errors.New("refused")
			case 5:
				return io.NopCloser(bytes.NewReader(data[off : off+want/2])), nil
			}
			return nil, nil
		}
		key := Key{Source: string(rune('a' + i)), Size: int64(len(data))}
		if i%2 == 0 {
			key.Digest = sha(data)
		}
		files = append(files, file{key, s, data})
	}
	dir := t.TempDir()
	for round := range 4 {
		c, err := Open(Options{Dir: dir, MaxSize: 12 * BlockSize})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for w := range 8 {
			rnd := rand.New(rand.NewPCG(seed, uint64(round*100+w)))
			wg.Go(func() {
				for range 60 {
					f := files[rnd.IntN(len(files))]
					r, err := c.Reader(context.Background(), f.key, f.s.source())
					if err != nil {
						t.Error(err)
						return
					}
					off := rnd.Int64N(int64(len(f.data)))
					n := rnd.IntN(2*BlockSize) + 1
					got, err := get(r, off, n, rnd.Int64N(4*BlockSize))
					want := f.data[off:min(off+int64(n), int64(len(f.data)))]
					if err == nil && !bytes.Equal(got, want) {
						t.Errorf("wrong bytes: source %s, %d at %d", f.key.Source, n, off)
					}
					r.Close()
				}
			})
		}
		wg.Wait()
		if used := c.Stats().Used; used > 12*BlockSize || used < 0 {
			t.Errorf("used %d, want 0 to %d", used, 12*BlockSize)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
