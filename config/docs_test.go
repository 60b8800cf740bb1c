package config

import (
	"os"
	"strings"
	"testing"
)

func TestManualNamesEverySetting(t *testing.T) {
	page, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := settings()
	if len(keys) < 20 {
		t.Fatalf("got settings %v, want all of them", keys)
	}
	groups := map[string]bool{}
	for _, key := range keys {
		if group, _, ok := strings.Cut(key, "."); ok {
			groups[group] = true
		}
	}
	for _, key := range append(keys, "type", "enabled") {
		if !groups[key] && !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("got no `%s` in docs/configuration.md, want it", key)
		}
	}
}
