package transformers

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

func walk(t *testing.T, m providers.Model) map[string]providers.Entry {
	t.Helper()
	all := map[string]providers.Entry{}
	for e, err := range providers.Walk(t.Context(), m) {
		if err != nil {
			t.Fatal(err)
		}
		all[e.Path] = e
	}
	return all
}

func names(t *testing.T, m providers.Model, dir string) []string {
	t.Helper()
	var got []string
	for e, err := range m.ReadDir(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e.Path)
	}
	slices.Sort(got)
	return got
}

func TestList(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{
		"config.json":       testhub.Text("hello\n"),
		"model.safetensors": testhub.Text("hello\n"),
		"onnx/model.onnx":   testhub.Text("x"),
		"onnx/a/b.txt":      testhub.Text(""),
	})
	m := resolve(t, f.Provider, "org/name", "")
	if got, want := names(t, m, ""), []string{"config.json", "model.safetensors", "onnx"}; !slices.Equal(got, want) {
		t.Errorf("got root %q, want %q", got, want)
	}
	if got, want := names(t, m, "onnx"), []string{"onnx/a", "onnx/model.onnx"}; !slices.Equal(got, want) {
		t.Errorf("got onnx %q, want %q", got, want)
	}
	if got, want := slices.Sorted(maps.Keys(walk(t, m))), []string{"config.json", "model.safetensors", "onnx/a/b.txt", "onnx/model.onnx"}; !slices.Equal(got, want) {
		t.Errorf("got walk %q, want %q", got, want)
	}
	// The digests are those that `git hash-object` and sha256sum print.
	for path, want := range map[string]providers.Digest{
		"config.json":       "git:ce013625030ba8dba906f756967f9e9ca394464a",
		"model.safetensors": "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03",
	} {
		e := stat(t, m, path)
		if e.Digest != want || e.Size != 6 || !e.ModTime.Equal(m.Origin().ModTime) || e.Mode != 0 {
			t.Errorf("%s: got %+v, want digest %s and 6 bytes", path, e, want)
		}
	}
	if e := stat(t, m, "onnx/a"); !e.IsDir() {
		t.Errorf("got %+v, want a directory", e)
	}
	for _, path := range []string{"absent", "config.json/x", "onnx/absent"} {
		_, err := providers.Stat(t.Context(), m, path)
		wantErr(t, err, iofs.ErrNotExist)
	}
	for _, err := range m.ReadDir(t.Context(), "absent") {
		wantErr(t, err, iofs.ErrNotExist)
	}
	wantCount(t, f, "hub", "/tree/", 1)
}

func TestListManyPages(t *testing.T) {
	f := start(t, Config{})
	files := map[string]testhub.File{}
	for i := range 2500 {
		files[fmt.Sprintf("d%d/f%d", i%7, i)] = testhub.Text("x")
	}
	f.Push("org/name", "main", files)
	f.Set(func(s *testhub.Settings) { s.PageSize = 100 })
	m := resolve(t, f.Provider, "org/name", "")
	if got := len(walk(t, m)); got != 2500 {
		t.Errorf("got %d files, want 2500", got)
	}
	wantCount(t, f, "hub", "/tree/", 26) // seven directories are rows too
}

func TestListIsSharedAndRemembered(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	f.Limit(testhub.Shape{Latency: 50 * time.Millisecond})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if _, err := providers.Stat(t.Context(), m, "config.json"); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantCount(t, f, "hub", "/tree/", 1)
}

func TestListIsSharedByModelsOfOneCommit(t *testing.T) {
	f := start(t, Config{})
	sha := f.Push("org/name", "main", small)
	first := resolve(t, f.Provider, "org/name", "")
	stat(t, first, "config.json")
	for _, ref := range []string{"", "main", sha} {
		stat(t, resolve(t, f.Provider, "org/name", ref), "config.json")
	}
	wantCount(t, f, "hub", "/tree/", 1)
	runtime.KeepAlive(first)
}

