package providers

import (
	"fmt"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strings"
)

// An Instance is one configured provider.
type Instance struct {
	// Protocol is its key in the configuration.
	Protocol string
	// Type is the kind of provider; Protocol if empty.
	Type string
	// Aliases are further names of Protocol, of the default instance of a type
	// (Type.Aliases).
	Aliases []string
	// Provider answers for it.
	Provider Provider
}

// RegistryOptions sets what is not an instance's own. Its zero value works.
type RegistryOptions struct {
	// Search is the order in which instances are asked for a name without
	// protocol. Instances that it leaves out are not asked. All of them in the
	// order given, if empty.
	Search []string
	// Mountpoints are the directories whose paths name models.
	Mountpoints []string
	// Log receives which providers were skipped in a search.
	Log *slog.Logger
}

// Registry finds the provider and the model that a path, a URI or a name means.
// It does not change after it was made, and is safe for concurrent use.
type Registry struct {
	instances   []Instance // those of the search first, in its order
	searched    int        // how many of them are searched
	names       map[string]int
	mountpoints []string
	log         *slog.Logger
}

// reserved are first path elements that are no protocols: the link to whichever
// provider has a name, and the mount's own state.
var reserved = []string{"any", ".modelfs"}

// NewRegistry makes a Registry of instances, none of which may share a protocol
// or an alias with another.
func NewRegistry(instances []Instance, opts RegistryOptions) (*Registry, error) {
	r := &Registry{names: map[string]int{}, log: opts.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for _, m := range opts.Mountpoints {
		if !strings.HasPrefix(m, "/") {
			return nil, fmt.Errorf("mountpoint %q is not absolute", m)
		}
		r.mountpoints = append(r.mountpoints, strings.TrimRight(m, "/"))
	}
	ordered, err := order(instances, opts.Search)
	if err != nil {
		return nil, err
	}
	r.instances, r.searched = ordered, len(ordered)
	if len(opts.Search) > 0 {
		r.searched = len(opts.Search)
	}
	for i, in := range r.instances {
		if in.Type == "" {
			r.instances[i].Type = in.Protocol
		}
		for _, name := range append([]string{in.Protocol}, in.Aliases...) {
			if err := r.claim(name, i); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// claim gives name to the instance of index i.
func (r *Registry) claim(name string, i int) error {
	in := r.instances[i]
	if err := ValidElement(name); err != nil {
		return fmt.Errorf("protocol: %w", err)
	}
	if EscapeElement(name) != name || strings.ContainsAny(name, ":") || slices.Contains(reserved, name) {
		return fmt.Errorf("protocol %q cannot be a name of a provider: choose another key under providers", name)
	}
	if j, taken := r.names[name]; taken {
		return fmt.Errorf("%s and %s both claim the protocol %q: rename one of the two keys under providers",
			r.instances[j].title(name), in.title(name), name)
	}
	r.names[name] = i
	return nil
}

// title tells an instance that is called name from one that has it as an alias.
func (in Instance) title(name string) string {
	kind := in.Type
	if kind == "" {
		kind = in.Protocol
	}
	if in.Protocol != name {
		return fmt.Sprintf("provider %q (type %s, alias %s)", in.Protocol, kind, name)
	}
	return fmt.Sprintf("provider %q (type %s)", in.Protocol, kind)
}

// order puts instances into the order of search, the others behind.
func order(instances []Instance, search []string) ([]Instance, error) {
	var out []Instance
	left := slices.Clone(instances)
	for _, name := range search {
		i := slices.IndexFunc(left, func(in Instance) bool {
			return in.Protocol == name || slices.Contains(in.Aliases, name)
		})
		if i >= 0 {
			out = append(out, left[i])
			left = slices.Delete(left, i, i+1)
			continue
		}
		if slices.ContainsFunc(out, func(in Instance) bool { return in.Protocol == name || slices.Contains(in.Aliases, name) }) {
			return nil, fmt.Errorf("search: %q is listed twice", name)
		}
		return nil, fmt.Errorf("search: no provider is called %q (there are: %s)", name, protocols(instances))
	}
	return append(out, left...), nil
}

func protocols(instances []Instance) string {
	names := make([]string, 0, len(instances))
	for _, in := range instances {
		names = append(names, in.Protocol)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// Protocols returns the protocols, those that are searched first and in order.
func (r *Registry) Protocols() []string {
	out := make([]string, 0, len(r.instances))
	for _, in := range r.instances {
		out = append(out, in.Protocol)
	}
	return out
}

// Instance returns the instance that protocol names, by its own name or an alias.
func (r *Registry) Instance(protocol string) (Instance, bool) {
	i, ok := r.names[protocol]
	if !ok {
		return Instance{}, false
	}
	return r.instances[i], true
}

// Provider returns the provider of protocol, or an error that is iofs.ErrNotExist.
// It is what [Env.Open] is made of.
func (r *Registry) Provider(protocol string) (Provider, error) {
	in, ok := r.Instance(protocol)
	if !ok {
		return nil, r.unknown(protocol)
	}
	return in.Provider, nil
}

func (r *Registry) unknown(protocol string) error {
	return &Error{Op: "resolve", Protocol: protocol, Err: fmt.Errorf("%w: no such protocol", iofs.ErrNotExist),
		Remedy: "configure it under providers, or use one of: " + protocols(r.instances)}
}
