package hub

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func start(t *testing.T) *Server {
	t.Helper()
	s := New()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// get makes one request without following redirects.
func get(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// TestIdsAreGits compares commit, tree and blob ids with git's own.
func TestIdsAreGits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("MODELFS_REQUIRE_ALL") != "" {
			t.Fatal("git is missing, and nothing may be skipped")
		}
		t.Skip("git is missing")
	}
	s := start(t)
	files := map[string]string{"a": "1", "a.b": "2", "a-b/c": "3", "a/b/c": "4", "a/b.c": "5", "z": ""}
	delete(files, "a") // a file and a directory cannot share a name
	pushed := map[string]File{}
	dir := t.TempDir()
	for p, text := range files {
		pushed[p] = Text(text)
		full := filepath.Join(dir, p)
		if err := os.MkdirAll(filepath.Dir(full), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := s.Push("org/name", "main", pushed)
	second := s.Push("org/name", "main", pushed)
	git := func(date string, args ...string) string {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=hub", "GIT_AUTHOR_EMAIL=hub@example.com", "GIT_COMMITTER_NAME=hub",
			"GIT_COMMITTER_EMAIL=hub@example.com", "GIT_AUTHOR_DATE="+date, "GIT_COMMITTER_DATE="+date)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("", "init", "-q")
	git("", "add", ".")
	for i, want := range []string{first, second} {
		date := s.clock.Add(time.Duration(i-1) * time.Minute).Format("2006-01-02T15:04:05Z")
		git(date, "commit", "-q", "--allow-empty", "-m", "push")
		if got := git("", "rev-parse", "HEAD"); got != want {
			t.Errorf("commit %d: git says %s, the server %s", i, got, want)
		}
	}
}

func TestRevisionIsOneSegment(t *testing.T) {
	s := start(t)
	s.PushRef("org/name", "refs/pr/1", map[string]File{"a": Text("a")})
	for path, want := range map[string]int{
		"/api/models/org/name/revision/refs%2Fpr%2F1":    200,
		"/api/models/org/name/revision/refs/pr/1":        404,
		"/api/models/org/name/tree/refs%2Fpr%2F1":        200,
		"/org/name/resolve/refs%2Fpr%2F1/a":              307,
		"/org/name/resolve/refs/pr/1/a":                  404,
		"/api/models/org/name/tree/refs%2Fpr%2F1/a":      404,
		"/api/models/org/name/tree/refs%2Fpr%2F1?cursor": 400,
		"/api/models/org/absent":                         401,
		"/api/nothing":                                   404,
	} {
		if resp, _ := get(t, "GET", s.URL+path); resp.StatusCode != want {
			t.Errorf("%s: got %d, want %d", path, resp.StatusCode, want)
		}
	}
}

func TestContentNetworkIsStrict(t *testing.T) {
	s := start(t)
	s.Push("org/name", "main", map[string]File{"w.bin": Text("weights")})
	resp, _ := get(t, "GET", s.URL+"/org/name/resolve/main/w.bin")
	link := resp.Header.Get("Location")
	if resp.StatusCode != http.StatusFound || !strings.HasPrefix(link, s.CDNURL+"/") || resp.Header.Get("X-Linked-Size") != "7" {
		t.Fatalf("got %d to %q, headers %v", resp.StatusCode, link, resp.Header)
	}
	if resp, body := get(t, "GET", link, "Range", "bytes=1-3"); resp.StatusCode != http.StatusPartialContent || body != "eig" {
		t.Errorf("got %d %q, want the range", resp.StatusCode, body)
	}
	for name, refused := range map[string]func() *http.Response{
		"HEAD":     func() *http.Response { r, _ := get(t, "HEAD", link); return r },
		"unsigned": func() *http.Response { r, _ := get(t, "GET", strings.Split(link, "?")[0]); return r },
		"prolonged": func() *http.Response {
			r, _ := get(t, "GET", strings.Replace(link, "Expires=", "Expires=9", 1))
			return r
		},
		"expired links": func() *http.Response { s.ExpireLinks(); r, _ := get(t, "GET", link); return r },
	} {
		if r := refused(); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %d, want 403", name, r.StatusCode)
		}
	}
	if v := s.Violations(); len(v) != 0 {
		t.Errorf("got violations %q, want none yet", v)
	}
	get(t, "GET", link, "Authorization", "Bearer x")
	get(t, "GET", link, "Cookie", "a=b")
	if v := s.Violations(); len(v) != 2 {
		t.Errorf("got violations %q, want two", v)
	}
}

func TestControl(t *testing.T) {
	s := start(t)
	s.Push("org/name", "main", map[string]File{"w.bin": Text("weights")})
	s.Allow("hf_x")
	resp, _ := get(t, "GET", s.URL+"/org/name/resolve/main/w.bin", "Authorization", "Bearer hf_x")
	link := resp.Header.Get("Location")
	get(t, "GET", link, "Authorization", "Bearer hf_x")
	_, requests := get(t, "GET", s.URL+"/-/requests")
	if lines := strings.Split(strings.TrimSpace(requests), "\n"); len(lines) != 2 || !strings.HasSuffix(lines[0], " token") || strings.Contains(requests, "hf_x") {
		t.Errorf("got record %q, want two requests, that the first had a token, and not which", requests)
	}
	if _, got := get(t, "GET", s.URL+"/-/violations"); !strings.Contains(got, "carries Authorization") {
		t.Errorf("got violations %q, want one", got)
	}
	get(t, "POST", s.URL+"/-/expire")
	if resp, _ := get(t, "GET", link); resp.StatusCode != http.StatusForbidden {
		t.Errorf("got %d of a link that has been ended, want 403", resp.StatusCode)
	}
	get(t, "POST", s.URL+"/-/forget")
	if _, got := get(t, "GET", s.URL+"/-/requests"); got != "" {
		t.Errorf("got record %q after it was emptied", got)
	}
	if resp, _ := get(t, "GET", s.URL+"/-/push"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("got %d of a GET of push, want 404", resp.StatusCode)
	}
}

func TestPathsInfo(t *testing.T) {
	s := start(t)
	s.Push("org/name", "main", map[string]File{"a": Text("a"), "d/b": Text("b")})
	for kind, body := range map[string]string{
		"application/x-www-form-urlencoded": "paths=a&paths=d&paths=absent",
		"application/json":                  `{"paths":["a","d","absent"],"expand":false}`,
	} {
		resp, err := http.Post(s.URL+"/api/models/org/name/paths-info/main", kind, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		var rows []Row
		err = json.NewDecoder(resp.Body).Decode(&rows)
		resp.Body.Close()
		if err != nil || len(rows) != 2 || rows[0]["path"] != "a" || rows[1]["type"] != "directory" {
			t.Errorf("%s: got %v, error %v, want a and d", kind, rows, err)
		}
	}
}

func TestSyntheticIsOneContent(t *testing.T) {
	const size = 10_007
	f := Synthetic(5, size)
	whole := make([]byte, size)
	if n, err := f.Content.ReadAt(whole, 0); n != size || err != io.EOF {
		t.Fatalf("got %d bytes, error %v", n, err)
	}
	for off := int64(0); off < size; off += 61 {
		part := make([]byte, 100)
		n, err := f.Content.ReadAt(part, off)
		if err != nil && err != io.EOF {
			t.Fatal(err)
		}
		if !bytes.Equal(part[:n], whole[off:min(off+100, size)]) {
			t.Fatalf("at %d: got other bytes than in the whole", off)
		}
	}
}

func TestQuota(t *testing.T) {
	s := start(t)
	s.Push("org/name", "main", map[string]File{"a": Text("a")})
	s.SetQuota("api", 1, time.Minute)
	for i, want := range []int{200, 429} {
		resp, _ := get(t, "GET", s.URL+"/api/models/org/name")
		if resp.StatusCode != want || !strings.HasPrefix(resp.Header.Get("RateLimit"), `"api";r=0;t=`) {
			t.Errorf("request %d: got %d, %q, want %d", i, resp.StatusCode, resp.Header.Get("RateLimit"), want)
		}
	}
	if resp, _ := get(t, "GET", s.URL+"/org/name/resolve/main/a"); resp.StatusCode != http.StatusTemporaryRedirect {
		t.Errorf("got %d of the other bucket, want 307", resp.StatusCode)
	}
}

func TestShape(t *testing.T) {
	s := start(t)
	s.Push("org/name", "main", map[string]File{"w.bin": Synthetic(1, 1<<20)})
	s.Set(func(set *Settings) { set.Inline = true })
	s.Limit(Shape{Latency: 20 * time.Millisecond, PerConn: 10 << 20})
	began := time.Now()
	_, body := get(t, "GET", s.URL+"/org/name/resolve/main/w.bin")
	if took := time.Since(began); len(body) != 1<<20 || took < 100*time.Millisecond {
		t.Errorf("got %d bytes in %v, want 1 MiB in about 110 ms", len(body), took)
	}
}

func TestDirectory(t *testing.T) {
	s := start(t)
	dir := t.TempDir()
	config := filepath.Join(dir, "org", "name", "config.json")
	if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("one")
	if err := s.LoadDir(dir); err != nil {
		t.Fatal(err)
	}
	s.Set(func(set *Settings) { set.NoResolveCache = true })
	for _, text := range []string{"one", "two, longer"} {
		write(text)
		resp, body := get(t, "POST", s.URL+"/-/push?repo=org/name")
		var pushed struct{ SHA string }
		if err := json.Unmarshal([]byte(body), &pushed); err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("got %d %q, error %v", resp.StatusCode, body, err)
		}
		resp, body = get(t, "GET", s.URL+"/org/name/resolve/main/config.json")
		if body != text || resp.Header.Get("X-Repo-Commit") != pushed.SHA {
			t.Errorf("got %q at %s, want %q at %s", body, resp.Header.Get("X-Repo-Commit"), text, pushed.SHA)
		}
	}
	for _, bad := range []string{"", "org", "../x", "org/..", "org/absent"} {
		if resp, _ := get(t, "POST", s.URL+"/-/push?repo="+bad); resp.StatusCode < 400 {
			t.Errorf("push of %q: got %d, want a refusal", bad, resp.StatusCode)
		}
	}
}
