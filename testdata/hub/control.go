package hub

import (
	"net/http"
	"strings"
)

// controlPath begins the calls of tests that are not in this process. They are
// neither recorded nor counted against a quota.
//
//	POST /-/push?repo=<org>/<repo>   push a repository of the loaded directory again
//	POST /-/expire                   end every signed link
//	POST /-/forget                   empty the record
//	GET  /-/requests                 the record, one line each, with "token" where one was sent
//	GET  /-/violations               the secrets sent to the content network, one line each
const controlPath = "/-/"

func (s *Server) serveControl(w http.ResponseWriter, r *http.Request, call string) {
	switch r.Method + " " + call {
	case "POST push":
		s.servePush(w, r)
	case "POST expire":
		s.ExpireLinks()
	case "POST forget":
		s.Forget()
	case "GET requests":
		var lines []string
		for _, r := range s.Requests() {
			line := r.String()
			if r.Header.Get("Authorization") != "" {
				line += " token"
			}
			lines = append(lines, line+"\n")
		}
		send(w, []byte(strings.Join(lines, "")))
	case "GET violations":
		for _, v := range s.Violations() {
			send(w, []byte(v+"\n"))
		}
	default:
		http.NotFound(w, r)
	}
}

// servePush pushes one repository of the loaded directory again.
func (s *Server) servePush(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	dir := s.dir
	s.mu.Unlock()
	org, name, ok := strings.Cut(r.URL.Query().Get("repo"), "/")
	if r.Method != http.MethodPost || dir == "" || !ok || !safe(org) || !safe(name) {
		http.Error(w, "POST /-/push?repo=<org>/<repo> needs a server with a directory", http.StatusBadRequest)
		return
	}
	sha, err := s.PushDir(org+"/"+name, dir+"/"+org+"/"+name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeJSON(w, http.StatusOK, map[string]string{"sha": sha})
}

func safe(s string) bool { return s != "" && s[0] != '.' && !strings.ContainsAny(s, "/\\") }
