package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

var big = strings.Repeat("0123456789abcdef", 200_000) // more than a server without ranges may skip

// A server that ignores ranges is asked for one once, and for whole files from then on.
func TestNoRanges(t *testing.T) {
	contents := map[string]string{"big": big, "small": "small"}
	ranges := false
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if !ranges {
			r.Header.Del("Range")
		}
		files(contents)(w, r)
	})
	m := open(t, s, Site{Index: "none"})
	e, small := stat(t, m, "big"), stat(t, m, "small")
	s.questions()
	_, err := read(t.Context(), m, e, 2<<20, 10)
	wants(t, "a range", err, providers.ErrWhole)
	if got := s.questions(); len(got) != 1 {
		t.Errorf("asked %q, want one question", got)
	}
	for _, e := range []providers.Entry{e, small} {
		_, err = read(t.Context(), m, e, 1, 2)
		wants(t, "another range", err, providers.ErrWhole)
	}
	if got := s.questions(); len(got) != 0 {
		t.Errorf("asked %q though the answer was known", got)
	}
	if got, err := read(t.Context(), m, e, 0, e.Size); got != big || err != nil {
		t.Errorf("whole: got %d bytes, %v; want %d", len(got), err, len(big))
	}
	// A server that learned ranges is believed again.
	ranges = true
	if got, err := read(t.Context(), m, small, 0, 5); got != "small" || err != nil {
		t.Errorf("whole: got %q, %v; want small", got, err)
	}
	if got, err := read(t.Context(), m, small, 1, 2); got != "ma" || err != nil {
		t.Errorf("range of a server that has them now: got %q, %v; want ma", got, err)
	}
}

// What was replaced is not read, whether the server heeds conditions or not.
func TestReplaced(t *testing.T) {
	for name, deaf := range map[string]bool{"heeds If-Match": false, "ignores conditions": true} {
		for _, validator := range []string{"ETag", "Last-Modified"} {
			contents, changed := map[string]string{"f": "old content"}, then
			s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
				if deaf {
					r.Header.Del("If-Match")
					r.Header.Del("If-Unmodified-Since")
				}
				content := contents["f"]
				if validator == "ETag" {
					w.Header().Set("ETag", `"`+sumOf(content)+`"`)
				}
				http.ServeContent(w, r, "f", changed, strings.NewReader(content))
			})
			m := open(t, s, Site{Index: "none"})
			e := stat(t, m, "f")
			if got, err := read(t.Context(), m, e, 4, 7); got != "content" || err != nil {
				t.Errorf("%s, %s: got %q, %v; want content", name, validator, got, err)
			}
			contents["f"], changed = "new content", then.Add(time.Hour)
			got, err := read(t.Context(), m, e, 4, 7)
			wants(t, name+", "+validator, err, providers.ErrStale)
			if got != "" {
				t.Errorf("%s, %s: got %q of other content", name, validator, got)
			}
			wants(t, "check, "+validator, m.Check(t.Context(), e), providers.ErrChanged)
		}
	}
}

// Answers that are not what was asked for.
func TestWrongAnswers(t *testing.T) {
	part := func(contentRange, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Range", contentRange)
			w.WriteHeader(http.StatusPartialContent)
			fmt.Fprint(w, body)
		}
	}
	plain := func(status int, header, value, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}
	}
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   error
	}{
		{"other bytes", part("bytes 0-2/10", "012"), providers.ErrUnavailable},
		{"another size", part("bytes 2-4/11", "234"), providers.ErrStale},
		{"no Content-Range", part("", "234"), providers.ErrUnavailable},
		{"another Content-Range", part("bytes 2-4000000000000000000000/10", "234"), providers.ErrUnavailable},
		{"fewer bytes", part("bytes 2-4/10", "23"), providers.ErrCorrupt},
		{"more bytes", part("bytes 2-4/10", "2345"), providers.ErrCorrupt},
		{"another file", plain(200, "X", "", "0123456789a"), providers.ErrStale},
		{"a page", plain(200, "Content-Type", "text/html; charset=utf-8", "0123456789"), providers.ErrUnavailable},
		{"a page in upper case", plain(200, "Content-Type", "TEXT/HTML", "0123456789"), providers.ErrUnavailable},
		{"compressed", plain(200, "Content-Encoding", "gzip", "0123456789"), providers.ErrUnavailable},
		{"no content", plain(204, "X", "", ""), providers.ErrUnavailable},
		{"shorter now", plain(416, "Content-Range", "bytes */1", ""), providers.ErrStale},
		{"refused", plain(403, "X", "", ""), errPermission},
		{"gone", plain(404, "X", "", ""), providers.ErrStale},
		{"a directory now", plain(301, "Location", "/f/", ""), providers.ErrStale},
		{"broken", plain(500, "X", "", ""), providers.ErrUnavailable},
		{"another ETag", plain(200, "ETag", `"other"`, "0123456789"), providers.ErrStale},
		{"in circles", plain(302, "Location", "/f", ""), providers.ErrUnavailable},
		{"to a file", plain(302, "Location", "file:///etc/passwd", ""), providers.ErrUnavailable},
		{"to a user", plain(302, "Location", "http://user:s3cret@127.0.0.1/f", ""), providers.ErrUnavailable},
	} {
		t.Run(c.name, func(t *testing.T) {
			good := true
			s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("ETag", `"1"`)
				if good {
					http.ServeContent(w, r, "f", then, strings.NewReader("0123456789"))
					return
				}
				c.answer(w, r)
			})
			m := open(t, s, Site{Index: "none"})
			e := stat(t, m, "f")
			good = false
			got, err := read(t.Context(), m, e, 2, 3)
			wants(t, "read", err, c.want)
			if want := "234"; !strings.HasPrefix(want, got) {
				t.Errorf("got %q, want a beginning of 234", got)
			}
		})
	}
}

