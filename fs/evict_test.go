package fs

import (
	"fmt"
	"log/slog"
	"runtime"
	"testing"
	"time"

	"modelfs/catalog"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

// TestModelsAreForgotten resolves more models than are kept; one that is in use stays.
func TestModelsAreForgotten(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem"})
	known, err := catalog.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f := New(Options{Protocols: []Protocol{{Name: "mem", Provider: src}}, Catalog: known, TTL: time.Hour})
	resolve := func(name string) *model {
		t.Helper()
		src.Publish(name, "", nil)
		m, err := f.model(t.Context(), &f.opts.Protocols[0], name, "")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	used := resolve("used")
	for i := range 2 * maxModels {
		resolve(fmt.Sprint(i))
	}
	runtime.GC()
	if n := len(f.models); n > maxModels {
		t.Errorf("%d models are kept, want at most %d", n, maxModels)
	}
	before := src.Count("resolve")
	if resolve("used") != used || src.Count("resolve") != before {
		t.Error("a model in use was forgotten")
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestANameThatBecomesAModel was the beginning of names a moment ago.
func TestANameThatBecomesAModel(t *testing.T) {
	k := modelKey{"mem", "org", ""}
	f := New(Options{TTL: time.Hour})
	if err := f.begins(k); err != providers.ErrPartial { //nolint:errorlint // itself
		t.Fatal(err)
	}
	f.keep(k, &model{f: f, key: k})
	if len(f.partial) != 0 {
		t.Error("the name is still known to begin names")
	}
	for i := range 2 * maxAnswers {
		if err := f.begins(modelKey{"mem", fmt.Sprint(i), ""}); err == nil {
			t.Fatal("no error")
		}
	}
	if n := len(f.partial); n > maxAnswers {
		t.Errorf("%d names are kept, want at most %d", n, maxAnswers)
	}
}
