package transformers

import (
	iofs "io/fs"
	"net/http"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

func TestCheck(t *testing.T) {
	f := start(t, Config{})
	files := map[string]testhub.File{"a.txt": testhub.Text("a"), "w.bin": testhub.Text("w")}
	sha := f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	pinnedModel := resolve(t, f.Provider, "org/name", sha)
	a, w := stat(t, m, "a.txt"), stat(t, m, "w.bin")
	f.Forget()
	for _, e := range []providers.Entry{a, w} {
		if err := m.Check(t.Context(), e); err != nil {
			t.Errorf("unchanged: got error %v, want none", err)
		}
	}
	if got := f.Requests(); len(got) != 2 || got[0].Method != http.MethodHead || got[0].Path != "/org/name/resolve/main/a.txt" {
		t.Errorf("got requests %v, want one HEAD for each check", got)
	}
	files["a.txt"] = testhub.Text("b")
	f.Push("org/name", "main", files)
	wantErr(t, m.Check(t.Context(), a), providers.ErrChanged)
	wantErr(t, m.Check(t.Context(), w), providers.ErrChanged) // the revision speaks for the model
	f.Forget()
	if err := pinnedModel.Check(t.Context(), a); err != nil {
		t.Errorf("pinned: got error %v, want none", err)
	}
	wantCount(t, f, "hub", "", 0)
}

func TestCheckFileLeft(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"a": testhub.Text("a"), "b": testhub.Text("b")})
	m := resolve(t, f.Provider, "org/name", "")
	a := stat(t, m, "a")
	f.Push("org/name", "main", map[string]testhub.File{"b": testhub.Text("b")})
	f.Forget()
	wantErr(t, m.Check(t.Context(), a), providers.ErrChanged)
	wantCount(t, f, "hub", "", 1)             // the absence tells the commit
	got, err := read(t.Context(), m, a, 0, 1) // the old commit is still there
	wantBytes(t, got, err, []byte("a"))
}

func TestCheckWithoutTheHeader(t *testing.T) {
	for name, fault := range map[string]testhub.Fault{
		"header missing": {Header: map[string]string{"X-Repo-Commit": ""}},
		"header broken":  {Header: map[string]string{"X-Repo-Commit": "main"}},
		"no HEAD":        {Status: 405},
		"not there":      {Status: 404},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", small)
			m := resolve(t, f.Provider, "org/name", "")
			e := stat(t, m, "config.json")
			f.Inject(-1, testhub.To("hub", "/resolve"), fault)
			if err := m.Check(t.Context(), e); err != nil {
				t.Errorf("unchanged: got error %v, want none", err)
			}
			f.Push("org/name", "main", other("new"))
			wantErr(t, m.Check(t.Context(), e), providers.ErrChanged)
		})
	}
}

func TestCheckOfNoFileAsksForTheRevision(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	for _, e := range []providers.Entry{{}, {Mode: iofs.ModeDir, Path: "d"}, {Path: "../x"}} {
		if err := m.Check(t.Context(), e); err != nil {
			t.Errorf("%+v: got error %v, want none", e, err)
		}
	}
	wantCount(t, f, "hub", "/resolve/", 0)
}

func TestCheckRefLeft(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.Push("org/name", "dev", small)
	m := resolve(t, f.Provider, "org/name", "dev")
	f.DeleteRef("org/name", "refs/heads/dev")
	wantErr(t, m.Check(t.Context(), stat(t, m, "config.json")), providers.ErrChanged)
}

func TestCheckRenamed(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/old", "main", small)
	m := resolve(t, f.Provider, "org/old", "")
	e := stat(t, m, "config.json")
	f.Rename("org/old", "org/new")
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("got error %v, want none: the content is the same", err)
	}
	got, err := read(t.Context(), m, e, 0, 3)
	wantBytes(t, got, err, []byte("{}\n"))
}

func TestCheckFailures(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.Allow("hf_member_token")
	m := resolve(t, f.with(t, "hf_member_token"), "org/name", "")
	e := stat(t, m, "config.json")
	f.Revoke("hf_member_token")
	wantErr(t, m.Check(t.Context(), e), iofs.ErrPermission)
	f.Allow("hf_member_token")
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 503})
	wantErr(t, m.Check(t.Context(), e), providers.ErrUnavailable)
}

func TestCheckIsShared(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "config.json")
	f.Limit(testhub.Shape{Latency: 50 * time.Millisecond})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if err := m.Check(t.Context(), e); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := f.count(testhub.To("hub", "/resolve/")); got > 2 {
		t.Errorf("got %d requests of 20 checks at once, want one", got)
	}
}
