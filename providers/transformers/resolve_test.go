package transformers

import (
	"encoding/pem"
	iofs "io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

var small = map[string]testhub.File{"config.json": testhub.Text("{}\n")}

func other(text string) map[string]testhub.File {
	return map[string]testhub.File{"config.json": testhub.Text(text)}
}

func TestResolve(t *testing.T) {
	f := start(t, Config{})
	first := f.Push("org/name", "main", small)
	tagged := f.Push("org/name", "main", other("tagged"))
	f.Tag("org/name", "v1.0", tagged)
	dev := f.Push("org/name", "feature/x", other("dev"))
	pr := f.PushRef("org/name", "refs/pr/1", other("pr"))
	head := f.Push("org/name", "main", other("head"))
	set := f.Push("datasets/org/set", "main", other("set"))
	parquet := f.PushRef("datasets/org/set", "refs/convert/parquet", other("parquet"))
	space := f.Push("spaces/org/app", "main", other("space"))
	squad := f.Push("datasets/squad", "main", other("squad"))
	gpt2 := f.Push("gpt2", "main", other("gpt2"))
	f.Rename("gpt2", "openai-community/gpt2")
	for _, c := range []struct{ name, ref, origin, sha string }{
		{"org/name", "", "org/name", head},
		{"org/name", "main", "org/name", head},
		{"org/name", "v1.0", "org/name", tagged},
		{"org/name", "feature/x", "org/name", dev},
		{"org/name", "refs/pr/1", "org/name", pr},
		{"org/name", first, "org/name", first},
		{"org/name", first[:7], "org/name", first},
		{"Org/NAME", "", "org/name", head},
		{"datasets/org/set", "", "datasets/org/set", set},
		{"datasets/org/set", "refs/convert/parquet", "datasets/org/set", parquet},
		{"datasets/squad", "", "datasets/squad", squad},
		{"spaces/org/app", "", "spaces/org/app", space},
		{"gpt2", "", "openai-community/gpt2", gpt2},
		{"openai-community/gpt2", "", "openai-community/gpt2", gpt2},
	} {
		o := resolve(t, f.Provider, c.name, c.ref).Origin()
		if o.Name != c.origin || o.Revision != c.sha || o.Ref != c.ref {
			t.Errorf("%s@%s: got %s at %s of ref %q, want %s at %s", c.name, c.ref, o.Name, o.Revision, o.Ref, c.origin, c.sha)
		}
		if want := c.ref == c.sha; o.Immutable != want {
			t.Errorf("%s@%s: got immutable %v, want %v", c.name, c.ref, o.Immutable, want)
		}
		if want := f.URL + "/" + c.origin; o.Source != want {
			t.Errorf("%s: got source %q, want %q", c.name, o.Source, want)
		}
		if o.ModTime.IsZero() || o.Protocol != "transformers" || o.Verify {
			t.Errorf("%s: got origin %+v", c.name, o)
		}
	}
}

func TestResolveIsOneRequest(t *testing.T) {
	f := start(t, Config{})
	f.PushRef("org/name", "refs/pr/1", small)
	resolve(t, f.Provider, "org/name", "refs/pr/1")
	got := f.Requests()
	if len(got) != 1 || got[0].Path != "/api/models/org/name/revision/refs%2Fpr%2F1" {
		t.Errorf("got requests %v, want one, with the ref as one segment", got)
	}
}

func TestResolveRefusesNamesWithoutAsking(t *testing.T) {
	f := start(t, Config{})
	for _, c := range []struct{ name, ref string }{
		{"", ""}, {"org/", ""}, {"/name", ""}, {"org/name/more", ""}, {"a--b/c", ""}, {"a/b..c", ""}, {"a/b.git", ""},
		{"-a/b", ""}, {"a/b-", ""}, {"a/.b", ""}, {"../etc", ""}, {"a b", ""}, {"café", ""}, {strings.Repeat("a", 97), ""},
		{"org/name\n", ""}, {"datasets/a/b/c", ""}, {"org/name", ".."}, {"org/name", "a b"}, {"org/name", "a\x00"},
		{"org/name", "a..b"}, {"org/name", "x:y"}, {"org/name", strings.Repeat("a", 256)},
	} {
		_, err := f.Resolve(t.Context(), c.name, c.ref)
		wantErr(t, err, iofs.ErrNotExist)
	}
	for _, name := range []string{"datasets", "spaces"} {
		_, err := f.Resolve(t.Context(), name, "")
		wantErr(t, err, providers.ErrPartial)
	}
	wantCount(t, f, "hub", "", 0)
}

func TestResolveNameOfOnePart(t *testing.T) {
	for _, c := range []struct {
		name    string
		prepare func(f *fixture)
		want    error
	}{
		{"model", func(f *fixture) { f.Push("one", "main", small) }, nil},
		{"author", func(f *fixture) { f.Push("one/name", "main", small) }, providers.ErrPartial},
		{"neither", func(f *fixture) {}, iofs.ErrNotExist},
		{"author of other kinds only", func(f *fixture) { f.Push("datasets/one/set", "main", small) }, iofs.ErrNotExist},
		{"mirror without authors", func(f *fixture) {
			f.Set(func(s *testhub.Settings) { s.NoAuthors = true })
		}, providers.ErrPartial},
		{"authors out of order", func(f *fixture) {
			f.Inject(-1, func(r testhub.Request) bool { return strings.Contains(r.Query, "author=") }, testhub.Fault{Status: 500})
		}, providers.ErrPartial},
		{"authors nonsense", func(f *fixture) {
			f.Inject(-1, func(r testhub.Request) bool { return strings.Contains(r.Query, "author=") }, testhub.Fault{Status: 200, Body: "<html>"})
		}, providers.ErrPartial},
		{"repository out of order", func(f *fixture) {
			f.Inject(-1, testhub.To("hub", "/revision/"), testhub.Fault{Status: 503})
		}, providers.ErrUnavailable},
		{"repository without main", func(f *fixture) {
			f.Push("one", "other", small)
			f.Push("one/name", "main", small)
		}, iofs.ErrNotExist},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, Config{})
			c.prepare(f)
			_, err := f.Resolve(t.Context(), "one", "")
			if c.want == nil {
				if err != nil {
					t.Errorf("got error %v, want none", err)
				}
				return
			}
			wantErr(t, err, c.want)
		})
	}
}

