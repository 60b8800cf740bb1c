package hub

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// A place is what the path of a URL speaks of.
type place struct {
	kind, id string
	verb     string // info, tree, paths-info, refs, auth-check, resolve, cache
	rev      string
	path     string
}

var verbs = []string{"revision", "tree", "paths-info", "refs", "auth-check", "resolve"}

// serveHub routes by the escaped path, in which a revision is one segment.
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	if call, ok := strings.CutPrefix(r.URL.Path, controlPath); ok {
		s.serveControl(w, r, call)
		return
	}
	escaped, ok := strings.CutPrefix(r.URL.EscapedPath(), s.set().Prefix)
	if !ok {
		http.Error(w, "not below the prefix", http.StatusNotFound)
		return
	}
	segments := strings.Split(strings.TrimPrefix(escaped, "/"), "/")
	if !s.spend(w, bucket(segments)) {
		return
	}
	if segments[0] != "api" {
		s.serveFiles(w, r, segments)
		return
	}
	segments = segments[1:]
	switch {
	case len(segments) == 1 && segments[0] == "whoami-v2":
		s.serveWhoami(w, r)
	case len(segments) > 1 && segments[0] == "resolve-cache":
		s.serveCached(w, r, segments[1:])
	case len(segments) == 1 && isKind(segments[0]):
		s.serveAuthor(w, r, segments[0])
	case len(segments) > 1 && isKind(segments[0]):
		s.serveRepo(w, r, segments)
	default:
		s.refuse(w, noRoute)
	}
}

func bucket(segments []string) string {
	switch {
	case slices.Contains(segments, "resolve") || slices.Contains(segments, "resolve-cache"):
		return "resolvers"
	case segments[0] == "api":
		return "api"
	}
	return "pages"
}

func isKind(s string) bool { return s == "models" || s == "datasets" || s == "spaces" }

// parsePlace reads kind/id[/verb[/rev[/path...]]], where id has one or two
// segments: the second segment is a verb only if the rest fits it.
func parsePlace(segments []string) (place, bool) {
	decoded := make([]string, len(segments))
	for i, raw := range segments {
		s, err := url.PathUnescape(raw)
		if err != nil || s == "" {
			return place{}, false
		}
		decoded[i] = s
	}
	p := place{kind: decoded[0], verb: "info"}
	rest := decoded[1:]
	n := min(2, len(rest))
	if n == 2 && slices.Contains(verbs, rest[1]) {
		n = 1
	}
	if n == 0 || strings.Contains(strings.Join(rest[:n], ""), "/") {
		return place{}, false
	}
	p.id, rest = strings.Join(rest[:n], "/"), rest[n:]
	if len(rest) > 0 {
		p.verb, rest = rest[0], rest[1:]
	}
	if len(rest) > 0 {
		p.rev, rest = rest[0], rest[1:]
	}
	p.path = strings.Join(rest, "/")
	if p.verb == "revision" {
		p.verb = "info"
	}
	return p, true
}

// found is what a place means, copied out of the lock.
type found struct {
	repo   repo
	commit *commit
	refs   map[string]string
}

// find looks a place up and answers the request itself where that fails: with
// a refusal, or with a redirect to the name that the repository has now.
func (s *Server) find(w http.ResponseWriter, r *http.Request, p place, files bool) (found, bool) {
	s.mu.Lock()
	rp := s.repos[key(p.kind, p.id)]
	id, moved := s.renamed[key(p.kind, p.id)]
	if rp != nil && rp.id != p.id {
		id, moved, rp = rp.id, true, nil
	}
	if rp == nil && moved {
		s.mu.Unlock()
		s.redirectRenamed(w, r, p.id, id)
		return found{}, false
	}
	no := s.admit(r, rp)
	if no == nil && files {
		no = s.admitFiles(r, rp)
	}
	var f found
	if no == nil {
		rev := p.rev
		if rev == "" {
			rev = "main"
		}
		f = found{repo: *rp, commit: rp.commit(rev), refs: map[string]string{}}
		for ref, sha := range rp.refs {
			f.refs[ref] = sha
		}
		if f.commit == nil {
			no = noRevision
		}
	}
	s.mu.Unlock()
	if no != nil {
		s.refuse(w, no)
		return found{}, false
	}
	return f, true
}

// redirectRenamed answers as the service does: a relative 307, query kept.
func (s *Server) redirectRenamed(w http.ResponseWriter, r *http.Request, old, id string) {
	to := strings.Replace(r.URL.EscapedPath(), "/"+old, "/"+id, 1)
	if r.URL.RawQuery != "" {
		to += "?" + r.URL.RawQuery
	}
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusTemporaryRedirect)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	send(w, body)
}

// send writes the last of an answer; a client that has left misses nothing.
func send(w http.ResponseWriter, body []byte) { _, _ = w.Write(body) }
