package hub

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
)

// serveRepo answers /api/{kind}/{id}[/verb...].
func (s *Server) serveRepo(w http.ResponseWriter, r *http.Request, segments []string) {
	p, ok := parsePlace(segments)
	if !ok {
		s.refuse(w, noRoute)
		return
	}
	method := http.MethodGet
	if p.verb == "paths-info" {
		method = http.MethodPost
	}
	if r.Method != method {
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	f, ok := s.find(w, r, p, p.verb == "auth-check")
	if !ok {
		return
	}
	switch p.verb {
	case "info":
		writeJSON(w, http.StatusOK, f.info(r.URL.Query()))
	case "tree":
		s.serveTree(w, r, p, f)
	case "paths-info":
		s.servePathsInfo(w, r, f)
	case "refs":
		writeJSON(w, http.StatusOK, f.refList(r.URL.Query().Get("include_prs")))
	case "auth-check":
		writeJSON(w, http.StatusOK, struct{}{})
	default:
		s.refuse(w, noRoute)
	}
}

// info is the repository at a revision; expand selects fields, and what is not
// asked for is then left out.
func (f found) info(query url.Values) map[string]any {
	siblings := []map[string]any{}
	for _, p := range slices.Sorted(maps.Keys(f.commit.files)) {
		sibling := map[string]any{"rfilename": p}
		if b := f.commit.files[p]; yes(query.Get("blobs")) {
			sibling["size"], sibling["blobId"] = b.file.Size, b.oid
			if b.sha256 != "" {
				sibling["lfs"] = map[string]any{"sha256": b.sha256, "size": b.file.Size, "pointerSize": b.ptr}
			}
		}
		siblings = append(siblings, sibling)
	}
	var gated any = false
	if f.repo.gated {
		gated = "manual"
	}
	all := map[string]any{
		"sha": f.commit.sha, "lastModified": f.commit.date.Format("2006-01-02T15:04:05.000Z"),
		"createdAt": "2026-01-01T00:00:00.000Z", "private": f.repo.private, "gated": gated,
		"disabled": f.repo.disabled, "downloads": 1, "likes": 1, "tags": []string{}, "siblings": siblings,
		"author": path.Dir(f.repo.id), "usedStorage": 1,
	}
	if expand := query["expand"]; len(expand) > 0 {
		maps.DeleteFunc(all, func(field string, _ any) bool { return !slices.Contains(expand, field) })
	}
	all["id"], all["_id"] = f.repo.id, "0123456789abcdef01234567"
	if f.repo.kind == "models" {
		all["modelId"] = f.repo.id
	}
	return all
}

func yes(s string) bool { return s == "true" || s == "True" || s == "1" }

func (f found) refList(pulls string) map[string]any {
	type ref struct {
		Name         string `json:"name"`
		Ref          string `json:"ref"`
		TargetCommit string `json:"targetCommit"`
	}
	pick := func(prefix string) []ref {
		rows := []ref{}
		for _, full := range slices.Sorted(maps.Keys(f.refs)) {
			if name, ok := strings.CutPrefix(full, prefix); ok {
				rows = append(rows, ref{name, full, f.refs[full]})
			}
		}
		return rows
	}
	all := map[string]any{"branches": pick("refs/heads/"), "tags": pick("refs/tags/"), "converts": pick("refs/convert/")}
	if yes(pulls) {
		all["pullRequests"] = pick("refs/pr/")
	}
	return all
}

// A Row is one entry of a tree or paths-info answer; an honest one has the
// fields that [Server] writes, a hostile one may have any.
type Row map[string]any

// row describes the file or directory at p.
func (c *commit) row(p string) (Row, bool) {
	if id, ok := c.dirs[p]; ok {
		return Row{"type": "directory", "oid": id, "size": 0, "path": p}, true
	}
	b, ok := c.files[p]
	if !ok {
		return nil, false
	}
	row := Row{"type": "file", "oid": b.oid, "size": b.file.Size, "path": p}
	if b.sha256 != "" {
		row["lfs"] = Row{"oid": b.sha256, "size": b.file.Size, "pointerSize": b.ptr}
	}
	return row, true
}

// serveTree answers one page. The cursor is opaque to callers: the number of
// the first entry.
func (s *Server) serveTree(w http.ResponseWriter, r *http.Request, p place, f found) {
	if _, ok := f.commit.dirs[p.path]; !ok && p.path != "" {
		w.Header().Set("X-Repo-Commit", f.commit.sha)
		s.refuse(w, noEntry)
		return
	}
	query, set := r.URL.Query(), s.set()
	rows := f.commit.rows(p.path, yes(query.Get("recursive")))
	if p.path == "" {
		rows = append(rows, set.Rows...)
	}
	size := set.PageSize
	if limit, err := strconv.Atoi(query.Get("limit")); err == nil && limit > 0 && (size == 0 || limit < size) {
		size = limit
	}
	if size == 0 {
		size = 1000
	}
	start, err := strconv.Atoi(query.Get("cursor"))
	if query.Has("cursor") && err != nil || start < 0 || start > len(rows) {
		http.Error(w, "bad cursor", http.StatusBadRequest)
		return
	}
	end := min(start+size, len(rows))
	if end < len(rows) {
		query.Set("cursor", strconv.Itoa(end))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, s.base(r), r.URL.EscapedPath(), query.Encode()))
	}
	writeJSON(w, http.StatusOK, rows[start:end])
}

