package fs_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"modelfs/blockcache"
	"modelfs/catalog"
	"modelfs/fs"
	"modelfs/mount"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

// rig is a mounted file system over one provider in memory.
type rig struct {
	t     *testing.T
	dir   string // mount point
	cache string // cache directory
	src   *providertest.Memory
	opts  fs.Options
	log   *logBuffer
	stop  func()
	c     *blockcache.Cache
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// mounted mounts src; change may alter the options.
func mounted(t *testing.T, src *providertest.Memory, change func(*fs.Options)) *rig {
	t.Helper()
	needFuse(t)
	r := &rig{t: t, dir: t.TempDir(), cache: t.TempDir(), src: src, log: &logBuffer{}}
	r.opts = fs.Options{TTL: 50 * time.Millisecond, LookupTimeout: 5 * time.Second, ReadTimeout: 5 * time.Second}
	if change != nil {
		change(&r.opts)
	}
	r.start()
	t.Cleanup(func() {
		if r.stop != nil {
			r.stop()
		}
		if t.Failed() {
			t.Logf("log:\n%s", r.log)
		}
	})
	return r
}

// needFuse skips where there is no FUSE, but not where the tests are to be complete.
func needFuse(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/dev/fuse"); err != nil {
		if os.Getenv("CI") != "" || os.Getenv("MODELFS_REQUIRE_ALL") != "" {
			t.Fatalf("no FUSE: %v", err)
		}
		t.Skipf("no FUSE: %v", err)
	}
}

