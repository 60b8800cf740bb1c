package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"modelfs/blockcache"
	"modelfs/catalog"
	"modelfs/fs"
	"modelfs/mount"
	"modelfs/providers"
	"modelfs/providers/s3"
	"modelfs/providers/s3/s3test"
)

// The benchmarks serve a mount from the test process alone, so that its profile is
// that of a daemon: the object server and the reader are other processes.
//
//	go test ./bench -run '^$' -bench ColdRead -benchtime 4x -cpuprofile cpu.prof -memprofile mem.prof
//	go tool pprof -top bench.test cpu.prof

func TestMain(m *testing.M) {
	if played, err := playRole(os.Stdin, os.Stdout); played {
		exit(err)
	}
	os.Exit(m.Run())
}

// profileSize is the size of the object that benchmarks read: MODELFS_BENCH_SIZE,
// or 1 GiB.
func profileSize(b *testing.B) int64 {
	b.Helper()
	size := byteSize(1 << 30)
	if text := os.Getenv("MODELFS_BENCH_SIZE"); text != "" {
		if err := size.Set(text); err != nil {
			b.Fatalf("MODELFS_BENCH_SIZE: %v", err)
		}
	}
	return int64(size)
}

// BenchmarkColdRead is the first sequential read of a file, with an empty cache.
func BenchmarkColdRead(b *testing.B) {
	size := profileSize(b)
	origin := benchOrigin(b, size)
	b.SetBytes(size)
	var spent time.Duration
	for b.Loop() {
		b.StopTimer()
		point, stop := serveMount(b, origin)
		before := ownCPU(b)
		b.StartTimer()
		readApart(b, filepath.Join(point, "s3", bucket, bigKey(0)), size)
		b.StopTimer()
		spent += ownCPU(b) - before
		stop()
		b.StartTimer()
	}
	reportCPU(b, spent, size)
}

// BenchmarkWarmSplice reads a cached file that the kernel is not given: every
// read is a range of the cache's file that the daemon splices.
func BenchmarkWarmSplice(b *testing.B) {
	size := profileSize(b)
	point, stop := serveMount(b, benchOrigin(b, size))
	defer stop()
	path := filepath.Join(point, "s3", bucket, bigKey(0))
	readApart(b, path, size)
	b.SetBytes(size)
	before := ownCPU(b)
	for b.Loop() {
		readApart(b, path, size)
	}
	reportCPU(b, ownCPU(b)-before, size)
}

// ownCPU is the time that this process has had of a processor: less than the
// clock's, it does not depend on what else the machine does.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func reportCPU(b *testing.B, spent time.Duration, size int64) {
	b.Helper()
	b.ReportMetric(spent.Seconds()/float64(b.N)/(float64(size)/(1<<30)), "CPU-s/GiB")
}

// readApart reads a file in another process: one that serves a mount must not
// wait for it.
func readApart(b *testing.B, path string, size int64) {
	b.Helper()
	p, err := start(b.Context(), "read", path)
	if err != nil {
		b.Fatal(err)
	}
	if err := p.close(); err != nil {
		b.Fatal(err)
	}
	if got := p.said; got != strconv.FormatInt(size, 10) {
		b.Fatalf("bytes read: got %s, want %d", got, size)
	}
}

// benchOrigin serves one big object.
func benchOrigin(b *testing.B, size int64) *origin {
	b.Helper()
	dir, err := memoryDir(size)
	if err != nil {
		b.Fatal(err)
	}
	if dir == "" {
		dir = b.TempDir()
	}
	o, err := startOrigin(b.Context(), "plain", dir, func(root string) error {
		return writeFile(filepath.Join(root, bigKey(0)), 0, size)
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := o.close(); err != nil {
			b.Error(err)
		}
	})
	return o
}

// serveMount serves the origin from an empty cache, without passthrough, until
// stop is called.
func serveMount(b *testing.B, o *origin) (point string, stop func()) {
	b.Helper()
	needFuse(b)
	dir := b.TempDir()
	point = filepath.Join(dir, "mnt")
	cache, err := blockcache.Open(blockcache.Options{Dir: filepath.Join(dir, "cache")})
	known, openErr := catalog.Open(filepath.Join(dir, "models"), slog.New(slog.DiscardHandler))
	source, sourceErr := s3.New(providers.Env{Protocol: "s3"}.Fill(), s3.Config{Endpoint: o.fast, Anonymous: true})
	if err := errors.Join(err, openErr, sourceErr, os.Mkdir(point, 0o755)); err != nil {
		b.Fatal(err)
	}
	var f *fs.FS
	server, err := mount.Serve(point, func(func(int) bool) *fs.FS {
		f = fs.New(fs.Options{
			Cache: cache, Catalog: known, TTL: 10 * time.Second, Hold: 5 * time.Minute,
			Protocols: []fs.Protocol{{Name: "s3", Provider: providers.Guard(source, providers.GuardOptions{Protocol: "s3"})}},
		})
		return f
	}, mount.ServeOptions{})
	if err != nil {
		b.Fatal(err)
	}
	return point, func() {
		err := server.Unmount()
		server.Wait()
		reportMemory(b, cache.Stats())
		if err := errors.Join(err, f.Close(), cache.Close(), os.RemoveAll(dir)); err != nil {
			b.Error(err)
		}
	}
}

// reportMemory tells which share of the reads was answered without the disk.
func reportMemory(b *testing.B, s blockcache.Stats) {
	b.Helper()
	if all := s.BytesFromMemory + s.BytesFromDataFile; all > 0 {
		b.ReportMetric(float64(s.BytesFromMemory)/float64(all), "from-memory")
	}
}

// needFuse skips where nothing can be mounted, but not where tests are to be complete.
func needFuse(tb testing.TB) {
	tb.Helper()
	_, err := os.Stat("/dev/fuse")
	switch {
	case err == nil:
	case s3test.Required():
		tb.Fatalf("no FUSE to mount with: %v", err)
	default:
		tb.Skipf("no FUSE to mount with: %v", err)
	}
}

func TestRolesAreRefused(t *testing.T) {
	t.Setenv(roleVariable, "dance")
	played, err := playRole(strings.NewReader(""), nil)
	if !played || err == nil || !strings.Contains(fmt.Sprint(err), "dance") {
		t.Errorf("unknown role: got %v, %v; want an error that names it", played, err)
	}
}
