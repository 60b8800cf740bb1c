// Package transformers serves the models, data sets and spaces of the Hugging
// Face Hub, or of a mirror that speaks its read API.
//
// # The idea
//
// A name and a ref are resolved once to a commit; every later request names
// that commit, so listings and bytes never mix revisions. One paginated request
// lists a whole commit. A byte range is asked of the Hub's resolve route: small
// files come from there, large ones from a content network, by a signed link
// that is kept until it expires or is refused.
//
// # Promises
//
// The token goes to the scheme, host and port of the configured endpoint and
// nowhere else; that is decided anew for every hop. A signed link is a secret
// too: its query is in no log and no error. Bytes are handed out only if the
// answer says that they are the range asked for, of a file as long as the
// listing says, under the same commit. The Hub's rate limits are kept by all
// callers together: a bucket that is used up is not asked again before its time.
//
// # Terms
//
// repo: a model, data set or space, by kind and id. endpoint: the base URL of
// the Hub. link: where a file's bytes are, on the content network. bucket: the
// requests that share one rate limit. hop: one redirect.
package transformers

import (
	"fmt"
	"strings"

	"modelfs/providers"
)

const protocol = "transformers"

// Type is the kind of provider that this package adds.
func Type() providers.Type {
	return providers.Define(protocol, Config{}, New).WithAliases("hf")
}

// Provider resolves the names of one Hub.
type Provider struct {
	env    providers.Env
	hub    *hub
	strict bool
	reuse  *reuse // nil unless reuse_hub_cache is set
	links  links
	seen   commits
	locate flight[link]
}

var _ providers.Provider = (*Provider)(nil)

// New makes a provider. It asks nothing of the network.
func New(env providers.Env, c Config) (providers.Provider, error) {
	p, err := open(env, c)
	if err != nil {
		return nil, err
	}
	return p, nil
}

func open(env providers.Env, c Config) (*Provider, error) {
	env = env.Fill()
	if env.Protocol == "" {
		env.Protocol = protocol
	}
	if err := c.Check(); err != nil {
		return nil, err
	}
	h, err := newHub(env, c)
	if err != nil {
		return nil, err
	}
	p := &Provider{env: env, hub: h, strict: c.Verify == "strict" || c.Verify == "" && env.Strict}
	if c.ReuseHubCache {
		dir := hubCache(env.Getenv)
		if dir == "" {
			return nil, fmt.Errorf("reuse_hub_cache: no directory; set HF_HUB_CACHE or HOME")
		}
		p.reuse = newReuse(dir, env.Log)
	}
	return p, nil
}

// fail adds to err what was asked, at the provider's edge.
func (p *Provider) fail(op, name, path string, err error) error {
	if err == nil {
		return nil
	}
	return &providers.Error{Op: op, Protocol: p.env.Protocol, Name: name, Path: path, Remedy: p.remedy(name, err), Err: err}
}

// source is the page of a repo for people.
func (p *Provider) source(r repo) string {
	return strings.TrimSuffix(p.hub.endpoint.String(), "/") + "/" + r.String()
}

// Endpoint is the base URL of the Hub.
func (p *Provider) Endpoint() string { return p.hub.endpoint.String() }
