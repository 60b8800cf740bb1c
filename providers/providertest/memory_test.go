package providertest

import (
	"errors"
	iofs "io/fs"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"modelfs/providers"
)

func memory(opts MemoryOptions) func(*testing.T) Fixture {
	return func(*testing.T) Fixture {
		m := NewMemory(opts)
		files := map[string]string{
			"config.json": `{"a": 1}`, "weights.bin": strings.Repeat("weights ", 1000), "empty": "", "sub/deep/file": "deep",
		}
		content := Text(files)
		content["link"] = File{Target: "sub/deep/file"}
		content["../climbs"] = File{Data: []byte("x")}
		content["a\x00b"] = File{Data: []byte("x")}
		refs := map[string]map[string]string{"v1": {"old": "of before"}}
		if opts.NoRevisions {
			refs = nil
		} else {
			m.Publish("org/model", "v1", Text(refs["v1"]))
		}
		m.Publish("org/model", "", content)
		fail := func(err error) func(*testing.T) { return func(*testing.T) { m.Fail(err) } }
		return Fixture{
			Provider: m, Protocol: "memory", Name: "org/model", Partial: "org", Files: files, Refs: refs,
			Links:  map[string]string{"link": "sub/deep/file"},
			Hidden: []string{"../climbs", "a\x00b"},
			Rewrite: func(_ *testing.T, path, s string) {
				content[path] = File{Data: []byte(s)}
				m.Publish("org/model", "", content)
			},
			Remove: func(_ *testing.T, path string) {
				delete(content, path)
				m.Publish("org/model", "", content)
			},
			Down:    fail(providers.ErrUnavailable),
			Fails:   map[string]func(*testing.T){"throttled": fail(&providers.Throttled{After: time.Second, Err: errors.New("429")})},
			Hang:    func(*testing.T) { m.Delay(time.Hour) },
			Refuse:  fail(iofs.ErrPermission),
			Secrets: []string{"s3cret"},
			Leaked:  func() []string { return nil },
			Logged:  func() string { return "" },
			Reopen:  func(*testing.T) providers.Provider { return m },
		}
	}
}

func TestMemory(t *testing.T) {
	for name, opts := range map[string]MemoryOptions{
		"revisions":     {},
		"no revisions":  {NoRevisions: true, NoDigests: true},
		"plain":         {Plain: true},
		"no sizes":      {NoSizes: true},
		"no digests":    {NoDigests: true},
		"other content": {NoRevisions: true},
		"whole":         {Whole: true},
		"all":           {LateDigests: true, Facts: []providers.Fact{{Key: "a.fact", Value: "told"}}},
	} {
		t.Run(name, func(t *testing.T) { Run(t, Options{New: memory(opts)}) })
	}
}

func TestMemoryForget(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	first := m.Publish("m", "", Text(map[string]string{"f": "1"}))
	model, err := m.Resolve(t.Context(), "m", first)
	if err != nil {
		t.Fatal(err)
	}
	e, err := providers.Stat(t.Context(), model, "f")
	if err != nil {
		t.Fatal(err)
	}
	m.Publish("m", "", Text(map[string]string{"f": "2"}))
	m.Forget("m", first)
	if _, err := model.ReadRange(t.Context(), e, 0, 1); !errors.Is(err, providers.ErrStale) {
		t.Errorf("forgotten revision: got %v, want ErrStale", err)
	}
	m.Remove("m")
	if _, err := m.Resolve(t.Context(), "m", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("removed name: got %v, want iofs.ErrNotExist", err)
	}
}

func TestMemoryMoveAndList(t *testing.T) {
	m := NewMemory(MemoryOptions{})
	first := m.Publish("org/a", "", nil)
	m.Publish("org/a", "", nil)
	m.Publish("org/b/c", "", nil)
	m.Publish("d", "", nil)
	if err := m.Move("org/a", "", first); err != nil {
		t.Fatal(err)
	}
	model, err := m.Resolve(t.Context(), "org/a", "")
	if err != nil {
		t.Fatal(err)
	}
	if got := model.Origin().Revision; got != first {
		t.Errorf("after Move: got revision %s, want %s", got, first)
	}
	if err := m.Move("org/a", "", "none"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("move to no revision: got %v, want iofs.ErrNotExist", err)
	}
	for prefix, want := range map[string]string{"": "d org", "org": "a b", "org/b": "c", "none": ""} {
		var got []string
		for el, err := range m.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, el)
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("list %q: got %q, want %q", prefix, s, want)
		}
	}
}

func TestMemoryCountsAndDelays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMemory(MemoryOptions{})
		m.Publish("m", "", nil)
		m.Delay(time.Second)
		start := time.Now()
		if _, err := m.Resolve(t.Context(), "m", ""); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("took %s, want 1s", d)
		}
		if got := m.Count("resolve"); got != 1 || m.Count("read") != 0 || m.Count() != 1 {
			t.Errorf("got %+v, want one resolve", m.Calls())
		}
		if m.ResetCalls(); m.Count() != 0 {
			t.Errorf("after ResetCalls: got %+v, want none", m.Calls())
		}
	})
}
