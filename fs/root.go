package fs

import (
	"context"
	"slices"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"
)

// forever is the timeout of what only a new mount changes.
const forever = 24 * time.Hour

// root holds a directory for each protocol, and links from their aliases.
type root struct{ node }

var (
	_ fusefs.NodeLookuper  = (*root)(nil)
	_ fusefs.NodeReaddirer = (*root)(nil)
	_ fusefs.NodeGetattrer = (*root)(nil)
	_ fusefs.NodeStatfser  = (*root)(nil)
)

func (r *root) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	r.f.dirAttr(&out.Attr, time.Time{})
	out.SetTimeout(forever)
	return 0
}

func (r *root) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	for i := range r.f.opts.Protocols {
		p := &r.f.opts.Protocols[i]
		if p.Name == name {
			r.f.dirAttr(&out.Attr, time.Time{})
			out.SetEntryTimeout(forever)
			out.SetAttrTimeout(forever)
			return r.NewInode(ctx, &namespace{node: node{f: r.f}, p: p}, inode(syscall.S_IFDIR, "protocol", p.Name)), 0
		}
		if slices.Contains(p.Aliases, name) {
			out.Mode = syscall.S_IFLNK | 0o777
			out.Size = uint64(len(p.Name))
			out.SetEntryTimeout(forever)
			out.SetAttrTimeout(forever)
			return r.NewInode(ctx, &link{node: node{f: r.f}, target: p.Name}, inode(syscall.S_IFLNK, "alias", name)), 0
		}
	}
	return nil, syscall.ENOENT
}

func (r *root) Readdir(context.Context) (fusefs.DirStream, syscall.Errno) {
	var es []fuse.DirEntry
	for _, p := range r.f.opts.Protocols {
		es = append(es, fuse.DirEntry{Name: p.Name, Mode: syscall.S_IFDIR, Ino: inode(0, "protocol", p.Name).Ino})
	}
	return fusefs.NewListDirStream(es), 0
}

// node is what all nodes have.
type node struct {
	fusefs.Inode
	f *FS
}

// Statfs tells of the disk that what is read here is kept on.
func (n *node) Statfs(_ context.Context, out *fuse.StatfsOut) syscall.Errno {
	var st unix.Statfs_t
	if err := unix.Statfs(n.f.opts.Disk, &st); err == nil {
		out.Blocks, out.Bfree, out.Bavail = st.Blocks, st.Bfree, st.Bavail
		out.Bsize, out.Frsize = uint32(st.Bsize), uint32(st.Frsize) //nolint:gosec // sizes of blocks
	} else {
		out.Bsize, out.Frsize = 1<<20, 4096
	}
	out.NameLen = maxName
	return 0
}

// maxName is how long a name may be anywhere on Linux.
const maxName = 255

// link is a symbolic link.
type link struct {
	node
	target string
}

var _ fusefs.NodeReadlinker = (*link)(nil)

func (l *link) Readlink(context.Context) ([]byte, syscall.Errno) { return []byte(l.target), 0 }
