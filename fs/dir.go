package fs

import (
	"context"
	"syscall"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"modelfs/providers"
)

// dir is a directory of a model, or its root. It stands for the model at its ref:
// when the ref moves, the same directory shows the new revision.
type dir struct {
	node
	m    *model
	path string // "" is the root
}

var (
	_ fusefs.NodeLookuper       = (*dir)(nil)
	_ fusefs.NodeOpendirHandler = (*dir)(nil)
	_ fusefs.NodeGetattrer      = (*dir)(nil)
	_ fusefs.NodeGetxattrer     = (*dir)(nil)
	_ fusefs.NodeListxattrer    = (*dir)(nil)
)

func (d *dir) op(what, path string) op { return op{what, d.m.key.protocol, d.m.key.name, path} }

func (d *dir) attr(a *fuse.Attr) { d.f.dirAttr(a, d.m.current().origin.ModTime) }

func (d *dir) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	d.attr(&out.Attr)
	out.SetTimeout(d.m.timeout())
	return 0
}

func (d *dir) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	if len(name) > maxName {
		return nil, syscall.ENAMETOOLONG
	}
	if providers.ValidElement(name) != nil {
		return nil, d.f.unknown(out)
	}
	p := join(d.path, name)
	wait, cancel := patient(ctx, d.f.opts.LookupTimeout)
	defer cancel()
	s, err := d.m.look(wait)
	var e providers.Entry
	if err == nil {
		e, err = s.lookup(wait, p)
	}
	if err != nil {
		no := d.f.errno(d.op("lookup", p), err)
		if no == syscall.ENOENT {
			out.SetEntryTimeout(d.m.timeout())
		}
		return nil, no
	}
	return d.child(ctx, s, e, out), 0
}

// child makes the inode of an entry.
func (d *dir) child(ctx context.Context, s *snapshot, e providers.Entry, out *fuse.EntryOut) *fusefs.Inode {
	d.f.entryAttr(&out.Attr, e, s.origin)
	out.SetEntryTimeout(d.m.timeout())
	out.SetAttrTimeout(d.m.timeout())
	switch {
	case e.IsDir():
		return d.NewInode(ctx, &dir{node: node{f: d.f}, m: d.m, path: e.Path}, d.ino(e))
	case e.IsSymlink():
		return d.NewInode(ctx, &link{node: node{f: d.f}, target: e.Target}, d.ino(e))
	}
	c := d.f.content(d.m.key, e)
	c.see(d.m, s, e)
	v := c.latest()
	return d.NewInode(ctx, &file{node: node{f: d.f}, c: c, variant: v}, c.key.inode(v))
}

// ino is the identity of an entry's inode, as far as a listing can tell: a file that
// is open in two modes has another one.
func (d *dir) ino(e providers.Entry) fusefs.StableAttr {
	k := d.m.key
	switch {
	case e.IsDir():
		return inode(syscall.S_IFDIR, "model", k.protocol, k.name, k.ref, e.Path)
	case e.IsSymlink():
		return inode(syscall.S_IFLNK, "link", k.protocol, k.name, e.Path, e.Target)
	}
	return contentKey{k.protocol, k.name, k.ref, e.Path, e.Identity()}.inode(0)
}

func (d *dir) Getxattr(_ context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	return getxattr(d.xattrs(), attr, dest)
}

func (d *dir) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	return listxattr(d.xattrs(), dest)
}

func (d *dir) xattrs() map[string]string {
	return xattrs(d.m.current().origin, d.m.key.protocol, d.m.key.name, d.m.isStale())
}

// OpendirHandle opens the listing as it is now; one handle shows one revision.
func (d *dir) OpendirHandle(ctx context.Context, _ uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	wait, cancel := patient(ctx, d.f.opts.LookupTimeout)
	defer cancel()
	s, err := d.m.look(wait)
	if err != nil {
		return nil, 0, d.f.errno(d.op("list", d.path), err)
	}
	return &dirHandle{d: d, s: s, l: s.listing(d.path)}, 0, 0
}

// dirHandle reads one listing. Offsets are places in it, so that seeking back shows
// the same entries.
type dirHandle struct {
	d    *dir
	s    *snapshot
	l    *listing
	next int
	last providers.Entry
}

var (
	_ fusefs.FileReaddirenter = (*dirHandle)(nil)
	_ fusefs.FileSeekdirer    = (*dirHandle)(nil)
	_ fusefs.FileReleasedirer = (*dirHandle)(nil)
	_ fusefs.FileLookuper     = (*dirHandle)(nil)
)

func (h *dirHandle) Readdirent(ctx context.Context) (*fuse.DirEntry, syscall.Errno) {
	wait, cancel := patient(ctx, h.d.f.opts.LookupTimeout)
	defer cancel()
	e, ok, err := h.l.entry(wait, h.next)
	if err != nil {
		return nil, h.d.f.errno(h.d.op("list", h.d.path), err)
	}
	if !ok {
		return nil, 0
	}
	h.next++
	h.last = e
	mode := uint32(syscall.S_IFREG)
	switch {
	case e.IsDir():
		mode = syscall.S_IFDIR
	case e.IsSymlink():
		mode = syscall.S_IFLNK
	}
	return &fuse.DirEntry{Name: baseOf(e.Path), Mode: mode, Ino: h.d.ino(e).Ino, Off: uint64(h.next)}, 0
}

// Lookup serves readdirplus from the entry just listed, without a question.
func (h *dirHandle) Lookup(ctx context.Context, name string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	if e := h.last; baseOf(e.Path) == name && e.Size != providers.SizeUnknown && h.s == h.d.m.current() {
		return h.d.child(ctx, h.s, e, out), 0
	}
	return h.d.Lookup(ctx, name, out)
}

func (h *dirHandle) Seekdir(_ context.Context, off uint64) syscall.Errno {
	h.next = int(off)
	return 0
}

func (h *dirHandle) Releasedir(context.Context, uint32) { h.l.release() }

func baseOf(p string) string {
	for i := len(p) - 1; i >= 0; i-- {
		if p[i] == '/' {
			return p[i+1:]
		}
	}
	return p
}
