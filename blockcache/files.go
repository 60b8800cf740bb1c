package blockcache

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
)

// openPart opens or makes the data file. If that fails the object works without
// one: its blocks are fetched for each use.
func (o *object) openPart(rec record) {
	name := o.c.path(rec.ID, false)
	if rec.Gen != 0 {
		f, err := os.OpenFile(name, os.O_RDWR|syscall.O_NOFOLLOW, 0)
		if err == nil {
			st, err := stat(f)
			if err == nil && st.Size == o.key.Size && ours(f) {
				o.use(f, st)
				o.account(o.bytes())
				return
			}
			o.c.closeFile(f)
		}
	}
	clear(o.have)
	o.account(0)
	o.gen = rand.Uint64() | 1
	f, err := createPart(name, o.key.Size)
	if err != nil {
		o.c.disk.trouble(o.c, err)
		return
	}
	rec.Gen, rec.Stored, rec.LastUsed = o.gen, 0, o.c.now().UnixNano()
	o.c.mu.Lock()
	o.slot.rec.Gen, o.slot.rec.LastUsed = rec.Gen, rec.LastUsed
	o.c.mu.Unlock()
	if err := o.c.index.write([]record{rec}, nil); err != nil {
		o.unwritten(nil, err)
	}
	st, err := stat(f)
	if err != nil {
		o.c.disk.trouble(o.c, err)
	}
	o.use(f, st)
}

// use takes f as the data file, and opens it once more for direct I/O if there is
// more than one block to write.
func (o *object) use(f *os.File, st stamp) {
	o.part = f
	o.ctime.Store(st.Ctime)
	if o.n == 1 {
		return
	}
	d, err := os.OpenFile(f.Name(), os.O_RDWR|syscall.O_DIRECT|syscall.O_NOFOLLOW, 0)
	if err != nil {
		o.c.log.Debug("no direct I/O for the cache", "error", err)
		return
	}
	o.direct = d
}

func createPart(name string, size int64) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(size); err != nil {
		if errors.Is(err, syscall.EINVAL) { // another word for a size that the file system does not know
			err = fmt.Errorf("%d bytes: %w", size, syscall.EFBIG)
		}
		return nil, errors.Join(err, f.Close(), os.Remove(name))
	}
	return f, nil
}

// bytes is the length of all blocks in the data file. o.mu is held, or o is new.
func (o *object) bytes() int64 {
	n := o.have.count() * BlockSize
	if o.n > 0 && o.have.has(o.n-1) {
		n -= BlockSize - int64(blockLen(o.key.Size, o.n-1))
	}
	return n
}

// account sets how many bytes the object holds on disk.
func (o *object) account(stored int64) {
	o.c.mu.Lock()
	o.c.used += stored - o.slot.rec.Stored
	o.slot.rec.Stored = stored
	o.c.mu.Unlock()
}

func stat(f *os.File) (stamp, error) {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(f.Fd()), &st); err != nil {
		return stamp{}, err
	}
	return stamp{Ino: st.Ino, Size: st.Size, Ctime: st.Ctim.Nano()}, nil
}

// ours reports whether f is a regular file of this user with one name.
func ours(f *os.File) bool {
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return false
	}
	st := fi.Sys().(*syscall.Stat_t)
	return int(st.Uid) == os.Geteuid() && st.Nlink == 1
}

func (c *Cache) closeFile(f *os.File) {
	if err := f.Close(); err != nil {
		c.log.Warn("close cache file", "error", err)
	}
}
