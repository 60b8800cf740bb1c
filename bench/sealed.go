package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// way is one way of reading a whole file.
type way struct {
	name    string
	dropped bool // else the page cache is hot
	open    opener
}

var ways = []way{
	{"read, page cache hot", false, openRead},
	{"read, page cache dropped", true, openRead},
	{"mmap, page cache hot", false, openMap},
	{"mmap, page cache dropped", true, openMap},
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
		b.addCPU("sealed", "daemon CPU, sealed file", nil, cpu, b.big*int64(b.runs*len(ways)))
		return nil
	})
}

// slice is how much of one file is read before it is the other's turn.
const slice = 64 << 20

// compare reads both files in turn, a slice of each: the disks of virtual machines
// change their speed from one second to the next, and both sides shall get the same.
func (c complete) compare(ctx context.Context, w way, cpu *time.Duration) error {
	out := row{Step: "sealed", What: "sealed file, " + w.name, Unit: gigabytes, Against: "plain file", Target: atLeast(0.9)}
	err := c.b.each(ctx, func(run int) error {
		if err := c.prepare(w); err != nil {
			return err
		}
		native, err := w.open(c.native)
		if err != nil {
			return err
		}
		mounted, err := w.open(c.path)
		if err != nil {
			return errors.Join(err, native.close())
		}
		err = c.d.working(cpu, func() error { return inTurn(native, mounted, run%2 == 1) })
		out.Reference = append(out.Reference, native.speed()/1e9)
		out.Modelfs = append(out.Modelfs, mounted.speed()/1e9)
		return errors.Join(err, native.verify(), mounted.verify())
	})
	c.b.report.add(out)
	return err
}

// inTurn reads two files of one length slice by slice. Who begins changes with each.
func inTurn(a, b *reading, swapped bool) error {
	for {
		if swapped {
			a, b = b, a
		}
		swapped = true
		aerr, berr := a.advance(slice), b.advance(slice)
		if errors.Is(aerr, io.EOF) && errors.Is(berr, io.EOF) {
			return nil
		}
		if err := errors.Join(aerr, berr); err != nil {
			return err
		}
	}
}

// prepare fills or empties the page cache.
func (c complete) prepare(w way) error {
	if w.dropped {
		return c.drop(c.native, c.path)
	}
	return errors.Join(c.heat(c.native), c.heat(c.path))
}

func (c complete) heat(path string) error {
	r, err := readWhole(path)
	if err != nil {
		return err
	}
	return r.close()
}

// drop empties the page cache of files: what the kernel reads by itself for the
// mount is in that of the cache's own file.
func (c complete) drop(paths ...string) error {
	objects, err := c.d.objects()
	if err != nil {
		return err
	}
	return c.b.dropCaches(append(objects, paths...)...)
}

// again reads once more by the handle of the first read. It was opened before the
// file was complete, so that the daemon answers it, by splice.
func (c complete) again(ctx context.Context, first *reading) error {
	out := row{Step: "sealed", What: "second read by the first handle, page cache dropped", Unit: gigabytes, Against: "plain file"}
	var cpu time.Duration
	err := c.b.each(ctx, func(int) error {
		if err := c.drop(c.native); err != nil {
			return err
		}
		native, err := readWhole(c.native)
		if err != nil {
			return err
		}
		out.Reference = append(out.Reference, native.speed()/1e9)
		if err := native.verify(); err != nil {
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