func TestResolveNameOfOnePartWithRef(t *testing.T) {
	f := start(t, Config{})
	f.Push("one/name", "main", small)
	_, err := f.Resolve(t.Context(), "one", "v1")
	wantErr(t, err, iofs.ErrNotExist)
	wantCount(t, f, "hub", "", 1)
}

// TestRefusals holds each row of the protocol's table of errors to its meaning.
func TestRefusals(t *testing.T) {
	f := start(t, Config{})
	for _, name := range []string{"org/public", "org/private", "org/gated", "org/closed"} {
		f.Push(name, "main", small)
	}
	f.SetPrivate("org/private", true)
	f.SetGated("org/gated", true)
	f.SetDisabled("org/closed", true)
	f.Allow("hf_member_token", "org/private", "org/gated")
	f.Allow("hf_stranger_token")
	f.AllowNothing("hf_scopeless_token")
	tokens := map[string]*Provider{
		"":         f.Provider,
		"member":   f.with(t, "hf_member_token"),
		"stranger": f.with(t, "hf_stranger_token"),
		"revoked":  f.with(t, "hf_revoked_token"),
		"scope":    f.with(t, "hf_scopeless_token"),
	}
	for _, c := range []struct {
		name, ref, as string
		want          error
		remedy        string
	}{
		{"org/public", "", "member", nil, ""},
		{"org/public", "absent", "", iofs.ErrNotExist, ""},
		{"org/absent", "", "", iofs.ErrNotExist, "token_file"},
		{"org/absent", "", "stranger", iofs.ErrNotExist, ""},
		{"org/private", "", "", iofs.ErrNotExist, "HF_TOKEN"},
		{"org/private", "", "stranger", iofs.ErrNotExist, ""},
		{"org/private", "", "member", nil, ""},
		{"org/public", "", "revoked", iofs.ErrPermission, "token is refused"},
		{"org/absent", "", "revoked", iofs.ErrPermission, "token_file"},
		{"org/public", "", "scope", iofs.ErrPermission, "right to read org/public"},
		{"org/closed", "", "", iofs.ErrPermission, "closed this repository"},
		{"org/gated", "", "", nil, ""},
	} {
		_, err := tokens[c.as].Resolve(t.Context(), c.name, c.ref)
		if c.want == nil {
			if err != nil {
				t.Errorf("%s@%s as %q: got error %v, want none", c.name, c.ref, c.as, err)
			}
			continue
		}
		wantErr(t, err, c.want)
		wantRemedy(t, err, c.remedy)
		if strings.Contains(err.Error(), "hf_") && !strings.Contains(c.name, "hf_") {
			t.Errorf("got error with a token in it: %v", err)
		}
	}
}

