package fs

import (
	"context"
	"errors"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"
	"weak"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"

	"modelfs/blockcache"
	"modelfs/providers"
)

// content is one file's bytes as inodes see them: the same protocol, name, ref and
// path, and the same content identity. It outlives the revision in which it was met.
// The ref is part of it because it decides whether an open has to ask.
type content struct {
	f   *FS
	key contentKey

	mu       sync.Mutex
	m        *model // where it was met last, at that time
	at       time.Time
	s        *snapshot
	e        providers.Entry
	variant  int // what the next lookup finds
	open     map[int]modes
	rejected map[int]int // by variant: what Cache.Rejected was when its first pages were made
	doubted  bool        // the source did not serve it, and was not asked since

	late late
}

// modes counts the open handles of one inode: those that read through here, and
// those that the kernel serves.
type modes struct{ cached, passing int }

type contentKey struct{ protocol, name, ref, path, identity string }

// content returns the one content of this identity.
func (f *FS) content(k modelKey, e providers.Entry) *content {
	ck := contentKey{k.protocol, k.name, k.ref, e.Path, e.Identity()}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.contents[ck].Value(); c != nil {
		return c
	}
	c := &content{f: f, key: ck, open: map[int]modes{}, rejected: map[int]int{}}
	f.contents[ck] = weak.Make(c)
	if len(f.contents)%4096 == 0 {
		for k, w := range f.contents {
			if w.Value() == nil {
				delete(f.contents, k)
			}
		}
	}
	return c
}

// see notes the newest place where the content was met: its bytes are asked for there.
func (c *content) see(m *model, s *snapshot, e providers.Entry) {
	c.mu.Lock()
	c.m, c.s, c.e, c.at = m, s, e, c.f.now()
	c.mu.Unlock()
}

// justMet reports whether a lookup was answered with this content a moment ago.
func (c *content) justMet() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.f.now().Sub(c.at) < time.Second
}

func (c *content) met() (*model, *snapshot, providers.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.m, c.s, c.e
}

// latest returns the variant for a new lookup.
func (c *content) latest() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.variant
}

func (k contentKey) inode(variant int) fusefs.StableAttr {
	return inode(syscall.S_IFREG, "file", k.protocol, k.name, k.ref, k.path, k.identity, strconv.Itoa(variant))
}

// doubt notes that the source did not serve the content.
func (c *content) doubt() {
	c.mu.Lock()
	c.doubted = true
	c.mu.Unlock()
}

// takeDoubt reports whether it is doubted, for an open that asks the source.
func (c *content) takeDoubt() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.doubted
	c.doubted = false
	return was
}

// enter counts a handle of an inode in its mode. The kernel does not take an inode
// in both modes at once, and keeps pages of bytes that were rejected since it was made;
// then the content goes on under its next variant, and ok is false.
func (c *content) enter(variant int, passing bool, rejected int) (ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.open[variant]
	if _, opened := c.rejected[variant]; !opened {
		c.rejected[variant] = rejected
	}
	if rejected > c.rejected[variant] || passing && n.cached > 0 || !passing && n.passing > 0 {
		if c.variant == variant {
			c.variant++
		}
		return false
	}
	if passing {
		n.passing++
	} else {
		n.cached++
	}
	c.open[variant] = n
	return true
}

func (c *content) exit(variant int, passing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.open[variant]
	if passing {
		n.passing--
	} else {
		n.cached--
	}
	if c.open[variant] = n; n == (modes{}) {
		delete(c.open, variant)
	}
}

// cacheKey names the bytes in the block cache. Until they are checked they belong
// to this model at this source; a file without a digest is also held to its path.
func (c *content) cacheKey(e providers.Entry) blockcache.Key {
	m, _, _ := c.met()
	k := blockcache.Key{Source: m.p.source() + "\x00" + c.key.name, Digest: string(e.Digest), Size: e.Size}
	if e.Digest == "" {
		k.Source += "\x00" + e.Path + "\x00" + e.Identity()
	}
	return k
}

// file is an inode of a content.
type file struct {
	node
	c       *content
	variant int
}

var (
	_ fusefs.NodeOpener      = (*file)(nil)
	_ fusefs.NodeGetattrer   = (*file)(nil)
	_ fusefs.NodeGetxattrer  = (*file)(nil)
	_ fusefs.NodeListxattrer = (*file)(nil)
)

func (n *file) Getattr(_ context.Context, _ fusefs.FileHandle, out *fuse.AttrOut) syscall.Errno {
	m, s, e := n.c.met()
	n.f.entryAttr(&out.Attr, e, s.origin)
	out.SetTimeout(m.timeout())
	return 0
}

func (n *file) Getxattr(_ context.Context, attr string, dest []byte) (uint32, syscall.Errno) {
	return getxattr(n.xattrs(), attr, dest)
}

func (n *file) Listxattr(_ context.Context, dest []byte) (uint32, syscall.Errno) {
	return listxattr(n.xattrs(), dest)
}

