package web

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

const aPage = `<html><head><title>Index of /</title></head><body><a href="../">../</a><a href="f">f</a><a href="d/">d/</a></body></html>`

// withPage serves files, and a page for the folder.
func withPage(contents map[string]string) http.HandlerFunc {
	serve := files(contents)
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			fmt.Fprint(w, aPage)
			return
		}
		serve(w, r)
	}
}

// Of the lists that a folder offers the first is taken, and the others not asked for.
func TestFind(t *testing.T) {
	sums := sumOf("x") + "  f\n"
	for _, c := range []struct {
		name     string
		contents map[string]string
		index    string
		asks     string
		want     string
	}{
		{"index.json", map[string]string{"index.json": `[{"path":"f"}]`, "SHA256SUMS": sums}, "", "GET /index.json", "index.json"},
		{"sums", map[string]string{"SHA256SUMS": sums}, "auto", "GET /index.json, GET /SHA256SUMS", "sha256sums"},
		{"page", nil, "auto", "GET /index.json, GET /SHA256SUMS, GET /", "html"},
		{"another index.json", map[string]string{"index.json": `{"weight_map": {}}`}, "", "GET /index.json, GET /SHA256SUMS, GET /", "html"},
		{"sums by choice", map[string]string{"index.json": `[{"path":"f"}]`, "SHA256SUMS": sums}, "sha256sums", "GET /SHA256SUMS", "sha256sums"},
		{"page by choice", map[string]string{"index.json": `[{"path":"f"}]`}, "html", "GET /", "html"},
		{"none by choice", map[string]string{"index.json": `[{"path":"f"}]`}, "none", "HEAD /", "none"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSource(t, withPage(c.contents))
			m := open(t, s, Site{Index: c.index})
			if got := strings.Join(s.questions(), ", "); got != c.asks {
				t.Errorf("asked %s; want %s", got, c.asks)
			}
			d, ok := providers.As[providers.Describer](m)
			if !ok {
				t.Fatal("no Describer")
			}
			facts, err := d.Describe(t.Context())
			if err != nil || !slices.Contains(facts, providers.Fact{Key: "index", Value: c.want}) {
				t.Errorf("got %v, %v; want index %s", facts, err, c.want)
			}
			// What was found is one request from now on.
			if got := s.questions(); len(got) != 1 {
				t.Errorf("asked again: %q; want one question", got)
			}
		})
	}
}

// A folder without list: files are found by their paths.
func TestUnlisted(t *testing.T) {
	for _, answer := range []int{http.StatusForbidden, http.StatusNotFound} {
		serve := files(map[string]string{"a/b": "content"})
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/" {
				http.Error(w, "no", answer)
				return
			}
			serve(w, r)
		})
		m := open(t, s, Site{Index: "none"})
		e := stat(t, m, "a/b")
		if got, err := read(t.Context(), m, e, 1, 3); got != "ont" || err != nil {
			t.Errorf("folder answers %d: got %q, %v; want ont", answer, got, err)
		}
		_, err := list(t, m, "")
		wants(t, "list", err, errors.ErrUnsupported)
		_, err = providers.Stat(t.Context(), m, "absent")
		wants(t, "absent file", err, iofs.ErrNotExist)
	}
}

// Left to find a list, a folder that is not there is absent, and a forbidden one has
// no list.
func TestFolderRefuses(t *testing.T) {
	for status, want := range map[int]error{
		http.StatusNotFound: iofs.ErrNotExist, http.StatusUnauthorized: iofs.ErrPermission,
		http.StatusInternalServerError: providers.ErrUnavailable, http.StatusForbidden: nil,
	} {
		s := newSource(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", status) })
		if _, err := tryOpen(t, s, Site{}); want != nil {
			wants(t, http.StatusText(status), err, want)
		} else if err != nil {
			t.Errorf("%d: got %v, want a model", status, err)
		}
	}
}

// An index that is not there is a failure where the configuration asks for it, and
// where it was there before.
func TestIndexGone(t *testing.T) {
	contents := map[string]string{"SHA256SUMS": sumOf("x") + "  f\n", "f": "x"}
	s := newSource(t, withPage(contents))
	m, chosen := open(t, s, Site{}), open(t, s, Site{Index: "sha256sums"})
	delete(contents, "SHA256SUMS")
	_, err := providers.Stat(t.Context(), m, "f")
	wants(t, "stat", err, providers.ErrUnavailable)
	_, err = providers.Stat(t.Context(), chosen, "f")
	wants(t, "stat by choice", err, providers.ErrUnavailable)
	_, err = tryOpen(t, s, Site{Index: "sha256sums"})
	wants(t, "resolve by choice", err, providers.ErrUnavailable)
	// What was found by itself is looked for anew.
	if got, err := list(t, m, ""); err != nil || paths(got) != "f d/" {
		t.Errorf("list after the index has gone: got %s, %v; want f d/", paths(got), err)
	}
}

// An unchanged index is not sent again, unless it is so young that another could have
// the same time.
func TestIndexUnchanged(t *testing.T) {
	for age, want := range map[time.Duration]int{time.Hour: 1, 0: 3} {
		sent := 0
		s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/SHA256SUMS" {
				http.NotFound(w, r)
				return
			}
			changed := time.Now().Add(-age)
			if r.Header.Get("If-None-Match") == `"1"` {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			sent++
			w.Header().Set("ETag", `"1"`)
			w.Header().Set("Last-Modified", changed.UTC().Format(http.TimeFormat))
			fmt.Fprintf(w, "%s  f\n", sumOf("x"))
		})
		m := open(t, s, Site{Index: "sha256sums"})
		for range 2 {
			_, err := providers.Stat(t.Context(), m, "f") // which asks each time
			wants(t, "stat of a file that is only in the index", err, iofs.ErrNotExist)
		}
		if sent != want {
			t.Errorf("changed %s before: sent %d times, want %d", age, sent, want)
		}
		for range 5 {
			if got, err := list(t, m, ""); err != nil || paths(got) != "f" {
				t.Errorf("list: got %s, %v; want f", paths(got), err)
			}
		}
		if got := s.questions(); len(got) != 5 {
			t.Errorf("changed %s before: asked %q; want the listings answered by the last", age, got)
		}
	}
}

// The index is the word on what is there, and on which content it is.
func TestIndexAndServerDisagree(t *testing.T) {
	contents := map[string]string{"f": "content", "unlisted": "x"}
	contents["index.json"] = fmt.Sprintf(`[{"path":"f","size":7,"sha256":%q}, {"path":"lost","size":1,"sha256":%q}]`, sumOf("content"), sumOf("x"))
	s := newSource(t, files(contents))
	m := open(t, s, Site{})
	_, err := providers.Stat(t.Context(), m, "unlisted")
	wants(t, "a file that is not in the index", err, iofs.ErrNotExist)
	_, err = providers.Stat(t.Context(), m, "lost")
	wants(t, "a file that is only in the index", err, iofs.ErrNotExist)
	e := stat(t, m, "f")
	if e.Digest.Hex() != sumOf("content") || e.Validator == "" {
		t.Errorf("got %+v, want the index's digest and the server's validator", e)
	}
	contents["f"] = "longer content"
	_, err = providers.Stat(t.Context(), m, "f")
	wants(t, "another length than the index says", err, providers.ErrCorrupt)
}