func TestGatedListsButDoesNotRead(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/gated", "main", map[string]testhub.File{"a.txt": testhub.Text("a"), "w.bin": testhub.Text("w")})
	f.SetGated("org/gated", true)
	f.Allow("hf_stranger_token")
	f.Allow("hf_member_token", "org/gated")
	for _, c := range []struct {
		p      *Provider
		remedy string
	}{
		{f.Provider, "ask for access at " + f.URL + "/org/gated and set token_file"},
		{f.with(t, "hf_stranger_token"), "ask for access at " + f.URL + "/org/gated"},
	} {
		m := resolve(t, c.p, "org/gated", "")
		for _, path := range []string{"a.txt", "w.bin"} {
			e := stat(t, m, path)
			_, err := read(t.Context(), m, e, 0, 1)
			wantErr(t, err, iofs.ErrPermission)
			wantRemedy(t, err, c.remedy)
			wantErr(t, m.Check(t.Context(), e), iofs.ErrPermission)
		}
	}
	m := resolve(t, f.with(t, "hf_member_token"), "org/gated", "")
	got, err := read(t.Context(), m, stat(t, m, "w.bin"), 0, 1)
	wantBytes(t, got, err, []byte("w"))
}

// TestStatusAlone covers mirrors that send no X-Error-Code.
func TestStatusAlone(t *testing.T) {
	for _, c := range []struct {
		status int
		token  bool
		want   error
	}{
		{400, false, providers.ErrUnavailable},
		{401, false, iofs.ErrNotExist}, {401, true, iofs.ErrPermission},
		{403, false, iofs.ErrNotExist}, {403, true, iofs.ErrPermission},
		{404, false, iofs.ErrNotExist}, {404, true, iofs.ErrNotExist},
		{408, false, providers.ErrUnavailable},
		{410, false, iofs.ErrNotExist},
		{418, false, providers.ErrUnavailable},
		{429, false, providers.ErrUnavailable},
		{451, false, iofs.ErrPermission},
		{500, false, providers.ErrUnavailable}, {502, false, providers.ErrUnavailable},
		{503, false, providers.ErrUnavailable}, {504, false, providers.ErrUnavailable},
		{304, false, providers.ErrUnavailable}, {204, false, providers.ErrUnavailable},
	} {
		f := start(t, Config{})
		p := f.Provider
		if c.token {
			p = f.with(t, "hf_some_token")
		}
		f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: c.status})
		_, err := p.Resolve(t.Context(), "org/name", "")
		wantErr(t, err, c.want)
	}
}

func TestResolveBrokenAnswers(t *testing.T) {
	for _, body := range []string{"", "null", "{}", "[]", "<html>login</html>", `{"sha":"main"}`, `{"sha":"` + strings.Repeat("A", 40) + `"}`, `{"sha":"0123`, `{"sha":1}`} {
		f := start(t, Config{})
		f.Inject(-1, testhub.To("hub", "/revision/"), testhub.Fault{Status: 200, Body: body})
		_, err := f.Resolve(t.Context(), "org/name", "")
		wantErr(t, err, providers.ErrUnavailable)
	}
}

