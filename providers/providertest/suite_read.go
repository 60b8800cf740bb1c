package providertest

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"modelfs/providers"
)

func testRanges(t *testing.T, f *fixture) {
	m := f.model(t)
	for p, want := range f.Files {
		e, size := entry(t, m, p), int64(len(want))
		if e.Size != size {
			t.Errorf("%s: got size %d, want %d", p, e.Size, size)
			continue
		}
		for _, r := range [][2]int64{
			{0, size}, {0, 1}, {size - 1, 1}, {size / 2, 1}, {1, size - 1}, {0, size - 1}, {1, size - 2}, {size / 3, size / 2},
		} {
			off, n := r[0], r[1]
			if off < 0 || n <= 0 || off+n > size {
				continue
			}
			if got, err := read(t.Context(), m, e, off, n); err != nil || got != want[off:off+n] {
				t.Errorf("%s [%d, +%d): got %.60q (%d bytes), %v; want %.60q", p, off, n, got, len(got), err, want[off:off+n])
			}
		}
	}
	p := f.big()
	want, e := f.Files[p], entry(t, m, p)
	if len(want) <= 64 {
		t.Fatalf("the fixture's longest file has %d bytes, want more than 64", len(want))
	}
	off := int64(1)
	rc, err := m.ReadRange(t.Context(), e, off, e.Size-off)
	if errors.Is(err, providers.ErrWhole) {
		off = 0
		rc, err = m.ReadRange(t.Context(), e, off, e.Size)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(iotest.OneByteReader(rc)); err != nil || string(got) != want[off:] {
		t.Errorf("%s byte by byte: got %d bytes, %v; want %d", p, len(got), err, e.Size-off)
	}
	if n, err := rc.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("read behind the end: got %d, %v; want 0, EOF", n, err)
	}
	rc.Close()
	if rc, err = m.ReadRange(t.Context(), e, 0, e.Size); err != nil {
		t.Fatal(err)
	}
	rc.Close() // unread: nothing may hang or leak
}

// testLocalFiles holds an Opener to handing out the files that ReadRange reads.
func testLocalFiles(t *testing.T, f *fixture) {
	m := f.model(t)
	o, ok := providers.As[providers.Opener](m)
	if !ok {
		t.Log("does not apply: the source has no local files")
		return
	}
	for p, want := range f.Files {
		file, err := o.Open(t.Context(), entry(t, m, p))
		if err != nil {
			t.Errorf("open %s: %v", p, err)
			continue
		}
		if got, err := io.ReadAll(file); err != nil || string(got) != want {
			t.Errorf("open %s: got %d bytes, %v; want %d", p, len(got), err, len(want))
		}
		file.Close()
	}
	if f.Rewrite == nil {
		return
	}
	p := f.big()
	e := entry(t, m, p)
	f.Rewrite(t, p, changed(f.Files[p]))
	if file, err := o.Open(t.Context(), e); err == nil {
		file.Close()
		t.Errorf("open of a rewritten file: got it, want ErrStale")
	} else {
		f.fails(t, "open of a rewritten file", err, providers.ErrStale)
	}
}

func testCancellation(t *testing.T, f *fixture) {
	m, p := f.model(t), f.big()
	e := entry(t, m, p)
	rctx, stop := context.WithCancel(t.Context())
	rc, err := m.ReadRange(rctx, e, 0, e.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(rc, make([]byte, 1)); err != nil {
		t.Errorf("first byte: %v", err)
	}
	stop()
	// What had arrived may still come out.
	if got, err := io.ReadAll(rc); err == nil && 1+len(got) != len(f.Files[p]) {
		t.Errorf("body after its context ended: got %d bytes and no error", 1+len(got))
	}
	rc.Close()

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Provider.Resolve(ctx, f.Name, f.Ref)
	f.fails(t, "resolve", err, context.Canceled)
	if got, err := read(ctx, m, e, 0, e.Size); err == nil {
		t.Errorf("read: got %.20q, want an error", got)
	} else {
		f.fails(t, "read", err, context.Canceled)
	}
	if err := m.Check(ctx, e); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("check: got %v, want nil or context.Canceled", err)
	}
	for _, err := range m.ReadDir(ctx, "") {
		if err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("list: got %v, want context.Canceled", err)
		}
	}
}

func testConcurrency(t *testing.T, f *fixture) {
	var wg sync.WaitGroup
	m := f.model(t)
	for i := range 8 {
		wg.Go(func() {
			m := m
			if i%2 == 0 {
				var err error
				if m, err = f.Provider.Resolve(t.Context(), f.Name, f.Ref); err != nil {
					t.Errorf("resolve: %v", err)
					return
				}
			}
			for p, want := range f.Files {
				e, err := providers.Stat(t.Context(), m, p)
				if err != nil {
					t.Errorf("stat %s: %v", p, err)
					continue
				}
				if err := m.Check(t.Context(), e); err != nil {
					t.Errorf("check %s: %v", p, err)
				}
				if len(want) == 0 {
					continue
				}
				if got, err := read(t.Context(), m, e, 0, e.Size); err != nil || got != want {
					t.Errorf("read %s: got %d bytes, %v; want %d", p, len(got), err, len(want))
				}
			}
			for _, err := range providers.Walk(t.Context(), m) {
				if err != nil {
					t.Errorf("walk: %v", err)
				}
			}
		})
	}
	wg.Wait()
}

// testGuarded reads everything through faults and a guard.
func testGuarded(t *testing.T, f *fixture) {
	faulty := NewFaulty(f.Provider)
	guarded := &fixture{Fixture: f.Fixture}
	guarded.Provider = providers.Guard(faulty, providers.GuardOptions{Protocol: f.Protocol, Backoff: 1})
	faulty.Next("resolve", 1, Fault{Err: providers.ErrUnavailable})
	m := guarded.model(t)
	for p, want := range f.Files {
		e := entry(t, m, p)
		if e.Size == 0 {
			continue
		}
		faulty.Next("read", 1, Fault{Cut: max(1, len(want)/2), CutErr: io.ErrUnexpectedEOF})
		faulty.Next("read", 1, Fault{Err: providers.ErrUnavailable})
		faulty.Next("read", 1, Fault{Surplus: 7})
		if got, err := read(t.Context(), m, e, 0, e.Size); err != nil || got != want {
			t.Errorf("%s: got %d bytes, %v; want %d", p, len(got), err, len(want))
		}
	}
}
