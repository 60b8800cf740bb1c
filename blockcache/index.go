package blockcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/dgraph-io/badger/v4"
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
	dir    string
}

// indexFloor is the free space below which the index is not written, and not opened.
//
// Badger writes through mapped files, and where the disk has no room for a page of
// one the kernel ends the process (SIGBUS), which no recover holds up. All of its
// files are sparse: a memtable's log is made as 2 x MemTableSize by ftruncate and
// filled page by page; a table is made at its size and copied; a value log has
// 2 x ValueLogFileSize, of which only the first page is used, as our values are smaller
// than what goes there. So each write of ours looks at the disk first. What it may set
// off in Badger afterwards has to find room below the floor: the flush of a memtable
// (8 MiB), and a compaction of two such tables with what they overlap. A reserve
// allocated beforehand would not help, since a file's own pages count and not those of
// another; and each file is short-lived.
const indexFloor = 32 << 20

// errFull answers writes of the index that the disk has no room for. They are tried
// again when it has.
var errFull = errors.New("the disk is too full for the cache index")

// room returns errFull if the disk has no room for the index.
func room(dir string) error {
	_, free, err := diskSpace(dir)
	if err == nil && free < indexFloor {
		err = fmt.Errorf("%w: %d MiB are free, %d needed", errFull, free>>20, indexFloor>>20)
	}
	return err
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

// batch writes what fn puts into one batch, if the disk has room for it.
func (x *index) batch(fn func(*badger.WriteBatch) error) error {
	return x.use(func(db *badger.DB) error {
		if err := room(x.dir); err != nil {
			return err
		}
		wb := db.NewWriteBatch()
		defer wb.Cancel()
		if err := fn(wb); err != nil {
			return err
		}
		return wb.Flush()
	})
}

// write puts object records and groups.
func (x *index) write(recs []record, groups []*group) error {
	return x.batch(func(wb *badger.WriteBatch) error {
		for _, g := range groups {
			if err := wb.Set(groupKey(g.ID, g.Index), g.marshal()); err != nil {
				return err
			}
		}
		for _, r := range recs {
			if err := wb.Set(objectKey(r.ID), r.marshal()); err != nil {
				return err
			}
		}
		return nil
	})
}

// remove forgets an object. Only groups that are there are deleted: an object may
// claim to have millions.
func (x *index) remove(id ID) error {
	keys, err := x.groupKeys(id)
	if err != nil {
		return err
	}
	return x.batch(func(wb *badger.WriteBatch) error {
		for _, k := range keys {
			if err := wb.Delete(k); err != nil {
				return err
			}
		}
		return wb.Delete(objectKey(id))
	})
}

func (x *index) groupKeys(id ID) (keys [][]byte, err error) {
	err = x.view(func(tx *badger.Txn) error {
		o := badger.DefaultIteratorOptions
		o.PrefetchValues = false
		o.Prefix = append([]byte{'b'}, id[:]...)
		it := tx.NewIterator(o)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			keys = append(keys, it.Item().KeyCopy(nil))
		}
		return nil
	})
	return keys, err
}

// close ends the use of the index. On a full disk Badger is left as it is, as its
// close would write a table: its log is on the disk, and the next start reads it.
func (x *index) close() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.closed = true
	if err := room(x.dir); err != nil {
		return fmt.Errorf("cache index is left open: %w", err)
	}
	if err := x.db.Close(); err != nil && !errors.Is(err, badger.ErrDBClosed) {
		return fmt.Errorf("close cache index: %w", err)
	}
	return nil
}
