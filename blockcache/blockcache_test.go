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
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := r.Wait(ctx); err != nil {
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

type waitFor chan struct{}

func (w waitFor) Read([]byte) (int, error) { <-w; return 0, io.EOF }

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
	if got := r.Cached(); got != BlockSize {
		t.Errorf("cached after restart: %d, want %d", got, BlockSize)
	}
	wantRange(t, r, data, 2*BlockSize, BlockSize)
	if got := s.bytes.Load(); got != before {
		t.Errorf("a stored block was fetched again")
	}
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

func TestSealedIsSharedByDigestOnly(t *testing.T) {
	data := content(3*BlockSize, 5)
	a, b := &origin{name: "a", data: data}, &origin{name: "b", data: data}
	c := open(t, t.TempDir(), Options{})
	ra := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, a.source())
	wantRange(t, ra, data, 0, BlockSize)
	// Not sealed yet: b's own bytes.
	rb := use(t, c, Key{Source: "b", Digest: sha(data), Size: int64(len(data))}, b.source())
	if got := rb.Cached(); got != 0 {
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
	if err := rl.Wait(t.Context()); !errors.Is(err, ErrCorrupt) {
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
		if err := r.Wait(t.Context()); !errors.Is(err, ErrCorrupt) {
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

func TestStrictServesNothingUnchecked(t *testing.T) {
	data := content(4*BlockSize+5, 12)
	for _, bad := range []bool{false, true} {
		s := &origin{name: "mem", data: data}
		if bad {
			s.data = append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
		}
		c := open(t, t.TempDir(), Options{})
		src := s.source()
		src.Strict = true
		r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, src)
		got, err := get(r, 0, 10, 0)
		if bad && !errors.Is(err, ErrCorrupt) {
			t.Errorf("bad source: got %d bytes, %v; want ErrCorrupt", len(got), err)
		}
		if !bad && (err != nil || !bytes.Equal(got, data[:10])) {
			t.Errorf("good source: %v", err)
		}
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

// parts returns the data files of the cache.
func parts(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "objects", "??", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no data files %s: %v", pattern, err)
	}
	return files
}

func TestDamagedDataFileIsFetchedAgain(t *testing.T) {
	data := content(4*BlockSize, 15)
	damage := map[string]func(name string) error{
		"flipped": func(name string) error { return flip(name, BlockSize+3) },
		"truncated": func(name string) error {
			return os.Truncate(name, BlockSize/2)
		},
		"truncated and grown": func(name string) error {
			return errors.Join(os.Truncate(name, 10), os.Truncate(name, 4*BlockSize))
		},
		"removed":   os.Remove,
		"symlinked": func(name string) error { return errors.Join(os.Remove(name), os.Symlink("/etc/passwd", name)) },
		"swapped":   func(name string) error { return os.WriteFile(name, content(4*BlockSize, 99), 0o600) },
	}
	for how, hurt := range damage {
		for _, sealed := range []bool{false, true} {
			t.Run(how+map[bool]string{true: " sealed"}[sealed], func(t *testing.T) {
				dir, s := t.TempDir(), &origin{name: "mem", data: data}
				key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
				fillAndClose(t, dir, key, s, data, sealed)
				name := parts(t, dir, "*")[0]
				if err := errors.Join(os.Chmod(name, 0o600), hurt(name)); err != nil {
					t.Fatal(err)
				}
				c := open(t, dir, Options{})
				r := use(t, c, key, s.source())
				wantRange(t, r, data, 0, len(data))
				wantSealed(t, r, data)
			})
		}
	}
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

func TestDataFileChangedUnderAnOpenReader(t *testing.T) {
	data := content(4*BlockSize, 16)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	c := open(t, dir, Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	wantRange(t, r, data, 0, 3*BlockSize)
	name := parts(t, dir, "*.part")[0]
	if err := errors.Join(os.Truncate(name, 0), os.Truncate(name, int64(len(data)))); err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, data, 0, 3*BlockSize)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

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

// waitIdle waits until the background work on objects has let go of them.
func waitIdle(t *testing.T, c *Cache) {
	t.Helper()
	for range 400 {
		c.mu.Lock()
		n := 0
		for _, s := range c.slots {
			if s.obj != nil {
				n++
			}
		}
		c.mu.Unlock()
		if n <= 1 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("objects stay in use")
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

func TestDirectoryIsChecked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another modelfs") {
		t.Errorf("second opener: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("a file was taken for a directory")
	}
	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: foreign}); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("another user's directory: %v", err)
		}
	}
	wide := filepath.Join(t.TempDir(), "wide")
	if err := errors.Join(os.Mkdir(wide, 0o755), os.Chmod(wide, 0o777)); err != nil {
		t.Fatal(err)
	}
	open(t, wide, Options{})
	if fi, err := os.Stat(wide); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("mode of the cache directory is %v, want 0700", fi.Mode().Perm())
	}
}

func TestDamagedIndexCostsOnlyFetches(t *testing.T) {
	data := content(4*BlockSize, 31)
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	hurts := map[string]func([]byte) []byte{
		"truncated": func(p []byte) []byte { return p[:len(p)/2] },
		"flipped":   func(p []byte) []byte { p = bytes.Clone(p); p[len(p)/2] ^= 0xff; return p },
		"zeroed":    func(p []byte) []byte { return make([]byte, len(p)) },
		"emptied":   func([]byte) []byte { return nil },
	}
	seed, s := t.TempDir(), &origin{name: "mem", data: data}
	fillAndClose(t, seed, key, s, data, false)
	files, err := os.ReadDir(filepath.Join(seed, "index"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for how, hurt := range hurts {
			t.Run(f.Name()+" "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "cache")
				if err := os.CopyFS(dir, os.DirFS(seed)); err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(dir, "index", f.Name())
				p, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, hurt(p), 0o600); err != nil {
					t.Fatal(err)
				}
				c := open(t, dir, Options{})
				r := use(t, c, key, s.source())
				wantRange(t, r, data, 0, len(data))
				wantSealed(t, r, data)
			})
		}
	}
}

func TestUnknownFormatIsBegunAnew(t *testing.T) {
	data := content(2*BlockSize, 32)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("modelfs block cache 999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	if n := c.Stats().Objects; n != 0 {
		t.Errorf("%d objects of a foreign format were kept", n)
	}
	r := use(t, c, key, s.source())
	wantRange(t, r, data, 0, len(data))
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
		err := r.Wait(t.Context())
		if right && err != nil || !right && !errors.Is(err, ErrCorrupt) {
			t.Errorf("digest right=%v: %v", right, err)
		}
		if asked.Load() != 1 {
			t.Errorf("asked %d times, want once", asked.Load())
		}
	}
}

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

func FuzzRecord(f *testing.F) {
	r := record{ID: hashID("x"), Gen: 7, Size: 5, Digest: "sha256:00", Source: "s3://b/k"}
	f.Add(r.marshal())
	f.Fuzz(func(t *testing.T, p []byte) {
		var r record
		if r.unmarshal(p) != nil {
			return
		}
		var again record
		if err := again.unmarshal(r.marshal()); err != nil || again != r {
			t.Fatalf("record does not survive: %v", err)
		}
	})
}

func FuzzGroup(f *testing.F) {
	g := group{ID: hashID("x"), Gen: 7, Index: 3}
	g.Have[0], g.CRC[0] = 1, 99
	f.Add(g.marshal())
	f.Fuzz(func(t *testing.T, p []byte) {
		var g group
		if g.unmarshal(p) != nil {
			return
		}
		if !bytes.Equal(g.marshal(), p) {
			t.Fatal("group does not survive")
		}
	})
}
