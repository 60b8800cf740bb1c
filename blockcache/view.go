package blockcache

import "os"

// View is the answer to one read: checked bytes, in memory or as a range of the
// object's data file. It is valid until Release, which must be called once.
type View struct {
	n    int
	vec  [][]byte
	bufs []*buffer
	file *os.File
	off  int64
}

// Len is the number of bytes; it is less than asked only at the end of the file.
func (v *View) Len() int { return v.n }

// Slices returns the bytes if they are in memory, in order.
func (v *View) Slices() [][]byte { return v.vec }

// Range returns the bytes as a range of a file, which stays open until Release;
// file is nil when they are in memory.
func (v *View) Range() (file *os.File, off int64) { return v.file, v.off }

// Release ends the use of the bytes.
func (v *View) Release() {
	for _, b := range v.bufs {
		b.release()
	}
	v.bufs, v.vec, v.file = nil, nil, nil
}

func (v *View) add(b *buffer, p []byte) {
	v.vec = append(v.vec, p)
	if b != nil {
		v.bufs = append(v.bufs, b)
	}
}
