package blockcache

import (
	"container/list"
	"fmt"
	"time"
)

// maxRejects is how many keys are remembered for having failed their digest.
const maxRejects = 1 << 16

// rejectTime is how long an object that failed its digest twice is not fetched again.
const rejectTime = time.Minute

// rejects remembers which keys failed their digest. Each rejection takes the next
// number of one counter; whoever keeps bytes elsewhere, as the kernel keeps pages,
// compares numbers to learn that what it keeps may be bad. A number may only grow,
// so one that is forgotten raises the floor that all unknown keys have.
//
// It is guarded by Cache.mu.
type rejects struct {
	count int
	floor int
	keys  map[ID]*list.Element // of strike
	order *list.List           // *strike, longest ago first
}

// strike is what is known of a key that failed its digest.
type strike struct {
	id    ID
	gen   int // number of the last rejection
	n     int // rejections since the content was last right
	until time.Time
}

func newRejects() rejects { return rejects{keys: map[ID]*list.Element{}, order: list.New()} }

// add counts n more fetches of an object that did not match its digest.
func (r *rejects) add(id ID, n int, until time.Time) {
	s := &strike{id: id}
	if e := r.keys[id]; e != nil {
		s = r.order.Remove(e).(*strike)
	}
	r.count++
	s.gen, s.n, s.until = r.count, s.n+n, until
	r.keys[id] = r.order.PushBack(s)
	if r.order.Len() > maxRejects {
		s := r.order.Remove(r.order.Front()).(*strike)
		delete(r.keys, s.id)
		r.floor = s.gen
	}
}

// clear notes that the content was right.
func (r *rejects) clear(id ID) {
	if e := r.keys[id]; e != nil {
		e.Value.(*strike).n = 0
	}
}

// refuse returns an error while an object that failed its digest twice is not worth
// another fetch.
func (r *rejects) refuse(id ID, now time.Time) error {
	e := r.keys[id]
	if e == nil {
		return nil
	}
	s := e.Value.(*strike)
	if s.n < 2 || !now.Before(s.until) {
		return nil
	}
	return fmt.Errorf("%w: fetched %d times, asked again in %s", ErrCorrupt, s.n, s.until.Sub(now).Round(time.Second))
}

// last returns the number of a key's last rejection, or one that is not smaller.
func (r *rejects) last(id ID) int {
	if e := r.keys[id]; e != nil {
		return e.Value.(*strike).gen
	}
	return r.floor
}

// Rejected returns a number that grows whenever bytes of this object were thrown away
// because they did not match their digest, and never shrinks while the cache is open.
// What was read from the object under a smaller number may be wrong. It may grow
// without cause, long after.
func (c *Cache) Rejected(key Key) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rejects.last(key.partial())
}
