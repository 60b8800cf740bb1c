package fs

import (
	"context"
	"errors"
	iofs "io/fs"
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
	{context.DeadlineExceeded, syscall.EIO}, // whoever gave up first, we or the guard
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
	f.report(o, no, err)
	return no
}

// report logs what a person should know of an error.
func (f *FS) report(o op, no syscall.Errno, err error) {
	switch no {
	case 0, syscall.ENOENT, syscall.EINTR:
		return
	}
	if no == syscall.ESTALE && o.what != "read" {
		return // the kernel looks up again, and no program sees it
	}
	model := o.protocol + "\x00" + o.name
	line, quiet := f.errs.admit(model, model+"\x00"+o.path+"\x00"+o.what+"\x00"+no.Error())
	if quiet > 0 {
		f.log.Error("more requests failed, not told one by one", "protocol", o.protocol, "name", o.name, "count", quiet)
	}
	switch {
	case !line:
	case no == syscall.ESTALE:
		f.log.Warn("content that is open was replaced at the source; open the file again", "op", o.what,
			"protocol", o.protocol, "name", o.name, "path", o.path, "error", err)
	default:
		f.log.Error("request failed", "op", o.what, "protocol", o.protocol, "name", o.name, "path", o.path,
			"errno", no.Error(), "error", err)
	}
}

// errorLog bounds what a failing loader writes into the log: one line a minute for
// each file and error, and errorLines for each model, after which they are counted.
type errorLog struct {
	now func() time.Time

	mu     sync.Mutex
	last   map[string]time.Time
	bursts map[string]*burst
}

// burst is what a model's errors were in a minute.
type burst struct {
	began        time.Time
	lines, quiet int
}

const errorLines = 10

// admit reports whether a line may be written for key, and how many were held back
// in the minute that ended with this call.
func (l *errorLog) admit(model, key string) (line bool, quiet int) {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil || len(l.last) > 4096 || len(l.bursts) > 1024 {
		l.last, l.bursts = map[string]time.Time{}, map[string]*burst{}
	}
	b := l.bursts[model]
	if b == nil || now.Sub(b.began) >= time.Minute {
		if b != nil {
			quiet = b.quiet
		}
		b = &burst{began: now}
		l.bursts[model] = b
	}
	if t, told := l.last[key]; told && now.Sub(t) < time.Minute {
		return false, quiet
	}
	if b.lines >= errorLines {
		b.quiet++
		return false, quiet
	}
	b.lines++
	l.last[key] = now
	return true, quiet
}

// once says something at most once a minute.
func (l *errorLog) once(key string, say func()) {
	if line, _ := l.admit(key, key); line {
		say()
	}
}