func (r *rig) start() {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(r.log, nil))
	c, err := blockcache.Open(blockcache.Options{Dir: r.cache, Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	cat, err := catalog.Open(filepath.Join(r.cache, "models"), log)
	if err != nil {
		r.t.Fatal(err)
	}
	var f *fs.FS
	s, err := mount.Serve(r.dir, func(canPass func(int) bool) *fs.FS {
		o := r.opts
		o.Cache, o.Catalog, o.Log, o.Disk = c, cat, log, r.cache
		if o.CanPass == nil {
			o.CanPass = canPass
		}
		if len(o.Protocols) == 0 {
			o.Protocols = []fs.Protocol{{Name: "mem", Aliases: []string{"m"}, Provider: r.src}}
		}
		f = fs.New(o)
		return f
	}, mount.ServeOptions{Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	r.c = c
	r.stop = func() {
		r.stop = nil
		if err := s.Unmount(); err != nil {
			r.t.Errorf("unmount: %v", err)
			if err := s.Detach(context.Background()); err != nil {
				r.t.Error(err)
			}
		}
		s.Wait()
		if err := errors.Join(f.Close(), c.Close()); err != nil {
			r.t.Error(err)
		}
	}
}

func (r *rig) restart() {
	r.t.Helper()
	r.stop()
	r.start()
}

func (r *rig) path(p string) string { return filepath.Join(r.dir, "mem", p) }

func (r *rig) read(p string) string {
	r.t.Helper()
	b, err := os.ReadFile(r.path(p))
	if err != nil {
		r.t.Fatalf("read %s: %v", p, err)
	}
	return string(b)
}

func (r *rig) want(p, want string) {
	r.t.Helper()
	if got := r.read(p); got != want {
		r.t.Fatalf("%s: got %s, want %s", p, brief(got), brief(want))
	}
}

func brief(s string) string {
	if len(s) < 40 {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%d bytes of sha256 %x", len(s), sha256.Sum256([]byte(s)))
}

func (r *rig) wantErr(p string, want error) {
	r.t.Helper()
	b, err := os.ReadFile(r.path(p))
	if !errors.Is(err, want) {
		r.t.Fatalf("%s: got %s and %v, want %v", p, brief(string(b)), err, want)
	}
}

// strictly is a provider whose files wait for their digest.
type strictly struct{ providers.Provider }

func (s *strictly) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := s.Provider.Resolve(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	return strictModel{m}, nil
}

type strictModel struct{ providers.Model }

func (m strictModel) Origin() providers.Origin {
	o := m.Model.Origin()
	o.Verify = true
	return o
}

func (r *rig) ino(p string) uint64 {
	r.t.Helper()
	fi, err := os.Lstat(r.path(p))
	if err != nil {
		r.t.Fatal(err)
	}
	return fi.Sys().(*syscall.Stat_t).Ino
}

func (r *rig) xattr(p, name string) string {
	r.t.Helper()
	b := make([]byte, 4096)
	n, err := unix.Lgetxattr(r.path(p), "user.modelfs."+name, b)
	if err != nil {
		r.t.Fatalf("%s of %s: %v", name, p, err)
	}
	return string(b[:n])
}

// settle waits until answers are old enough to be asked again and loads are over.
func (r *rig) settle() { time.Sleep(2 * max(r.opts.TTL, 100*time.Millisecond)) }

func (r *rig) sealed(p string) {
	r.t.Helper()
	for range 500 {
		if r.c.Stats().InFlight == 0 && r.c.Stats().Sealed > 0 {
			time.Sleep(20 * time.Millisecond)
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	r.t.Fatalf("%s is not sealed", p)
}

func random(n int, seed byte) string {
	p := make([]byte, n)
	if _, err := rand.NewChaCha8([32]byte{seed}).Read(p); err != nil {
		panic(err)
	}
	return string(p)
}

func files(kv ...string) providertest.Files {
	m := map[string]string{}
	for i := 0; i < len(kv); i += 2 {
		m[kv[i]] = kv[i+1]
	}
	return providertest.Text(m)
}

func newSource() *providertest.Memory {
	return providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem"})
}

func TestModelReadsLikeAPlainDirectory(t *testing.T) {
	big := random(5<<20+17, 1)
	src := newSource()
	fl := files("config.json", "{}", "sub/deep/x", "x", "big.bin", big, "empty", "")
	fl["link"] = providertest.File{Target: "sub/deep/x"}
	fl["run"] = providertest.File{Data: []byte("#!"), Mode: 0o111}
	src.Publish("org/m", "", fl)
	r := mounted(t, src, nil)
	if err := fstest.TestFS(os.DirFS(r.path("org/m")), "config.json", "sub/deep/x", "big.bin", "empty"); err != nil {
		t.Error(err)
	}
	r.want("org/m/big.bin", big)
	r.want("org/m/empty", "")
	r.want("org/m/link", "x")
	for p, mode := range map[string]iofs.FileMode{"config.json": 0o444, "run": 0o555, "sub": 0o555 | iofs.ModeDir} {
		if fi, err := os.Stat(r.path("org/m/" + p)); err != nil || fi.Mode() != mode {
			t.Errorf("mode of %s: %v %v, want %v", p, fi.Mode(), err, mode)
		}
	}
	if got, err := os.Readlink(filepath.Join(r.dir, "m")); err != nil || got != "mem" {
		t.Errorf("alias: %q %v", got, err)
	}
}

func TestNothingCanBeWritten(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	f := r.path("m/f")
	for what, err := range map[string]error{
		"open for writing": func() error { _, err := os.OpenFile(f, os.O_RDWR, 0); return err }(),
		"create":           os.WriteFile(r.path("m/new"), nil, 0o600),
		"truncate":         os.Truncate(f, 0),
		"remove":           os.Remove(f),
		"mkdir":            os.Mkdir(r.path("m/d"), 0o700),
		"rename":           os.Rename(f, r.path("m/g")),
		"chmod":            os.Chmod(f, 0o777),
		"symlink":          os.Symlink("x", r.path("m/l")),
		"setxattr":         unix.Setxattr(f, "user.x", []byte("y"), 0),
	} {
		if !errors.Is(err, syscall.EROFS) {
			t.Errorf("%s: %v, want EROFS", what, err)
		}
	}
}

func TestUnknownIsAskedOnce(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = time.Minute })
	r.want("m/f", "x")
	for _, p := range []string{"nope", "nope/f", "m/nope", "m/f@v1", "nope@v1", "m@", "m/..f", "%zz"} {
		r.wantErr(p, iofs.ErrNotExist)
	}
	before := len(src.Calls())
	for range 20 {
		for _, p := range []string{"nope", "m/nope", "nope@v1", "nope/f"} {
			r.wantErr(p, iofs.ErrNotExist)
		}
	}
	if _, err := os.Stat(filepath.Join(r.dir, "noproto")); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("unknown protocol: %v", err)
	}
	if got := len(src.Calls()) - before; got != 0 {
		t.Errorf("known absences were asked again %d times: %v", got, src.Calls()[before:])
	}
}

func TestRefsAreEscaped(t *testing.T) {
	src := newSource()
	rev := src.Publish("o@d/m%", "refs/pr/1", files("f", "pr"))
	src.Publish("o@d/m%", "", files("f", "head"))
	r := mounted(t, src, nil)
	r.want("o%40d/m%25/f", "head")
	r.want("o%40d/m%25@refs%2Fpr%2F1/f", "pr")
	r.want("o%40d/m%25@"+rev+"/f", "pr")
	if got := r.xattr("o%40d/m%25@refs%2Fpr%2F1/f", "ref"); got != "refs/pr/1" {
		t.Errorf("ref attribute: %q", got)
	}
	if got := r.xattr("o%40d/m%25@refs%2Fpr%2F1", "revision"); got != rev {
		t.Errorf("revision attribute: %q, want %q", got, rev)
	}
}

func TestNewRevisionIsSeenAtTheNextOpen(t *testing.T) {
	old, young := random(3<<20, 1), random(3<<20, 2)
	src := newSource()
	src.Publish("m", "", files("f", old, "same", "same", "gone", "x"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 50 * time.Millisecond })
	r.want("m/f", old)
	inoF, inoSame := r.ino("m/f"), r.ino("m/same")
	held, err := os.Open(r.path("m/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	r.settle()
	src.Publish("m", "", files("f", young, "same", "same", "new", "n"))
	r.want("m/f", young)
	if r.ino("m/f") == inoF {
		t.Error("changed content kept its inode")
	}
	if r.ino("m/same") != inoSame {
		t.Error("unchanged content changed its inode")
	}
	got := make([]byte, len(old))
	if _, err := held.ReadAt(got, 0); err != nil || string(got) != old {
		t.Errorf("handle from before: %v, %s, want the old bytes", err, brief(string(got)))
	}
	r.settle()
	r.wantErr("m/gone", iofs.ErrNotExist)
	r.want("m/new", "n")
}

// TestManyMovesWithLongTimeouts moves the ref under kernel timeouts that never end:
// ESTALE alone carries the news.
func TestManyMovesWithLongTimeouts(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "0"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 0 })
	for i := range 20 {
		want := fmt.Sprint(i)
		src.Publish("m", "", files("f", want))
		r.want("m/f", want)
	}
}

func TestALoadIsNotTorn(t *testing.T) {
	const shards = 20
	gen := func(g int) providertest.Files {
		var kv []string
		for i := range shards {
			kv = append(kv, fmt.Sprintf("shard-%d", i), fmt.Sprintf("generation %d", g))
		}
		return files(kv...)
	}
	src := newSource()
	src.Publish("m", "", gen(0))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 500 * time.Millisecond; o.Hold = 20 * time.Second })
	for i := range shards {
		if i == 3 {
			src.Publish("m", "", gen(1))
		}
		r.want(fmt.Sprintf("m/shard-%d", i), "generation 0")
		time.Sleep(80 * time.Millisecond) // in all three times the TTL
	}
	r.settle()
	r.want("m/shard-0", "generation 1")
}

func TestHoldEnds(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "old"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 100 * time.Millisecond; o.Hold = 400 * time.Millisecond })
	r.want("m/f", "old")
	src.Publish("m", "", files("f", "new"))
	start := time.Now()
	for r.read("m/f") != "new" {
		if time.Since(start) > 3*time.Second {
			t.Fatal("a steady stream of opens never saw the new revision")
		}
		time.Sleep(20 * time.Millisecond)
	}
	if d := time.Since(start); d < 200*time.Millisecond {
		t.Errorf("the hold ended after %v, want about 400ms", d)
	}
}

