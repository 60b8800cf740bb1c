package hub

import (
	"net/http"
	"slices"
	"strings"
)

// grants are the repositories that a token may read beyond the public ones.
type grants struct {
	repos  []string
	scoped bool // the token's role does not allow reading repositories at all
}

// Allow makes token valid, and lets it read the private and gated repositories
// named. A token that was never allowed is refused everywhere.
func (s *Server) Allow(token string, repos ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = grants{repos: repos}
}

// AllowNothing makes token valid but without the scope to read repositories.
func (s *Server) AllowNothing(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tokens[token] = grants{scoped: true}
}

// Revoke makes token invalid.
func (s *Server) Revoke(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, token)
}

// refusal is an answer that says no, as the service words it.
type refusal struct {
	status        int
	code, message string
}

var (
	badToken     = &refusal{http.StatusUnauthorized, "", "Invalid credentials in Authorization header"}
	noScope      = &refusal{http.StatusForbidden, "", "Forbidden: this token has not the scope to read repositories"}
	isDisabled   = &refusal{http.StatusForbidden, "", "Access to this resource is disabled."}
	noRepoAnon   = &refusal{http.StatusUnauthorized, "RepoNotFound", "Repository not found"}
	noRepo       = &refusal{http.StatusNotFound, "RepoNotFound", "Repository not found"}
	noRevision   = &refusal{http.StatusNotFound, "RevisionNotFound", "Invalid rev id"}
	noEntry      = &refusal{http.StatusNotFound, "EntryNotFound", "Entry not found"}
	gatedAnon    = &refusal{http.StatusUnauthorized, "GatedRepo", "Access to this repository is restricted. You must have access to it and be authenticated."}
	gatedGranted = &refusal{http.StatusForbidden, "GatedRepo", "Access to this repository is restricted and you are not in the authorized list."}
	noRoute      = &refusal{http.StatusNotFound, "", "Sorry, we can't find the page you are looking for."}
)

// bearer returns the token of r and what it may read. Server.mu is held.
func (s *Server) bearer(r *http.Request) (token string, g grants, no *refusal) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return "", grants{}, nil
	}
	token, ok := strings.CutPrefix(header, "Bearer ")
	g, known := s.tokens[token]
	if !ok || !known {
		return "", grants{}, badToken
	}
	return token, g, nil
}

// admit decides whether the caller may see rp at all. Server.mu is held.
func (s *Server) admit(r *http.Request, rp *repo) *refusal {
	token, g, no := s.bearer(r)
	switch {
	case no != nil:
		return no
	case g.scoped:
		return noScope
	case rp == nil || rp.private && !g.may(rp):
		if token == "" {
			return noRepoAnon
		}
		return noRepo
	case rp.disabled:
		return isDisabled
	}
	return nil
}

// admitFiles decides whether the caller may read the files of rp, which a gated
// repository shows but does not hand out. Server.mu is held.
func (s *Server) admitFiles(r *http.Request, rp *repo) *refusal {
	token, g, _ := s.bearer(r)
	switch {
	case !rp.gated || g.may(rp):
		return nil
	case token == "":
		return gatedAnon
	}
	return gatedGranted
}

func (g grants) may(r *repo) bool {
	name := r.id
	if r.kind != "models" {
		name = r.kind + "/" + r.id
	}
	return slices.Contains(g.repos, name)
}

func (s *Server) refuse(w http.ResponseWriter, no *refusal) {
	if !s.set().NoErrorCode {
		if no.code != "" {
			w.Header().Set("X-Error-Code", no.code)
		}
		w.Header().Set("X-Error-Message", no.message)
	}
	writeJSON(w, no.status, map[string]string{"error": no.message})
}
