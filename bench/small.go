package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// smallDirs are where the small files are: in a mount, and plain.
type smallDirs struct{ mounted, native string }

// withSmall runs f for each run, with the small files mounted and beside it plain.
func (b *bench) withSmall(ctx context.Context, shaped bool, f func(smallDirs) error) (err error) {
	native := filepath.Join(b.dir, "native")
	if err := writeSmall(native, b.small); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(native)) }()
	return b.each(ctx, func(int) error {
		return b.mounted(ctx, shaped, func(d *daemon) error {
			return f(smallDirs{filepath.Dir(d.path(smallKey(0))), filepath.Dir(filepath.Join(native, smallKey(0)))})
		})
	})
}

// list compares ls -l of a directory with that of a plain one, page cache and
// directory entries hot.
func list(shaped bool) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		step, what := "list"+map[bool]string{true: "-shaped"}[shaped], fmt.Sprintf("ls -l of %d files", b.small)+from(shaped)
		first := row{Step: step, What: what + ", first", Unit: millisecond, Against: "plain directory, hot"}
		again := row{Step: step, What: what + ", again", Unit: millisecond, Against: "plain directory, hot", Target: atMost(2)}
		err := b.withSmall(ctx, shaped, func(at smallDirs) error {
			for _, c := range []struct {
				dir  string
				into []*series
			}{
				{at.mounted, []*series{&first.Modelfs}},
				{at.mounted, []*series{&again.Modelfs}},
				{at.native, nil},
				{at.native, []*series{&first.Reference, &again.Reference}},
			} {
				took, err := listLong(c.dir, b.small)
				if err != nil {
					return err
				}
				for _, s := range c.into {
					*s = append(*s, inMilliseconds(took))
				}
			}
			return nil
		})
		b.report.add(first)
		b.report.add(again)
		return err
	}
}

// listLong reads a directory and the attributes of each entry, as ls -l does.
func listLong(dir string, want int) (time.Duration, error) {
	began := time.Now()
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		fi, err := e.Info()
		if err != nil {
			return 0, err
		}
		if fi.Size() != smallSize {
			return 0, fmt.Errorf("%s has %d bytes, want %d", e.Name(), fi.Size(), smallSize)
		}
	}
	if took := time.Since(began); len(entries) == want {
		return took, nil
	}
	return 0, fmt.Errorf("%s has %d entries, want %d", dir, len(entries), want)
}

const smallAtOnce = 32

// smallFiles reads many small files, one after another as a shell loop does.
func smallFiles(shaped bool) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		step, what := "small"+map[bool]string{true: "-shaped"}[shaped], fmt.Sprintf("%d files of 4 KiB in turn", b.small)+from(shaped)
		first := row{Step: step, What: what + ", first", Unit: seconds, Against: fmt.Sprintf("bare GETs, %d at once", smallAtOnce)}
		again := row{Step: step, What: what + ", again", Unit: seconds, Against: "plain files, hot"}
		err := b.withSmall(ctx, shaped, func(at smallDirs) error {
			bare, err := b.bareSmall(ctx, shaped, smallAtOnce)
			if err != nil {
				return err
			}
			first.Reference = append(first.Reference, bare.Seconds())
			for _, c := range []struct {
				dir  string
				into *series
			}{{at.mounted, &first.Modelfs}, {at.mounted, &again.Modelfs}, {at.native, &again.Reference}} {
				took, err := readSmall(c.dir, b.small)
				if err != nil {
					return err
				}
				*c.into = append(*c.into, took.Seconds())
			}
			return nil
		})
		b.report.add(first)
		b.report.add(again)
		return err
	}
}

// readSmall reads the small files of a directory in order.
func readSmall(dir string, count int) (time.Duration, error) {
	began := time.Now()
	for i := range count {
		path := filepath.Join(dir, filepath.Base(smallKey(i)))
		p, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		if len(p) != smallSize {
			return 0, fmt.Errorf("%s: got %d bytes, want %d", path, len(p), smallSize)
		}
		if err := check(p, int64(i)*smallSize); err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
	}
	return time.Since(began), nil
}
