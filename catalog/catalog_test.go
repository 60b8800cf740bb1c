package catalog

import (
	"bytes"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"modelfs/providers"
)

func reopen(t *testing.T, dir string) *Catalog {
	t.Helper()
	c, err := Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func record(name, ref string) Record {
	return Record{
		Header: Header{
			Format: format, Source: "hub", Name: name, Ref: ref,
			Origin:   providers.Origin{Protocol: "hub", Name: name, Ref: ref, Revision: "r1"},
			Resolved: time.Unix(1700000000, 0).UTC(), Saved: time.Unix(1700000000, 0).UTC(), Dirs: []string{"", "sub"},
		},
		Entries: []providers.Entry{
			{Path: "a b\n", Size: 3, Digest: "sha256:00"},
			{Path: "sub", Mode: iofs.ModeDir},
			{Path: "sub/l", Mode: iofs.ModeSymlink, Target: "../a"},
		},
	}
}

func TestRecordsSurvive(t *testing.T) {
	dir := t.TempDir()
	c := reopen(t, dir)
	want := record("org/m", "v1")
	if err := c.Save(want); err != nil {
		t.Fatal(err)
	}
	if err := c.Save(record("org/n", "")); err != nil {
		t.Fatal(err)
	}
	c = reopen(t, dir)
	got, err := c.Load("hub", "org/m", "v1", "")
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
	if _, err := c.Load("hub", "org/m", "", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("another ref: %v, want not exist", err)
	}
	if got := c.Known("hub", "org"); len(got) != 2 || got[0].Name != "org/m" || got[1].Name != "org/n" {
		t.Errorf("known: %+v", got)
	}
	if got := c.Known("hub", "or"); len(got) != 0 {
		t.Errorf("known below half an element: %+v", got)
	}
	sub := record("org/m", "v1")
	sub.Dir, sub.Dirs = "sub", []string{"sub"}
	if err := c.Save(sub); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Load("hub", "org/m", "v1", "sub"); err != nil || got.Dir != "sub" {
		t.Errorf("record of a directory: %+v, %v", got, err)
	}
	if got := c.Known("hub", "org"); len(got) != 2 {
		t.Errorf("directories are listed as models: %+v", got)
	}
	if err := c.Remove("hub", "org/m", "v1"); err != nil {
		t.Fatal(err)
	}
	if got := reopen(t, dir).Known("hub", ""); len(got) != 1 {
		t.Errorf("after remove: %+v", got)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 {
		t.Errorf("files after remove: %v, %v", left, err)
	}
}

func TestDamagedRecordsAreForgotten(t *testing.T) {
	for name, hurt := range map[string]func(string) error{
		"truncated": func(f string) error { return os.Truncate(f, 10) },
		"emptied":   func(f string) error { return os.Truncate(f, 0) },
		"renamed":   func(f string) error { return os.Rename(f, filepath.Join(filepath.Dir(f), "x"+suffix)) },
		"cut at a line": func(f string) error {
			b, err := os.ReadFile(f)
			return errors.Join(err, os.WriteFile(f, bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:2], nil), 0o600))
		},
		"without its end": func(f string) error {
			b, err := os.ReadFile(f)
			return errors.Join(err, os.WriteFile(f, b[:len(b)-1], 0o600))
		},
		"foreign": func(f string) error { return os.WriteFile(f, []byte("hello"), 0o600) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := reopen(t, dir).Save(record("m", "")); err != nil {
				t.Fatal(err)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil || len(files) != 1 {
				t.Fatalf("files %v, %v", files, err)
			}
			if err := hurt(files[0]); err != nil {
				t.Fatal(err)
			}
			c := reopen(t, dir)
			if _, err := c.Load("hub", "m", "", ""); !errors.Is(err, iofs.ErrNotExist) {
				t.Errorf("got %v, want not exist", err)
			}
			if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 0 {
				t.Errorf("left over: %v, %v", left, err)
			}
		})
	}
}

// TestAChangedRecordIsAsIfAbsent alters what only reading all of a record shows.
func TestAChangedRecordIsAsIfAbsent(t *testing.T) {
	dir := t.TempDir()
	c := reopen(t, dir)
	if err := c.Save(record("m", "")); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	b, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(files[0], bytes.Replace(b, []byte(`"size":3`), []byte(`"size":4`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	c = reopen(t, dir)
	if _, err := c.Load("hub", "m", "", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("got %v, want not exist", err)
	}
	if got := c.Known("hub", ""); len(got) != 0 {
		t.Errorf("it is still known: %+v", got)
	}
}

func TestLimitForgetsWhatWasSavedLongestAgo(t *testing.T) {
	dir := t.TempDir()
	c := reopen(t, dir)
	for i, name := range []string{"oldest", "kept", "old", "young"} {
		r := record(name, "")
		r.Saved, r.Origin.Immutable = time.Unix(int64(i), 0), name == "kept"
		if err := c.Save(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Limit(c.total * 5 / 8); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*Catalog{c, reopen(t, dir)} {
		got := c.Known("hub", "")
		if len(got) != 2 || got[0].Name != "kept" || got[1].Name != "young" {
			t.Errorf("left: %+v; want kept and young", got)
		}
	}
}

func TestASaveKeepsTheLimit(t *testing.T) {
	c := reopen(t, t.TempDir())
	if err := c.Limit(2000); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		r := record(fmt.Sprint(i), "")
		r.Saved = time.Unix(int64(i), 0)
		if err := c.Save(r); err != nil {
			t.Fatal(err)
		}
		if c.total > 2000 || !c.Has("hub", r.Name, "", "") {
			t.Fatalf("after %d: %d bytes; the last one is known: %v", i, c.total, c.Has("hub", r.Name, "", ""))
		}
	}
}
