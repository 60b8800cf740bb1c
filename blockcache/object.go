package blockcache

import (
	"context"
	"fmt"
	"hash"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// object is the state of a content object in use.
type object struct {
	c    *Cache
	slot *slot
	key  Key
	n    int64 // blocks

	part   *os.File // data file while incomplete; nil if nothing can be stored
	direct *os.File // the same, past the page cache; nil if the file system cannot
	gen    uint64
	known  bool // every block was once checked: one fetched again has to match its checksum

	// writing orders writes to part with taking its stamp, so that a change of
	// the file by anybody else can be told from ours.
	writing sync.Mutex
	writers atomic.Int32
	ctime   atomic.Int64

	progress atomic.Int64 // blocks that arrived or were checked
	filling  atomic.Int32 // strict reads that wait until it is sealed

	sealed chan struct{} // closed when file is set or broken is

	promised bool // the source states a digest that can be checked
	file     atomic.Pointer[os.File]

	mu       sync.Mutex // guards all below; never held over disk or network
	have     bitmap     // blocks in part
	verified bitmap     // of those, the ones that this process read back and checked
	crc      []uint32
	dirty    map[uint32]bool // groups not yet in the index
	flights  map[int64]*flight
	failed   map[int64]failure
	broken   error  // once set, every read fails with it
	landing  int    // blocks given to their waiters and not settled yet
	passing  int    // blocks served without being stored
	src      Source // the newest user's
	readers  int
	whole    bool          // the source sends it only as a whole
	noRanges chan struct{} // closed when whole is set
	coming   *extent       // the whole stream under way
	wanted   chan struct{} // a reader waits for a block of coming
	stated   string        // digest, of the key or asked at the end
	hash     hash.Hash     // digest of blocks before next
	sum      string        // what hash has to come to
	next     int64
	checking bool
	again    bool          // the check has to begin again
	matched  bool          // the bytes stored have the digest
	judged   chan struct{} // closed when matched is set
	sealing  bool          // nothing is stored any more
	losses   int           // blocks that the disk did not give back
}

// flight is one block on its way.
type flight struct {
	done   chan struct{}
	joined int32 // waiters, before buf is there
	buf    *buffer
	err    error
}

// failure is remembered for a moment, as the kernel asks again page by page.
type failure struct {
	err   error
	until time.Time
}

const failureMemory = time.Second

// id is the object's present ID.
func (o *object) id() ID { return o.record().ID }

func (o *object) record() record {
	o.c.mu.Lock()
	defer o.c.mu.Unlock()
	return o.slot.rec
}

// source is the newest user's.
func (o *object) source() Source {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.src
}

// retain takes one more use of an object already in use.
func (o *object) retain() {
	o.c.mu.Lock()
	o.slot.refs++
	o.c.mu.Unlock()
}

// start runs fn in a goroutine that holds the object and is awaited by Close; false
// if the cache is closed.
func (o *object) start(fn func(context.Context)) bool {
	c := o.c
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return false
	}
	o.slot.refs++
	c.wg.Add(1)
	c.mu.Unlock()
	go func() {
		defer c.wg.Done()
		defer o.release()
		defer func() {
			if p := recover(); p != nil { // one object's trouble; the others go on
				c.log.Error("work on a cached object panicked", "source", o.key.label(), "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			}
		}()
		fn(c.ctx)
	}()
	return true
}
