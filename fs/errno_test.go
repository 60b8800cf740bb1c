package fs

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"modelfs/blockcache"
	"modelfs/providers"
)

func TestErrno(t *testing.T) {
	for _, c := range []struct {
		err  error
		what string
		want syscall.Errno
	}{
		{nil, "read", 0},
		{iofs.ErrNotExist, "lookup", syscall.ENOENT},
		{fmt.Errorf("%w: %w", iofs.ErrPermission, iofs.ErrNotExist), "lookup", syscall.EACCES},
		{iofs.ErrPermission, "lookup", syscall.EACCES},
		{providers.ErrChanged, "open", syscall.ESTALE},
		{providers.ErrStale, "read", syscall.ESTALE},
		{providers.ErrCorrupt, "read", syscall.EIO},
		{blockcache.ErrCorrupt, "read", syscall.EIO},
		{errors.ErrUnsupported, "open", syscall.ENOTSUP},
		{providers.ErrUnavailable, "lookup", syscall.EIO},
		{&providers.Throttled{After: time.Second, Err: errors.New("429")}, "lookup", syscall.EIO},
		{blockcache.ErrClosed, "read", syscall.EIO},
		{context.Canceled, "read", syscall.EINTR},
		{context.DeadlineExceeded, "lookup", syscall.EIO},
		{context.DeadlineExceeded, "read", syscall.EIO},
		{errors.New("anything else"), "lookup", syscall.EIO},
	} {
		f := &FS{log: slog.New(slog.DiscardHandler)}
		f.errs.now = time.Now
		for _, err := range []error{c.err, wrapped(c.err)} {
			if got := f.errno(op{what: c.what}, err); got != c.want {
				t.Errorf("%s, %v: got %v, want %v", c.what, err, got, c.want)
			}
		}
	}
	seen := map[error]bool{}
	for _, row := range table {
		if seen[row.err] {
			t.Errorf("%v has two rows", row.err)
		}
		seen[row.err] = true
	}
}

// One file's error hides no other's, and a flood is counted.
func TestErrorLogIsBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := errorLog{now: func() time.Time { return now }}
	lines := 0
	for i := range 3 * errorLines {
		for range 2 {
			if line, _ := l.admit("m", fmt.Sprint(i)); line {
				lines++
			}
		}
	}
	if lines != errorLines {
		t.Errorf("lines in a minute: got %d, want %d", lines, errorLines)
	}
	if line, _ := l.admit("other", "x"); !line {
		t.Error("another model is not heard")
	}
	now = now.Add(time.Minute)
	line, quiet := l.admit("m", "0")
	if want := 2 * 2 * errorLines; !line || quiet != want {
		t.Errorf("a minute later: got a line %v and %d held back, want one and %d", line, quiet, want)
	}
}

func wrapped(err error) error {
	if err == nil {
		return nil
	}
	return &providers.Error{Op: "read", Protocol: "p", Err: fmt.Errorf("while reading: %w", err)}
}
