package config

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"modelfs/providers"
)

// protocolName is what the first path element and the scheme of a URI can both
// be (RFC 3986), without capitals that would make two names look like one.
var protocolName = regexp.MustCompile(`^[a-z][a-z0-9.-]{0,62}$`)

// reserved are names that the mount and URIs give another meaning.
var reserved = map[string]string{
	"any":   "it is the directory that searches every protocol",
	"file":  "file:// URIs name local paths",
	"http":  "http:// URIs are addresses",
	"https": "https:// URIs are addresses",
	"model": "model:// URIs search every protocol",
}

// typeOf is the part of an instance that decides what the rest means.
type typeOf struct {
	name    string
	enabled bool
	rest    []*ast.MappingValueNode
}

// instances reads the entries of providers, adds the default instance of every
// type that the file does not mention, and tells which are off.
func (d *decoder) instances(entries []*ast.MappingValueNode, types []providers.Type) (list []Provider, off []string) {
	mentioned := map[string]bool{}
	d.eachKey(entries, "providers", func(protocol string, pair *ast.MappingValueNode) {
		mentioned[protocol] = true
		if p, ok := d.instance(protocol, pair, types); ok {
			list = append(list, p)
		} else {
			off = append(off, protocol)
		}
	})
	for _, t := range types {
		if mentioned[t.Name] {
			continue
		}
		p := Provider{Protocol: t.Name, Type: t.Name, Aliases: t.Aliases, Config: t.Config()}
		if a, ok := p.Config.(providers.Ambient); ok && !a.Ambient(d.getenv) {
			continue
		}
		list = append(list, p)
	}
	for _, p := range list {
		d.checkItself(p)
	}
	d.aliases(list)
	slices.SortStableFunc(list, func(a, b Provider) int { return cmp.Compare(rank(a), rank(b)) })
	return list, off
}

// Instance returns the Config of an instance of t that the provider called protocol
// makes for itself from settings.
func Instance(t providers.Type, protocol string, settings map[string]any, getenv func(string) string) (any, error) {
	data, err := yaml.Marshal(settings)
	if err != nil {
		return nil, err
	}
	root, err := parse(data)
	if err != nil {
		return nil, problems{syntaxProblem(err)}.in("")
	}
	d := newDecoder(map[string]int{}, newEnvironment(getenv))
	p := Provider{Protocol: protocol, Type: t.Name, Config: t.Config()}
	if pairs, ok := mapping(root); ok {
		d.settings(pairs, reflect.ValueOf(p.Config).Elem(), join("providers", protocol))
	}
	if len(d.problems) == 0 {
		d.checkItself(p)
	}
	return p.Config, d.problems.in("")
}

// rank orders instances for the search: by type, the default one first.
func rank(p Provider) int {
	i := slices.Index(preferred, p.Type)
	if i < 0 {
		i = len(preferred)
	}
	if p.Protocol != p.Type {
		return 2*i + 1
	}
	return 2 * i
}

// instance reads one entry; it is not ok if it is off or wrong.
func (d *decoder) instance(protocol string, pair *ast.MappingValueNode, types []providers.Type) (Provider, bool) {
	key, at := join("providers", protocol), line(pair.Key)
	if isNull(pair.Value) {
		// "s3:" with its settings commented out reads as null too, and must
		// not silently take the source away.
		if pair.Value.GetToken().Type == token.ImplicitNullType {
			d.problems.add(at, key, fmt.Sprintf("write %s: {} for its defaults, or %s: null to leave it out", protocol, protocol), "has no value")
		}
		return Provider{}, false
	}
	pairs, ok := mapping(pair.Value)
	if !ok {
		d.mismatch(pair.Value, "settings of the form key: value", key)
		return Provider{}, false
	}
	head := d.typeOf(protocol, pairs, key)
	t, ok := d.findType(protocol, head.name, at, types)
	if !ok || !d.named(protocol, at) {
		return Provider{}, false
	}
	p := Provider{Protocol: protocol, Type: t.Name, Config: t.Config(), Line: at, Explicit: true}
	if protocol == t.Name {
		p.Aliases = t.Aliases
	}
	d.settings(head.rest, reflect.ValueOf(p.Config).Elem(), key)
	return p, head.enabled
}

