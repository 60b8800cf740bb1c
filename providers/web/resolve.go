package web

import (
	"context"
	"fmt"
	iofs "io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"modelfs/providers"
)

// Provider is one instance: the sites of its configuration.
type Provider struct {
	protocol string
	sites    map[string]*site
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
)

// New makes an instance. It reads each ca_file and asks nobody.
func New(env providers.Env, cfg Config) (*Provider, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	env = env.Fill()
	if env.Protocol == "" {
		env.Protocol = "web"
	}
	p := &Provider{protocol: env.Protocol, sites: map[string]*site{}}
	for name, c := range cfg.Sites {
		s, err := newSite(env, name, c)
		if err != nil {
			return nil, fmt.Errorf("sites.%s: %w", name, err)
		}
		p.sites[name] = s
	}
	return p, nil
}

// Resolve finds a site of the configuration, and asks whether it is there.
func (p *Provider) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	s := p.sites[name]
	if s == nil {
		return nil, &providers.Error{Op: "resolve", Protocol: p.protocol, Name: name, Err: iofs.ErrNotExist,
			Remedy: "name the folder under sites in the configuration"}
	}
	if ref != "" {
		return nil, s.fail("resolve", "", fmt.Errorf("%w: a folder has no revision %q", iofs.ErrNotExist, ref))
	}
	if _, err := s.find(ctx); err != nil {
		return nil, s.fail("resolve", "", err)
	}
	return &model{s}, nil
}

// List yields the sites.
func (p *Provider) List(_ context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if prefix != "" { // what is below a site is inside the model
			return
		}
		for _, name := range slices.Sorted(maps.Keys(p.sites)) {
			if !yield(name, nil) {
				return
			}
		}
	}
}

// Endpoint names every folder.
func (p *Provider) Endpoint() string {
	var at []string
	for _, name := range slices.Sorted(maps.Keys(p.sites)) {
		at = append(at, fmt.Sprintf("%q=%s", name, p.sites[name].base))
	}
	return strings.Join(at, " ")
}

// model is a site as the contract sees it.
type model struct{ *site }

var (
	_ providers.Model     = (*model)(nil)
	_ providers.Stater    = (*model)(nil)
	_ providers.Describer = (*model)(nil)
)

// Origin implements [providers.Model].
func (m *model) Origin() providers.Origin {
	return providers.Origin{Protocol: m.protocol, Name: m.name, Source: m.base.String(), Verify: m.strict}
}

// Describe tells how the site is listed and read.
func (m *model) Describe(ctx context.Context) ([]providers.Fact, error) {
	index, err := m.find(ctx)
	if err != nil {
		return nil, m.fail("describe", "", err)
	}
	facts := []providers.Fact{{Key: "url", Value: m.base.String()}, {Key: "index", Value: index}}
	if m.whole.Load() {
		facts = append(facts, providers.Fact{Key: "ranges", Value: "none: files are read as a whole"})
	}
	return facts, nil
}
