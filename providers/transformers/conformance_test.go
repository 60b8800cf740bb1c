package transformers

import (
	"maps"
	"testing"

	"modelfs/providers/providertest"
	testhub "modelfs/testdata/hub"
)

// TestConformance runs the suite on the Hub as it is, and on a mirror that
// tells and redirects less.
func TestConformance(t *testing.T) {
	for name, settings := range map[string]func(*testhub.Settings){
		"hub": func(s *testhub.Settings) { s.PageSize = 2 },
		"mirror": func(s *testhub.Settings) {
			s.Inline, s.NoLinked, s.NoResolveCache, s.NoErrorCode = true, true, true, true
		},
	} {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, providertest.Options{New: func(t *testing.T) providertest.Fixture { return conforming(t, settings) }})
		})
	}
}

func conforming(t *testing.T, settings func(*testhub.Settings)) providertest.Fixture {
	f := start(t, Config{})
	texts := map[string]string{
		"config.json":     `{"model_type":"bert"}`,
		"model.bin":       string(pattern(100_000)),
		"empty.txt":       "",
		"onnx/model.onnx": string(pattern(1000)),
		"onnx/a b#c.txt":  "odd",
	}
	push := func() {
		files := map[string]testhub.File{}
		for p, text := range texts {
			files[p] = testhub.Text(text)
		}
		f.Push("org/name", "main", files)
	}
	push()
	hidden := []string{"../up", "nul\x00", "a//b"}
	f.Set(func(s *testhub.Settings) {
		settings(s)
		for _, p := range hidden {
			s.Rows = append(s.Rows, testhub.Row{"type": "file", "path": p, "size": 1, "oid": "ce013625030ba8dba906f756967f9e9ca394464a"})
		}
	})
	return providertest.Fixture{
		Provider: f.Provider,
		Protocol: protocol,
		Name:     "org/name",
		Files:    maps.Clone(texts),
		Hidden:   hidden,
		Partial:  "org",
		Absent:   "org/absent",
		Rewrite:  func(_ *testing.T, path, content string) { texts[path] = content; push() },
		Remove:   func(_ *testing.T, path string) { delete(texts, path); push() },
		Down:     func(*testing.T) { f.Inject(-1, func(testhub.Request) bool { return true }, testhub.Fault{Drop: true}) },
	}
}
