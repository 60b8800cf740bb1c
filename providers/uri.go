package providers

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
)

// A Target is what a path, a URI or a name says, before anybody was asked.
type Target struct {
	// Protocol is the instance; empty means that all are searched.
	Protocol string
	// Name and Ref are unescaped. How much of Name is a name and how much a
	// path in the model is known only when it is located.
	Name, Ref string
	// Path is what follows the ref.
	Path string

	// raw is the whole below the protocol as it was spelled: an '@' or '%' that
	// turns out to be in the model is an ordinary character there.
	raw string
}

// spelled returns t below its protocol as a path spells it.
func (t Target) spelled() string {
	if t.raw != "" {
		return t.raw
	}
	s := JoinElements(t.Name, t.Ref)
	if t.Path != "" {
		s += "/" + t.Path
	}
	return s
}

// String returns t as a URI.
func (t Target) String() string {
	if t.Protocol == "" {
		return "model://" + t.spelled()
	}
	return t.Protocol + "://" + t.spelled()
}

// A PathNamer is a provider of files of this machine: it tells which of its models
// an absolute path is in, and what the path is there.
type PathNamer interface {
	NameOfPath(abs string) (name, path string, ok bool)
}

// Parse reads what a person or a program calls a model:
//
//	/models/<protocol>/<name>[@<ref>]/<path>   below a mount point
//	<protocol>://<name>[@<ref>]/<path>         of a configured protocol or alias
//	model://<name>, <name>                     searched with every provider
//	git://<host>/<repo>, https://<host>/<repo>.git[@<ref>]/<path>
//	models:/<name>@<alias>, models:/<name>/<version>, runs:/<id>/<path>   MLflow's own
//	file:///<abs>                              in a mount, or a root of a zoo
//
// Names are spelled as in paths: %XX stands for a byte that cannot be in one. Parse
// asks nobody, and is the only place where these forms are read.
func (r *Registry) Parse(s string) (Target, error) {
	t, err := r.parse(s)
	return t, told(s, err)
}

// ParsePath reads a path as it is below a mount point: transformers/org/repo@v1.
func (r *Registry) ParsePath(s string) (Target, error) {
	elements, err := clean(s)
	if err != nil {
		return Target{}, told(s, err)
	}
	t, err := r.parseBelow(strings.Join(elements, "/"))
	return t, told(s, err)
}

// told adds what was read to err.
func told(s string, err error) error {
	var e *Error
	if err == nil || errors.As(err, &e) {
		return err
	}
	return fmt.Errorf("parse %s: %w", quoted(s), err)
}

// quoted keeps hostile bytes, and whatever may be a password in a URL, out of an
// error.
func quoted(s string) string {
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		authority, path, _ := strings.Cut(rest, "/")
		_, host, secret := cutLast(authority, "@")
		scheme = strings.ToLower(scheme)
		if secret && (strings.HasPrefix(scheme, "http") || strings.HasPrefix(scheme, "git") || strings.ContainsRune(authority, ':')) {
			s = scheme + "://…@" + host + "/" + path
		}
	}
	if len(s) > 300 {
		s = s[:300] + "…"
	}
	return fmt.Sprintf("%q", s)
}

func (r *Registry) parse(s string) (Target, error) {
	if strings.HasPrefix(s, "/") {
		return r.parsePath(s, false)
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok || strings.ContainsAny(scheme, "/@%") {
		return parseName(s)
	}
	switch rest, slashes := strings.CutPrefix(rest, "//"); {
	case !slashes && scheme == "file" && strings.HasPrefix(rest, "/"):
		return r.parseFile(rest)
	case !slashes && (scheme == "models" || scheme == "runs"):
		return r.parseMLflow(scheme, rest)
	case !slashes:
		return parseName(s) // a name with a colon
	default:
		return r.parseURI(scheme, rest)
	}
}

func (r *Registry) parseURI(scheme, rest string) (Target, error) {
	lower := strings.ToLower(scheme)
	_, configured := r.Instance(scheme)
	switch {
	case configured:
		return r.underURI(scheme, rest)
	case lower == "file":
		return r.parseFile(rest)
	case lower == "https":
		return r.parseGit(rest)
	case lower == "http" || lower == "ssh" || strings.HasPrefix(lower, "git+"):
		return Target{}, fmt.Errorf("%w: modelfs reads git repositories over https:// only", errors.ErrUnsupported)
	case lower == "model" || lower == "any":
		return parseName(rest)
	}
	in, err := r.ofType(lower)
	if err != nil {
		return Target{}, err
	}
	return r.underURI(in.Protocol, rest)
}

// underURI reads what follows protocol:// in a URI.
func (r *Registry) underURI(protocol, rest string) (Target, error) {
	if in, ok := r.Instance(protocol); ok && in.Type == "git" {
		if err := noCredentials(rest); err != nil {
			return Target{}, err
		}
		rest = trimGit(rest)
	}
	return r.under(protocol, rest)
}

// ofType finds the instance that a scheme means: the one that is called so, or the
// only one of this type.
func (r *Registry) ofType(scheme string) (Instance, error) {
	if in, ok := r.Instance(scheme); ok {
		return in, nil
	}
	var found []Instance
	for _, in := range r.instances {
		if in.Type == scheme {
			found = append(found, in)
		}
	}
	switch len(found) {
	case 0:
		return Instance{}, r.unknown(scheme)
	case 1:
		return found[0], nil
	}
	return Instance{}, &Error{Op: "parse", Protocol: scheme, Err: fmt.Errorf("%w: several providers are of this type", iofs.ErrNotExist),
		Remedy: "say which: " + protocols(found)}
}

// under reads what is spelled below a protocol.
func (r *Registry) under(protocol, spelled string) (Target, error) {
	in, ok := r.Instance(protocol)
	if !ok {
		return Target{}, r.unknown(protocol)
	}
	t, err := parseName(spelled)
	if err != nil {
		return Target{}, err
	}
	t.Protocol = in.Protocol
	return t, nil
}

// parseName reads a name without protocol.
func parseName(s string) (Target, error) {
	raw := joinRef(strings.TrimSuffix(s, "/"))
	t := Target{raw: raw}
	elements := strings.Split(raw, "/")
	for _, el := range elements {
		if err := ValidElement(el); err != nil {
			return Target{}, fmt.Errorf("%w: %w", iofs.ErrNotExist, err)
		}
	}
	for i, el := range elements {
		name, ref, err := SplitElement(el)
		if err != nil {
			// Perhaps in the model, where it is an ordinary name.
			if i == 0 {
				return Target{}, err
			}
			name, ref = el, ""
		}
		if t.Name != "" {
			name = t.Name + "/" + name
		}
		t.Name = name
		if ref != "" {
			t.Ref, t.Path = ref, strings.Join(elements[i+1:], "/")
			return t, nil
		}
	}
	return t, nil
}

// joinRef writes the slashes of a full ref (org/repo@refs/pr/1/file), as the Hub's
// own URIs have them, the way that paths do.
func joinRef(s string) string {
	name, ref, ok := strings.Cut(s, "@refs/")
	if !ok || strings.ContainsRune(name, '@') {
		return s
	}
	kind, rest, ok := strings.Cut(ref, "/")
	if !ok {
		return s
	}
	return name + "@refs%2F" + kind + "%2F" + rest
}
