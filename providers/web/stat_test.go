package web

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

var errPermission = iofs.ErrPermission

// Where HEAD is of no use the first byte tells what it would have told.
func TestHead(t *testing.T) {
	for _, c := range []struct {
		name       string
		head       http.HandlerFunc
		first      []string // questions about a first file and a second
		second     []string
		contents   string
		noTotal    bool
		whole      bool
		wantLength error
	}{
		{name: "answered", contents: "content", first: []string{"HEAD /f"}, second: []string{"HEAD /g"}},
		{name: "405", head: refuse(http.StatusMethodNotAllowed), contents: "content",
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"GET /g bytes=0-0"}},
		{name: "501", head: refuse(http.StatusNotImplemented), contents: "content",
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"GET /g bytes=0-0"}},
		{name: "403", head: refuse(http.StatusForbidden), contents: "content",
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"HEAD /g", "GET /g bytes=0-0"}},
		{name: "empty file", head: refuse(http.StatusForbidden), contents: "",
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"HEAD /g", "GET /g bytes=0-0"}},
		{name: "no length", head: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, contents: "content",
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"HEAD /g", "GET /g bytes=0-0"}},
		{name: "no length at all", head: func(w http.ResponseWriter, _ *http.Request) { w.(http.Flusher).Flush() }, contents: "content", noTotal: true,
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"HEAD /g", "GET /g bytes=0-0"}, wantLength: errors.ErrUnsupported},
		{name: "no ranges", head: refuse(http.StatusForbidden), contents: "content", whole: true,
			first: []string{"HEAD /f", "GET /f bytes=0-0"}, second: []string{"HEAD /g", "GET /g bytes=0-0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/":
					http.NotFound(w, r)
					return
				case r.Method == http.MethodHead && c.head != nil:
					c.head(w, r)
					return
				case c.noTotal:
					w.Header().Set("Content-Range", "bytes 0-0/*")
					w.WriteHeader(http.StatusPartialContent)
					return
				case c.whole:
					r.Header.Del("Range")
				}
				http.ServeContent(w, r, "f", then, strings.NewReader(c.contents))
			})
			m := open(t, s, Site{Index: "none"})
			s.questions()
			for i, want := range [][]string{c.first, c.second} {
				e, err := providers.Stat(t.Context(), m, []string{"f", "g"}[i])
				if c.wantLength != nil {
					wants(t, "stat", err, c.wantLength)
				} else if err != nil || e.Size != int64(len(c.contents)) || !e.ModTime.Equal(then) || e.Validator == "" {
					t.Errorf("got %+v, %v; want %d bytes of %s", e, err, len(c.contents), then)
				}
				if got := s.questions(); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("asked %q, want %q", got, want)
				}
			}
		})
	}
}

func refuse(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

// What an answer about a file means.
func TestStatAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"absent", refuse(http.StatusNotFound), iofs.ErrNotExist},
		{"gone", refuse(http.StatusGone), iofs.ErrNotExist},
		{"unauthorized", refuse(http.StatusUnauthorized), iofs.ErrPermission},
		{"forbidden", refuse(http.StatusForbidden), iofs.ErrPermission},
		{"broken", refuse(http.StatusBadGateway), providers.ErrUnavailable},
		{"not modified", refuse(http.StatusNotModified), providers.ErrUnavailable},
		{"a page", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, providers.ErrUnavailable},
		{"a page that is a file", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Type", "text/html") }, nil},
		{"compressed", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Content-Encoding", "br") }, errors.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.NotFound(w, r)
					return
				}
				w.Header().Set("ETag", `"1"`)
				w.Header().Set("Content-Length", "5")
				c.answer(w, r)
			})
			path := "f"
			if c.want == nil {
				path = "README.HTML"
			}
			_, err := providers.Stat(t.Context(), open(t, s, Site{Index: "none"}), path)
			if c.want != nil {
				wants(t, "stat", err, c.want)
			} else if err != nil {
				t.Errorf("got %v, want a file", err)
			}
		})
	}
}

// A server that asks to be left alone is told from one that is broken.
func TestThrottled(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	_, err := tryOpen(t, s, Site{})
	var throttled *providers.Throttled
	if !errors.As(err, &throttled) || throttled.After != 7*time.Second {
		t.Errorf("got %v, want to be throttled for 7s", err)
	}
}

// A redirect that adds a slash says that it is a directory, whatever host a server
// behind a proxy thinks it is.
func TestDirectory(t *testing.T) {
	for _, location := range []string{"/d/", "d/", "http://internal.invalid/d/", "https://127.0.0.1/d/"} {
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/d" {
				w.Header().Set("Location", location)
				w.WriteHeader(http.StatusMovedPermanently)
			}
		})
		m := open(t, s, Site{Index: "none"})
		if e := stat(t, m, "d"); !e.IsDir() {
			t.Errorf("%s: got %+v, want a directory", location, e)
		}
		if err := m.Check(t.Context(), providers.Entry{Path: "d", Mode: iofs.ModeDir}); err != nil {
			t.Errorf("check of a directory: got %v, want nil", err)
		}
		wants(t, "check of a file that is a directory now",
			m.Check(t.Context(), providers.Entry{Path: "d", Size: 1, Validator: `"1"`}), providers.ErrChanged)
	}
}
