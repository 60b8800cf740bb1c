package providers_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"modelfs/providers"
)

func TestTree(t *testing.T) {
	tree := providers.NewTree([]providers.Entry{
		{Path: "a/b/c"}, {Path: "a/b/d"}, {Path: "a/b"}, {Path: "f"}, {Path: "a/b/c"}, {Path: "../x"}, {Path: "a/e"},
	})
	for dir, want := range map[string][]string{
		"": {"../x", "a", "a/b", "a/b/c", "f"}, "a": {"a/b", "a/e"}, "a/b": {"a/b/c", "a/b/d"},
	} {
		var got []string
		for e, err := range tree.ReadDir(dir) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Path)
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", dir, got, want)
		}
	}
}

// A listing of long paths takes no more memory than many directories do.
func TestTreeOfDeepPaths(t *testing.T) {
	var entries []providers.Entry
	for i := range 20_000 {
		entries = append(entries, providers.Entry{Path: fmt.Sprintf("%d/%sf", i, strings.Repeat("d/", 61))})
	}
	tree := providers.NewTree(entries)
	shown, hidden := 0, 0
	for _, err := range tree.Walk() {
		if err != nil {
			t.Fatal(err)
		}
		shown++
	}
	for e, err := range tree.ReadDir("") {
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(e.Path, "/f") {
			hidden++
		}
	}
	if shown == 0 || hidden == 0 || shown+hidden != len(entries) {
		t.Errorf("got %d shown and %d hidden, want some of both, and all of %d", shown, hidden, len(entries))
	}
}
