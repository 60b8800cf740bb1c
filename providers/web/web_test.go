package web

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
)

// A source is a server in this process whose answers the test chooses, and what it was
// asked.
type source struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func newSource(t *testing.T, handler http.HandlerFunc) *source {
	t.Helper()
	s := &source{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked = append(s.asked, r.Clone(r.Context())) // handlers may change theirs
		s.mu.Unlock()
		handler(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// questions returns what was asked since it was called before: "GET /path", with the
// range if there was one.
func (s *source) questions() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.asked {
		q := r.Method + " " + r.URL.EscapedPath()
		if span := r.Header.Get("Range"); span != "" {
			q += " " + span
		}
		out = append(out, q)
	}
	s.asked = nil
	return out
}

// open makes the site of a source and resolves it.
func open(t *testing.T, s *source, conf Site) providers.Model {
	t.Helper()
	m, err := tryOpen(t, s, conf)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func tryOpen(t *testing.T, s *source, conf Site) (providers.Model, error) {
	t.Helper()
	if conf.URL == "" {
		conf.URL = s.URL
	}
	p, err := New(providers.Env{Protocol: "web"}, Config{Sites: map[string]Site{"m": conf}})
	if err != nil {
		t.Fatal(err)
	}
	return p.Resolve(t.Context(), "m", "")
}

func stat(t *testing.T, m providers.Model, path string) providers.Entry {
	t.Helper()
	e, err := providers.Stat(t.Context(), m, path)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func read(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (string, error) {
	rc, err := m.ReadRange(ctx, e, off, n)
	if err != nil {
		return "", err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	return string(b), err
}

func list(t *testing.T, m providers.Model, dir string) ([]providers.Entry, error) {
	t.Helper()
	var out []providers.Entry
	for e, err := range m.ReadDir(t.Context(), dir) {
		if err != nil {
			return out, err
		}
		out = append(out, e)
	}
	return out, nil
}

func paths(entries []providers.Entry) string {
	var out []string
	for _, e := range entries {
		p := e.Path
		if e.IsDir() {
			p += "/"
		}
		out = append(out, p)
	}
	return strings.Join(out, " ")
}

var then = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// files serves contents as net/http does, each with a strong ETag.
func files(contents map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		content, ok := contents[strings.TrimPrefix(r.URL.Path, "/")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"`+sumOf(content)[:16]+`"`)
		http.ServeContent(w, r, r.URL.Path, then, strings.NewReader(content))
	}
}

// wants checks that err is of a kind, is told with what was asked, and holds no secret.
func wants(t *testing.T, what string, err, kind error) {
	t.Helper()
	var told *providers.Error
	if !errors.Is(err, kind) {
		t.Errorf("%s: got %v, want %v", what, err, kind)
	} else if !errors.As(err, &told) || told.Protocol != "web" || told.Name != "m" && told.Name != "" {
		t.Errorf("%s: got %#v, want an *Error of web/m", what, err)
	}
	if err != nil && strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%s: %q tells the secret", what, err)
	}
	if !errors.Is(kind, iofs.ErrNotExist) && errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("%s: %v is believed to be absence", what, err)
	}
}
