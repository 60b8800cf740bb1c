package blockcache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

const fullFiles = 20

func fullFile(i int) (Key, []byte) {
	data := content(1000+i, uint64(i))
	return Key{Source: fmt.Sprint("full", i), Digest: sha(data), Size: int64(len(data))}, data
}

// hog fills the disk of dir and returns the file that does.
func hog(dir string) (string, error) {
	f, err := os.Create(filepath.Join(dir, "hog"))
	if err != nil {
		return "", err
	}
	for chunk := make([]byte, 4096); err == nil; {
		_, err = f.Write(chunk)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		return "", err
	}
	return f.Name(), f.Close()
}

// liveOnFullDisk is a process whose disk is filled by somebody else while it seals,
// opens and closes, more often than a memtable of the index holds records, and that
// then ends in order.
func liveOnFullDisk(dir string) error {
	c, err := Open(Options{Dir: dir})
	if err != nil {
		return err
	}
	open := func(i int) error {
		key, data := fullFile(i)
		r, err := c.Reader(context.Background(), key, (&origin{name: "mem", data: data}).source())
		if err != nil {
			return err
		}
		_, err = get(r, 0, len(data), 0)
		return errors.Join(err, r.Close())
	}
	for i := range fullFiles {
		if err := open(i); err != nil {
			return err
		}
	}
	for c.Stats().Sealed < fullFiles {
		time.Sleep(time.Millisecond)
	}
	c.saveRecords()
	if _, err := hog(dir); err != nil {
		return err
	}
	// As the sweep would: what nobody uses is evicted, and what is used recorded.
	for range 200 {
		for i := range fullFiles + 5 {
			if err := open(i); err != nil {
				return err
			}
		}
		c.saveRecords()
	}
	if err := c.Close(); !errors.Is(err, errFull) {
		return errors.Join(errors.New("close on a full disk did not say so"), err)
	}
	return nil
}

// A full disk must not kill the process, which a write of the index through a mapped
// file does, and must not cost the cache.
func TestFullDiskKillsNobody(t *testing.T) {
	dir := smallDisk(t, "140m")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MODELFS_TEST_FULL="+dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("process on a full disk: %v\n%.2000s", err, out)
	}
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, errFull) {
		t.Fatalf("open on a full disk: got %v, want %v", err, errFull)
	}
	if err := os.Remove(filepath.Join(dir, "hog")); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	for i := range fullFiles {
		key, data := fullFile(i)
		wantRange(t, use(t, c, key, (&origin{name: "mem", data: data}).source()), data, 0, len(data))
	}
	if _, err := os.Stat(filepath.Join(dir, "index.broken")); err == nil {
		t.Error("the index was thrown away for want of room")
	}
}

// What the index does not take stays to be written.
func TestUnwrittenBlocksAreWrittenLater(t *testing.T) {
	dir := smallDisk(t, "140m")
	data := content(4*BlockSize, 72)
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	s := &origin{name: "mem", data: data}
	c, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	r := use(t, c, key, s.source())
	full, err := hog(dir)
	if err != nil {
		t.Fatal(err)
	}
	r.o.mu.Lock()
	r.o.dirty[0] = true // as if the disk had filled after the block was stored
	r.o.mu.Unlock()
	r.o.flush()
	r.o.mu.Lock()
	kept := r.o.dirty[0]
	r.o.mu.Unlock()
	if !kept {
		t.Error("blocks that were not recorded are taken for recorded")
	}
	if err := os.Remove(full); err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, data, 0, 2*BlockSize)
	if err := errors.Join(r.Close(), c.Close()); err != nil {
		t.Fatal(err)
	}
	c = open(t, dir, Options{})
	if got := cached(use(t, c, key, s.source())); got != 2*BlockSize {
		t.Errorf("cached after the disk was full: got %d, want %d", got, 2*BlockSize)
	}
}
