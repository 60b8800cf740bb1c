package blockcache

import (
	"errors"
	"os"
	"syscall"
)

// openSealed opens the file of a sealed record; false if it is of no use. One that was
// touched since, or that may not have reached the disk before the power went, is
// taken up as if it had not been sealed.
func (o *object) openSealed(rec record) bool {
	c := o.c
	f, err := os.OpenFile(c.path(rec.ID, true), os.O_RDONLY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		c.log.Warn("a sealed cache file is gone", "object", rec.ID, "error", err)
		return false
	}
	st, err := stat(f)
	if err == nil && st == rec.Seal && (rec.Durable || rec.Boot == c.boot) {
		o.file.Store(f)
		close(o.sealed)
		return true
	}
	defer c.closeFile(f)
	if err != nil || !ours(f) || st.Size != o.key.Size || o.have.count() != o.n {
		c.log.Warn("a sealed cache file is not what it was; it is fetched again", "object", rec.ID)
		return false
	}
	if err := o.reopen(f); err != nil {
		c.log.Warn("a sealed cache file cannot be checked again; it is fetched again", "object", rec.ID, "error", err)
		return false
	}
	c.log.Info("a sealed cache file is checked again", "object", rec.ID)
	return true
}

// reopen takes up a sealed file as one whose blocks have still to be checked. It keeps
// its ID, and with it the sources that share it: each block is held to its checksum,
// also one that has to be fetched again, and the checksums are of the content that
// was checked when it was sealed. Its record no longer fits the file, so that it is
// checked again by the next process too unless this one seals it.
func (o *object) reopen(f *os.File) error {
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	w, err := os.OpenFile(f.Name(), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	st, err := stat(w)
	if err != nil {
		return errors.Join(err, w.Close())
	}
	o.c.mu.Lock()
	o.slot.rec.Seal, o.slot.rec.Durable = stamp{}, false
	o.c.unsaved[o.slot] = true
	o.c.mu.Unlock()
	o.known = true
	o.use(w, st)
	return nil
}
