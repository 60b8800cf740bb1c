package web

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The code that the walk through this package shows is this package's.
func TestDocs(t *testing.T) {
	const root = "../.."
	text, err := os.ReadFile(filepath.Join(root, "docs", "adding-a-provider.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := 0
	blocks := strings.Split("\n"+string(text), "\n```")
	for i := 1; i < len(blocks); i += 2 { // every second one is code
		info, code, _ := strings.Cut(blocks[i], "\n")
		file, ok := strings.CutPrefix(info, "go ")
		if !ok {
			continue
		}
		source, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Error(err)
			continue
		}
		shown++
		rest := string(source)
		for part := range strings.SplitSeq(code, "\n// …\n") { // what is left out
			_, after, found := strings.Cut(rest, strings.TrimSpace(part)+"\n")
			if !found {
				t.Errorf("%s does not have, in this order:\n%s", file, part)
			}
			rest = after
		}
	}
	if len(blocks)%2 == 0 {
		t.Error("a block of code has no end")
	}
	if shown < 5 {
		t.Errorf("got %d blocks of code that name their file, want 5", shown)
	}
}
