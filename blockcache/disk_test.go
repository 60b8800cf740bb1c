package blockcache

import (
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
	full, err := hog(dir)
	if err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, data, 0, len(data))
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * diskRestMin)
	wantRange(t, r, data, 0, len(data))
	c.recent.drop(r.o)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}

// A file that its file system cannot name is that file's trouble alone.
func TestHugeFileIsNobodyElsesTrouble(t *testing.T) {
	c := open(t, t.TempDir(), Options{})
	for _, size := range []int64{16 << 40, 100 << 40} {
		key := Key{Source: "huge", Digest: sha(nil), Size: size}
		r := use(t, c, key, (&origin{name: "mem", data: content(BlockSize, 73)}).source())
		wantRange(t, r, content(BlockSize, 73), 0, 10)
	}
	data := content(4*BlockSize, 74)
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, (&origin{name: "mem", data: data}).source())
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
	if n := c.Stats().DiskErrors; n != 0 {
		t.Errorf("%d disk errors, want none", n)
	}
}

// A disk that says "written" and loses it must not have its file sealed: nobody checks
// the bytes after that.
func TestLostWritesAreNotSealed(t *testing.T) {
	for _, digest := range []bool{true, false} {
		data := content(12*BlockSize+99, 75)
		key := Key{Source: "a", Size: int64(len(data))}
		if digest {
			key.Digest = sha(data)
		}
		c := open(t, t.TempDir(), Options{})
		r := use(t, c, key, (&origin{name: "mem", data: data}).source())
		elsewhere, err := os.Create(filepath.Join(t.TempDir(), "lost"))
		if err != nil {
			t.Fatal(err)
		}
		if r.o.direct == nil {
			t.Skip("no direct I/O here")
		}
		good := r.o.direct
		r.o.writing.Lock()
		r.o.direct = elsewhere
		r.o.writing.Unlock()
		wantRange(t, r, data, 0, 2*BlockSize)
		eventually(t, "the blocks are not stored", func() bool { return cached(r) == 2*BlockSize })
		r.o.writing.Lock()
		r.o.direct = good
		r.o.writing.Unlock()
		elsewhere.Close()
		wantRange(t, r, data, 0, len(data))
		wantSealed(t, r, data)
		if c.Stats().Corrupt == 0 {
			t.Error("the lost blocks were not noticed")
		}
	}
}

// The first read of a block from the disk is compared, though this process wrote it.
func TestLostWriteIsNotServed(t *testing.T) {
	data := content(4*BlockSize, 76)
	c := open(t, t.TempDir(), Options{Recent: 1})
	r := use(t, c, Key{Source: "a", Size: int64(len(data))}, (&origin{name: "mem", data: data}).source())
	elsewhere, err := os.Create(filepath.Join(t.TempDir(), "lost"))
	if err != nil {
		t.Fatal(err)
	}
	if r.o.direct == nil {
		t.Skip("no direct I/O here")
	}
	r.o.direct.Close()
	r.o.direct = elsewhere
	wantRange(t, r, data, 0, 2*BlockSize)
	eventually(t, "the blocks are not stored", func() bool { return cached(r) == 2*BlockSize })
	c.recent.drop(r.o)
	wantRange(t, r, data, 0, 2*BlockSize)
}
