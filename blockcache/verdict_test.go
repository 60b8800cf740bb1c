package blockcache

import (
	"errors"
	"testing"
)

// Who reads a file to its end is not told that it is right when it is not: the read
// that leaves nothing to be read waits for the digest.
func TestTheLastReadWaitsForTheDigest(t *testing.T) {
	data := content(9*BlockSize+5, 41)
	bad := append([]byte(nil), data...)
	bad[4*BlockSize] ^= 1
	s := &origin{name: "a", data: bad}
	c := open(t, t.TempDir(), Options{})
	key := Key{Size: int64(len(data)), Digest: sha(data), Source: "a"}
	for try := range 2 {
		r := use(t, c, key, s.source())
		var err error
		read := 0
		for off := int64(0); off < key.Size && err == nil; off += 128 << 10 {
			var p []byte
			p, err = get(r, off, 128<<10, 8<<20)
			read += len(p)
		}
		if !errors.Is(err, ErrCorrupt) || read >= len(data) {
			t.Errorf("try %d: got %d of %d bytes and %v, want ErrCorrupt before the last", try, read, len(data), err)
		}
	}
	good := &origin{name: "b", data: data}
	r := use(t, c, Key{Size: key.Size, Digest: key.Digest, Source: "b"}, good.source())
	for off := int64(0); off < key.Size; off += 128 << 10 {
		wantRange(t, r, data, off, 128<<10)
	}
	wantSealed(t, r, data)
}

// A block that is lost after it went into the digest, and fetched again with other
// bytes, is not covered by what was computed before.
func TestALostBlockIsTakenIntoTheDigestAgain(t *testing.T) {
	data := content(4*BlockSize, 42)
	s := &origin{name: "a", data: data}
	c := open(t, t.TempDir(), Options{Recent: 1})
	r := use(t, c, Key{Size: int64(len(data)), Digest: sha(data), Source: "a"}, s.source())
	for b := range int64(3) {
		wantRange(t, r, data, b*BlockSize, BlockSize)
	}
	o := r.o
	eventually(t, "the digest does not advance", func() bool { o.mu.Lock(); defer o.mu.Unlock(); return o.next == 3 })
	bad := append([]byte(nil), data...)
	bad[7] ^= 1
	s.set(func() { s.data = bad })
	o.mu.Lock()
	o.crc[0] ^= 1 // as if the disk gave other bytes back
	o.verified.unset(0)
	o.mu.Unlock()
	wantRange(t, r, bad, 0, BlockSize)
	if _, err := get(r, 3*BlockSize, BlockSize, 0); !errors.Is(err, ErrCorrupt) {
		t.Errorf("the last block: got %v, want ErrCorrupt", err)
	}
	if _, sealed := r.Sealed(); sealed {
		t.Error("bytes without the digest were sealed")
	}
}
