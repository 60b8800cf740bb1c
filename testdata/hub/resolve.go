package hub

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"time"
)

// serveFiles answers /[kind/]{id}/resolve/{rev}/{path}.
func (s *Server) serveFiles(w http.ResponseWriter, r *http.Request, segments []string) {
	if !isKind(segments[0]) {
		segments = append([]string{"models"}, segments...)
	}
	p, ok := parsePlace(segments)
	if !ok || p.verb != "resolve" || p.path == "" {
		s.refuse(w, noRoute)
		return
	}
	f, b, ok := s.findFile(w, r, p)
	if !ok {
		return
	}
	set := s.set()
	w.Header().Set("Accept-Ranges", "bytes")
	switch {
	case b.sha256 != "" && !set.Inline:
		s.redirectToCDN(w, b)
	case b.sha256 == "" && !set.NoResolveCache:
		escaped := strings.Split(p.path, "/")
		for i := range escaped {
			escaped[i] = url.PathEscape(escaped[i])
		}
		w.Header().Set("Location", fmt.Sprintf("%s/api/resolve-cache/%s/%s/%s/%s?etag=%s", set.Prefix, p.kind,
			f.repo.id, f.commit.sha, strings.Join(escaped, "/"), url.QueryEscape(`"`+b.oid+`"`)))
		w.WriteHeader(http.StatusTemporaryRedirect)
	default:
		s.serveContent(w, r, b)
	}
}

// serveCached answers /api/resolve-cache/{kind}/{id}/{sha}/{path}. Its query is
// part of the key, so a client that drops it is refused.
func (s *Server) serveCached(w http.ResponseWriter, r *http.Request, segments []string) {
	if len(segments) < 5 || r.URL.Query().Get("etag") == "" {
		s.refuse(w, noRoute)
		return
	}
	// The route has no verb: with one in place it reads like any other. A sha
	// in the third place tells ids of one part from ids of two.
	at := 3
	if len(segments[2]) == 40 && len(segments[3]) != 40 {
		at = 2
	}
	segments = append(append(append([]string{}, segments[:at]...), "resolve"), segments[at:]...)
	p, ok := parsePlace(segments)
	if !ok || p.path == "" {
		s.refuse(w, noRoute)
		return
	}
	if _, b, ok := s.findFile(w, r, p); ok {
		s.serveContent(w, r, b)
	}
}

func (s *Server) findFile(w http.ResponseWriter, r *http.Request, p place) (found, *blob, bool) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return found{}, nil, false
	}
	f, ok := s.find(w, r, p, true)
	if !ok {
		return found{}, nil, false
	}
	w.Header().Set("X-Repo-Commit", f.commit.sha)
	b := f.commit.files[p.path]
	if b == nil {
		s.refuse(w, noEntry)
		return found{}, nil, false
	}
	return f, b, true
}

func (s *Server) redirectToCDN(w http.ResponseWriter, b *blob) {
	if set := s.set(); !set.NoLinked {
		w.Header().Set("X-Linked-Etag", `"`+b.sha256+`"`)
		w.Header().Set("X-Linked-Size", strconv.FormatInt(b.file.Size, 10))
	}
	location := s.sign(b.sha256)
	body := "Found. Redirecting to the content network"
	w.Header().Set("Location", location)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusFound)
	send(w, []byte(body))
}

// serveContent serves what the Hub serves itself: git files, or all in Inline mode.
func (s *Server) serveContent(w http.ResponseWriter, r *http.Request, b *blob) {
	etag := b.oid
	if b.sha256 != "" {
		etag = b.sha256
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("ETag", `"`+etag+`"`)
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(b.file.Content, 0, b.file.Size))
}

// sign makes a link to content that works until it expires or [Server.ExpireLinks].
func (s *Server) sign(sum string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	life := s.settings.LinkLife
	if life == 0 {
		life = time.Hour
	}
	expires := strconv.FormatInt(time.Now().Add(life).Unix(), 10)
	p := "/repos/" + sum[:2] + "/" + sum
	return fmt.Sprintf("%s%s?Expires=%s&Key-Pair-Id=K1&Signature=%s", s.CDNURL, p, expires, s.signature(p, expires))
}

// signature is bound to the present generation of links. Server.mu is held.
func (s *Server) signature(p, expires string) string {
	h := hmac.New(sha256.New, s.secret)
	fmt.Fprintf(h, "%s\n%s\n%d", p, expires, s.generation)
	return hex.EncodeToString(h.Sum(nil))
}

// ExpireLinks ends every link that was signed before.
func (s *Server) ExpireLinks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.generation++
}

// serveCDN answers signed GETs. A token or a cookie is a violation: whoever
// sends one has given it to a stranger.
func (s *Server) serveCDN(w http.ResponseWriter, r *http.Request) {
	for _, h := range []string{"Authorization", "Cookie"} {
		if r.Header.Get(h) != "" {
			s.mu.Lock()
			s.violations = append(s.violations, fmt.Sprintf("%s %s carries %s", r.Method, r.URL.Path, h))
			s.mu.Unlock()
			http.Error(w, "only one auth mechanism allowed", http.StatusBadRequest)
			return
		}
	}
	query := r.URL.Query()
	expires, err := strconv.ParseInt(query.Get("Expires"), 10, 64)
	s.mu.Lock()
	signed := hmac.Equal([]byte(query.Get("Signature")), []byte(s.signature(r.URL.Path, query.Get("Expires"))))
	b := s.contents[path.Base(r.URL.Path)]
	s.mu.Unlock()
	if r.Method != http.MethodGet || err != nil || !signed || time.Now().Unix() > expires || b == nil {
		http.Error(w, "<Error><Code>AccessDenied</Code><Message>Access denied</Message></Error>", http.StatusForbidden)
		return
	}
	// The network's etag looks like a digest of the content and is none.
	sum := sha256.Sum256([]byte("cdn " + b.sha256))
	w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:])+`"`)
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, io.NewSectionReader(b.file.Content, 0, b.file.Size))
}

// Violations tells of every request to the content network that carried a secret.
func (s *Server) Violations() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.violations...)
}