func TestListIsForgottenWithItsModels(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	stat(t, resolve(t, f.Provider, "org/name", ""), "config.json")
	held := func() int {
		runtime.GC()
		f.seen.mu.Lock()
		defer f.seen.mu.Unlock()
		return len(f.seen.m)
	}
	for deadline := time.Now().Add(5 * time.Second); held() > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("got %d listings held after their models are gone, want none", held())
		}
	}
}

func TestListFailureIsNotRemembered(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"a": testhub.Text("a"), "b": testhub.Text("b")})
	f.Set(func(s *testhub.Settings) { s.PageSize = 1 })
	m := resolve(t, f.Provider, "org/name", "")
	second := func(r testhub.Request) bool { return strings.Contains(r.Query, "cursor") }
	f.Inject(5, second, testhub.Fault{Status: 500})
	_, err := providers.Stat(t.Context(), m, "a")
	wantErr(t, err, providers.ErrUnavailable)
	stat(t, m, "a")
}

func TestListCallerLeaves(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Hang: 5 * time.Second})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := providers.Stat(ctx, m, "config.json")
	wantErr(t, err, context.DeadlineExceeded)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("got an answer after %v, want it soon after the context ended", took)
	}
	stat(t, m, "config.json") // the next caller begins anew
}

func TestListHostileRows(t *testing.T) {
	f := start(t, Config{})
	sha := strings.Repeat("c", 40)
	row := func(path string) testhub.Row {
		return testhub.Row{"type": "file", "path": path, "size": 1, "oid": sha}
	}
	f.Push("org/name", "main", small)
	f.Set(func(s *testhub.Settings) {
		s.Rows = []testhub.Row{
			row("../../etc/passwd"), row("/etc/passwd"), row("a//b"), row("a/./b"), row("nul\x00"), row("new\nline"), row(""),
			row(strings.Repeat("x", 256)), row(strings.Repeat("y", 255)), row("config.json"), row("both"), row("both/file"),
			{"type": "unknown", "path": "strange", "oid": sha},
			{"type": "directory", "path": "", "oid": sha},
			{"type": "file", "path": "nolfs", "size": 3, "oid": sha, "lfs": nil, "more": map[string]any{"x": 1}},
			{"type": "file", "path": "negative", "size": -1, "oid": sha},
			{"type": "file", "path": "badlfs", "size": 130, "oid": sha, "lfs": testhub.Row{"oid": "xyz", "size": 9}},
			{"type": "file", "path": "lfs", "size": 130, "oid": sha, "lfs": testhub.Row{"oid": strings.Repeat("d", 64), "size": 9}},
		}
	})
	m := resolve(t, f.Provider, "org/name", "")
	got := walk(t, m)
	want := []string{"badlfs", "both/file", "config.json", "lfs", "negative", "nolfs", strings.Repeat("y", 255)}
	if paths := slices.Sorted(maps.Keys(got)); !slices.Equal(paths, want) {
		t.Errorf("got files %q, want %q", paths, want)
	}
	if e := got["config.json"]; e.Size != 3 {
		t.Errorf("got %+v, want the first of two rows of one path", e)
	}
	if e := got["lfs"]; e.Size != 9 || e.Digest.Algorithm() != "sha256" {
		t.Errorf("got %+v, want size and digest of LFS", e)
	}
	if e := got["badlfs"]; e.Size != 9 || e.Digest != "" || e.Validator == "" {
		t.Errorf("got %+v, want no digest, and a validator in its place", e)
	}
	if e := got["negative"]; e.Size != providers.SizeUnknown {
		t.Errorf("got size %d, want it unknown", e.Size)
	}
	hidden := 0
	for _, p := range names(t, m, "") {
		if providers.ValidPath(p) != nil {
			hidden++
		}
	}
	if hidden != 8 {
		t.Errorf("got %d impossible names in the root's listing, want 8 for the caller to count", hidden)
	}
}

