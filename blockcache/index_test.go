package blockcache

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

func TestDamagedIndexCostsOnlyFetches(t *testing.T) {
	data := content(4*BlockSize, 31)
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	hurts := map[string]func([]byte) []byte{
		"truncated": func(p []byte) []byte { return p[:len(p)/2] },
		"flipped":   func(p []byte) []byte { p = bytes.Clone(p); p[len(p)/2] ^= 0xff; return p },
		"zeroed":    func(p []byte) []byte { return make([]byte, len(p)) },
		"emptied":   func([]byte) []byte { return nil },
	}
	seed, s := t.TempDir(), &origin{name: "mem", data: data}
	fillAndClose(t, seed, key, s, data, false)
	files, err := os.ReadDir(filepath.Join(seed, "index"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		for how, hurt := range hurts {
			t.Run(f.Name()+" "+how, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "cache")
				if err := os.CopyFS(dir, os.DirFS(seed)); err != nil {
					t.Fatal(err)
				}
				name := filepath.Join(dir, "index", f.Name())
				p, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, hurt(p), 0o600); err != nil {
					t.Fatal(err)
				}
				c := open(t, dir, Options{})
				r := use(t, c, key, s.source())
				wantRange(t, r, data, 0, len(data))
				wantSealed(t, r, data)
			})
		}
	}
}

// Surroundings that refuse the index are no reason to throw it away.
func TestIndexThatCannotBeOpenedNowIsKept(t *testing.T) {
	data := content(2*BlockSize, 52)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 3, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	_, err := openIndex(filepath.Join(dir, "index"), slog.New(slog.DiscardHandler))
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("without a file to spare: got %v, want %v", err, syscall.EMFILE)
	}
	c := open(t, dir, Options{})
	wantSealed(t, use(t, c, key, s.source()), data)
	if got := s.bytes.Load(); got != int64(len(data)) {
		t.Errorf("asked for %d bytes, want %d", got, len(data))
	}
}

func TestDamage(t *testing.T) {
	for text, want := range map[string]bool{
		"manifest has bad magic": true,
		"checksum mismatch":      true,
		"while opening memtable err: open x: too many open files":           false,
		"Unable to open. Path=x. Error=open x: permission denied":           false,
		"write x: no space left on device":                                  false,
		"read x: input/output error":                                        false,
		"Cannot acquire directory lock on \"x\". err: resource unavailable": false,
	} {
		if got := damage(errors.New(text)); got != want {
			t.Errorf("damage(%q) = %v, want %v", text, got, want)
		}
	}
}
