package blockcache

import (
	"errors"
	"os"
	"testing"
)

func TestDamagedDataFileIsFetchedAgain(t *testing.T) {
	data := content(4*BlockSize, 15)
	damage := map[string]func(name string) error{
		"flipped": func(name string) error { return flip(name, BlockSize+3) },
		"truncated": func(name string) error {
			return os.Truncate(name, BlockSize/2)
		},
		"truncated and grown": func(name string) error {
			return errors.Join(os.Truncate(name, 10), os.Truncate(name, 4*BlockSize))
		},
		"removed":   os.Remove,
		"symlinked": func(name string) error { return errors.Join(os.Remove(name), os.Symlink("/etc/passwd", name)) },
		"swapped":   func(name string) error { return os.WriteFile(name, content(4*BlockSize, 99), 0o600) },
	}
	for how, hurt := range damage {
		for _, sealed := range []bool{false, true} {
			t.Run(how+map[bool]string{true: " sealed"}[sealed], func(t *testing.T) {
				dir, s := t.TempDir(), &origin{name: "mem", data: data}
				key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
				fillAndClose(t, dir, key, s, data, sealed)
				name := parts(t, dir, "*")[0]
				if err := errors.Join(os.Chmod(name, 0o600), hurt(name)); err != nil {
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

func TestDataFileChangedUnderAnOpenReader(t *testing.T) {
	data := content(4*BlockSize, 16)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	c := open(t, dir, Options{})
	r := use(t, c, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s.source())
	wantRange(t, r, data, 0, 3*BlockSize)
	name := parts(t, dir, "*.part")[0]
	if err := errors.Join(os.Truncate(name, 0), os.Truncate(name, int64(len(data)))); err != nil {
		t.Fatal(err)
	}
	wantRange(t, r, data, 0, 3*BlockSize)
	wantRange(t, r, data, 0, len(data))
	wantSealed(t, r, data)
}