// typeOf takes type and enabled, which belong to every instance, out of pairs.
func (d *decoder) typeOf(protocol string, pairs []*ast.MappingValueNode, key string) typeOf {
	t := typeOf{name: protocol, enabled: true}
	for _, pair := range pairs {
		switch name, _ := scalar(pair.Key); name {
		case "type":
			d.decode(pair.Value, reflect.ValueOf(&t.name).Elem(), join(key, name))
		case "enabled":
			d.decode(pair.Value, reflect.ValueOf(&t.enabled).Elem(), join(key, name))
		default:
			t.rest = append(t.rest, pair)
		}
	}
	return t
}

func (d *decoder) settings(pairs []*ast.MappingValueNode, v reflect.Value, key string) {
	fs := fieldsOf(v)
	d.eachKey(pairs, key, func(name string, pair *ast.MappingValueNode) {
		if f, ok := fs.find(name); ok {
			d.decode(pair.Value, f, join(key, name))
			return
		}
		names := append(fs.names(), "type", "enabled")
		d.problems.add(line(pair.Key), join(key, name), suggest(name, key, names, nil), "unknown key")
	})
}

// findType finds the type called name, and explains when there is none.
func (d *decoder) findType(protocol, name string, at int, types []providers.Type) (providers.Type, bool) {
	var names []string
	for _, t := range types {
		if t.Name == name {
			return t, true
		}
		names = append(names, t.Name)
	}
	key := join("providers", protocol)
	for _, t := range types {
		if slices.Contains(t.Aliases, name) {
			d.problems.add(at, key, "write "+t.Name, "%s is another name of %s", name, t.Name)
			return t, false
		}
	}
	known := "the types are " + strings.Join(names, ", ")
	if name == protocol {
		if best := nearest(name, names); best != "" {
			known = "did you mean " + best + "? " + known
		}
		d.problems.add(at, key, "add type: to say what "+protocol+" is; "+known, "no type of provider is called %s", name)
	} else {
		d.problems.add(at, join(key, "type"), known, "no type of provider is called %s", name)
	}
	return providers.Type{}, false
}

func (d *decoder) named(protocol string, at int) bool {
	key := join("providers", protocol)
	if why := reserved[protocol]; why != "" {
		d.problems.add(at, key, "choose another name", "the name is taken: %s", why)
		return false
	}
	if !protocolName.MatchString(protocol) {
		d.problems.add(at, key, "use a letter, then letters, digits, dots and dashes, in lower case", "%q cannot be a protocol name", clip(protocol))
		return false
	}
	return true
}

// checkItself asks the instance's own Config whether it makes sense.
func (d *decoder) checkItself(p Provider) {
	c, ok := p.Config.(interface{ Check() error })
	if !ok {
		return
	}
	if err := c.Check(); err != nil {
		text, remedy := explain(err)
		d.problems.add(p.Line, join("providers", p.Protocol), remedy, "%s", text)
	}
}

// aliases finds instances that answer to one name.
func (d *decoder) aliases(list []Provider) {
	owner := map[string]Provider{}
	for _, p := range list {
		owner[p.Protocol] = p
	}
	for _, p := range list {
		for _, alias := range p.Aliases {
			q, taken := owner[alias]
			if !taken {
				owner[alias] = p
				continue
			}
			remedy := fmt.Sprintf("rename %s, or leave the other out with %s: null", q.Protocol, p.Protocol)
			d.problems.add(max(p.Line, q.Line), join("providers", q.Protocol), remedy,
				"two protocols are called %s: this one, and %s, whose other name it is", alias, p.Protocol)
		}
	}
}
