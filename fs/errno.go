package fs

import (
	"context"
	"errors"
	iofs "io/fs"
	"log/slog"
	"sync"
	"syscall"
	"time"

	"modelfs/blockcache"
	"modelfs/providers"
)

// table is the only place where an error becomes an errno; the first row that
// fits counts.
var table = []struct {
	err   error
	errno syscall.Errno
}{
	{iofs.ErrPermission, syscall.EACCES},
	{iofs.ErrNotExist, syscall.ENOENT},
	{providers.ErrChanged, syscall.ESTALE},
	{providers.ErrStale, syscall.ESTALE},
	{providers.ErrCorrupt, syscall.EIO},
	{blockcache.ErrCorrupt, syscall.EIO},
	{errors.ErrUnsupported, syscall.ENOTSUP},
	{providers.ErrUnavailable, syscall.EIO},
	{blockcache.ErrClosed, syscall.EIO},
	{context.Canceled, syscall.EINTR},
	{context.DeadlineExceeded, syscall.ETIMEDOUT},
}

// absent reports whether err is the source's word that something is not there. An
// error that says so and something else too is not.
func absent(err error) bool { return errnoOf(err) == syscall.ENOENT }

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	for _, row := range table {
		if errors.Is(err, row.err) {
			return row.errno
		}
	}
	return syscall.EIO
}

// op is what was being done when an error crossed into the kernel.
type op struct {
	what           string
	protocol, name string
	path           string
}

// errno turns err into what the kernel gets, and logs what a person should know of
// it: not that a name does not exist, nor that a reader went away.
func (f *FS) errno(o op, err error) syscall.Errno {
	no := errnoOf(err)
	if o.what == "read" && no == syscall.ETIMEDOUT {
		no = syscall.EIO // readers of mapped files know no time-out
	}
	f.report(o, no, err)
	return no
}

// report logs what a person should know of an error.
func (f *FS) report(o op, no syscall.Errno, err error) {
	switch no {
	case 0, syscall.ENOENT, syscall.EINTR, syscall.ESTALE:
		return
	}
	f.errs.once(o.what+"\x00"+o.protocol+"\x00"+o.name+"\x00"+no.Error(), func() {
		f.log.Error("request failed", "op", o.what, "protocol", o.protocol, "name", o.name, "path", o.path,
			"errno", no.Error(), "error", err)
	})
}

// errorLog lets one line a minute through for each key: a loader that tries every
// file must not fill the log.
type errorLog struct {
	log *slog.Logger
	now func() time.Time

	mu   sync.Mutex
	last map[string]time.Time
}

func (l *errorLog) once(key string, say func()) {
	now := l.now()
	l.mu.Lock()
	if l.last == nil || len(l.last) > 1024 {
		l.last = map[string]time.Time{}
	}
	quiet := now.Sub(l.last[key]) < time.Minute
	if !quiet {
		l.last[key] = now
	}
	l.mu.Unlock()
	if !quiet {
		say()
	}
}
