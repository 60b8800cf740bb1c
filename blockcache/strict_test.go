package blockcache

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestStrictServesNothingUnchecked(t *testing.T) {
	data := content(4*BlockSize+5, 12)
	for _, bad := range []bool{false, true} {
		s := &origin{name: "mem", data: data}
		if bad {
			s.data = append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
		}
		c := open(t, t.TempDir(), Options{})
		src := s.source()
		src.Strict = true
		r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, src)
		got, err := get(r, 0, 10, 0)
		if bad && !errors.Is(err, ErrCorrupt) {
			t.Errorf("bad source: got %d bytes, %v; want ErrCorrupt", len(got), err)
		}
		if !bad && (err != nil || !bytes.Equal(got, data[:10])) {
			t.Errorf("good source: %v", err)
		}
	}
}

// Where the whole file has no room nothing waits for it, and the error says what to do.
func TestStrictWithoutRoomSaysSo(t *testing.T) {
	data := content(12*BlockSize, 46)
	for name, o := range map[string]Options{
		"larger than the cache": {MaxSize: 4 * BlockSize},
		"disk full":             {MinFree: func(int64) int64 { return 1 << 60 }},
	} {
		src := (&origin{name: "mem", data: data}).source()
		src.Strict = true
		r := use(t, open(t, t.TempDir(), o), Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, src)
		if _, err := get(r, 0, 10, 0); err == nil || !strings.Contains(err.Error(), "cache.max_size") {
			t.Errorf("%s: got %v, want what setting is at fault", name, err)
		}
	}
}

// The place is taken by somebody else while the file is read.
func TestStrictThatLosesItsRoomSaysSo(t *testing.T) {
	data := content(12*BlockSize, 47)
	c := open(t, t.TempDir(), Options{MaxSize: 13 * BlockSize})
	other := content(4*BlockSize, 48)
	held := use(t, c, Key{Source: "held", Digest: sha(other), Size: int64(len(other))}, (&origin{name: "mem", data: other}).source())
	wantRange(t, held, other, 0, len(other))
	src := (&origin{name: "mem", data: data}).source()
	src.Strict = true
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, src)
	if _, err := get(r, 0, 10, 0); err == nil || !strings.Contains(err.Error(), "cache.max_size") {
		t.Errorf("got %v, want what setting is at fault", err)
	}
}

// A strict read that outlasts one patience shows that it goes on.
func TestStrictReadShowsProgress(t *testing.T) {
	data := content(6*BlockSize, 49)
	s := &origin{name: "mem", data: data}
	next := make(chan struct{})
	s.hook = func(off, n int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[off:off+BlockSize]), waitFor(next), bytes.NewReader(data[off+BlockSize:off+n]))), nil
	}
	src := s.source()
	src.Strict = true
	c := open(t, t.TempDir(), Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, src)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Read(ctx, 0, 10, 0)
		done <- err
	}()
	eventually(t, "no progress while a block arrives", func() bool { return r.Progress() > 0 })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	before := r.Progress()
	close(next)
	wantRange(t, r, data, 0, 10)
	if after := r.Progress(); after < before+6 {
		t.Errorf("progress went from %d to %d while 6 blocks arrived and were checked", before, after)
	}
}
