package blockcache

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/pb"
	"github.com/dgraph-io/badger/v4/y"
	"google.golang.org/protobuf/proto"
)

// openIndex opens the index in dir. One that Badger refuses, or of which it had
// to leave tables out, is set aside and replaced by an empty one: what is lost is
// fetched again.
func openIndex(dir string, log *slog.Logger) (*index, error) {
	db, err := openBadger(dir, log)
	if err == nil {
		return &index{db: db, dir: dir}, nil
	}
	if !damage(err) {
		return nil, fmt.Errorf("open cache index %s: %w", dir, err)
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
	return &index{db: db, dir: dir}, nil
}

// damage reports whether an index that cannot be opened is at fault itself, and not
// its surroundings: those may be better at the next start, and the cache is then
// still there. Badger keeps only the text of most errors.
func damage(err error) bool {
	if errors.Is(err, errFull) || strings.Contains(err.Error(), "Cannot acquire directory lock") {
		return false
	}
	for _, no := range []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EACCES, syscall.EPERM,
		syscall.EROFS, syscall.ENOSPC, syscall.EDQUOT, syscall.EIO, syscall.ENODEV,
	} {
		if errors.Is(err, no) || strings.Contains(err.Error(), no.Error()) {
			return false
		}
	}
	return true
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
	if err := room(dir); err != nil {
		return nil, err
	}
	if err := checkFiles(dir); err != nil {
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

// checkFiles opens each file of the index before Badger does, which ends the process
// at once when it may not open some of them, and holds the tables to their checksums.
func checkFiles(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := filepath.Join(dir, f.Name())
		if err := openable(name); err != nil {
			return err
		}
		if filepath.Ext(name) != ".sst" {
			continue
		}
		p, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := checkTable(p); err != nil {
			return fmt.Errorf("table %s: %w", f.Name(), err)
		}
	}
	return nil
}

func openable(name string) error {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}

// checkTable holds the index of a table file to its checksum before Badger sees it:
// Badger opens tables in goroutines of its own and panics there on one that was
// zeroed, which would end the process at every start. A table ends in
// its index, the index's length, the checksum and the checksum's length, both
// lengths big-endian (badger/v4/table/builder.go, Done).
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
