package blockcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// formatVersion is the first byte of every record and the number in the VERSION
// file. A cache of another version is discarded.
const formatVersion = 1

// index is the Badger database of the cache: object records under 'o' + id,
// group records under 'b' + id + big-endian group number.
type index struct {
	mu     sync.RWMutex // held shared by every use of db, which must not be used closed
	closed bool
	db     *badger.DB
}

// use runs fn on the open database.
func (x *index) use(fn func(db *badger.DB) error) error {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if x.closed {
		return ErrClosed
	}
	return fn(x.db)
}

// openIndex opens the index in dir. One that Badger refuses, or of which it had
// to leave tables out, is set aside and replaced by an empty one: what is lost is
// fetched again.
func openIndex(dir string, log *slog.Logger) (*index, error) {
	db, err := openBadger(dir, log)
	if err == nil {
		return &index{db: db}, nil
	}
	aside := dir + ".broken"
	log.Warn("cache index is damaged; it is set aside and a new one begun", "error", err, "aside", aside)
	if err := os.RemoveAll(aside); err != nil {
		return nil, err
	}
	if err := os.Rename(dir, aside); err != nil {
		return nil, fmt.Errorf("cache index is damaged (%w) and cannot be moved away", err)
	}
	if db, err = openBadger(dir, log); err != nil {
		return nil, fmt.Errorf("open cache index: %w", err)
	}
	return &index{db: db}, nil
}

func openBadger(dir string, log *slog.Logger) (db *badger.DB, err error) {
	// Badger asserts on some damaged files; during Open that is one more way of
	// being damaged.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("badger: %v", p)
		}
	}()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkTables(dir); err != nil {
		return nil, err
	}
	lost := &badgerLog{log: log}
	o := badger.DefaultOptions(filepath.Clean(dir)).
		WithLogger(lost).
		WithMemTableSize(8 << 20).
		WithNumMemtables(2).
		WithNumLevelZeroTables(2).
		WithNumCompactors(2).
		WithBlockCacheSize(16 << 20).
		WithIndexCacheSize(32 << 20).
		WithValueLogFileSize(16 << 20).
		WithCompression(options.None).
		WithDetectConflicts(false).
		WithChecksumVerificationMode(options.OnTableAndBlockRead).
		WithVerifyValueChecksum(true).
		WithMetricsEnabled(false)
	db, err = badger.Open(o)
	if err != nil {
		return nil, err
	}
	if n := lost.ignored.Load(); n > 0 {
		if err := db.Close(); err != nil {
			log.Warn("close damaged index", "error", err)
		}
		return nil, fmt.Errorf("%d tables are unreadable", n)
	}
	return db, nil
}

// checkTables holds the index of each table file to its checksum before Badger
// sees it: Badger opens tables in goroutines of its own and panics there on one
// that was zeroed, which would end the process at every start. A table ends in
// its index, the index's length, the checksum and the checksum's length, both
// lengths big-endian (badger/v4/table/builder.go, Done).
func checkTables(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.sst"))
	if err != nil {
		return err
	}
	for _, name := range files {
		p, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := checkTable(p); err != nil {
			return fmt.Errorf("table %s: %w", filepath.Base(name), err)
		}
	}
	return nil
}

func checkTable(p []byte) error {
	tail := func() ([]byte, error) {
		if len(p) < 4 {
			return nil, errRecord
		}
		n := int(binary.BigEndian.Uint32(p[len(p)-4:]))
		p = p[:len(p)-4]
		if n <= 0 || n > len(p) {
			return nil, errRecord
		}
		part := p[len(p)-n:]
		p = p[:len(p)-n]
		return part, nil
	}
	raw, err := tail()
	if err != nil {
		return err
	}
	var sum pb.Checksum
	if err := proto.Unmarshal(raw, &sum); err != nil {
		return err
	}
	index, err := tail()
	if err != nil {
		return err
	}
	return y.VerifyChecksum(index, &sum)
}

// badgerLog passes Badger's log on and counts the tables it left out: it opens
// without them and says so only here.
type badgerLog struct {
	log     *slog.Logger
	ignored atomic.Int64
}

func (l *badgerLog) Errorf(f string, a ...any) { l.say(slog.LevelError, f, a) }
func (l *badgerLog) Warningf(f string, a ...any) {
	l.say(slog.LevelWarn, f, a)
}
func (l *badgerLog) Infof(f string, a ...any)  { l.say(slog.LevelDebug, f, a) }
func (l *badgerLog) Debugf(f string, a ...any) {}

func (l *badgerLog) say(level slog.Level, f string, a []any) {
	s := strings.TrimSpace(fmt.Sprintf(f, a...))
	if strings.Contains(s, "Ignoring table") {
		l.ignored.Add(1)
	}
	l.log.Log(nil, level, "index: "+s) //nolint:staticcheck // slog takes a nil context
}

func objectKey(id ID) []byte { return append([]byte{'o'}, id[:]...) }

func groupKey(id ID, n uint32) []byte {
	k := append([]byte{'b'}, id[:]...)
	return binary.BigEndian.AppendUint32(k, n)
}

// objects calls fn for every valid object record.
func (x *index) objects(fn func(record)) error {
	return x.view(func(tx *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = []byte{'o'}
		it := tx.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var r record
			err := it.Item().Value(r.unmarshal)
			if err == nil && string(it.Item().Key()[1:]) == string(r.ID[:]) {
				fn(r)
			}
		}
		return nil
	})
}

// groups loads the group records of an object that belong to generation gen.
func (x *index) groups(id ID, gen uint64, fn func(*group)) error {
	return x.view(func(tx *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.Prefix = append([]byte{'b'}, id[:]...)
		it := tx.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			var g group
			err := it.Item().Value(g.unmarshal)
			if err == nil && g.ID == id && g.Gen == gen && string(it.Item().Key()) == string(groupKey(id, g.Index)) {
				fn(&g)
			}
		}
		return nil
	})
}

func (x *index) view(fn func(*badger.Txn) error) error {
	return x.use(func(db *badger.DB) error { return db.View(fn) })
}

// batch writes what fn puts into one batch.
func (x *index) batch(fn func(*badger.WriteBatch) error) error {
	return x.use(func(db *badger.DB) error {
		wb := db.NewWriteBatch()
		defer wb.Cancel()
		if err := fn(wb); err != nil {
			return err
		}
		return wb.Flush()
	})
}

// write puts an object record and groups.
func (x *index) write(r *record, groups []*group) error {
	return x.batch(func(wb *badger.WriteBatch) error {
		for _, g := range groups {
			if err := wb.Set(groupKey(g.ID, g.Index), g.marshal()); err != nil {
				return err
			}
		}
		return wb.Set(objectKey(r.ID), r.marshal())
	})
}

// remove forgets an object of this many blocks.
func (x *index) remove(id ID, blocks int64) error {
	return x.batch(func(wb *badger.WriteBatch) error {
		for n := int64(0); n*groupBlocks < blocks; n++ {
			if err := wb.Delete(groupKey(id, uint32(n))); err != nil {
				return err
			}
		}
		return wb.Delete(objectKey(id))
	})
}

func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	if err := x.db.Close(); err != nil && !errors.Is(err, badger.ErrDBClosed) {
		return fmt.Errorf("close cache index: %w", err)
	}
	return nil
}
