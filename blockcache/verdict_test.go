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
