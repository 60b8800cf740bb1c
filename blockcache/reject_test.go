package blockcache

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"
)

func TestWrongBytesAreNeverShared(t *testing.T) {
	data := content(3*BlockSize, 6)
	liar := &origin{name: "liar", data: content(3*BlockSize, 7)}
	honest := &origin{name: "honest", data: data}
	c := open(t, t.TempDir(), Options{})
	key := func(src string) Key { return Key{Source: src, Digest: sha(data), Size: int64(len(data))} }
	rl := use(t, c, key("liar"), liar.source())
	if _, err := get(rl, 0, len(data), 0); err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatalf("liar: %v", err)
	}
	if err := wait(rl); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("liar sealed: %v, want ErrCorrupt", err)
	}
	if _, err := get(rl, 0, 1, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("open handle after the mismatch: %v, want ErrCorrupt", err)
	}
	rh := use(t, c, key("honest"), honest.source())
	wantRange(t, rh, data, 0, len(data))
	wantSealed(t, rh, data)
	// The liar is told apart no more once the content is sealed.
	wantSealed(t, use(t, c, key("liar"), liar.source()), data)
}

func TestMismatchIsFetchedOnceMoreThenReported(t *testing.T) {
	data := content(2*BlockSize, 8)
	s := &origin{name: "mem", data: content(2*BlockSize, 9)}
	now := time.Now()
	var mu sync.Mutex
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c := open(t, t.TempDir(), Options{Now: clock})
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	for range 2 {
		r := use(t, c, key, s.source())
		if _, err := get(r, 0, len(data), 0); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		if err := wait(r); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("got %v, want ErrCorrupt", err)
		}
	}
	asked := s.requests.Load()
	if _, err := c.Reader(context.Background(), key, s.source()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("third use: %v, want ErrCorrupt", err)
	}
	if s.requests.Load() != asked {
		t.Error("a known bad object was fetched again at once")
	}
	mu.Lock()
	now = now.Add(2 * time.Minute)
	mu.Unlock()
	s.set(func() { s.data = data })
	r := use(t, c, key, s.source())
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

func TestOneBlockFileIsCheckedBeforeItsFirstByte(t *testing.T) {
	data := content(1000, 10)
	s := &origin{name: "mem", data: content(1000, 11)}
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: 1000}, s.source())
	if got, err := get(r, 0, 10, 0); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %d bytes and %v, want ErrCorrupt", len(got), err)
	}
	if got := s.requests.Load(); got != 2 {
		t.Errorf("asked %d times, want 2", got)
	}
	s.set(func() { s.data = data })
	time.Sleep(failureMemory)
	wantRange(t, r, data, 0, 1000)
}

// Whoever keeps bytes of a rejected object must be able to tell, for ever: the number
// outlives the mending, and is not smaller when it is forgotten.
func TestRejectedOnlyGrows(t *testing.T) {
	data := content(2*BlockSize, 18)
	s := &origin{name: "mem", data: content(2*BlockSize, 19)}
	c := open(t, t.TempDir(), Options{})
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	if n := c.Rejected(key); n != 0 {
		t.Errorf("before: %d, want 0", n)
	}
	r := use(t, c, key, s.source())
	if _, err := get(r, 0, len(data), 0); err != nil && !errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
	if err := wait(r); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("got %v, want %v", err, ErrCorrupt)
	}
	r.Close()
	bad := c.Rejected(key)
	if bad == 0 {
		t.Error("rejected, and not told so")
	}
	s.set(func() { s.data = data })
	r = use(t, c, key, s.source())
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
	if n := c.Rejected(key); n != bad {
		t.Errorf("after mending: %d, want %d still", n, bad)
	}
}

func TestRejectsThatAreForgottenRaiseTheFloor(t *testing.T) {
	r := newRejects()
	first := hashID("first")
	r.add(first, 1, time.Time{})
	last := r.last(first)
	for i := range 2 * maxRejects {
		r.add(hashID(strconv.Itoa(i)), 1, time.Time{})
		if n := r.last(first); n < last {
			t.Fatalf("after %d others: got %d, want at least %d", i+1, n, last)
		} else {
			last = n
		}
	}
	if len(r.keys) != maxRejects || r.order.Len() != maxRejects {
		t.Errorf("%d keys and %d in order, want %d", len(r.keys), r.order.Len(), maxRejects)
	}
}
