package fs

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"modelfs/providers"
)

// inode makes an inode number of what it is: the same parts, the same number, also
// after a restart.
func inode(mode uint32, parts ...string) fusefs.StableAttr {
	h := sha256.New()
	for _, p := range parts {
		h.Write([]byte(strconv.Itoa(len(p))))
		h.Write([]byte{':'})
		h.Write([]byte(p))
	}
	n := binary.LittleEndian.Uint64(h.Sum(nil)) >> 1 // positive everywhere
	return fusefs.StableAttr{Mode: mode, Ino: max(n, 1<<16)}
}

func (f *FS) dirAttr(a *fuse.Attr, mtime time.Time) {
	a.Mode = syscall.S_IFDIR | f.opts.DirMode
	a.Nlink = 1 // find(1): do not count subdirectories
	f.common(a, mtime)
}

func (f *FS) entryAttr(a *fuse.Attr, e providers.Entry, o providers.Origin) {
	mtime := e.ModTime
	if mtime.IsZero() {
		mtime = o.ModTime
	}
	switch {
	case e.IsDir():
		f.dirAttr(a, mtime)
		return
	case e.IsSymlink():
		a.Mode = syscall.S_IFLNK | 0o777
		a.Size = uint64(len(e.Target))
	default:
		a.Mode = syscall.S_IFREG | f.opts.FileMode
		if e.Mode&0o111 != 0 {
			a.Mode |= f.opts.FileMode & 0o444 >> 2 // who may read may execute
		}
		a.Size = uint64(max(e.Size, 0))
	}
	a.Nlink = 1
	f.common(a, mtime)
}

func (f *FS) common(a *fuse.Attr, mtime time.Time) {
	a.Uid, a.Gid = f.opts.UID, f.opts.GID
	a.Blksize = 1 << 20
	a.Blocks = (a.Size + 511) / 512
	if mtime.Unix() <= 0 {
		mtime = f.began
	}
	a.SetTimes(&mtime, &mtime, &mtime)
}

// xattrs of files and of model directories.
func xattrs(o providers.Origin, protocol, name string, stale bool) map[string]string {
	x := map[string]string{
		"user.modelfs.protocol": protocol,
		"user.modelfs.name":     name,
		"user.modelfs.ref":      o.Ref,
		"user.modelfs.revision": o.Revision,
		"user.modelfs.source":   o.Source,
		"user.modelfs.stale":    strconv.FormatBool(stale),
	}
	return x
}

// getxattr copies one attribute out; empty ones are absent.
func getxattr(x map[string]string, attr string, dest []byte) (uint32, syscall.Errno) {
	v := x[attr]
	if v == "" {
		return 0, syscall.ENODATA
	}
	if len(dest) < len(v) {
		return uint32(len(v)), syscall.ERANGE
	}
	return uint32(copy(dest, v)), 0
}

func listxattr(x map[string]string, dest []byte) (uint32, syscall.Errno) {
	var names []byte
	for k, v := range x {
		if v != "" {
			names = append(append(names, k...), 0)
		}
	}
	if len(dest) < len(names) {
		return uint32(len(names)), syscall.ERANGE
	}
	return uint32(copy(dest, names)), 0
}
