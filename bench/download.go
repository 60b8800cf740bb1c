package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	workers   = 16
	rangeSize = 16 << 20
)

// client is what the references ask with. Connections are kept, so that each pays
// for a handshake once.
var client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true, ReadBufferSize: 64 << 10}}

// get reads n bytes at off of an object into w, in pieces of p.
func get(ctx context.Context, url string, off, n int64, p []byte, w io.Writer) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusPartialContent {
		return fmt.Errorf("download: HTTP %s", resp.Status)
	}
	// Hidden, what both ends could do better is left alone: the pieces are p's.
	got, err := io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{resp.Body}, p)
	if err == nil && got != n {
		err = fmt.Errorf("download: %d of %d bytes came", got, n)
	}
	return err
}

// getBytes reads len(p) bytes at off.
func getBytes(ctx context.Context, url string, p []byte, off int64) error {
	w := sliceWriter(p)
	return get(ctx, url, off, int64(len(p)), make([]byte, min(len(p), chunk)), &w)
}

// sliceWriter fills a slice.
type sliceWriter []byte

func (s *sliceWriter) Write(p []byte) (int, error) {
	n := copy(*s, p)
	if *s = (*s)[n:]; n < len(p) {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// download copies an object to a file by many ranges at once, as the fastest
// downloaders do, and leaves it to the kernel when the bytes reach the disk.
func download(ctx context.Context, url, path string, size int64) (*reading, error) {
	began := time.Now()
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(ctx)
	var next atomic.Int64
	for range workers {
		g.Go(func() error {
			p := make([]byte, chunk)
			for off := next.Add(rangeSize) - rangeSize; off < size; off = next.Add(rangeSize) - rangeSize {
				if err := get(ctx, url, off, min(rangeSize, size-off), p, io.NewOffsetWriter(f, off)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := errors.Join(f.Truncate(size), g.Wait()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &reading{f: f, n: size, took: time.Since(began)}, nil
}
