package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Every object is a piece of one pattern, and equal objects are links to one file.
const (
	bucket    = "bench"
	minSize   = 96 << 20 // of the big object: the others are shares of it
	smallSize = 4 << 10
	bigCount  = 40 // cold objects that one mount can be asked for
	fourCount = 4
	manyCount = 16
)

func bigKey(i int) string   { return fmt.Sprintf("big/%02d.bin", i) }
func fourKey(i int) string  { return fmt.Sprintf("four/%d.bin", i) }
func manyKey(i int) string  { return fmt.Sprintf("many/%02d.bin", i) }
func smallKey(i int) string { return fmt.Sprintf("small/%05d.bin", i) }

// sizes are those of the objects.
type sizes struct{ big, four, many int64 }

func sizesOf(big int64) sizes {
	return sizes{big: big, four: big / 6 &^ (1<<20 - 1), many: big / 12 &^ (1<<20 - 1)}
}

func (s sizes) total(small int) int64 { return s.big + s.four + s.many + int64(small)*smallSize }

// memoryDir is a directory in memory with room for n bytes, or "" if there is
// none: a server's own disk reads would be measured too.
func memoryDir(n int64) (string, error) {
	const shm = "/dev/shm"
	var st unix.Statfs_t
	if err := unix.Statfs(shm, &st); err != nil || st.Type != unix.TMPFS_MAGIC || int64(st.Bavail)*st.Bsize < n+n/4 {
		return "", nil //nolint:nilerr // no such place is an answer
	}
	return os.MkdirTemp(shm, "modelfs-bench-")
}

// writeObjects fills the folder of the bucket.
func writeObjects(root string, s sizes, small int) error {
	for _, group := range []struct {
		size  int64
		count int
		key   func(int) string
	}{{s.big, bigCount, bigKey}, {s.four, fourCount, fourKey}, {s.many, manyCount, manyKey}} {
		first := filepath.Join(root, group.key(0))
		if err := writeFile(first, 0, group.size); err != nil {
			return err
		}
		for i := 1; i < group.count; i++ {
			if err := os.Link(first, filepath.Join(root, group.key(i))); err != nil {
				return err
			}
		}
	}
	return writeSmall(root, small)
}

func writeSmall(root string, count int) error {
	for i := range count {
		if err := writeFile(filepath.Join(root, smallKey(i)), int64(i)*smallSize, smallSize); err != nil {
			return err
		}
	}
	return nil
}

// writeFile makes a file of size bytes of the pattern that begins at off.
func writeFile(name string, off, size int64) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(writePattern(f, off, size), f.Close())
}