func TestStatAsksForSize(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings func(*testhub.Settings)
	}{
		{"linked size", func(*testhub.Settings) {}},
		{"content length", func(s *testhub.Settings) { s.Inline, s.NoLinked = true, true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", map[string]testhub.File{"w.bin": testhub.Bytes(pattern(1234))})
			f.Set(c.settings)
			f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 200,
				Body: `[{"type":"file","path":"w.bin","oid":"` + strings.Repeat("e", 40) + `","lfs":{"oid":""}}]`})
			m := resolve(t, f.Provider, "org/name", "")
			if e := stat(t, m, "w.bin"); e.Size != 1234 {
				t.Errorf("got size %d, want 1234", e.Size)
			}
		})
	}
}

func TestStatAsksForOneByte(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"w.bin": testhub.Bytes(pattern(1234))})
	f.Set(func(s *testhub.Settings) { s.Inline = true })
	f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 200, Body: `[{"type":"file","path":"w.bin","oid":""}]`})
	f.Inject(-1, func(r testhub.Request) bool { return r.Method == http.MethodHead }, testhub.Fault{Chunked: true})
	m := resolve(t, f.Provider, "org/name", "")
	if e := stat(t, m, "w.bin"); e.Size != 1234 {
		t.Errorf("got size %d, want 1234 from Content-Range", e.Size)
	}
}

func TestStatAsksForSizeOfEmptyFile(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"empty.txt": testhub.Text("")})
	f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 200, Body: `[{"type":"file","path":"empty.txt","oid":""}]`})
	f.Inject(-1, func(r testhub.Request) bool { return r.Method == http.MethodHead }, testhub.Fault{Chunked: true})
	f.Inject(-1, testhub.To("hub", "/resolve-cache/"), testhub.Fault{Status: 416, Header: map[string]string{"Content-Range": "bytes */0"}})
	m := resolve(t, f.Provider, "org/name", "")
	if e := stat(t, m, "empty.txt"); e.Size != 0 {
		t.Errorf("got size %d, want 0", e.Size)
	}
}

func TestStatFindsNoSize(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"w.bin": testhub.Text("w")})
	f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 200, Body: `[{"type":"file","path":"w.bin","oid":""}]`})
	f.Set(func(s *testhub.Settings) { s.NoLinked = true })
	m := resolve(t, f.Provider, "org/name", "")
	if e := stat(t, m, "w.bin"); e.Size != 1 {
		t.Errorf("got size %d, want 1 from the content network", e.Size)
	}
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{Status: 403})
	_, err := providers.Stat(t.Context(), m, "w.bin")
	wantErr(t, err, providers.ErrUnavailable)
	f.Delete("org/name")
	_, err = providers.Stat(t.Context(), m, "w.bin")
	wantErr(t, err, providers.ErrStale)
}

func TestListBroken(t *testing.T) {
	for name, fault := range map[string]testhub.Fault{
		"html":         {Status: 200, Body: "<html>"},
		"no array":     {Status: 200, Body: `{"error":"x"}`},
		"cut JSON":     {Status: 200, Body: `[{"type":"file"`},
		"cut body":     {Cut: 5},
		"loop":         {Header: map[string]string{"Link": `<?recursive=true&expand=false&limit=1000>; rel="next"`}},
		"foreign next": {Header: map[string]string{"Link": `<http://203.0.113.1/tree>; rel="next"`}},
		"file next":    {Header: map[string]string{"Link": `<file:///etc/passwd>; rel="next"`}},
		"server error": {Status: 502},
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", small)
			p := f.with(t, "hf_member_token")
			f.Allow("hf_member_token")
			m := resolve(t, p, "org/name", "")
			f.Inject(-1, testhub.To("hub", "/tree/"), fault)
			_, err := providers.Stat(t.Context(), m, "config.json")
			wantErr(t, err, providers.ErrUnavailable)
			if got := f.count(testhub.To("hub", "/tree/")); got > 5 {
				t.Errorf("got %d requests for a listing that is broken, want few", got)
			}
		})
	}
}

