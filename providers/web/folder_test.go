package web

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

// A folder is a directory that a server shows. Every write has a time of its own, as
// servers tell them in whole seconds.
type folder struct {
	dir   string
	index string // the list that is kept beside the files: index.json, sha256sums or none
	files map[string]string
	ticks int
}

// hidden are names that cannot be files. Of those in an index one is on the disk.
var hidden = []string{"new\nline", "../climbs", "a//b"}

func newFolder(t *testing.T, index string) *folder {
	t.Helper()
	f := &folder{dir: t.TempDir(), index: index, files: map[string]string{
		"config.json":            `{"a": 1}`,
		"weights.bin":            strings.Repeat("weights ", 1000),
		"empty":                  "",
		"sub/deep/file":          "deep",
		"name with spaces & +%.": "odd",
		"a?b#c;d:e":              "odd",
		"ünï/ç@ü":                "odd too",
		"%41/bare":               "neither size nor sum",
	}}
	for _, p := range slices.Sorted(maps.Keys(f.files)) {
		f.stamp(t, p, f.files[p])
	}
	f.stamp(t, hidden[0], "x")
	for _, p := range hidden {
		f.files[p] = "x"
	}
	f.publish(t)
	return f
}

// readable are the files whose names can be.
func (f *folder) readable() map[string]string {
	out := maps.Clone(f.files)
	maps.DeleteFunc(out, func(p, _ string) bool { return providers.ValidPath(p) != nil })
	return out
}

func (f *folder) stamp(t *testing.T, path, content string) {
	t.Helper()
	at := filepath.Join(f.dir, filepath.FromSlash(path))
	write(t, at, content)
	f.ticks++
	when := time.Date(2026, 1, 1, 0, 0, f.ticks, 0, time.UTC)
	if err := os.Chtimes(at, when, when); err != nil {
		t.Fatal(err)
	}
}

func (f *folder) put(t *testing.T, path, content string) {
	t.Helper()
	f.files[path] = content
	f.stamp(t, path, content)
	f.publish(t)
}

func (f *folder) remove(t *testing.T, path string) {
	t.Helper()
	delete(f.files, path)
	if err := os.Remove(filepath.Join(f.dir, filepath.FromSlash(path))); err != nil {
		t.Fatal(err)
	}
	f.publish(t)
}

// publish writes the list.
func (f *folder) publish(t *testing.T) {
	t.Helper()
	switch f.index {
	case indexJSON:
		f.stamp(t, "index.json", jsonIndex(t, f.files))
	case indexSums:
		f.stamp(t, "SHA256SUMS", sumsIndex(f.files))
	}
}

func jsonIndex(t *testing.T, files map[string]string) string {
	t.Helper()
	list := []map[string]any{}
	for _, p := range slices.Sorted(maps.Keys(files)) {
		e := map[string]any{"path": p}
		if !strings.HasSuffix(p, "/bare") {
			e["size"], e["sha256"], e["mtime"] = len(files[p]), sumOf(files[p]), "2026-01-31T12:00:00Z"
		}
		list = append(list, e)
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func sumsIndex(files map[string]string) string {
	var b strings.Builder
	escape := strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`)
	for _, p := range slices.Sorted(maps.Keys(files)) {
		mark := ""
		if escape.Replace(p) != p {
			mark = `\`
		}
		fmt.Fprintf(&b, "%s%s  %s\n", mark, sumOf(files[p]), escape.Replace(p))
	}
	return b.String()
}

func sumOf(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }
