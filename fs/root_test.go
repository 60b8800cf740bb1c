package fs_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

func TestStatfsTellsOfTheCachesDisk(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	var want unix.Statfs_t
	if err := unix.Statfs(r.cache, &want); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"", "m", "m/f"} {
		var got unix.Statfs_t
		if err := unix.Statfs(r.path(p), &got); err != nil || got.Blocks != want.Blocks || got.Bsize != want.Bsize {
			t.Errorf("%q: %d blocks of %d, %v; want %d of %d", p, got.Blocks, got.Bsize, err, want.Blocks, want.Bsize)
		}
	}
}

func TestLongNames(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	for n, want := range map[int]error{255: syscall.ENOENT, 256: syscall.ENAMETOOLONG, 2000: syscall.ENAMETOOLONG} {
		for _, dir := range []string{"", "m/"} {
			if _, err := os.Lstat(r.path(dir + strings.Repeat("n", n))); !errors.Is(err, want) {
				t.Errorf("%d bytes below %q: %v, want %v", n, dir, err, want)
			}
		}
	}
}

// TestADeadSourceIsNoEmptyDirectory lists a protocol whose source does not answer.
func TestADeadSourceIsNoEmptyDirectory(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
	if es, err := os.ReadDir(r.path("")); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v and %v, want EIO", es, err)
	}
	if !strings.Contains(r.log.String(), "op=list") {
		t.Error("it is not logged")
	}
	src.Fail(nil)
	r.want("m/f", "x")
	src.Fail(fmt.Errorf("refused: %w", providers.ErrUnavailable))
	if es, err := os.ReadDir(r.path("")); err != nil || len(es) != 1 {
		t.Errorf("what is known: got %v and %v, want one model", es, err)
	}
}

// TestHiddenEntriesAreNamed has the log quote what is hidden, and say why.
func TestHiddenEntriesAreNamed(t *testing.T) {
	for want, fl := range map[string]providertest.Files{
		`../../etc/passwd`:   files("ok", "1", "../../etc/passwd", "x"),
		`/abs`:               files("ok", "1", "/abs", "x"),
		`another entry of`:   files("ok", "1", "ok/child", "x"),
		`outside of the mod`: {"out": {Target: "../../x"}},
	} {
		src := newSource()
		src.Publish("m", "", fl)
		r := mounted(t, src, nil)
		if _, err := os.ReadDir(r.path("m")); err != nil {
			t.Fatal(err)
		}
		r.settle()
		if !strings.Contains(r.log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
		r.stop()
	}
}
