package blockcache

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// errLater says that an object cannot be sealed just now.
var errLater = errors.New("sealing has to wait")

// seal makes the complete, checked data file read-only and gives it the name that
// every source of this content will find. If another source's object has the name, that
// one's file serves this object too, and its own goes.
func (o *object) seal(ctx context.Context) error {
	c := o.c
	id := o.key.sealed()
	mine, err := o.claim(ctx, id)
	if err != nil {
		return err
	}
	if !mine {
		return o.adopt(ctx)
	}
	defer c.unclaim(id)
	old := o.record()
	f, st, err := o.close(c.path(old.ID, old.Sealed), c.path(id, true))
	if err != nil {
		return err
	}
	o.rename(old.ID, id, st)
	o.serve(f)
	if old.ID != id {
		if err := c.index.remove(old.ID); err != nil {
			c.disk.trouble(c, err)
		}
	}
	c.stats.sealed.Add(1)
	o.retain()
	select {
	case c.syncs <- o:
	default:
		o.release() // it stays not durable, and is checked after a power loss
	}
	return nil
}

// claim takes the name that the sealed object will have, so that no two take it at
// once; false if another object has it.
func (o *object) claim(ctx context.Context, id ID) (bool, error) {
	c := o.c
	for {
		c.mu.Lock()
		busy := c.sealing[id]
		free := c.slots[id] == nil || c.slots[id] == o.slot
		if busy == nil && free {
			c.sealing[id] = make(chan struct{})
		}
		c.mu.Unlock()
		if busy == nil {
			return free, nil
		}
		select {
		case <-busy:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
}

func (c *Cache) unclaim(id ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.sealing[id])
	delete(c.sealing, id)
}

// close makes the data file read-only under its last name, and returns it opened
// for reading with its stamp.
func (o *object) close(from, to string) (f *os.File, st stamp, err error) {
	o.writers.Add(1) // this changes the file's stamp too
	defer o.writers.Add(-1)
	if err := o.part.Chmod(0o400); err != nil {
		return nil, st, err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, st, err
	}
	if err := os.Rename(from, to); err != nil {
		return nil, st, err
	}
	if f, err = os.OpenFile(to, os.O_RDONLY|syscall.O_NOFOLLOW, 0); err != nil {
		return nil, st, errors.Join(err, os.Rename(to, from)) // to be tried again
	}
	if st, err = stat(f); err != nil {
		return nil, st, errors.Join(err, f.Close(), os.Rename(to, from))
	}
	o.ctime.Store(st.Ctime)
	return f, st, nil
}

// adopt has the object that another source sealed serve this one's readers too.
func (o *object) adopt(ctx context.Context) error {
	c := o.c
	other, err := c.acquire(ctx, o.key, o.source())
	if err != nil {
		return err
	}
	defer other.release()
	sealed := other.file.Load()
	if sealed == nil { // it is being checked again, or went and this is our own
		return errLater
	}
	fd, err := unix.FcntlInt(sealed.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return err
	}
	o.serve(os.NewFile(uintptr(fd), sealed.Name()))
	c.mu.Lock()
	c.doom(o.slot)
	c.mu.Unlock()
	c.discard(o.slot)
	return nil
}

// rename moves the object to its sealed record, in the tables and in the index.
func (o *object) rename(from, to ID, st stamp) {
	c := o.c
	c.mu.Lock()
	delete(c.slots, from)
	c.rejects.clear(o.key.partial())
	rec := &o.slot.rec
	rec.ID, rec.Sealed, rec.Durable, rec.Seal, rec.Boot = to, true, false, st, c.boot
	c.slots[to] = o.slot
	saved := *rec
	c.mu.Unlock()
	o.mu.Lock()
	var groups []*group
	for n := int64(0); n*groupBlocks < o.n; n++ {
		groups = append(groups, o.group(to, uint32(n)))
	}
	clear(o.dirty)
	o.mu.Unlock()
	if err := c.index.write([]record{saved}, groups); err != nil {
		o.unwritten(groups, err)
	}
}

// serve answers reads from a sealed file from now on.
func (o *object) serve(f *os.File) {
	o.file.Store(f)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.checking = false
	close(o.sealed)
}

// syncer brings sealed objects to the disk, one at a time, and then marks them durable.
func (c *Cache) syncer() {
	defer c.wg.Done()
	for {
		select {
		case <-c.ctx.Done():
			for {
				select {
				case o := <-c.syncs:
					o.release()
				default:
					return
				}
			}
		case o := <-c.syncs:
			o.sync()
			o.release()
		}
	}
}

func (o *object) sync() {
	if err := o.part.Sync(); err != nil {
		o.c.disk.trouble(o.c, err)
		return
	}
	o.c.mu.Lock()
	o.slot.rec.Durable = true
	rec := o.slot.rec
	o.c.mu.Unlock()
	if err := o.c.index.write([]record{rec}, nil); err != nil {
		o.unwritten(nil, err)
	}
}
