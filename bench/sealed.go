package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// way is one way of reading a whole file.
type way struct {
	name    string
	dropped bool // else the page cache is hot
	read    func(path string) (*reading, error)
}

var ways = []way{
	{"read, page cache hot", false, readWhole},
	{"read, page cache dropped", true, readWhole},
	{"mmap, page cache hot", false, mapWhole},
	{"mmap, page cache dropped", true, mapWhole},
}

// complete is a file in the cache, and a plain one beside it.
type complete struct {
	b      *bench
	d      *daemon
	native string
	path   string // in the mount
}

// sealed compares a complete file in the mount with a plain file on the same disk.
func sealed(ctx context.Context, b *bench) (err error) {
	native := filepath.Join(b.dir, "native.bin")
	if err := writeFile(native, 0, b.big); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(native)) }()
	return b.mounted(ctx, false, func(d *daemon) error {
		c := complete{b, d, native, d.path(bigKey(0))}
		first, err := readWhole(c.path)
		if err != nil {
			return err
		}
		if err := errors.Join(d.sealed(ctx), c.again(ctx, first), first.verify()); err != nil {
			return err
		}
		var cpu time.Duration
		for _, w := range ways {
			if err := c.compare(ctx, w, &cpu); err != nil {
				return err
			}
		}
		b.addCPU("sealed", "daemon CPU, sealed file", nil, cpu, b.big*int64(2*b.runs*len(ways)))
		return nil
	})
}

// compare reads both files in turn, and then in the other order: disks of virtual
// machines are fast for a moment and slow after it, and each side gets both.
func (c complete) compare(ctx context.Context, w way, cpu *time.Duration) error {
	out := row{Step: "sealed", What: "sealed file, " + w.name, Unit: gigabytes, Against: "plain file", Target: atLeast(0.9)}
	err := c.b.each(ctx, func(int) error {
		mounted := func() error { return c.read(w, c.path, &out.Modelfs) }
		return errors.Join(c.read(w, c.native, &out.Reference), c.d.working(cpu, mounted),
			c.d.working(cpu, mounted), c.read(w, c.native, &out.Reference))
	})
	c.b.report.add(out)
	return err
}

// read reads a file in one way and notes how fast that was.
func (c complete) read(w way, path string, into *series) error {
	prepare := c.heat
	if w.dropped {
		prepare = c.drop
	}
	if err := prepare(path); err != nil {
		return err
	}
	r, err := w.read(path)
	if err != nil {
		return err
	}
	*into = append(*into, r.speed()/1e9)
	return r.verify()
}

func (c complete) heat(path string) error {
	r, err := readWhole(path)
	if err != nil {
		return err
	}
	return r.f.Close()
}

// drop empties the page cache of a file: what the kernel reads by itself for the
// mount is in that of the cache's own file.
func (c complete) drop(path string) error {
	objects, err := c.d.objects()
	if err != nil {
		return err
	}
	return c.b.dropCaches(append(objects, path)...)
}

// again reads once more by the handle of the first read. It was opened before the
// file was complete, so that the daemon answers it, by splice.
func (c complete) again(ctx context.Context, first *reading) error {
	out := row{Step: "sealed", What: "second read by the first handle, page cache dropped", Unit: gigabytes, Against: "plain file"}
	var cpu time.Duration
	err := c.b.each(ctx, func(int) error {
		if err := c.read(way{dropped: true, read: readWhole}, c.native, &out.Reference); err != nil {
			return err
		}
		if err := errors.Join(c.drop(c.native), unix.Fadvise(int(first.f.Fd()), 0, 0, unix.FADV_DONTNEED)); err != nil {
			return err
		}
		if err := c.d.working(&cpu, first.readAgain); err != nil {
			return err
		}
		out.Modelfs = append(out.Modelfs, first.speed()/1e9)
		return nil
	})
	c.b.report.add(out)
	c.b.addCPU("sealed", "daemon CPU, cached file by the first handle", nil, cpu, c.b.big*int64(c.b.runs))
	return err
}

// addCPU puts down what reading n bytes cost the daemon.
func (b *bench) addCPU(step, what string, goal *target, spent time.Duration, n int64) {
	b.report.add(row{Step: step, What: what, Unit: cpuPerGiB, Target: goal, Modelfs: series{spent.Seconds() / (float64(n) / (1 << 30))}})
}
