package hub

import (
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A repo is one repository. Its id and kind never change; Server.mu guards the rest.
type repo struct {
	kind, id string // "models", "org/name"
	commits  map[string]*commit
	refs     map[string]string // full ref → sha
	private  bool
	gated    bool
	disabled bool
}

// splitName takes a repository's name as URLs have it: "datasets/org/name".
func splitName(name string) (kind, id string) {
	for _, kind := range []string{"datasets", "spaces"} {
		if id, ok := strings.CutPrefix(name, kind+"/"); ok {
			return kind, id
		}
	}
	return "models", name
}

func key(kind, id string) string { return kind + "/" + strings.ToLower(id) }

// Push makes a commit of exactly these files on a branch, creates the
// repository and the branch if there are none, and returns the commit's id. A
// name that begins with "datasets/" or "spaces/" is one of those. It panics
// where a file cannot be read.
func (s *Server) Push(name, branch string, files map[string]File) string {
	sha, err := s.push(name, "refs/heads/"+branch, files)
	if err != nil {
		panic(err)
	}
	return sha
}

// PushRef is Push to any ref: "refs/pr/1", "refs/tags/v1".
func (s *Server) PushRef(name, ref string, files map[string]File) string {
	sha, err := s.push(name, ref, files)
	if err != nil {
		panic(err)
	}
	return sha
}

func (s *Server) push(name, ref string, files map[string]File) (string, error) {
	blobs := make(map[string]*blob, len(files))
	for p, f := range files {
		b, err := newBlob(p, f)
		if err != nil {
			return "", fmt.Errorf("hub: push %s: %s: %w", name, p, err)
		}
		blobs[p] = b
	}
	kind, id := splitName(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[key(kind, id)]
	if r == nil {
		r = &repo{kind: kind, id: id, commits: map[string]*commit{}, refs: map[string]string{}}
		s.repos[key(kind, id)] = r
	}
	for _, b := range blobs {
		if b.sha256 != "" {
			s.contents[b.sha256] = b
		}
	}
	s.clock = s.clock.Add(time.Minute)
	c := newCommit(blobs, r.refs[ref], s.clock)
	r.commits[c.sha] = c
	r.refs[ref] = c.sha
	return c.sha, nil
}

// PushDir is Push of the files below dir on the main branch.
func (s *Server) PushDir(name, dir string) (string, error) {
	files := map[string]File{}
	err := filepath.WalkDir(dir, func(p string, d iofs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(rel)] = File{Content: onDisk(p), Size: info.Size()}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("hub: %w", err)
	}
	return s.push(name, "refs/heads/main", files)
}

// LoadDir pushes every DIR/<org>/<repo> and lets POST /-/push?repo=<org>/<repo>
// push one of them again.
func (s *Server) LoadDir(dir string) error {
	repos, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	for _, p := range repos {
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			continue
		}
		name := filepath.Base(filepath.Dir(p)) + "/" + filepath.Base(p)
		if _, err := s.PushDir(name, p); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dir = dir
	return nil
}

// Tag points a tag at a commit.
func (s *Server) Tag(name, tag, sha string) {
	s.change(name, func(r *repo) { r.refs["refs/tags/"+tag] = sha })
}

// DeleteRef removes a ref by its full name.
func (s *Server) DeleteRef(name, ref string) { s.change(name, func(r *repo) { delete(r.refs, ref) }) }

// Squash forgets every commit that no ref names.
func (s *Server) Squash(name string) {
	s.change(name, func(r *repo) {
		kept := map[string]*commit{}
		for _, sha := range r.refs {
			kept[sha] = r.commits[sha]
		}
		r.commits = kept
	})
}

// SetPrivate hides a repository from all but tokens that may read it.
func (s *Server) SetPrivate(name string, on bool) { s.change(name, func(r *repo) { r.private = on }) }

// SetGated refuses the files of a repository to all but tokens that may read it.
func (s *Server) SetGated(name string, on bool) { s.change(name, func(r *repo) { r.gated = on }) }

// SetDisabled refuses a repository to everybody.
func (s *Server) SetDisabled(name string, on bool) { s.change(name, func(r *repo) { r.disabled = on }) }

// Delete removes a repository.
func (s *Server) Delete(name string) {
	s.change(name, func(r *repo) { delete(s.repos, key(r.kind, r.id)) })
}

// Rename gives a repository another id; the old one redirects from now on.
func (s *Server) Rename(name, id string) {
	s.change(name, func(r *repo) {
		delete(s.repos, key(r.kind, r.id))
		s.renamed[key(r.kind, r.id)] = id
		moved := *r
		moved.id = id
		s.repos[key(r.kind, id)] = &moved
	})
}

// change runs f on a repository under the lock; one that is not there is a
// mistake in the test.
func (s *Server) change(name string, f func(*repo)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[key(splitName(name))]
	if r == nil {
		panic("hub: no repository " + name)
	}
	f(r)
}

// commit finds what a revision means: a branch, a tag, a full ref, a commit id
// or the beginning of one.
func (r *repo) commit(rev string) *commit {
	for _, ref := range []string{"refs/heads/" + rev, "refs/tags/" + rev, rev} {
		if sha, ok := r.refs[ref]; ok {
			return r.commits[sha]
		}
	}
	if len(rev) < 5 {
		return nil
	}
	for sha, c := range r.commits {
		if strings.HasPrefix(sha, rev) {
			return c
		}
	}
	return nil
}
