package main

import (
	"context"
	"errors"
)

// step is one kind of work. It does its runs and puts down its rows.
type step struct {
	name  string
	about string
	do    func(context.Context, *bench) error
}

// steps are in the order in which they are done.
var steps = []step{
	{"sealed", "a complete file, by read and by mmap, page cache hot and dropped", sealed},
	{"cold", "first sequential read, and what it costs the daemon", cold(false)},
	{"cold-shaped", "the same from an object store", cold(true)},
	{"many", "four and sixteen files at once, first time", many},
	{"first-byte", "the first 4 KiB of a cold file", firstByte(false)},
	{"first-byte-shaped", "the same from an object store", firstByte(true)},
	{"random-shaped", "64 random reads of 1 MiB from an object store, by 1 and by 8 threads", random},
	{"list", "ls -l of the directory of small files", list(false)},
	{"list-shaped", "the same from an object store", list(true)},
	{"small", "small files read one after another", smallFiles(false)},
	{"small-shaped", "the same from an object store", smallFiles(true)},
	{"rclone", "first and second read through rclone mount, if that is installed", rclone},
}

// endpoint is the server as it is, or shaped like an object store.
func (o *origin) endpoint(shaped bool) string {
	if shaped {
		return o.slow
	}
	return o.fast
}

// from names the kind of source in a row.
func from(shaped bool) string {
	if shaped {
		return ", shaped"
	}
	return ""
}

// mounted runs f with a daemon on an empty cache, and an empty page cache. That is
// emptied before the daemon starts, whose own program would have to be read again.
func (b *bench) mounted(ctx context.Context, shaped bool, f func(*daemon) error) (err error) {
	if err := b.dropCaches(); err != nil {
		return err
	}
	d, err := b.mountFresh(ctx, b.origin.endpoint(shaped))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.close()) }()
	return f(d)
}

// each calls f once for each run.
func (b *bench) each(ctx context.Context, f func(run int) error) error {
	for run := range b.runs {
		if err := errors.Join(ctx.Err(), f(run)); err != nil {
			return err
		}
	}
	return nil
}
