package transformers

import (
	"fmt"
	iofs "io/fs"
	"net/url"
	"regexp"
	"strings"

	"modelfs/providers"
)

// A kind is one of the Hub's repository types: how its URLs and the folders of
// huggingface_hub's cache begin (constants.py, REPO_TYPES_URL_PREFIXES).
type kind struct{ prefix, api, folder string }

var (
	models   = kind{"", "models", "models"}
	datasets = kind{"datasets/", "datasets", "datasets"}
	spaces   = kind{"spaces/", "spaces", "spaces"}
)

// A repo is one repository of the Hub.
type repo struct {
	kind kind
	id   string // "name" or "org/name"
}

// String is the repo's name: its id, after "datasets/" or "spaces/" for those.
func (r repo) String() string { return r.kind.prefix + r.id }

// single reports whether the id has one part, and so may be an author's too.
func (r repo) single() bool { return !strings.Contains(r.id, "/") }

// parseRepo reads a name. "datasets" and "spaces" alone are only the beginning
// of names.
func parseRepo(name string) (repo, error) {
	r := repo{models, name}
	for _, k := range []kind{datasets, spaces} {
		if name+"/" == k.prefix {
			return repo{}, providers.ErrPartial
		}
		if id, ok := strings.CutPrefix(name, k.prefix); ok {
			r = repo{k, id}
		}
	}
	if !validID(r.id) {
		return repo{}, fmt.Errorf("%w: no repository can be called so", iofs.ErrNotExist)
	}
	return r, nil
}

// idPattern is REPO_ID_REGEX of huggingface_hub (utils/_validators.py), whose
// word boundaries keep '-' and '.' off the ends of each part.
var idPattern = regexp.MustCompile(`^(\w|\w[\w.-]{0,94}\w)(/(\w|\w[\w.-]{0,94}\w))?$`)

func validID(id string) bool {
	return idPattern.MatchString(id) && !strings.Contains(id, "--") && !strings.Contains(id, "..") && !strings.HasSuffix(id, ".git")
}

// validRef reports whether git could have a ref of this name (git
// check-ref-format); what it could not is refused without a request.
func validRef(ref string) bool {
	if len(ref) > 255 || strings.Contains(ref, "..") || strings.ContainsAny(ref, " ~^:?*[\\") || ref == "." {
		return false
	}
	for i := range len(ref) {
		if ref[i] < 0x20 || ref[i] == 0x7f {
			return false
		}
	}
	return ref != ""
}

var shaPattern = regexp.MustCompile(`^[0-9a-f]{40}$`)

func isSHA(s string) bool { return shaPattern.MatchString(s) }

// apiURL is /api/{kind}/{id} and what comes below it: a revision is one
// segment there, so every element is escaped whole.
func (h *hub) apiURL(r repo, elements ...string) *url.URL {
	s := "/api/" + r.kind.api + "/" + r.id
	for _, el := range elements {
		s += "/" + url.PathEscape(el)
	}
	return h.at(s)
}

// fileURL is the resolve route of a file.
func (h *hub) fileURL(r repo, rev, path string) *url.URL {
	parts := strings.Split(path, "/")
	for i, el := range parts {
		parts[i] = url.PathEscape(el)
	}
	return h.at("/" + r.String() + "/resolve/" + url.PathEscape(rev) + "/" + strings.Join(parts, "/"))
}

// at is the URL of an escaped absolute path below the endpoint.
func (h *hub) at(escaped string) *url.URL {
	u := *h.endpoint
	u.RawPath = strings.TrimRight(h.endpoint.EscapedPath(), "/") + escaped
	path, err := url.PathUnescape(u.RawPath)
	if err != nil {
		panic("transformers: " + err.Error()) // only url.PathEscape wrote escapes
	}
	u.Path = path
	return &u
}