func TestODirectForcesTheQuestion(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "old"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = time.Hour; o.Hold = time.Hour })
	r.want("m/f", "old")
	src.Publish("m", "", files("f", "new"))
	r.want("m/f", "old")
	f, err := os.OpenFile(r.path("m/f"), os.O_RDONLY|syscall.O_DIRECT, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	r.want("m/f", "new")
}

func TestImmutableIsNeverAskedAgain(t *testing.T) {
	src := newSource()
	rev := src.Publish("m", "", files("f", "v1", "d/g", "g"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 0 })
	r.want("m@"+rev+"/f", "v1")
	r.want("m@"+rev+"/d/g", "g")
	src.Publish("m", "", files("f", "v2"))
	before := len(src.Calls())
	for range 10 {
		r.want("m@"+rev+"/f", "v1")
		r.wantErr("m@"+rev+"/nope", iofs.ErrNotExist)
	}
	r.sealed("m/f")
	time.Sleep(100 * time.Millisecond)
	r.restart()
	src.Fail(errors.Join(providers.ErrUnavailable, errors.New("down")))
	r.want("m@"+rev+"/f", "v1")
	r.want("m@"+rev+"/d/g", "g")
	if got := src.Calls()[before:]; len(got) != 0 {
		t.Errorf("a cached immutable revision was asked about: %v", got)
	}
}

