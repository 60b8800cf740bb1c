package main

import (
	"encoding/binary"
	"fmt"
	"io"
)

// The objects hold a pattern in which each 8 bytes follow from their offset, so
// that a byte from the wrong place is as wrong as a flipped one, and no checksum
// has to be kept. Offsets are multiples of 8.

const sampleEvery = 64 << 10

// word is the 8 bytes at off: a multiplication spreads the offset over the upper
// bits, and the shift brings them down to the lower.
func word(off int64) uint64 {
	x := uint64(off+8) * 0x9e3779b97f4a7c15
	return x ^ x>>29
}

// fill makes p the pattern at off.
func fill(p []byte, off int64) {
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, word(off))
		p, off = p[8:], off+8
	}
}

// check compares all of p with the pattern at off.
func check(p []byte, off int64) error {
	return compare(p, off, 8)
}

// sample compares a few words of p, which costs nothing beside reading it: it
// looks at one page in sixteen.
func sample(p []byte, off int64) error {
	if err := compare(p, off, sampleEvery); err != nil || len(p) < 8 {
		return err
	}
	last := (len(p) - 8) &^ 7
	return compare(p[last:last+8], off+int64(last), 8)
}

func compare(p []byte, off int64, step int) error {
	for i := 0; i+8 <= len(p); i += step {
		if got, want := binary.LittleEndian.Uint64(p[i:]), word(off+int64(i)); got != want {
			return fmt.Errorf("wrong bytes at offset %d: got %016x, want %016x", off+int64(i), got, want)
		}
	}
	return nil
}

// writePattern writes size bytes of the pattern that begins at off.
func writePattern(w io.Writer, off, size int64) error {
	p := make([]byte, 1<<20)
	for end := off + size; off < end; {
		p := p[:min(int64(len(p)), end-off)]
		fill(p, off)
		if _, err := w.Write(p); err != nil {
			return err
		}
		off += int64(len(p))
	}
	return nil
}

// checkAll reads r from its beginning and compares size bytes with the pattern at off.
func checkAll(r io.ReaderAt, off, size int64) error {
	p := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(p)) {
		p := p[:min(int64(len(p)), size-at)]
		if _, err := io.ReadFull(io.NewSectionReader(r, at, int64(len(p))), p); err != nil {
			return fmt.Errorf("read at %d: %w", at, err)
		}
		if err := check(p, off+at); err != nil {
			return err
		}
	}
	return nil
}
