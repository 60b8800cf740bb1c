package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestPatternTellsWrongBytes(t *testing.T) {
	const off = 3 << 20
	good := make([]byte, 1<<20)
	fill(good, off)
	if err := errors.Join(check(good, off), sample(good, off)); err != nil {
		t.Fatalf("the pattern itself: got %v, want no error", err)
	}
	if err := check(good, off+8); err == nil {
		t.Error("check of bytes from 8 further on: got no error")
	}
	if err := sample(good, off+chunk); err == nil {
		t.Error("sample of bytes from another MiB: got no error")
	}
	for _, at := range []int{0, 12345, len(good) - 1} {
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if err := check(bad, off); err == nil {
			t.Errorf("check with a flipped bit in byte %d: got no error", at)
		}
	}
	zeros := make([]byte, len(good))
	if err := sample(zeros, 0); err == nil {
		t.Error("sample of zeros at the beginning: got no error, and a hole would pass")
	}
	bad := bytes.Clone(good)
	bad[len(bad)-1] ^= 1
	if err := sample(bad, off); err == nil {
		t.Error("sample with a wrong end: got no error")
	}
}

func TestWrittenPatternIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	const off, size = 4096, 3<<20 + 4096
	if err := writeFile(path, off, size); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := checkAll(f, off, size); err != nil {
		t.Errorf("as written: got %v, want no error", err)
	}
	if err := checkAll(f, off, size+8); err == nil {
		t.Error("a file that is too short: got no error")
	}
	if _, err := f.WriteAt([]byte{0, 0}, 2<<20+77); err != nil {
		t.Fatal(err)
	}
	if err := checkAll(f, off, size); err == nil {
		t.Error("two bytes changed: got no error")
	}
}

func TestReadersSeeWrongBytes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := writeFile(path, 0, 2<<20); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(string) (*reading, error){"read": readWhole, "mmap": mapWhole, "head": readHead} {
		r, err := read(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.took <= 0 || r.n == 0 {
			t.Errorf("%s: got %d bytes in %s, want some", name, r.n, r.took)
		}
		if err := r.verify(); err != nil {
			t.Errorf("%s: verify: got %v, want no error", name, err)
		}
	}
	if err := os.WriteFile(path, make([]byte, 2<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(string) (*reading, error){"read": readWhole, "mmap": mapWhole, "head": readHead} {
		if _, err := read(path); err == nil {
			t.Errorf("%s of zeros: got no error", name)
		}
	}
}
