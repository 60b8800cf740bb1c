package zoo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"modelfs/providers/providertest"
)

func TestConformance(t *testing.T) {
	providertest.Run(t, providertest.Options{New: func(t *testing.T) providertest.Fixture {
		dir := t.TempDir()
		files := map[string]string{
			"config.json": `{"a": 1}`, "weights.bin": strings.Repeat("weights ", 1000), "empty": "", "sub/deep/file": "deep",
		}
		write(t, filepath.Join(dir, "model"), files)
		write(t, filepath.Join(dir, "model"), map[string]string{"link": "-> sub/deep/file", "new\nline": "x", "\xff": "x"})
		write(t, dir, map[string]string{"elsewhere/marie.json": `{"_name_or_path": "org/name"}`})
		at := func(path string) string { return filepath.Join(dir, "model", filepath.FromSlash(path)) }
		return providertest.Fixture{
			Provider: newZoo(t, dir), Protocol: "zoo", Name: "model", Partial: "org", Files: files,
			Links:  map[string]string{"link": "sub/deep/file"},
			Hidden: []string{"new\nline", "\xff"},
			Rewrite: func(t *testing.T, path, content string) {
				time.Sleep(20 * time.Millisecond) // a tick of the clock that stamps files
				if err := os.WriteFile(at(path), []byte(content), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			Remove: func(t *testing.T, path string) {
				if err := os.Remove(at(path)); err != nil {
					t.Fatal(err)
				}
			},
		}
	}})
}
