package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const chunk = 1 << 20 // what a reader asks for at once

// reading is a file that was read once and is still open.
type reading struct {
	f    *os.File
	n    int64
	took time.Duration
}

func (r *reading) speed() float64 { return float64(r.n) / r.took.Seconds() }

// verify compares every byte of the file with the pattern, through the handle that
// was measured, and closes it. The pages it meets are those that the reader got.
func (r *reading) verify() error {
	return errors.Join(checkAll(r.f, 0, r.n), r.f.Close())
}

// readWhole opens a file and reads it from its beginning to its end.
func readWhole(path string) (*reading, error) {
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	n, err := drain(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reading{f, n, time.Since(began)}, nil
}

// readAgain reads an open file from its beginning to its end once more.
func (r *reading) readAgain() error {
	began := time.Now()
	if _, err := r.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	n, err := drain(r.f)
	r.n, r.took = n, time.Since(began)
	return err
}

// drain reads to the end and returns how many bytes there were.
func drain(f *os.File) (done int64, err error) {
	p := make([]byte, chunk)
	for {
		n, err := f.Read(p)
		if bad := sample(p[:n], done); bad != nil {
			return done, fmt.Errorf("%s: %w", f.Name(), bad)
		}
		done += int64(n)
		if err == io.EOF {
			return done, nil
		}
		if err != nil {
			return done, err
		}
	}
}

// mapWhole maps a file and copies all of it out, in order.
func mapWhole(path string) (r *reading, err error) {
	p := make([]byte, chunk)
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	m, err := unix.Mmap(int(f.Fd()), 0, int(fi.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, unix.Munmap(m)) }()
	for off := 0; off < len(m); off += chunk {
		n := copy(p, m[off:])
		if err := sample(p[:n], int64(off)); err != nil {
			return nil, fmt.Errorf("%s, mapped: %w", path, err)
		}
	}
	return &reading{f, int64(len(m)), time.Since(began)}, nil
}

// readHead opens a file and reads its first bytes.
func readHead(path string) (*reading, error) {
	p := make([]byte, smallSize)
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	n, err := io.ReadFull(f, p)
	took := time.Since(began)
	if err == nil {
		err = check(p[:n], 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	return &reading{f, int64(n), took}, nil
}

// readAt reads one piece somewhere.
type readAt func(p []byte, off int64) error

// scatter has threads read pieces at count offsets of an object, chosen the same
// way each time for the same seed, and returns how long that took.
func scatter(read readAt, size int64, count, threads int, seed uint64) (time.Duration, error) {
	var next atomic.Int64
	offs := make([]int64, count)
	random := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // offsets, not secrets
	for i := range offs {
		offs[i] = random.Int64N((size-chunk)/4096) * 4096
	}
	began := time.Now()
	var g errgroup.Group
	for range threads {
		g.Go(func() error {
			p := make([]byte, chunk)
			for i := next.Add(1) - 1; i < int64(count); i = next.Add(1) - 1 {
				if err := read(p, offs[i]); err != nil {
					return err
				}
				if err := check(p, offs[i]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := g.Wait()
	return time.Since(began), err
}
