package blockcache

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ErrCorrupt says that the bytes of a source do not match the digest it states.
var ErrCorrupt = errors.New("content does not match its digest")

// ErrInUse answers Open while another process has the directory.
var ErrInUse = errors.New("in use by another modelfs")

// ErrClosed answers uses of a closed cache.
var ErrClosed = errors.New("block cache is closed")

// Options set up a Cache. Only Dir is required.
type Options struct {
	// Dir belongs to this cache alone: mode 0700, one process at a time.
	Dir string
	// MaxSize bounds the stored bytes; 0 is no bound but the disk.
	MaxSize int64
	// MaxShare bounds the stored bytes to a share of the disk; 0 is no bound.
	MaxShare float64
	// MinFree is the space to leave free on the disk, in bytes, given its size.
	MinFree func(total int64) int64
	// Recent is how many blocks stay in memory for readers who follow; 128 if 0.
	Recent int
	// Streams is how many extents one source may be asked for at once, with a block
	// in memory each; 32 if 0. It is each source's own: one that stalls takes no
	// memory from another.
	Streams int
	// Log receives what an operator should know.
	Log *slog.Logger
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Cache is a directory of content objects. It is safe for concurrent use.
type Cache struct {
	opts     Options
	log      *slog.Logger
	now      func() time.Time
	lock     *os.File
	index    *index
	boot     [16]byte
	pool     *pool
	recent   *recent
	disk     disk
	stats    counters
	active   atomic.Int64    // readers of objects that are not sealed
	ctx      context.Context // ends with Close; bounds what the cache itself started
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	syncs    chan *object
	readBack chan struct{} // held by the one large object that is read back

	mu      sync.Mutex // guards all below, and slot fields; never held with object.mu
	closed  bool
	slots   map[ID]*slot
	unsaved map[*slot]bool       // those whose record differs from the index
	sealing map[ID]chan struct{} // objects taking their last name, until they have
	loaded  map[*slot]bool       // those with an object
	idle    *list.List           // *slot with no users, coldest first
	used    int64
	gates   map[string]*gate
	rejects rejects
}

// slot is what the cache remembers of an object, in use or not.
type slot struct {
	rec  record
	refs int
	obj  *object
	elem *list.Element // in Cache.idle
	busy chan struct{} // closed when a load or shutdown under way has ended
}

// Stats are counts since Open, and the present size.
type Stats struct {
	Hits, Misses      int64 // blocks answered from the cache, and fetched
	Fetched           int64 // bytes from sources
	Evicted           int64 // bytes
	Corrupt           int64 // blocks or objects that failed a check
	DiskErrors        int64
	Sealed            int64 // objects sealed
	Used              int64 // bytes stored now
	Objects           int64
	InFlight          int64 // blocks being fetched now
	BytesFromMemory   int64
	BytesFromDataFile int64
}

type counters struct {
	hits, misses, fetched, evicted, corrupt, diskErrors, sealed, inFlight, memory, file atomic.Int64
}

// Open opens or creates the cache in o.Dir. It fails if the directory cannot be
// used: not writable, another user's, open to others, or in use by another
// process. A damaged cache is repaired by forgetting what is damaged.
func Open(o Options) (*Cache, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Recent == 0 {
		o.Recent = 128
	}
	if o.Streams == 0 {
		o.Streams = 32
	}
	lock, err := claim(o.Dir)
	if err != nil {
		return nil, err
	}
	if o.MaxShare > 0 {
		total, _, err := diskSpace(o.Dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("cache directory: %w", err), lock.Close())
		}
		o.MaxSize = int64(o.MaxShare * float64(total))
	}
	c := &Cache{
		opts: o, log: o.Log, now: o.Now, lock: lock, boot: bootID(),
		pool: newPool(o.Streams + o.Recent), recent: newRecent(o.Recent), syncs: make(chan *object, 1024),
		slots: map[ID]*slot{}, loaded: map[*slot]bool{}, unsaved: map[*slot]bool{}, sealing: map[ID]chan struct{}{}, readBack: make(chan struct{}, 1), idle: list.New(), gates: map[string]*gate{}, rejects: newRejects(),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.load(); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	c.wg.Add(2)
	go c.sweep()
	go c.syncer()
	return c, nil
}

// bootID identifies this boot, so that data not synced before a power loss is not
// trusted after it.
func bootID() (id [16]byte) {
	p, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err == nil {
		copy(id[:], strings.ReplaceAll(strings.TrimSpace(string(p)), "-", ""))
	} else if _, err := rand.Read(id[:]); err != nil { // no two processes share it then
		panic(err) // crypto/rand never fails
	}
	return id
}

// load reads the object records.
func (c *Cache) load() (err error) {
	if err := c.checkVersion(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.opts.Dir, "objects"), 0o700); err != nil {
		return fmt.Errorf("cache directory: %w", err)
	}
	if c.index, err = openIndex(filepath.Join(c.opts.Dir, "index"), c.log); err != nil {
		return err
	}
	files, err := c.dataFiles()
	if err != nil {
		return errors.Join(fmt.Errorf("read cache directory: %w", err), c.index.close())
	}
	var known []*slot
	var gone []ID
	err = c.index.objects(func(r record) {
		if !files[dataFile{r.ID, r.Sealed}] {
			gone = append(gone, r.ID)
			return
		}
		s := &slot{rec: r}
		c.slots[r.ID] = s
		known = append(known, s)
		c.used += r.Stored
	})
	if err != nil {
		return errors.Join(fmt.Errorf("read cache index: %w", err), c.index.close())
	}
	slices.SortFunc(known, func(a, b *slot) int { return cmp.Compare(a.rec.LastUsed, b.rec.LastUsed) })
	for _, s := range known {
		s.elem = c.idle.PushBack(s)
	}
	for _, id := range gone {
		if err := c.index.remove(id); err != nil {
			c.log.Warn("a record without its file stays in the index", "error", err)
		}
	}
	if err := c.removeOrphans(files); err != nil {
		return errors.Join(fmt.Errorf("tidy cache directory: %w", err), c.index.close())
	}
	c.enforce()
	return nil
}

// Close waits for what is under way, writes what is known to the index and gives
// the directory free. A reader that is still open can only be closed after it.
func (c *Cache) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	for _, o := range c.inUse() {
		o.flush()
		o.release()
	}
	c.saveRecords()
	return errors.Join(c.index.close(), c.lock.Close())
}

// Stats returns counts for people and metrics.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	used, objects := c.used, int64(len(c.slots))
	c.mu.Unlock()
	s := &c.stats
	return Stats{
		Hits: s.hits.Load(), Misses: s.misses.Load(), Fetched: s.fetched.Load(), Evicted: s.evicted.Load(),
		Corrupt: s.corrupt.Load(), DiskErrors: s.diskErrors.Load(), Sealed: s.sealed.Load(), InFlight: s.inFlight.Load(),
		BytesFromMemory: s.memory.Load(), BytesFromDataFile: s.file.Load(), Used: used, Objects: objects,
	}
}