func TestResolveIgnoresHostileID(t *testing.T) {
	f := start(t, Config{})
	sha := strings.Repeat("a", 40)
	f.Inject(-1, testhub.To("hub", "/revision/"), testhub.Fault{Status: 200,
		Body: `{"id":"../../etc/passwd","sha":"` + sha + `","lastModified":"yesterday","new":{"field":[1]}}`})
	o := resolve(t, f.Provider, "org/name", "").Origin()
	if o.Name != "org/name" || o.Revision != sha || !o.ModTime.IsZero() {
		t.Errorf("got origin %+v, want the name that was asked for", o)
	}
}

func TestRedirects(t *testing.T) {
	for _, c := range []struct {
		name, to string
		want     error
	}{
		{"loop", "/api/models/org/name/revision/main", providers.ErrUnavailable},
		{"foreign host", "http://203.0.113.1/api/models/org/name", providers.ErrUnavailable},
		{"other port", "http://127.0.0.1:9/api/models/org/name", providers.ErrUnavailable},
		{"no http", "file:///etc/passwd", providers.ErrUnavailable},
		{"credentials", "http://user:secret@127.0.0.1/", providers.ErrUnavailable},
		{"no URL", "http://[::1", providers.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", small)
			p := f.with(t, "hf_some_token")
			f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 307, Header: map[string]string{"Location": c.to}})
			_, err := p.Resolve(t.Context(), "org/name", "")
			wantErr(t, err, c.want)
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("got error with a secret: %v", err)
			}
			if got := f.count(testhub.To("hub", "")); got > maxHops+1 {
				t.Errorf("got %d requests, want at most %d", got, maxHops+1)
			}
		})
	}
}

// TestMirror has a Hub whose answers name the public one, below a path, as a
// gateway gives them.
func TestMirror(t *testing.T) {
	f := start(t, Config{})
	f.env["HF_ENDPOINT"] = f.URL + "/hf/"
	p := f.with(t, "hf_member_token")
	f.Allow("hf_member_token")
	f.Set(func(s *testhub.Settings) { s.Prefix, s.PageSize, s.Canonical = "/hf", 1, "https://huggingface.co" })
	f.Push("org/name", "main", map[string]testhub.File{"a": testhub.Text("a"), "b": testhub.Text("b"), "c.bin": testhub.Text("c")})
	// A canonical Link has the upstream's path, without the gateway's prefix.
	f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Header: map[string]string{
		"Link": `<https://huggingface.co/api/models/org/name/tree/main?recursive=true&cursor=1&limit=1>; rel="next"`}})
	m := resolve(t, p, "org/name", "")
	f.Inject(2, testhub.To("hub", "/tree/main"), testhub.Fault{Header: map[string]string{
		"Link": `<https://huggingface.co/api/models/org/name/tree/` + m.Origin().Revision + `?recursive=true&cursor=2&limit=1>; rel="next"`}})
	for _, path := range []string{"a", "b", "c.bin"} {
		got, err := read(t.Context(), m, stat(t, m, path), 0, 1)
		wantBytes(t, got, err, []byte(path[:1]))
	}
	// A rename whose Location lost the prefix stays below it, and so does one
	// that names the public Hub.
	for _, to := range []string{"/api/models/org/name/revision/main", "https://huggingface.co/api/models/org/name/revision/main"} {
		f.Inject(1, testhub.To("hub", "/old/name"), testhub.Fault{Status: 307, Header: map[string]string{"Location": to}})
		if got := resolve(t, p, "old/name", "").Origin().Name; got != "org/name" {
			t.Errorf("redirected to %s: got %q, want org/name", to, got)
		}
	}
	for _, r := range f.Requests() {
		if r.Server == "hub" && (!strings.HasPrefix(r.Path, "/hf/") || r.Header.Get("Authorization") == "") {
			t.Errorf("got request %v, want it below the prefix, with the token", r)
		}
	}
}