// Rows that are wrong do not take the others along.
func TestListWithWrongRows(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	f.Inject(-1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 200, Body: `[
		{"type":"file","path":1}, 7, {"path":"untyped"}, {"type":"symlink","path":"l"},
		{"type":"file","path":"negative","size":-1,"oid":"ce013625030ba8dba906f756967f9e9ca394464a"},
		{"type":"file","path":"huge","size":10000000000000000000000000,"oid":"ce013625030ba8dba906f756967f9e9ca394464a"},
		{"type":"file","path":"text","size":"12","oid":"ce013625030ba8dba906f756967f9e9ca394464a"},
		{"type":"file","path":"good","size":6,"oid":"ce013625030ba8dba906f756967f9e9ca394464a"}]`})
	got := map[string]int64{}
	for path, e := range walk(t, m) {
		got[path] = e.Size
	}
	if want := map[string]int64{"negative": -1, "huge": -1, "text": -1, "good": 6}; !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestListEndlessEmptyPages(t *testing.T) {
	m := &model{}
	l := lister{m: m, seen: map[string]bool{}}
	h := &hub{endpoint: mustEndpoint(t, "http://hub.example")}
	var err error
	pages := 0
	for ; err == nil && pages < 1000; pages++ {
		u := h.at("/api")
		u.RawQuery = fmt.Sprint("cursor=", pages)
		err = l.admit(u)
	}
	if !errors.Is(err, providers.ErrUnavailable) || pages > maxEmpty+2 {
		t.Errorf("got error %v after %d empty pages, want ErrUnavailable after %d", err, pages, maxEmpty)
	}
}

func TestListOfRevisionThatIsGone(t *testing.T) {
	for name, remove := range map[string]func(*fixture){
		"squashed": func(f *fixture) { f.Push("org/name", "main", other("new")); f.Squash("org/name") },
		"deleted":  func(f *fixture) { f.Delete("org/name") },
		"hidden":   func(f *fixture) { f.SetPrivate("org/name", true) },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", map[string]testhub.File{"config.json": testhub.Text("{}"), "w.bin": testhub.Text("w")})
			listed := resolve(t, f.Provider, "org/name", "")
			config, weights := stat(t, listed, "config.json"), stat(t, listed, "w.bin")
			m := resolve(t, f.provider(t, Config{}), "org/name", "")
			remove(f)
			_, err := providers.Stat(t.Context(), m, "config.json")
			wantErr(t, err, providers.ErrStale)
			for _, e := range []providers.Entry{config, weights} {
				_, err = read(t.Context(), listed, e, 0, 1)
				wantErr(t, err, providers.ErrStale)
			}
			wantErr(t, listed.Check(t.Context(), config), providers.ErrChanged)
		})
	}
}

func TestListOfEmptyCommit(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", nil)
	for range 2 {
		m := resolve(t, f.Provider, "org/name", "")
		if got := names(t, m, ""); len(got) != 0 {
			t.Errorf("got %q, want nothing", got)
		}
		f.Inject(1, testhub.To("hub", "/tree/"), testhub.Fault{Status: 404, Header: map[string]string{"X-Error-Code": "EntryNotFound"}})
	}
}

func TestNextLink(t *testing.T) {
	for _, c := range []struct{ header, want string }{
		{`<https://h/x?cursor=a%2Cb>; rel="next"`, "https://h/x?cursor=a%2Cb"},
		{`<https://h/x>; rel=next`, "https://h/x"},
		{`<https://h/1>; rel="xet-auth", <https://h/2,3>; title="a"; REL="Next"`, "https://h/2,3"},
		{`<https://h/1>; rel="prev"`, ""},
		{`https://h/1; rel="next"`, ""},
		{`<https://h/1`, ""},
		{``, ""},
	} {
		if got := nextLink([]string{c.header}); got != c.want {
			t.Errorf("%s: got %q, want %q", c.header, got, c.want)
		}
	}
}
