package blockcache

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDirectoryIsChecked(t *testing.T) {
	dir := t.TempDir()
	open(t, dir, Options{})
	if _, err := Open(Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "in use by another modelfs") {
		t.Errorf("second opener: %v", err)
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Options{Dir: file}); err == nil {
		t.Error("a file was taken for a directory")
	}
	if os.Geteuid() == 0 {
		foreign := t.TempDir()
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{Dir: foreign}); err == nil || !strings.Contains(err.Error(), "belongs to user 12345") {
			t.Errorf("another user's directory: %v", err)
		}
	}
	wide := filepath.Join(t.TempDir(), "wide")
	if err := errors.Join(os.Mkdir(wide, 0o755), os.Chmod(wide, 0o777)); err != nil {
		t.Fatal(err)
	}
	open(t, wide, Options{})
	if fi, err := os.Stat(wide); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("mode of the cache directory is %v, want 0700", fi.Mode().Perm())
	}
}

func TestUnknownFormatIsBegunAnew(t *testing.T) {
	data := content(2*BlockSize, 32)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	if err := os.WriteFile(filepath.Join(dir, "VERSION"), []byte("modelfs block cache 999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	if n := c.Stats().Objects; n != 0 {
		t.Errorf("%d objects of a foreign format were kept", n)
	}
	r := use(t, c, key, s.source())
	wantRange(t, r, data, 0, len(data))
}

// A name that is a pattern to others is a name here.
func TestDirectoryNamedLikeAPattern(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b")
	data := content(2*BlockSize, 50)
	s := &origin{name: "mem", data: data}
	key := Key{Source: "a", Digest: sha(data), Size: int64(len(data))}
	fillAndClose(t, dir, key, s, data, true)
	var orphans []string
	for _, name := range []string{"x.part", hashID("x").String(), hashID("y").String() + ".part"} {
		orphan := filepath.Join(dir, "objects", "aa", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(orphan), 0o700), os.WriteFile(orphan, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		orphans = append(orphans, orphan)
	}
	c := open(t, dir, Options{})
	for _, orphan := range orphans {
		if _, err := os.Stat(orphan); err == nil {
			t.Errorf("%s is kept", orphan)
		}
	}
	wantSealed(t, use(t, c, key, s.source()), data)
}

// A record whose file is gone does not count as used.
func TestRecordWithoutFileIsForgotten(t *testing.T) {
	data := content(2*BlockSize, 51)
	dir, s := t.TempDir(), &origin{name: "mem", data: data}
	fillAndClose(t, dir, Key{Source: "a", Digest: sha(data), Size: int64(len(data))}, s, data, true)
	if err := os.Remove(parts(t, dir, "*")[0]); err != nil {
		t.Fatal(err)
	}
	c := open(t, dir, Options{})
	if st := c.Stats(); st.Used != 0 || st.Objects != 0 {
		t.Errorf("%d bytes in %d objects, want none", st.Used, st.Objects)
	}
}