func TestSourceDown(t *testing.T) {
	big := random(3<<20, 3)
	src := newSource()
	src.Publish("m", "", files("f", "cached", "big", big))
	src.Publish("org/n", "", files("f", "n"))
	r := mounted(t, src, nil)
	r.want("m/f", "cached")
	r.want("org/n/f", "n")
	r.sealed("m/f")
	time.Sleep(100 * time.Millisecond)
	src.Fail(fmt.Errorf("connection refused: %w", providers.ErrUnavailable))
	for _, restarted := range []bool{false, true} {
		if restarted {
			r.restart()
		}
		r.settle()
		r.want("m/f", "cached")
		r.want("org/n/f", "n")
		if got := r.xattr("m/f", "stale"); got != "true" {
			t.Errorf("restarted=%v: stale is %q, want true", restarted, got)
		}
		r.wantErr("m/nope", iofs.ErrNotExist)
		r.wantErr("m/big", syscall.EIO)
		r.wantErr("other/f", syscall.EIO)
	}
	src.Fail(nil)
	r.settle()
	time.Sleep(time.Second) // errors of reads are remembered that long
	r.want("m/big", big)
	if got := r.xattr("m/f", "stale"); got != "false" {
		t.Errorf("after the return stale is %q, want false", got)
	}
}

// TestLiveSourceDown reads a file of a live source without listing its directory.
func TestLiveSourceDown(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: true, NoDigests: true})
	src.Publish("b", "", files("d/f", "cached", "d/g", "not read"))
	r := mounted(t, src, nil)
	r.want("b/d/f", "cached")
	r.sealed("b/d/f")
	for _, restarted := range []bool{false, true} {
		if restarted {
			r.restart()
		}
		src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
		for range 3 {
			r.settle()
			r.want("b/d/f", "cached")
		}
		r.wantErr("b/d/g", syscall.EIO)
		r.wantErr("b/e", syscall.EIO)
		if got := r.xattr("b/d/f", "stale"); got != "true" {
			t.Errorf("restarted=%v: stale is %q, want true", restarted, got)
		}
	}
	src.Fail(nil)
	src.Publish("b", "", files("d/f", "new", "d/g", "not read"))
	time.Sleep(time.Second)
	r.want("b/d/g", "not read")
	r.want("b/d/f", "new")
}

// TestLiveListingDown lists a directory of a live source that does not answer.
func TestLiveListingDown(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: true, NoDigests: true})
	src.Publish("b", "", files("d/f", "1", "d/g", "2"))
	r := mounted(t, src, nil)
	list := func(want string) {
		t.Helper()
		es, err := os.ReadDir(r.path("b/d"))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range es {
			names = append(names, e.Name())
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	list("[f g]")
	time.Sleep(700 * time.Millisecond) // until it is remembered
	src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
	r.settle()
	list("[f g]")
	r.restart()
	list("[f g]")
	src.Fail(nil)
	src.Publish("b", "", files("d/f", "1"))
	time.Sleep(time.Second)
	list("[f]")
}

// TestTwoHandlesMeetAChange opens a changed live file by a path that the kernel still
// believes, after somebody else has seen the change in a listing.
func TestTwoHandlesMeetAChange(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: true, NoDigests: true})
	src.Publish("b", "", files("f", "old", "g", "x"))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = 300 * time.Millisecond })
	r.want("b/f", "old")
	src.Publish("b", "", files("f", "newer", "g", "x"))
	time.Sleep(320 * time.Millisecond)
	if _, err := os.ReadDir(r.path("b")); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		r.want("b/f", "newer")
	}
}

// at is a provider that asks a certain place.
type at struct {
	providers.Provider
	place string
}

