package blockcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestSealedIsSharedByDigestOnly(t *testing.T) {
	data := content(3*BlockSize, 5)
	a, b := &origin{name: "a", data: data}, &origin{name: "b", data: data}
	c := open(t, t.TempDir(), Options{})
	ra := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, a.source())
	wantRange(t, ra, data, 0, BlockSize)
	// Not sealed yet: b's own bytes.
	rb := use(t, c, Key{Source: "b", Digest: sha(data), Size: int64(len(data))}, b.source())
	if got := cached(rb); got != 0 {
		t.Errorf("b sees %d bytes of a's unchecked object", got)
	}
	wantRange(t, ra, data, 0, len(data))
	wantSealed(t, ra, data)
	rb2 := use(t, c, Key{Source: "b2", Digest: sha(data), Size: int64(len(data))}, b.source())
	wantSealed(t, rb2, data)
	if got := b.bytes.Load(); got != 0 {
		t.Errorf("b was asked for %d bytes of sealed content", got)
	}
	// Both complete: the second one adopts what the first sealed.
	wantRange(t, rb, data, 0, len(data))
	wantSealed(t, rb, data)
}

func TestDigestAskedAtTheEnd(t *testing.T) {
	data := content(3*BlockSize, 33)
	for _, right := range []bool{true, false} {
		s := &origin{name: "mem", data: data}
		src := s.source()
		asked := atomic.Int64{}
		src.Digest = func(context.Context) (string, error) {
			asked.Add(1)
			if right {
				return sha(data), nil
			}
			return sha(data[1:]), nil
		}
		c := open(t, t.TempDir(), Options{})
		r := use(t, c, Key{Source: "a", Size: int64(len(data))}, src)
		if _, err := get(r, 0, len(data), 0); err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
		err := wait(r)
		if right && err != nil || !right && !errors.Is(err, ErrCorrupt) {
			t.Errorf("digest right=%v: %v", right, err)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times, want once", asked.Load())
		}
	}
}

// Two sources of one digest, read at once, leave one file, and what the cache counts
// as used is what it holds.
func TestTwoSourcesSealAtOnce(t *testing.T) {
	data := content(2*BlockSize, 34)
	for range 10 {
		dir := t.TempDir()
		c := open(t, dir, Options{})
		var readers []*Reader
		for _, name := range []string{"a", "b", "c"} {
			s := &origin{name: name, data: data}
			readers = append(readers, use(t, c, Key{Source: name, Digest: sha(data), Size: int64(len(data))}, s.source()))
		}
		var wg sync.WaitGroup
		for _, r := range readers {
			wg.Go(func() {
				if _, err := get(r, 0, len(data), 0); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, r := range readers {
			wantSealed(t, r, data)
			r.Close()
		}
		eventually(t, "a second copy stays", func() bool {
			s := c.Stats()
			return s.Used == int64(len(data)) && s.Objects == 1 && len(parts(t, dir, "*")) == 1
		})
	}
}

// A sealed file that may have been touched is read while it is checked again, and
// nobody waits for it.
func TestTouchedFileIsCheckedInTheBackground(t *testing.T) {
	data := content(6*BlockSize, 35)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	name := parts(t, dir, "*")[0]
	if err := errors.Join(os.Chmod(name, 0o600), flip(name, 3*BlockSize+5)); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	c.readBack <- struct{}{}
	gate := make(chan struct{})
	s.set(func() {
		s.bytes.Store(0)
		s.hook = func(off, n int64) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(waitFor(gate), bytes.NewReader(data[off:off+n]))), nil
		}
	})
	// The damaged block is not to be had while the gate is closed; the others are.
	r := use(t, c, key, s.source())
	if _, ok := r.Sealed(); ok {
		t.Fatal("a touched file is given to the kernel unchecked")
	}
	wantRange(t, r, data, 0, 3*BlockSize)
	other := use(t, c, Key{Source: "b", Digest: key.Digest, Size: key.Size}, (&origin{name: "b"}).source())
	wantRange(t, other, data, 4*BlockSize, 2*BlockSize)
	close(gate)
	<-c.readBack
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
	wantSealed(t, other, data)
	if got := s.requests.Load(); got > 3 {
		t.Errorf("asked %d times, want for the damaged block only", got)
	}
}

// A block that was lost is replaced by the same bytes or not at all: other sources
// share the file.
func TestLostBlockOfASealedFileComesBackTheSame(t *testing.T) {
	data := content(4*BlockSize, 36)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	name := parts(t, dir, "*")[0]
	if err := errors.Join(os.Chmod(name, 0o600), flip(name, 2*BlockSize)); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	liar := use(t, c, Key{Source: "liar", Digest: key.Digest, Size: key.Size}, (&origin{name: "liar", data: content(4*BlockSize, 37)}).source())
	if _, err := get(liar, 2*BlockSize, 10, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the liar's block: got %v, want %v", err, ErrCorrupt)
	}
	time.Sleep(failureMemory)
	r := use(t, c, key, s.source())
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

// A file that could not be sealed is sealed later, without anybody asking.
func TestFailedSealIsTriedAgain(t *testing.T) {
	data := content(3*BlockSize, 38)
	dir := t.TempDir()
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	id := key.sealed().String()
	block := filepath.Join(dir, "objects", id[:2])
	c := open(t, dir, Options{})
	r := use(t, c, key, (&origin{name: "mem", data: data}).source())
	if err := os.WriteFile(block, nil, 0o600); err != nil { // no directory can be made there
		t.Fatal(err) // the two names of this key share no directory
	}
	wantRange(t, r, data, 0, len(data))
	eventually(t, "sealing does not fail", func() bool { return c.Stats().DiskErrors > 0 })
	if err := os.Remove(block); err != nil {
		t.Fatal(err)
	}
	wantSealed(t, r, data)
}

// An object whose last block was stored just before the process ended is sealed by the
// next one.
func TestCompleteObjectIsSealedWhenItIsOpened(t *testing.T) {
	data := content(3*BlockSize, 39)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	c := open(t, dir, Options{})
	r := use(t, c, key, s.source())
	r.o.mu.Lock()
	r.o.checking = true // a check that never ends, and has passed the digest
	r.o.mu.Unlock()
	r.o.match()
	wantRange(t, r, data, 0, len(data))
	r.Close()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, Options{})
	wantSealed(t, use(t, c, key, s.source()), data)
	if got := s.bytes.Load(); got != int64(len(data)) {
		t.Errorf("asked for %d bytes, want %d", got, len(data))
	}
}

func TestPanickingDigestIsNoDigest(t *testing.T) {
	data := content(2*BlockSize, 44)
	src := (&origin{name: "mem", data: data}).source()
	src.Digest = func(context.Context) (string, error) { panic("boom") }
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Size: int64(len(data))}, src)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
	if !r.o.start(func(context.Context) { panic("boom") }) {
		t.Error("not started")
	}
}