func (n *file) xattrs() map[string]string {
	m, s, e := n.c.met()
	x := xattrs(s.origin, m.key.protocol, m.key.name, m.isStale())
	x["user.modelfs.digest"] = string(e.Digest)
	cached := n.f.opts.Cache.Stored(n.c.cacheKey(e))
	if cached < e.Size && hasLocal(s, e) {
		cached = e.Size
	}
	x["user.modelfs.cached"] = strconv.FormatInt(cached, 10)
	return x
}

// hasLocal reports whether the source has a file on a disk here. An Opener need not
// have all of its files there.
func hasLocal(s *snapshot, e providers.Entry) bool {
	o, ok := providers.As[providers.Opener](s.m)
	if !ok {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	file, err := o.Open(ctx, e)
	return err == nil && file.Close() == nil
}

// Open checks that the path still means this content, and opens it. If it does
// not, ESTALE has the kernel look the path up again, and open what it finds.
func (n *file) Open(ctx context.Context, flags uint32) (fusefs.FileHandle, uint32, syscall.Errno) {
	if flags&syscall.O_ACCMODE != syscall.O_RDONLY {
		return nil, 0, syscall.EROFS
	}
	m, _, e := n.c.met()
	o := op{"open", m.key.protocol, m.key.name, e.Path}
	wait, cancel := patient(ctx, n.f.opts.LookupTimeout)
	defer cancel()
	sure := n.c.takeDoubt()
	s, err := m.open(wait, e, sure || flags&syscall.O_DIRECT != 0)
	if err == nil {
		e, err = n.same(wait, m, s)
	}
	if err != nil {
		if absent(err) {
			return nil, 0, syscall.ESTALE // the next lookup says what is there
		}
		return nil, 0, n.f.errno(o, err)
	}
	// Asked before there is a reader: what is rejected after this taints its pages.
	rejected := n.f.opts.Cache.Rejected(n.c.cacheKey(e))
	h, err := n.handle(wait, s, e)
	if err != nil {
		return nil, 0, n.f.errno(o, err)
	}
	h.sure = sure
	if !n.c.enter(n.variant, h.pass, rejected) {
		h.close()
		return nil, 0, syscall.ESTALE
	}
	// Nothing was written: closing needs no word with us.
	if h.pass {
		return h, fuse.FOPEN_NOFLUSH, 0
	}
	return h, fuse.FOPEN_NOFLUSH | fuse.FOPEN_KEEP_CACHE, 0
}

// same finds this content at its path in a snapshot; ErrChanged if another one is
// there now.
func (n *file) same(ctx context.Context, m *model, s *snapshot) (providers.Entry, error) {
	_, seen, e := n.c.met()
	if s == seen {
		return e, nil
	}
	now, err := s.lookup(ctx, e.Path)
	if err != nil {
		return e, err
	}
	if now.Identity() != n.c.key.identity || !now.Mode.IsRegular() {
		return e, providers.ErrChanged
	}
	n.c.see(m, s, now)
	return now, nil
}

// handle opens the bytes: the source's own file where it has one on a disk here,
// else an object of the cache.
func (n *file) handle(ctx context.Context, s *snapshot, e providers.Entry) (*handle, error) {
	h := &handle{f: n.f, c: n.c, variant: n.variant, s: s, e: e, src: n.source(s, e)}
	if o, ok := providers.As[providers.Opener](s.m); ok {
		file, err := o.Open(ctx, e)
		if errors.Is(err, providers.ErrStale) && n.c.justMet() {
			file, err = n.growing(ctx, s, o)
		}
		switch {
		case err == nil:
			h.local, h.pass = file, n.f.canPass(file)
			return h, nil
		case errors.Is(err, providers.ErrStale):
			s.forget(e.Path)
			return nil, providers.ErrChanged
		case !errors.Is(err, errors.ErrUnsupported):
			return nil, err
		}
	}
	r, err := n.f.opts.Cache.Reader(ctx, n.c.cacheKey(e), h.src)
	if err != nil {
		return nil, err
	}
	h.reader = r
	if sealed, ok := r.Sealed(); ok {
		h.pass = n.f.canPass(sealed)
	}
	return h, nil
}

// growing opens a local file that changes faster than it can be looked up and
// opened, a log or a checkpoint being written: the kernel looks up again only once,
// and a program must not see ESTALE for that.
func (n *file) growing(ctx context.Context, s *snapshot, o providers.Opener) (file *os.File, err error) {
	_, _, e := n.c.met()
	for range 10 {
		if e, err = providers.Stat(ctx, s.m, e.Path); err != nil {
			return nil, err
		}
		if file, err = o.Open(ctx, e); !errors.Is(err, providers.ErrStale) {
			return file, err
		}
	}
	return nil, err
}

func (f *FS) canPass(file *os.File) bool {
	return f.opts.CanPass != nil && f.opts.CanPass(int(file.Fd()))
}