func (a at) Endpoint() string { return a.place }

// TestAnotherEndpointIsAnotherSource changes the configuration under a cache: what
// was learned from one place must not be served as another's.
func TestAnotherEndpointIsAnotherSource(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoDigests: true})
	src.Publish("m", "", files("f", "one"))
	r := mounted(t, src, func(o *fs.Options) {
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: at{src, "https://one"}}}
	})
	r.want("m/f", "one")
	r.sealed("m/f")
	r.opts.Protocols = []fs.Protocol{{Name: "mem", Provider: at{src, "https://two"}}}
	src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
	r.restart()
	r.wantErr("m/f", syscall.EIO)
	r.opts.Protocols = []fs.Protocol{{Name: "mem", Provider: at{src, "https://one"}}}
	r.restart()
	r.want("m/f", "one")
}

func TestSourceDownAndOnErrorFail(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "cached"))
	r := mounted(t, src, func(o *fs.Options) { o.FailStale = true })
	r.want("m/f", "cached")
	src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
	r.settle()
	r.wantErr("m/f", syscall.EIO)
}

func TestForbidden(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	src.Fail(&providers.Error{Op: "resolve", Protocol: "mem", Name: "m", Remedy: "set token_file", Err: iofs.ErrPermission})
	r.wantErr("m/f", syscall.EACCES)
	r.wantErr("m/f", syscall.EACCES)
	if n := strings.Count(r.log.String(), "set token_file"); n != 1 {
		t.Errorf("the remedy is logged on %d lines, want 1", n)
	}
}

