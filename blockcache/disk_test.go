package blockcache

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk mounts a disk of its own for a test.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0700"); err != nil {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 {
			t.Fatalf("mount tmpfs: %v", err)
		}
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func TestFullDiskStreams(t *testing.T) {
	dir := smallDisk(t, "90m") // 26 MiB above what the index keeps free
	data := content(40*BlockSize+5, 70)
	s := &origin{name: "mem", data: data}
	c := open(t, dir, Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	for range 2 {
		for off := 0; off < len(data); off += BlockSize {
			wantRange(t, r, data, int64(off), BlockSize)
		}
	}
	if used := c.Stats().Used; used == 0 || used > 27*BlockSize {
		t.Errorf("%d MiB stored, want what fits above the floor", used/BlockSize)
	}
	if n := c.Stats().DiskErrors; n != 0 {
		t.Errorf("%d disk errors: the floor was not kept", n)
	}
}

func TestDiskThatFillsUnderUs(t *testing.T) {
	dir := smallDisk(t, "120m")
	data := content(20*BlockSize, 71)
	s := &origin{name: "mem", data: data}
	c := open(t, dir, Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	wantRange(t, r, data, 0, 5*BlockSize)
	hog := filepath.Join(dir, "hog")
	f, err := os.Create(hog)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	chunk := make([]byte, BlockSize)
	for err == nil {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	wantRange(t, r, data, 0, len(data))
	if err := os.Remove(hog); err != nil {
		t.Fatal(err)
	}
	f.Close()
	time.Sleep(2 * diskRestMin)
	wantRange(t, r, data, 0, len(data))
	c.recent.drop(r.o)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}
