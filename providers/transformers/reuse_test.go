package transformers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

// cacheFile writes one file of a cache of huggingface_hub.
func cacheFile(t *testing.T, dir, name, text string) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func openEntry(ctx context.Context, m providers.Model, e providers.Entry) (string, error) {
	o, ok := providers.As[providers.Opener](m)
	if !ok {
		return "", errors.New("no Opener")
	}
	f, err := o.Open(ctx, e)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return string(b), err
}

func TestNoReuseUnlessConfigured(t *testing.T) {
	f := start(t, Config{}, "HF_HUB_CACHE="+t.TempDir())
	f.Push("org/name", "main", small)
	if _, ok := providers.As[providers.Opener](resolve(t, f.Provider, "org/name", "")); ok {
		t.Error("got an Opener, want none without reuse_hub_cache")
	}
}

func TestReuse(t *testing.T) {
	dir := t.TempDir()
	f := start(t, Config{ReuseHubCache: true}, "HF_HUB_CACHE="+dir)
	f.Push("org/name", "main", map[string]testhub.File{"a.txt": testhub.Text("alpha"), "w.bin": testhub.Text("weights")})
	m := resolve(t, f.Provider, "org/name", "")
	a, w := stat(t, m, "a.txt"), stat(t, m, "w.bin")
	blobs := "models--org--name/blobs/"

	_, err := openEntry(t.Context(), m, a)
	wantErr(t, err, errors.ErrUnsupported)
	cacheFile(t, dir, blobs+a.Digest.Hex()+".incomplete", "alpha")
	_, err = openEntry(t.Context(), m, a)
	wantErr(t, err, errors.ErrUnsupported)

	cacheFile(t, dir, blobs+a.Digest.Hex(), "alpha")
	cacheFile(t, dir, blobs+w.Digest.Hex(), "weights")
	for path, want := range map[string]string{"a.txt": "alpha", "w.bin": "weights"} {
		if got, err := openEntry(t.Context(), m, stat(t, m, path)); got != want || err != nil {
			t.Errorf("%s: got %q, error %v, want %q", path, got, err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cacheFile(t, dir, blobs+w.Digest.Hex(), "weights") // a new state, to be proved again
	if _, err := openEntry(ctx, m, w); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
}

func TestReuseOfDamage(t *testing.T) {
	dir := t.TempDir()
	f := start(t, Config{ReuseHubCache: true}, "HF_HUB_CACHE="+dir)
	f.Push("org/name", "main", map[string]testhub.File{"a.txt": testhub.Text("alpha"), "w.bin": testhub.Text("weights"), "s.txt": testhub.Text("secret")})
	m := resolve(t, f.Provider, "org/name", "")
	a, w, s := stat(t, m, "a.txt"), stat(t, m, "w.bin"), stat(t, m, "s.txt")
	blobs := "models--org--name/blobs/"
	cacheFile(t, dir, blobs+a.Digest.Hex(), "ALPHA")
	cacheFile(t, dir, blobs+w.Digest.Hex(), "weight")
	cacheFile(t, dir, "outside", "secret")
	if err := os.Symlink(filepath.Join(dir, "outside"), filepath.Join(dir, blobs+s.Digest.Hex())); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for _, e := range []providers.Entry{a, w, s, {Path: "x", Size: 1}} {
			_, err := openEntry(t.Context(), m, e)
			wantErr(t, err, errors.ErrUnsupported)
		}
	}
	if got := strings.Count(f.log.String(), "is damaged"); got != 1 {
		t.Errorf("got %d warnings, want one: %s", got, f.log)
	}
	got, err := read(t.Context(), m, a, 0, 5) // the Hub has it right
	wantBytes(t, got, err, []byte("alpha"))
}

func TestReuseOffline(t *testing.T) {
	dir := t.TempDir()
	f := start(t, Config{}, "HF_HUB_CACHE="+dir)
	sha := f.Push("org/name", "main", map[string]testhub.File{"a.txt": testhub.Text("alpha"), "w.bin": testhub.Text("weights")})
	online := resolve(t, f.Provider, "org/name", "")
	a, w := stat(t, online, "a.txt"), stat(t, online, "w.bin")
	folder := "models--org--name/"
	cacheFile(t, dir, folder+"refs/main", sha)
	cacheFile(t, dir, folder+"refs/refs/pr/1", sha+"\n")
	cacheFile(t, dir, folder+"refs/torn", sha[:12])
	cacheFile(t, dir, folder+"refs/unlisted", strings.Repeat("a", 40))
	cacheFile(t, dir, folder+"blobs/"+w.Digest.Hex(), "weights")
	tree := fmt.Sprintf(`{"format_version":1,"files":{"a.txt":{"size":5,"blob_id":%q},`+
		`"w.bin":{"size":7,"blob_id":%q,"lfs_sha256":%q,"lfs_size":7}}}`, a.Digest.Hex(), strings.Repeat("b", 40), w.Digest.Hex())
	cacheFile(t, dir, folder+"trees/"+sha+".json", tree)
	f.env["HF_HUB_OFFLINE"] = "1"
	f.Forget()
	p := f.provider(t, Config{ReuseHubCache: true})
	for _, ref := range []string{"", "refs/pr/1", sha} {
		m := resolve(t, p, "org/name", ref)
		if got, err := openEntry(t.Context(), m, stat(t, m, "w.bin")); got != "weights" || err != nil {
			t.Errorf("@%s: got %q, error %v, want the file", ref, got, err)
		}
		if o := m.Origin(); o.Revision != sha || o.Immutable != (ref == sha) || o.Ref != ref {
			t.Errorf("@%s: got origin %+v", ref, o)
		}
		e := stat(t, m, "a.txt") // listed, but not in the cache
		_, err := read(t.Context(), m, e, 0, 1)
		wantErr(t, err, providers.ErrUnavailable)
		wantRemedy(t, err, "HF_HUB_OFFLINE")
	}
	for _, ref := range []string{"absent", "torn", "unlisted", strings.Repeat("c", 40)} {
		_, err := p.Resolve(t.Context(), "org/name", ref)
		wantErr(t, err, providers.ErrUnavailable)
	}
	wantCount(t, f, "hub", "", 0)
}

// TestCacheDoesNotSpeakForTheHub: a Hub that is down only now must not make a
// ref go back to what the cache remembers.
func TestCacheDoesNotSpeakForTheHub(t *testing.T) {
	dir := t.TempDir()
	f := start(t, Config{ReuseHubCache: true}, "HF_HUB_CACHE="+dir)
	sha := strings.Repeat("a", 40)
	cacheFile(t, dir, "models--org--name/refs/main", sha)
	cacheFile(t, dir, "models--org--name/trees/"+sha+".json", `{"format_version":1,"files":{}}`)
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 503})
	_, err := f.Resolve(t.Context(), "org/name", "")
	wantErr(t, err, providers.ErrUnavailable)
}

func TestParseTreeFile(t *testing.T) {
	id := strings.Repeat("a", 40)
	for _, c := range []struct {
		text string
		ok   bool
	}{
		{`{"format_version":1,"files":{"a":{"size":1,"blob_id":"` + id + `","xet_hash":"x"}}}`, true},
		{`{"format_version":2,"files":{"a":{"size":1,"blob_id":"` + id + `"}}}`, false},
		{`{"format_version":1}`, false},
		{`{"format_version":1,"files":{"a":{"blob_id":"` + id + `"}}}`, false},
		{`{"format_version":1,"files":{"a":{"size":1,"blob_id":"short"}}}`, false},
		{`{"format_version":1,"files":{"a":{"size":1,"blob_id":"` + id + `","lfs_sha256":"short"}}}`, false},
		{`{"format_version":1,`, false},
		{``, false},
	} {
		_, err := parseTreeFile([]byte(c.text), providers.Origin{})
		if (err == nil) != c.ok {
			t.Errorf("%s: got error %v, want none: %v", c.text, err, c.ok)
		}
	}
}
