package main

import (
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

const chunk = 1 << 20 // what a reader asks for at once

// reading is a file that is open and was read up to some place.
type reading struct {
	f    *os.File
	m    []byte // the file, if it is read by mmap
	p    []byte
	n    int64 // bytes read
	took time.Duration
}

func (r *reading) speed() float64 { return float64(r.n) / r.took.Seconds() }

// verify compares every byte read with the pattern, through the handle that was
// measured, and closes it. The pages it meets are those that the reader got.
func (r *reading) verify() error {
	return errors.Join(checkAll(r.f, 0, r.n), r.close())
}

func (r *reading) close() error {
	var err error
	if r.m != nil {
		err = unix.Munmap(r.m)
	}
	return errors.Join(err, r.f.Close())
}

// openRead opens a file for read.
func openRead(path string) (*reading, error) {
	began := time.Now()
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &reading{f: f, p: make([]byte, chunk), took: time.Since(began)}, nil
}

// openMap opens a file and maps it.
func openMap(path string) (*reading, error) {
	r, err := openRead(path)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	fi, err := r.f.Stat()
	if err != nil {
		return nil, errors.Join(err, r.f.Close())
	}
	r.m, err = unix.Mmap(int(r.f.Fd()), 0, int(fi.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map %s: %w", path, err), r.f.Close())
	}
	r.took += time.Since(began)
	return r, nil
}

// advance reads on for at most n bytes. It returns [io.EOF] at the end of the file.
func (r *reading) advance(n int64) error {
	began := time.Now()
	defer func() { r.took += time.Since(began) }()
	for end := r.n + n; r.n < end; {
		got, err := r.next()
		if bad := sample(r.p[:got], r.n); bad != nil {
			return fmt.Errorf("%s: %w", r.f.Name(), bad)
		}
		r.n += int64(got)
		if err != nil {
			return err
		}
	}
	return nil
}

// next gets at most one chunk.
func (r *reading) next() (int, error) {
	if r.m == nil {
		return r.f.Read(r.p)
	}
	if r.n == int64(len(r.m)) {
		return 0, io.EOF
	}
	return copy(r.p, r.m[r.n:]), nil
}

// finish reads to the end.
func (r *reading) finish() error {
	err := r.advance(math.MaxInt64 - r.n)
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// readAgain reads an open file from its beginning to its end once more.
func (r *reading) readAgain() error {
	r.n, r.took = 0, 0
	if _, err := r.f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return r.finish()
}

// opener opens a file for one way of reading it.
type opener func(path string) (*reading, error)

// whole opens a file and reads it to its end.
func (open opener) whole(path string) (*reading, error) {
	r, err := open(path)
	if err != nil {
		return nil, err
	}
	if err := r.finish(); err != nil {
		return nil, errors.Join(err, r.close())
	}
	return r, nil
}

func readWhole(path string) (*reading, error) { return opener(openRead).whole(path) }
func mapWhole(path string) (*reading, error)  { return opener(openMap).whole(path) }

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
	return &reading{f: f, n: int64(n), took: took}, nil
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
