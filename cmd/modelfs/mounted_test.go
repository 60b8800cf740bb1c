package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"testing"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// needFUSE skips a test where nothing can be mounted, unless it may not be skipped.
func needFUSE(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err == nil {
		f.Close()
		return
	}
	if os.Getenv("CI") == "true" || os.Getenv("MODELFS_REQUIRE_ALL") != "" {
		t.Fatalf("this test may not be skipped, and needs FUSE: %v", err)
	}
	t.Skipf("no FUSE here: %v", err)
}

// emptyMount is a command of the scripts: it mounts an empty file system under
// the name that is its first argument at its second, until SIGINT.
func emptyMount() {
	opts := &fusefs.Options{MountOptions: fuse.MountOptions{Name: os.Args[1], FsName: os.Args[1], DirectMount: true}}
	server, err := fusefs.Mount(os.Args[2], &fusefs.Inode{}, opts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	interrupted, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	go func() {
		<-interrupted.Done()
		if err := server.Unmount(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	server.Wait()
}

// detachBelow removes what a failed script left mounted below dir, and tells.
func detachBelow(t testing.TB, dir string) {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(dir))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mounts {
		if !strings.HasPrefix(m.FSType, "fuse") {
			continue
		}
		t.Errorf("got %s left mounted, want nothing", m.Mountpoint)
		if err := unmount(context.Background(), m.Mountpoint, true); err != nil {
			t.Errorf("got error %v, want %s unmounted", err, m.Mountpoint)
		}
	}
}

func TestUnmountIsCalmAboutWhatIsNoMount(t *testing.T) {
	if err := unmount(t.Context(), t.TempDir(), false); err == nil {
		t.Error("got no error, want one: nothing is mounted there")
	} else if os.Getuid() == 0 && !errors.Is(err, unix.EINVAL) {
		t.Errorf("got %v, want %v", err, unix.EINVAL)
	}
}
