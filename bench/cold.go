package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"
)

// cold compares the first read of the big object with a download of it.
func cold(shaped bool) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		step := "cold" + map[bool]string{true: "-shaped"}[shaped]
		name := "first sequential read" + from(shaped)
		speed := row{Step: step, What: name, Unit: gigabytes, Against: fmt.Sprintf("%d ranges of %d MiB at once", workers, rangeSize>>20), Target: atLeast(0.9)}
		cpu := row{Step: step, What: name + ", daemon CPU", Unit: cpuPerGiB}
		peak := row{Step: step, What: name + ", peak memory", Unit: mebibytes, Target: atMost(300)}
		err := b.each(ctx, func(int) error {
			r, err := b.downloaded(ctx, shaped)
			if err != nil {
				return err
			}
			speed.Reference = append(speed.Reference, r.speed()/1e9)
			return b.coldRun(ctx, shaped, &speed, &cpu, &peak)
		})
		for _, r := range []row{speed, cpu, peak} {
			b.report.add(r)
		}
		return err
	}
}

// coldRun reads once by a new daemon. Its CPU is counted until the file is sealed:
// a check that is done later is work too.
func (b *bench) coldRun(ctx context.Context, shaped bool, speed, cpu, peak *row) error {
	return b.mounted(ctx, shaped, func(d *daemon) error {
		var spent time.Duration
		var r *reading
		if err := d.working(&spent, func() (err error) {
			if r, err = readWhole(d.path(bigKey(0))); err != nil {
				return err
			}
			return d.sealed(ctx)
		}); err != nil {
			return err
		}
		mem, err := d.peakMemory()
		if err != nil {
			return err
		}
		speed.Modelfs = append(speed.Modelfs, r.speed()/1e9)
		cpu.Modelfs = append(cpu.Modelfs, spent.Seconds()/(float64(r.n)/(1<<30)))
		peak.Modelfs = append(peak.Modelfs, float64(mem)/(1<<20))
		return r.verify()
	})
}

// downloaded runs the reference: it writes to the disk that the cache is on.
func (b *bench) downloaded(ctx context.Context, shaped bool) (*reading, error) {
	url, err := b.origin.url(ctx, b.origin.endpoint(shaped), bigKey(0))
	if err != nil {
		return nil, err
	}
	if err := b.dropCaches(); err != nil {
		return nil, err
	}
	path := filepath.Join(b.dir, "download.bin")
	r, err := download(ctx, url, path, b.big)
	if err != nil {
		return nil, err
	}
	return r, errors.Join(r.verify(), os.Remove(path))
}

// many reads several objects at once, and holds that to one stream in the same run.
func many(ctx context.Context, b *bench) error {
	rows := []row{
		{Step: "many", What: fmt.Sprintf("%d files of %d MiB at once, first time", fourCount, b.four>>20), Unit: gigabytes, Target: atLeast(1)},
		{Step: "many", What: fmt.Sprintf("%d files of %d MiB at once, first time", manyCount, b.many>>20), Unit: gigabytes},
		{Step: "many", What: fmt.Sprintf("%d files at once, peak memory", manyCount), Unit: mebibytes, Target: atMost(300)},
	}
	err := b.each(ctx, func(int) error {
		for i, c := range []struct {
			count int
			key   func(int) string
		}{{1, bigKey}, {fourCount, fourKey}, {manyCount, manyKey}} {
			speed, mem, err := b.atOnce(ctx, c.count, c.key)
			switch {
			case err != nil:
				return err
			case i == 0:
				rows[0].Reference, rows[1].Reference = append(rows[0].Reference, speed), append(rows[1].Reference, speed)
				continue
			case i == 2:
				rows[2].Modelfs = append(rows[2].Modelfs, mem)
			}
			rows[i-1].Modelfs = append(rows[i-1].Modelfs, speed)
		}
		return nil
	})
	for _, r := range rows {
		if r.Unit == gigabytes {
			r.Against = "one file"
		}
		b.report.add(r)
	}
	return err
}

// atOnce reads count objects at once by a new daemon, and returns GB/s of all and
// the daemon's peak memory in MiB.
func (b *bench) atOnce(ctx context.Context, count int, key func(int) string) (speed, peak float64, err error) {
	err = b.mounted(ctx, false, func(d *daemon) error {
		read := make([]*reading, count)
		var g errgroup.Group
		began := time.Now()
		for i := range count {
			g.Go(func() (err error) {
				read[i], err = readWhole(d.path(key(i)))
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		took, total := time.Since(began), int64(0)
		mem, err := d.peakMemory()
		for _, r := range read {
			total += r.n
			err = errors.Join(err, r.verify())
		}
		speed, peak = float64(total)/took.Seconds()/1e9, float64(mem)/(1<<20)
		return err
	})
	return speed, peak, err
}
