package main

import (
	"context"
	"errors"
	"os"
	"time"

	"golang.org/x/sync/errgroup"
)

const headCount = 10 // cold files whose first byte is waited for, in each run

// firstByte compares the first bytes of cold files with bare requests for them:
// of the first file of a model that nobody knows yet, and of further files.
func firstByte(shaped bool) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		step, against := "first-byte"+map[bool]string{true: "-shaped"}[shaped], "bare GET of 4 KiB"
		first := row{Step: step, What: "first 4 KiB of a new model's file" + from(shaped), Unit: millisecond, Against: against}
		more := row{Step: step, What: "first 4 KiB of a further file" + from(shaped), Unit: millisecond, Against: against}
		if shaped {
			more.Target = atMost(2.2) // a round trip more than the source itself needs
		}
		err := b.each(ctx, func(int) error {
			bare, err := b.bareHeads(ctx, shaped)
			if err != nil {
				return err
			}
			first.Reference, more.Reference = append(first.Reference, bare), append(more.Reference, bare)
			return b.mounted(ctx, shaped, func(d *daemon) error {
				heads, err := headsOf(d)
				if err != nil {
					return err
				}
				first.Modelfs, more.Modelfs = append(first.Modelfs, heads[0]), append(more.Modelfs, heads[1:].median())
				return nil
			})
		})
		b.report.add(first)
		b.report.add(more)
		return err
	}
}

// bareHeads is the median time of a request for 4 KiB over a kept connection.
func (b *bench) bareHeads(ctx context.Context, shaped bool) (float64, error) {
	url, err := b.origin.url(ctx, b.origin.endpoint(shaped), bigKey(0))
	if err != nil {
		return 0, err
	}
	p := make([]byte, smallSize)
	var all series
	for range headCount + 1 {
		began := time.Now()
		if err := getBytes(ctx, url, p, 0); err != nil {
			return 0, err
		}
		all = append(all, inMilliseconds(time.Since(began)))
	}
	return all[1:].median(), nil // the first one had to connect
}

// headsOf waits for the first bytes of one cold file after another. The files stay
// open meanwhile, and the source has time to finish what was asked ahead.
func headsOf(d *daemon) (all series, err error) {
	for i := range headCount {
		r, err := readHead(d.path(bigKey(i)))
		if err != nil {
			return nil, err
		}
		all = append(all, inMilliseconds(r.took))
		time.Sleep(100 * time.Millisecond)
		if err := r.f.Close(); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func inMilliseconds(d time.Duration) float64 { return d.Seconds() * 1e3 }

const (
	pieces  = 64 // random reads in each run
	threads = 8
)

// random compares random reads by one and by several threads on one descriptor
// with bare requests, and with each other.
func random(ctx context.Context, b *bench) error {
	one := row{Step: "random-shaped", What: "64 random reads of 1 MiB, shaped, 1 thread", Unit: megabytes, Against: "bare GETs, 1 at a time"}
	all := row{Step: "random-shaped", What: "the same, 8 threads on one handle", Unit: megabytes, Against: "bare GETs, 8 at once"}
	gain := row{Step: "random-shaped", What: "8 threads to 1 thread", Unit: megabytes, Against: "1 thread", Target: atLeast(6)}
	err := b.each(ctx, func(run int) error {
		return errors.Join(b.scattered(ctx, 1, uint64(run), &one), b.scattered(ctx, threads, uint64(run), &all))
	})
	gain.Reference, gain.Modelfs = one.Modelfs, all.Modelfs
	for _, r := range []row{one, all, gain} {
		b.report.add(r)
	}
	return err
}

func rate(took time.Duration) float64 { return pieces * chunk / took.Seconds() / 1e6 }

// scattered reads by n threads, without modelfs and with it.
func (b *bench) scattered(ctx context.Context, n int, seed uint64, out *row) error {
	bare, err := b.bareScatter(ctx, n, seed)
	if err != nil {
		return err
	}
	out.Reference = append(out.Reference, bare)
	return b.mountScatter(ctx, n, seed, &out.Modelfs)
}

func (b *bench) bareScatter(ctx context.Context, n int, seed uint64) (float64, error) {
	url, err := b.origin.url(ctx, b.origin.slow, bigKey(0))
	if err != nil {
		return 0, err
	}
	took, err := scatter(func(p []byte, off int64) error { return getBytes(ctx, url, p, off) }, b.big, pieces, n, seed)
	return rate(took), err
}

func (b *bench) mountScatter(ctx context.Context, n int, seed uint64, into *series) error {
	return b.mounted(ctx, true, func(d *daemon) error {
		f, err := os.Open(d.path(bigKey(0)))
		if err != nil {
			return err
		}
		took, err := scatter(func(p []byte, off int64) error { _, err := f.ReadAt(p, off); return err }, b.big, pieces, n, seed)
		*into = append(*into, rate(took))
		return errors.Join(err, f.Close())
	})
}

// bareSmall fetches all small objects by many requests at once.
func (b *bench) bareSmall(ctx context.Context, shaped bool, atOnce int) (time.Duration, error) {
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i := range b.small {
		g.Go(func() error {
			url, err := b.origin.url(ctx, b.origin.endpoint(shaped), smallKey(i))
			if err != nil {
				return err
			}
			p := make([]byte, smallSize)
			if err := getBytes(ctx, url, p, 0); err != nil {
				return err
			}
			return check(p, int64(i)*smallSize)
		})
	}
	err := g.Wait()
	return time.Since(began), err
}
