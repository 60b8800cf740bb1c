package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// bench is one run of the program: where it works, and what it has found.
type bench struct {
	options
	sizes
	dir     string // on the disk that is measured
	modelfs string
	origin  *origin
	report  report
	stderr  io.Writer
}

// prepare makes everything that the steps share. The caller closes it.
func prepare(ctx context.Context, o options, stderr io.Writer) (*bench, error) {
	b := &bench{options: o, sizes: sizesOf(int64(o.size)), stderr: stderr}
	b.report = report{Machine: machine(), Server: o.server, Size: int64(o.size), Runs: o.runs}
	var err error
	if b.modelfs, err = build(ctx, o.modelfs); err != nil {
		return nil, err
	}
	if b.dir, err = b.workDir(o.dir); err != nil {
		return nil, err
	}
	if err = b.fill(ctx); err != nil {
		return nil, errors.Join(err, b.close())
	}
	return b, nil
}

// build returns the program to measure.
func build(ctx context.Context, binary string) (string, error) {
	if binary != "" {
		return filepath.Abs(binary)
	}
	binary = filepath.Join("bin", "modelfs")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", binary, "./cmd/modelfs")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build modelfs (call this from the top of the tree, or with -modelfs): %w: %s", err, out)
	}
	return filepath.Abs(binary)
}

// workDir makes a directory of this run's own. One in memory is worth a word: what
// is measured there says nothing about disks.
func (b *bench) workDir(parent string) (string, error) {
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(parent, &st); err != nil {
		return "", err
	}
	if st.Type == unix.TMPFS_MAGIC {
		b.say("%s is in memory; name a directory on a disk with -dir", parent)
	}
	dir, err := os.MkdirTemp(parent, "run-")
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o600); err != nil {
		return "", err
	}
	return filepath.Abs(dir)
}

// fill makes the objects and starts their server.
func (b *bench) fill(ctx context.Context) error {
	dir, err := memoryDir(b.total(b.small))
	if err != nil {
		return err
	}
	if dir == "" {
		b.say("no room in memory for the objects: the server reads them from the disk that is measured")
		dir = filepath.Join(b.dir, "objects")
	}
	b.origin, err = startOrigin(ctx, b.server, dir, func(root string) error { return writeObjects(root, b.sizes, b.small) })
	return err
}

func (b *bench) close() error {
	var err error
	if b.origin != nil {
		err = b.origin.close()
	}
	if b.keep {
		b.say("kept: %s", b.dir)
		return err
	}
	return errors.Join(err, os.RemoveAll(b.dir))
}

// say tells the person who waits what goes on.
func (b *bench) say(format string, a ...any) { fmt.Fprintf(b.stderr, "bench: "+format+"\n", a...) }

var kernelSeries = regexp.MustCompile(`^[0-9]+\.[0-9]+`)

// machine describes what is measured on, in general words, and how busy it is.
func machine() string {
	var u unix.Utsname
	release := "unknown"
	if err := unix.Uname(&u); err == nil {
		raw, _, _ := bytes.Cut(u.Release[:], []byte{0})
		release = kernelSeries.FindString(string(raw)) // what follows is a builder's name
	}
	return fmt.Sprintf("%d cores, Linux %s, load %s", runtime.NumCPU(), release, load())
}

// load is how many processes wanted a core in the minute before: above zero,
// somebody else is being measured too.
func load() string {
	raw, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	minute, _, _ := strings.Cut(string(raw), " ")
	return minute
}

// settle brings everything written so far to the disk, so that no step pays for
// the one before it.
func (b *bench) settle() error {
	d, err := os.Open(b.dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(d.Fd())), d.Close())
}

// dropCaches empties the page cache: of the machine if that is allowed, else of
// these files.
func (b *bench) dropCaches(files ...string) error {
	if err := b.settle(); err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		return os.WriteFile("/proc/sys/vm/drop_caches", []byte("3\n"), 0o200)
	}
	for _, name := range files {
		if err := forget(name); err != nil {
			return err
		}
	}
	return nil
}

// forget drops the pages of one file.
func forget(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	if err := errors.Join(unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED), f.Close()); err != nil {
		return fmt.Errorf("drop the pages of %s: %w", name, err)
	}
	return nil
}