// base is the address that the server believes to have.
func (s *Server) base(r *http.Request) string {
	if canonical := s.set().Canonical; canonical != "" {
		return canonical
	}
	if r.TLS != nil {
		return "https://" + r.Host
	}
	return "http://" + r.Host
}

func (c *commit) rows(dir string, recursive bool) []Row {
	paths := slices.Concat(slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(c.dirs)))
	slices.Sort(paths)
	rows := []Row{}
	for _, p := range paths {
		rel := p
		if dir != "" {
			var below bool
			if rel, below = strings.CutPrefix(p, dir+"/"); !below {
				continue
			}
		}
		if recursive || !strings.Contains(rel, "/") {
			row, _ := c.row(p)
			rows = append(rows, row)
		}
	}
	return rows
}

// servePathsInfo leaves out the paths that are not there.
func (s *Server) servePathsInfo(w http.ResponseWriter, r *http.Request, f found) {
	var body struct{ Paths []string }
	// The Python client sends a form, the JavaScript one JSON.
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, "bad JSON", http.StatusBadRequest)
			return
		}
	} else {
		if err := r.ParseForm(); err != nil {
			http.Error(w, "bad form", http.StatusBadRequest)
			return
		}
		body.Paths = r.PostForm["paths"]
	}
	rows := []Row{}
	for _, p := range body.Paths {
		if row, ok := f.commit.row(p); ok {
			rows = append(rows, row)
		}
	}
	writeJSON(w, http.StatusOK, rows)
}

func (s *Server) serveWhoami(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	token, _, no := s.bearer(r)
	s.mu.Unlock()
	if no != nil || token == "" {
		s.refuse(w, badToken)
		return
	}
	writeJSON(w, http.StatusOK, map[string]any{"type": "user", "id": "1", "name": "tester", "fullname": "Tester",
		"orgs": []string{}, "auth": map[string]any{"type": "access_token",
			"accessToken": map[string]any{"displayName": "test", "role": "read"}}})
}

// serveAuthor lists the public repositories of one author, or of all.
func (s *Server) serveAuthor(w http.ResponseWriter, r *http.Request, kind string) {
	query := r.URL.Query()
	author := query.Get("author")
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		limit = 1000
	}
	rows := []Row{}
	s.mu.Lock()
	for _, rp := range s.repos {
		owner, _, _ := strings.Cut(rp.id, "/")
		if rp.kind == kind && !rp.private && strings.Contains(rp.id, "/") && (author == "" || author == owner) {
			rows = append(rows, Row{"id": rp.id, "_id": "0123456789abcdef01234567", "private": false})
		}
	}
	hidden := s.settings.NoAuthors
	s.mu.Unlock()
	if hidden {
		s.refuse(w, noRoute)
		return
	}
	slices.SortFunc(rows, func(a, b Row) int { return strings.Compare(a["id"].(string), b["id"].(string)) })
	writeJSON(w, http.StatusOK, rows[:min(limit, len(rows))])
}
