package blockcache

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestEvictionKeepsTheLimitAndWhatIsInUse(t *testing.T) {
	const blocks, limit = 4, 10 * BlockSize
	c := open(t, t.TempDir(), Options{MaxSize: limit})
	var held *Reader
	for i := range uint64(6) {
		data := content(blocks*BlockSize, 20+i)
		s := &origin{name: "mem", data: data}
		r, err := c.Reader(context.Background(), Key{Source: string(rune('a' + i)), Digest: sha(data), Size: int64(len(data))}, s.source())
		if err != nil {
			t.Fatal(err)
		}
		wantRange(t, r, data, 0, len(data))
		waitSealed(t, r)
		if i == 0 {
			held = r
		} else {
			r.Close()
			waitIdle(t, c)
		}
		if used := c.Stats().Used; used > limit {
			t.Fatalf("after object %d: %d bytes used, want at most %d", i, used, limit)
		}
	}
	wantSealed(t, held, content(blocks*BlockSize, 20))
	held.Close()
	if c.Stats().Evicted == 0 {
		t.Error("nothing was evicted")
	}
}

func TestFileLargerThanTheCacheStreams(t *testing.T) {
	data := content(12*BlockSize, 30)
	s := &origin{name: "mem", data: data}
	c := open(t, t.TempDir(), Options{MaxSize: 3 * BlockSize})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	for off := 0; off < len(data); off += 128 << 10 {
		wantRange(t, r, data, int64(off), 128<<10)
	}
	if used := c.Stats().Used; used > 3*BlockSize {
		t.Errorf("%d bytes used, want at most %d", used, 3*BlockSize)
	}
	if got := s.bytes.Load(); got > int64(len(data))*11/10 {
		t.Errorf("fetched %d bytes for a sequential read of %d", got, len(data))
	}
}

// keep stores an object of n blocks and lets go of it.
func keep(t *testing.T, c *Cache, name string, n int) {
	t.Helper()
	data := content(n*BlockSize, uint64(n))
	r := use(t, c, Key{Source: name, Digest: sha(data), Size: int64(len(data))}, (&origin{name: "mem", data: data}).source())
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
	r.Close()
	eventually(t, "the object stays in use", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return len(c.loaded) == 0
	})
}

func TestLoweredLimitIsKeptFromTheStart(t *testing.T) {
	dir := t.TempDir()
	c := open(t, dir, Options{})
	keep(t, c, "old", 20)
	keep(t, c, "new", 3)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, Options{MaxSize: 5 * BlockSize})
	if used := c.Stats().Used; used != 3*BlockSize {
		t.Errorf("%d bytes used under a limit of %d, want the %d of what was used last", used, 5*BlockSize, 3*BlockSize)
	}
}

// The disk is others' too: what they take is given back while nobody reads.
func TestFreeSpaceIsKeptWhoeverFillsTheDisk(t *testing.T) {
	var floor atomic.Int64
	c := open(t, t.TempDir(), Options{MinFree: func(int64) int64 { return floor.Load() }})
	keep(t, c, "a", 3)
	floor.Store(1 << 60)
	eventually(t, "idle objects stay below the free space to keep", func() bool { return c.Stats().Used == 0 })
}

// A file that fills the cache nearly to its limit takes the place of all others.
func TestFileNearTheLimitIsKept(t *testing.T) {
	c := open(t, t.TempDir(), Options{MaxSize: 20 * BlockSize})
	keep(t, c, "small", 1)
	keep(t, c, "large", 20)
	if used := c.Stats().Used; used != 20*BlockSize {
		t.Errorf("%d bytes used, want %d", used, 20*BlockSize)
	}
}

// A file that can never be kept whole takes no other's place.
func TestFileLargerThanTheCacheEvictsNothing(t *testing.T) {
	c := open(t, t.TempDir(), Options{MaxSize: 10 * BlockSize})
	keep(t, c, "small", 8)
	data := content(12*BlockSize, 45)
	r := use(t, c, Key{Source: "large", Digest: sha(data), Size: int64(len(data))}, (&origin{name: "mem", data: data}).source())
	wantRange(t, r, data, 0, len(data))
	if n := c.Stats().Evicted; n != 0 {
		t.Errorf("%d bytes evicted, want none", n)
	}
}

// Opening and closing writes no record; the last use is recorded all the same.
func TestLastUseIsRecordedInTheEnd(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	var mu sync.Mutex
	c := open(t, dir, Options{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	keep(t, c, "a", 2)
	c.saveRecords()
	mu.Lock()
	now = now.Add(time.Hour)
	mu.Unlock()
	keep(t, c, "a", 2)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, Options{})
	for _, s := range c.slots {
		if s.rec.LastUsed != now.UnixNano() {
			t.Errorf("last used: got %v, want %v", time.Unix(0, s.rec.LastUsed), now)
		}
	}
}