// A body that is cut ends in an error that says so, and one that is silent too.
func TestCut(t *testing.T) {
	hold := make(chan struct{})
	for name, fault := range map[string]func(http.ResponseWriter){
		"cut":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"silent": func(w http.ResponseWriter) { w.(http.Flusher).Flush(); <-hold },
	} {
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			if r.Method == http.MethodHead {
				http.ServeContent(w, r, "f", then, strings.NewReader("0123456789"))
				return
			}
			w.Header().Set("Content-Length", "10")
			fmt.Fprint(w, "0123")
			fault(w)
		})
		m := open(t, s, Site{Index: "none"})
		e := stat(t, m, "f")
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		got, err := read(ctx, m, e, 0, 10)
		want := providers.ErrUnavailable
		if name == "silent" {
			want = context.DeadlineExceeded
		}
		wants(t, name, err, want)
		if want := "0123"; !strings.HasPrefix(want, got) {
			t.Errorf("%s: got %q, want a beginning of 0123", name, got)
		}
		cancel()
	}
	close(hold)
}

// Entries of a listing by digest are held to what the server has while the index says
// so, and to what it has later only if the index still does.
func TestListedByDigest(t *testing.T) {
	contents, serial := map[string]string{"f": "content"}, 1
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/index.json" {
			fmt.Fprintf(w, `[{"path":"f","size":7,"sha256":%q}]`, sumOf(contents["f"]))
			return
		}
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, serial))
		http.ServeContent(w, r, "f", then, strings.NewReader(contents["f"]))
	})
	m := open(t, s, Site{})
	listed, err := list(t, m, "")
	if err != nil || len(listed) != 1 || listed[0].Size != 7 || listed[0].Validator != "" {
		t.Fatalf("got %+v, %v; want one file of 7 bytes and no validator", listed, err)
	}
	e := listed[0]
	for i, want := range []int{3, 1} { // HEAD, index, GET; then GET alone
		s.questions()
		if got, err := read(t.Context(), m, e, 1, 3); got != "ont" || err != nil {
			t.Errorf("got %q, %v; want ont", got, err)
		}
		if got := s.questions(); len(got) != want {
			t.Errorf("read %d: asked %q, want %d questions", i, got, want)
		}
	}
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("check of a listed entry: got %v, want nil", err)
	}
	serial++ // written again, with the same content
	if got, err := read(t.Context(), m, e, 1, 3); got != "ont" || err != nil {
		t.Errorf("written again: got %q, %v; want ont", got, err)
	}
	contents["f"], serial = "CONTENT", serial+1
	got, err := read(t.Context(), m, e, 1, 3)
	wants(t, "replaced", err, providers.ErrStale)
	if got != "" {
		t.Errorf("replaced: got %q of other content", got)
	}
	wants(t, "check of a listed entry that was replaced", m.Check(t.Context(), e), providers.ErrChanged)
}

// A file that only its digest proves is read as a whole; one that nothing proves is
// not read.
func TestNoValidator(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/SHA256SUMS" {
			fmt.Fprintf(w, "%s  f\n", sumOf("content"))
			return
		}
		http.ServeContent(w, r, "f", time.Time{}, strings.NewReader("content"))
	})
	m := open(t, s, Site{})
	e := stat(t, m, "f")
	_, err := read(t.Context(), m, e, 1, 3)
	wants(t, "a range", err, providers.ErrWhole)
	if got, err := read(t.Context(), m, e, 0, 7); got != "content" || err != nil {
		t.Errorf("whole: got %q, %v; want content", got, err)
	}
	_, err = providers.Stat(t.Context(), open(t, s, Site{Index: "none"}), "f")
	wants(t, "without digest", err, errors.ErrUnsupported)
	e.Digest = ""
	_, err = read(t.Context(), m, e, 0, 7)
	wants(t, "an entry without proof", err, providers.ErrStale)
}
