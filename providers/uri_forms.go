package providers

import (
	"fmt"
	iofs "io/fs"
	"strings"
)

// parseMLflow reads models:/name@alias, models:/name/version and runs:/id/path. In
// them nothing is escaped.
func (r *Registry) parseMLflow(scheme, rest string) (Target, error) {
	in, err := r.ofType("mlflow")
	if err != nil {
		return Target{}, err
	}
	rest, ok := strings.CutPrefix(strings.TrimSuffix(rest, "/"), "/")
	if !ok || rest == "" || strings.HasPrefix(rest, "/") {
		return Target{}, fmt.Errorf("%w: write %s:/ and a name", iofs.ErrNotExist, scheme)
	}
	name, path, _ := strings.Cut(rest, "/")
	if scheme == "runs" {
		return r.under(in.Protocol, spell(".runs/"+name, "", path))
	}
	name, ref, hasRef := cutLast(name, "@")
	if !hasRef {
		ref, path, _ = strings.Cut(path, "/")
		if strings.EqualFold(ref, "latest") {
			ref = ""
		}
	}
	if name == "" || hasRef && ref == "" {
		return Target{}, fmt.Errorf("%w: the name or the alias is empty", iofs.ErrNotExist)
	}
	return r.under(in.Protocol, spell(name, ref, path))
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// spell joins a name, a ref and a path in the model.
func spell(name, ref, path string) string {
	s := JoinElements(name, ref)
	if path != "" {
		s += "/" + path
	}
	return s
}

// parseGit reads https://host/path.git[@ref][/path]. Whether the host is allowed is
// the git provider's to say.
func (r *Registry) parseGit(rest string) (Target, error) {
	in, err := r.ofType("git")
	if err != nil {
		return Target{}, err
	}
	host, _, _ := strings.Cut(rest, "/")
	short := trimGit(rest)
	switch {
	case short == rest:
		return Target{}, fmt.Errorf("%w: a web address of a git repository ends in .git", iofs.ErrNotExist)
	case strings.ContainsRune(host, '@'):
		return Target{}, fmt.Errorf("%w: credentials belong into the configuration, not into an address", iofs.ErrPermission)
	case strings.ContainsAny(rest, "?#"):
		return Target{}, fmt.Errorf("%w: an address with a query or a fragment", iofs.ErrNotExist)
	}
	return r.under(in.Protocol, short)
}

// trimGit takes .git off the element that ends the repository, so that one
// repository has one name.
func trimGit(s string) string {
	elements := strings.Split(s, "/")
	for i, el := range elements {
		name, ref, hasRef := strings.Cut(el, "@")
		short, ok := strings.CutSuffix(name, ".git")
		if !ok || short == "" || i == 0 && len(elements) > 1 {
			continue
		}
		if elements[i] = short; hasRef {
			elements[i] += "@" + ref
		}
		break
	}
	return strings.Join(elements, "/")
}

// parseFile reads the rest of file://.
func (r *Registry) parseFile(rest string) (Target, error) {
	path := strings.TrimPrefix(rest, "localhost")
	if !strings.HasPrefix(path, "/") {
		return Target{}, fmt.Errorf("%w: a file address names a path of this machine: write file:///", iofs.ErrNotExist)
	}
	path, err := UnescapeElement(path)
	if err != nil {
		return Target{}, err
	}
	return r.parsePath(path, true)
}

// parsePath reads an absolute path: below a mount point, or, if zoo is set, in a
// root of a provider of local files.
func (r *Registry) parsePath(path string, zoo bool) (Target, error) {
	elements, err := clean(path)
	if err != nil {
		return Target{}, err
	}
	path = "/" + strings.Join(elements, "/")
	for _, m := range r.mountpoints {
		below, ok := strings.CutPrefix(path, m+"/")
		if !ok {
			continue
		}
		return r.parseBelow(below)
	}
	for _, in := range r.instances {
		n, ok := As[PathNamer](in.Provider)
		if !zoo || !ok {
			continue
		}
		if name, path, ok := n.NameOfPath(path); ok {
			return r.under(in.Protocol, spell(name, "", path))
		}
	}
	return Target{}, &Error{Op: "parse", Protocol: "file", Name: strings.TrimPrefix(path, "/"),
		Err:    fmt.Errorf("%w: not below a mount point", iofs.ErrNotExist),
		Remedy: "give a path below the mount point, or file:// and a path in a root of the zoo"}
}

// parseBelow reads a path below a mount point.
func (r *Registry) parseBelow(below string) (Target, error) {
	protocol, spelled, _ := strings.Cut(below, "/")
	switch {
	case spelled == "":
		return Target{}, fmt.Errorf("%w: the path ends before the name of a model", iofs.ErrNotExist)
	case protocol == "any":
		return parseName(spelled)
	}
	return r.under(protocol, spelled)
}

// clean splits an absolute path. A ".." is refused: whether it may be taken off
// with the element before it only the file system knows.
func clean(path string) ([]string, error) {
	var out []string
	for el := range strings.SplitSeq(path, "/") {
		if el == "" || el == "." {
			continue
		}
		if err := ValidElement(el); err != nil {
			return nil, fmt.Errorf("%w: %w", iofs.ErrNotExist, err)
		}
		out = append(out, el)
	}
	return out, nil
}

// noCredentials refuses user:password@host and, where a host must be, user@host.
func noCredentials(rest string) error {
	host, _, more := strings.Cut(rest, "/")
	user, _, at := strings.Cut(host, "@")
	if at && (strings.ContainsRune(user, ':') || more && strings.ContainsRune(host[len(user):], '.')) {
		return fmt.Errorf("%w: credentials belong into the configuration, not into an address", iofs.ErrPermission)
	}
	return nil
}