func TestPassthroughOnceSealed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("passthrough needs root")
	}
	big := random(9<<20+5, 4)
	src := newSource()
	src.Publish("m", "", files("f", big))
	r := mounted(t, src, nil)
	held, err := os.Open(r.path("m/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	old := r.ino("m/f")
	r.want("m/f", big)
	r.sealed("m/f")
	before := r.c.Stats()
	// held reads in cached mode: the same inode cannot pass through.
	r.want("m/f", big)
	if r.ino("m/f") == old {
		t.Error("the sealed file was opened on an inode that is open in cached mode")
	}
	after := r.c.Stats()
	if after.BytesFromDataFile != before.BytesFromDataFile || after.BytesFromMemory != before.BytesFromMemory {
		t.Errorf("a sealed file was read through the daemon: %+v, before %+v", after, before)
	}
	got := make([]byte, len(big))
	if _, err := held.ReadAt(got, 0); err != nil || string(got) != big {
		t.Errorf("the handle from before: %v", err)
	}
	held.Close()
	r.restart()
	now := r.ino("m/f")
	r.want("m/f", big)
	if now != old {
		t.Error("the inode number is another one after a restart")
	}
}

func TestPagesAreKept(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", random(64<<20, 12), "other", "1"))
	r := mounted(t, src, nil)
	part := func() {
		f, err := os.Open(r.path("m/f"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		// The kernel's own readahead would go on where it stopped.
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_RANDOM); err != nil {
			t.Fatal(err)
		}
		if _, err := f.ReadAt(make([]byte, 100_000), 0); err != nil {
			t.Fatal(err)
		}
	}
	part()
	before := r.c.Stats().BytesFromMemory
	const again = 12
	for i := range again {
		if i%4 == 3 { // another revision, in which this file is the same
			r.settle()
			src.Publish("m", "", files("f", random(64<<20, 12), "other", fmt.Sprint(i)))
		}
		part()
	}
	// The kernel may drop pages whenever it likes, but not at every open.
	if n := (r.c.Stats().BytesFromMemory - before) / 100_000; n > again/3 {
		t.Errorf("pages that the kernel had were read again in %d of %d opens", n, again)
	}
}

func TestMmap(t *testing.T) {
	big := random(6<<20+123, 5)
	src := newSource()
	src.Publish("m", "", files("f", big))
	r := mounted(t, src, nil)
	for range 2 { // cold, then sealed
		f, err := os.Open(r.path("m/f"))
		if err != nil {
			t.Fatal(err)
		}
		p, err := unix.Mmap(int(f.Fd()), 0, len(big), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		if string(p) != big {
			t.Error("mapped bytes differ")
		}
		if err := errors.Join(unix.Munmap(p), f.Close()); err != nil {
			t.Fatal(err)
		}
		r.sealed("m/f")
	}
}

func TestHostileNamesAreHidden(t *testing.T) {
	src := newSource()
	fl := files("ok", "x", "../escape", "1", "a/../../b", "2", "ctl\x01", "3", "nul\x00", "4", "d/./e", "5", "//", "6",
		string(bytes.Repeat([]byte("n"), 256)), "7", "ok/child", "8")
	fl["out"] = providertest.File{Target: "../../etc/passwd"}
	fl["abs"] = providertest.File{Target: "/etc/passwd"}
	fl["in"] = providertest.File{Target: "ok/child"}
	src.Publish("m", "", fl)
	r := mounted(t, src, nil)
	es, err := os.ReadDir(r.path("m"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	if got := fmt.Sprint(names); got != "[in ok]" {
		t.Errorf("got %q, want in and ok", names)
	}
	r.want("m/in", "8")
	for _, p := range []string{"m/out", "m/abs", "m/ctl\x01"} {
		if _, err := os.Lstat(r.path(p)); !errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%q: %v, want not exist", p, err)
		}
	}
	r.settle()
	if !strings.Contains(r.log.String(), "hidden=") {
		t.Error("hidden entries are not reported")
	}
}

func TestLiveSource(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: true, NoDigests: true})
	old, young := random(2<<20+1, 6), random(2<<20+1, 7)
	src.Publish("b", "", files("f", old, "d/g", "g", "still", "s"))
	r := mounted(t, src, nil)
	r.want("b/f", old)
	r.want("b/d/g", "g")
	still := r.ino("b/still")
	held, err := os.Open(r.path("b/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	r.settle()
	src.Publish("b", "", files("f", young, "d/h", "h", "still", "s"))
	r.want("b/f", young)
	r.settle()
	r.wantErr("b/d/g", iofs.ErrNotExist)
	r.want("b/d/h", "h")
	if r.ino("b/still") != still {
		t.Error("an unchanged file changed its inode")
	}
	got := make([]byte, len(old))
	if _, err := held.ReadAt(got, 0); err != nil || string(got) != old {
		t.Errorf("handle from before: %v, %s, want the old bytes (they are cached)", err, brief(string(got)))
	}
}

func TestLiveSourceChangedUnderAReader(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: true, NoDigests: true})
	old := random(64<<20, 8)
	src.Publish("b", "", files("f", old))
	r := mounted(t, src, nil)
	f, err := os.Open(r.path("b/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src.Publish("b", "", files("f", random(64<<20, 9)))
	for off := int64(0); off < int64(len(old)); off += 8 << 20 {
		got := make([]byte, 4096)
		n, err := f.ReadAt(got, off)
		if err == nil && string(got[:n]) != old[off:off+int64(n)] {
			t.Fatalf("bytes of another revision at %d", off)
		}
		if err != nil && !errors.Is(err, syscall.ESTALE) && !errors.Is(err, syscall.EIO) {
			t.Errorf("read at %d: %v", off, err)
		}
	}
}

func TestManyReadersAtOnce(t *testing.T) {
	big := random(24<<20+9, 10)
	src := newSource()
	src.Publish("m", "", files("f", big))
	r := mounted(t, src, nil)
	var wg sync.WaitGroup
	for w := range 16 {
		rnd := rand.New(rand.NewPCG(1, uint64(w)))
		wg.Go(func() {
			f, err := os.Open(r.path("m/f"))
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for range 40 {
				off := rnd.Int64N(int64(len(big)))
				buf := make([]byte, rnd.IntN(1<<20)+1)
				n, err := f.ReadAt(buf, off)
				if n == 0 || string(buf[:n]) != big[off:off+int64(n)] {
					t.Errorf("%d bytes at %d: %v", n, off, err)
				}
			}
		})
	}
	wg.Wait()
	var asked int64
	for _, c := range src.Calls() {
		if c.Op == "read" {
			asked += c.N
		}
	}
	if asked > int64(len(big))*105/100 {
		t.Errorf("asked for %d bytes of a file of %d", asked, len(big))
	}
}

func TestInterruptedReadersAreGoneSoonAndTheFetchGoesOn(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", random(2<<20, 11)))
	r := mounted(t, src, func(o *fs.Options) { o.TTL = time.Minute })
	f, err := os.Open(r.path("m/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src.Delay(time.Second)
	cmd := startReader(t, r.path("m/f"))
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the reader ended by itself")
	}
	if d := time.Since(start); d > 500*time.Millisecond {
		t.Errorf("a killed reader was gone after %v, want 100ms", d)
	}
	time.Sleep(1500 * time.Millisecond)
	src.Delay(0)
	if got := src.Count("read"); got != 1 {
		t.Errorf("%d reads at the source, want the one that was begun", got)
	}
}

func TestDirectoryOfManyFiles(t *testing.T) {
	fl := providertest.Files{}
	for i := range 10_000 {
		fl[fmt.Sprintf("d/f%05d", i)] = providertest.File{Data: []byte{byte(i)}}
	}
	src := newSource()
	src.Publish("m", "", fl)
	r := mounted(t, src, nil)
	d, err := os.Open(r.path("m/d"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	seen := map[string]bool{}
	for {
		es, err := d.ReadDir(100)
		for _, e := range es {
			if seen[e.Name()] {
				t.Errorf("%s twice", e.Name())
			}
			seen[e.Name()] = true
			if _, err := e.Info(); err != nil {
				t.Error(err)
			}
		}
		if err != nil {
			break
		}
	}
	if len(seen) != 10_000 {
		t.Errorf("%d entries, want 10000", len(seen))
	}
	if got := len(src.Calls()); got > 20 {
		t.Errorf("%d requests for a listing", got)
	}
	if _, err := d.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if es, err := d.ReadDir(-1); err != nil || len(es) != 10_000 {
		t.Errorf("after rewinding: %d entries, %v", len(es), err)
	}
}

// TestAListingGivenUpIsBegunAgain closes a directory before its listing has come, and
// reads it then: the second reader must not inherit the cancellation, which its
// getdents would meet as EINTR for ever.
func TestAListingGivenUpIsBegunAgain(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("d/f", "1"))
	r := mounted(t, src, nil)
	if _, err := os.Lstat(r.path("m/d")); err != nil {
		t.Fatal(err)
	}
	src.Delay(50 * time.Millisecond)
	defer src.Delay(0)
	for range 20 {
		d, err := os.Open(r.path("m/d"))
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
		if es, err := os.ReadDir(r.path("m/d")); err != nil || len(es) != 1 {
			t.Fatalf("%d entries, %v", len(es), err)
		}
		src.Publish("m", "", files("d/f", fmt.Sprint(rand.Int()))) // another listing
		r.settle()
	}
}

func TestSizesNotInTheListing(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoSizes: true})
	src.Publish("m", "", files("f", "12345"))
	r := mounted(t, src, nil)
	if fi, err := os.Stat(r.path("m/f")); err != nil || fi.Size() != 5 {
		t.Errorf("size %v, %v; want 5", fi, err)
	}
	r.want("m/f", "12345")
}

func TestProtocolListing(t *testing.T) {
	src := newSource()
	src.Publish("org/a", "", files("f", "1"))
	src.Publish("solo", "v@1", files("f", "2"))
	src.Publish("solo", "", files("f", "2"))
	r := mounted(t, src, nil)
	r.want("solo@v%401/f", "2")
	for dir, want := range map[string]string{"": "[org solo solo@v%401]", "org": "[a]"} {
		es, err := os.ReadDir(r.path(dir))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range es {
			names = append(names, e.Name())
		}
		if got := fmt.Sprint(names); got != want {
			t.Errorf("%q lists %s, want %s", dir, got, want)
		}
	}
}

func TestXattrs(t *testing.T) {
	src := newSource()
	rev := src.Publish("m", "", files("f", "12345", "g", "x"))
	r := mounted(t, src, nil)
	r.want("m/f", "12345")
	r.sealed("m/f")
	for name, want := range map[string]string{
		"protocol": "mem", "name": "m", "revision": rev, "cached": "5", "stale": "false",
		"digest": fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("12345"))),
	} {
		if got := r.xattr("m/f", name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if got := r.xattr("m/g", "cached"); got != "0" {
		t.Errorf("cached bytes of an unread file: %q", got)
	}
	b := make([]byte, 4096)
	n, err := unix.Llistxattr(r.path("m/f"), b)
	if err != nil || !bytes.Contains(b[:n], []byte("user.modelfs.digest\x00")) {
		t.Errorf("list: %q, %v", b[:n], err)
	}
}
