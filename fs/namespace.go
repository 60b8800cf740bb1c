package fs

import (
	"context"
	"errors"
	"slices"
	"strings"
	"syscall"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"modelfs/providers"
)

// namespace is a directory between a protocol and its models: the protocol itself,
// or the beginning of names.
type namespace struct {
	node
	p      *Protocol
	prefix string // "" for the protocol
}

var (
	_ fusefs.NodeLookuper  = (*namespace)(nil)
	_ fusefs.NodeReaddirer = (*namespace)(nil)
	_ fusefs.NodeGetattrer = (*namespace)(nil)
)

func (n *namespace) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	n.f.dirAttr(&out.Attr, time.Time{})
	out.SetTimeout(n.f.opts.TTL)
	return 0
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "/" + name
}

func (n *namespace) Lookup(ctx context.Context, element string, out *fuse.EntryOut) (*fusefs.Inode, syscall.Errno) {
	f := n.f
	if len(element) > maxName {
		return nil, syscall.ENAMETOOLONG
	}
	if providers.ValidElement(element) != nil {
		return nil, f.unknown(out)
	}
	name, ref, err := providers.SplitElement(element)
	if err != nil {
		return nil, f.unknown(out)
	}
	full := join(n.prefix, name)
	wait, cancel := patient(ctx, f.opts.LookupTimeout)
	defer cancel()
	m, err := f.model(wait, n.p, full, ref)
	switch {
	case errors.Is(err, providers.ErrPartial) && ref == "":
		f.dirAttr(&out.Attr, time.Time{})
		out.SetEntryTimeout(f.opts.TTL)
		out.SetAttrTimeout(f.opts.TTL)
		return n.NewInode(ctx, &namespace{node: node{f: f}, p: n.p, prefix: full}, inode(syscall.S_IFDIR, "namespace", n.p.Name, full)), 0
	case errors.Is(err, providers.ErrPartial):
		return nil, f.unknown(out)
	case err != nil:
		no := f.errno(op{"lookup", n.p.Name, full, ""}, err)
		if no == syscall.ENOENT {
			return nil, f.unknown(out)
		}
		return nil, no
	}
	d := &dir{node: node{f: f}, m: m}
	d.attr(&out.Attr)
	out.SetEntryTimeout(m.timeout())
	out.SetAttrTimeout(m.timeout())
	return n.NewInode(ctx, d, inode(syscall.S_IFDIR, "model", n.p.Name, full, ref, "")), 0
}

// unknown is the answer to a name that does not exist: the kernel remembers it too.
func (f *FS) unknown(out *fuse.EntryOut) syscall.Errno {
	out.SetEntryTimeout(f.opts.TTL)
	return syscall.ENOENT
}

// Readdir shows what is known without searching the world: what the source lists
// cheaply, what was resolved before, and what is in use.
func (n *namespace) Readdir(ctx context.Context) (fusefs.DirStream, syscall.Errno) {
	f := n.f
	wait, cancel := patient(ctx, f.opts.LookupTimeout)
	defer cancel()
	names := map[string]bool{}
	hidden, example := 0, ""
	var failure error
	if l, ok := providers.As[providers.Lister](n.p.Provider); ok {
		for el, err := range l.List(wait, n.prefix) {
			if err != nil {
				failure = err
				break
			}
			if providers.ValidElement(strings.ReplaceAll(el, "/", "_")) != nil {
				if hidden++; hidden == 1 {
					example = el
				}
				continue
			}
			names[providers.EscapeElement(el)] = true
		}
	}
	if hidden > 0 {
		f.errs.once("hidden\x00"+n.p.Name+"\x00"+n.prefix, func() {
			f.log.Warn("names cannot be directories and are hidden", "protocol", n.p.Name, "prefix", n.prefix,
				"hidden", hidden, "example", example)
		})
	}
	for _, h := range f.opts.Catalog.Known(n.p.source(), n.prefix) {
		n.add(names, h.Name, h.Ref)
	}
	f.mu.Lock()
	for k := range f.models {
		if k.protocol == n.p.Name {
			n.add(names, k.name, k.ref)
		}
	}
	f.mu.Unlock()
	// What is known otherwise is worth showing, but an empty directory would say that
	// there is nothing.
	if no := f.errno(op{"list", n.p.Name, n.prefix, ""}, failure); no != 0 && no != syscall.ENOENT && len(names) == 0 {
		return nil, no
	}
	var es []fuse.DirEntry
	for name := range names {
		if providers.ValidElement(name) == nil {
			es = append(es, fuse.DirEntry{Name: name, Mode: syscall.S_IFDIR, Ino: n.ino(name)})
		}
	}
	slices.SortFunc(es, func(a, b fuse.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	return fusefs.NewListDirStream(es), 0
}

// ino is the inode number that a lookup of the element finds, if it is known what it
// is; else 0.
func (n *namespace) ino(element string) uint64 {
	name, ref, err := providers.SplitElement(element)
	if err != nil {
		return 0
	}
	k := modelKey{n.p.Name, join(n.prefix, name), ref}
	n.f.mu.Lock()
	defer n.f.mu.Unlock()
	switch {
	case n.f.known(k) != nil:
		return inode(0, "model", k.protocol, k.name, k.ref, "").Ino
	case n.f.now().Before(n.f.partial[k]):
		return inode(0, "namespace", k.protocol, k.name).Ino
	}
	return 0
}

// add puts the element of a name that comes next below n into names.
func (n *namespace) add(names map[string]bool, name, ref string) {
	if n.prefix != "" {
		var ok bool
		if name, ok = strings.CutPrefix(name, n.prefix+"/"); !ok {
			return
		}
	}
	el, _, deeper := strings.Cut(name, "/")
	if deeper {
		ref = ""
	}
	names[providers.JoinElements(el, ref)] = true
}
