package web

import (
	"bytes"
	"encoding/pem"
	"io"
	iofs "io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelfs/providers"
)

func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Each kind of credentials opens the site, a changed file at once, and a wrong one is
// refused without being told.
func TestCredentials(t *testing.T) {
	secret := "s3cret"
	for _, c := range []struct {
		name string
		site func(file string) Site
		sent func(*http.Request) string
	}{
		{"basic", func(f string) Site { return Site{Username: "ci", PasswordFile: f} },
			func(r *http.Request) string { _, p, _ := r.BasicAuth(); return p }},
		{"bearer", func(f string) Site { return Site{TokenFile: f} },
			func(r *http.Request) string { return strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ") }},
		{"header", func(f string) Site { return Site{TokenFile: f, HeaderName: "X-Api-Key"} },
			func(r *http.Request) string { return r.Header.Get("X-Api-Key") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
				if c.sent(r) != secret {
					w.Header().Set("WWW-Authenticate", "Basic")
					http.Error(w, "you sent "+c.sent(r), http.StatusUnauthorized)
					return
				}
				files(map[string]string{"f": "content"})(w, r)
			})
			file := secretFile(t, "s3cret of before")
			conf := c.site(file)
			conf.Index = "none"
			_, err := tryOpen(t, s, conf)
			wants(t, "a wrong secret", err, iofs.ErrPermission)
			if remedy := providers.Remedy(err); !strings.Contains(remedy, "sites.m") {
				t.Errorf("remedy: got %q, want the setting", remedy)
			}
			if err := os.WriteFile(file, []byte("s3cret"), 0o600); err != nil {
				t.Fatal(err)
			}
			m := open(t, s, conf)
			if got, err := read(t.Context(), m, stat(t, m, "f"), 0, 7); got != "content" || err != nil {
				t.Errorf("got %q, %v; want content", got, err)
			}
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
			_, err = providers.Stat(t.Context(), m, "f")
			wants(t, "no file", err, iofs.ErrPermission)
		})
	}
}

// Credentials stay at home: where a redirect leads they are not seen.
func TestCredentialsStayHome(t *testing.T) {
	secret := "s3cret"
	cdn := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		for name, values := range r.Header {
			if strings.Contains(strings.Join(values, " "), secret) || name == "X-Api-Key" || name == "Authorization" {
				t.Errorf("%s came to another host", name)
			}
		}
		files(map[string]string{"f": "content"})(w, r)
	})
	home := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Api-Key") != secret || r.Header.Get("Authorization") == "" {
			t.Errorf("no credentials at home for %s", r.URL)
		}
		http.Redirect(w, r, cdn.URL+r.URL.Path, http.StatusFound)
	})
	m := open(t, home, Site{Index: "none", Username: "ci", PasswordFile: secretFile(t, secret), TokenFile: secretFile(t, secret), HeaderName: "X-Api-Key"})
	e := stat(t, m, "f")
	if got, err := read(t.Context(), m, e, 1, 3); got != "ont" || err != nil {
		t.Errorf("got %q, %v; want ont", got, err)
	}
	if len(cdn.questions()) < 2 {
		t.Error("the other host was not asked")
	}
}

// A page where somebody signs in is no list, no file, and not the end of one.
func TestLoginPage(t *testing.T) {
	s := newSource(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/login" {
			http.Redirect(w, r, "/login", http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(`<form><a href="/login/f">f</a></form>`))
	})
	for _, index := range []string{"index.json", "sha256sums", "html"} {
		_, err := tryOpen(t, s, Site{Index: index})
		wants(t, index, err, providers.ErrUnavailable)
	}
	_, err := providers.Stat(t.Context(), open(t, s, Site{Index: "none"}), "f")
	wants(t, "stat", err, providers.ErrUnavailable)
}

// A certificate of the operator's own authority is trusted, and others are not.
func TestCAFile(t *testing.T) {
	s := httptest.NewUnstartedServer(files(map[string]string{"f": "content"}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that do not trust it
	s.StartTLS()
	t.Cleanup(s.Close)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	var buf bytes.Buffer
	if err := pem.Encode(&buf, &pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}); err != nil {
		t.Fatal(err)
	}
	write(t, ca, buf.String())
	m, err := tryOpen(t, nil, Site{URL: s.URL, Index: "none", CAFile: ca})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), m, stat(t, m, "f"), 0, 7); got != "content" || err != nil {
		t.Errorf("got %q, %v; want content", got, err)
	}
	_, err = tryOpen(t, nil, Site{URL: s.URL, Index: "none"})
	wants(t, "unknown authority", err, providers.ErrUnavailable)
	if remedy := providers.Remedy(err); !strings.Contains(remedy, "ca_file") {
		t.Errorf("remedy: got %q, want ca_file", remedy)
	}
	if _, err := New(providers.Env{}, Config{Sites: map[string]Site{"m": {URL: s.URL, CAFile: ca + ".absent"}}}); err == nil {
		t.Error("a ca_file that is not there: got an instance")
	}
}

// An escaped slash in the folder's address stays one.
func TestAddress(t *testing.T) {
	s := newSource(t, files(map[string]string{"group/repo/f g%": "content"}))
	m := open(t, s, Site{URL: s.URL + "/group%2Frepo", Index: "none"})
	s.questions()
	stat(t, m, "f g%")
	if got := s.questions(); len(got) != 1 || got[0] != "HEAD /group%2Frepo/f%20g%25" {
		t.Errorf("asked %q, want HEAD /group%%2Frepo/f%%20g%%25", got)
	}
	if u, err := url.Parse(m.Origin().Source); err != nil || u.EscapedPath() != "/group%2Frepo/" {
		t.Errorf("origin: got %s, %v; want the folder's address", m.Origin().Source, err)
	}
}