func TestTLS(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	var versions sync.Map
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		versions.Store(r.ProtoMajor, true)
		f.ServeHTTP(w, r)
	}))
	s.EnableHTTP2 = true
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.StartTLS()
	defer s.Close()
	f.env["HF_ENDPOINT"] = s.URL
	_, err := f.provider(t, Config{}).Resolve(t.Context(), "org/name", "")
	wantErr(t, err, providers.ErrUnavailable)
	wantRemedy(t, err, "ca_file")
	if n := len(f.clock.slept); n != 0 {
		t.Errorf("got %d retries of a certificate that does not fit, want none", n)
	}

	ca := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	if err := os.WriteFile(ca, block, 0o600); err != nil {
		t.Fatal(err)
	}
	p := f.provider(t, Config{CAFile: ca})
	m := resolve(t, p, "org/name", "")
	got, err := read(t.Context(), m, stat(t, m, "config.json"), 0, 3)
	wantBytes(t, got, err, []byte("{}\n"))
	if _, two := versions.Load(2); !two {
		t.Error("got no request over HTTP/2, want the Hub asked so")
	}

	// From https, nothing leads to http.
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 302, Header: map[string]string{"Location": f.URL + "/x"}})
	_, err = p.Resolve(t.Context(), "org/name", "")
	wantErr(t, err, providers.ErrUnavailable)
	if !strings.Contains(err.Error(), "from https to http") {
		t.Errorf("got %v, want the downgrade told", err)
	}
}

func TestOffline(t *testing.T) {
	for _, variable := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		f := start(t, Config{}, variable+"=YES")
		f.Push("org/name", "main", small)
		_, err := f.Resolve(t.Context(), "org/name", "")
		wantErr(t, err, providers.ErrUnavailable)
		wantRemedy(t, err, variable)
		_, err = f.Resolve(t.Context(), "gpt2", "")
		wantErr(t, err, providers.ErrUnavailable)
		wantCount(t, f, "hub", "", 0)
	}
}

func TestUnreachable(t *testing.T) {
	f := start(t, Config{})
	f.env["HF_ENDPOINT"] = "http://127.0.0.1:1"
	_, err := f.provider(t, Config{}).Resolve(t.Context(), "org/name", "")
	wantErr(t, err, providers.ErrUnavailable)
	wantRemedy(t, err, "127.0.0.1:1")
}

func TestHeaderTimeoutIsRetried(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.hub.impatient(t)
	f.Inject(2, testhub.To("hub", ""), testhub.Fault{Hang: 5 * time.Second})
	resolve(t, f.Provider, "org/name", "")
	wantCount(t, f, "hub", "", 3)
}

func TestDropIsRetried(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.Inject(2, testhub.To("hub", ""), testhub.Fault{Drop: true})
	resolve(t, f.Provider, "org/name", "")
}

func TestHubWarningIsLoggedOnce(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Header: map[string]string{"X-HF-Warning": "deprecated; use another route"}})
	resolve(t, f.Provider, "org/name", "")
	resolve(t, f.Provider, "org/name", "")
	if got := strings.Count(f.log.String(), "use another route"); got != 1 {
		t.Errorf("got the warning %d times, want once: %s", got, f.log)
	}
}

func TestStrict(t *testing.T) {
	f := start(t, Config{Verify: "strict"})
	f.Push("org/name", "main", small)
	if !resolve(t, f.Provider, "org/name", "").Origin().Verify {
		t.Error("got an origin that is not strict, want verify: strict kept")
	}
}

// TestErrorsHideTheToken has a server that repeats what it was sent.
func TestErrorsHideTheToken(t *testing.T) {
	f := start(t, Config{})
	p := f.with(t, "hf_planted_secret")
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: http.StatusForbidden, Header: map[string]string{
		"X-Error-Message": "no access with Bearer hf_planted_secret", "X-HF-Warning": "t; hf_planted_secret"}})
	_, err := p.Resolve(t.Context(), "org/name", "")
	wantErr(t, err, iofs.ErrPermission)
	if out := err.Error() + f.log.String(); strings.Contains(out, "planted") {
		t.Errorf("got the token in errors or log: %s", out)
	}
}
