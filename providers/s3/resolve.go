package s3

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	iofs "io/fs"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// Provider is one instance: one endpoint and one set of credentials.
type Provider struct {
	env    providers.Env
	cfg    Config
	strict bool
	roots  *x509.CertPool // nil: the system's
	keys   *keyFiles

	maxBackoff, stall, renewAfter time.Duration
	maxEntries                    int
	maxAnswer                     int64

	hides   sync.Once // says once that something is hidden
	mu      sync.Mutex
	http    *http.Client       // nil until the first request
	current *account           // nil until the first request, and when expired
	public  *account           // likewise, for anonymous requests
	buckets map[string]*bucket // configured, and found
}

var (
	_ providers.Provider   = (*Provider)(nil)
	_ providers.Lister     = (*Provider)(nil)
	_ providers.Endpointer = (*Provider)(nil)
)

// Endpoint names the server, and what the configured aliases stand for.
func (p *Provider) Endpoint() string {
	at := cmp.Or(p.cfg.Endpoint, p.env.Getenv("AWS_ENDPOINT_URL_S3"), p.env.Getenv("AWS_ENDPOINT_URL"), "aws")
	for _, b := range p.cfg.Buckets {
		if b.alias() != b.Bucket || b.Prefix != "" || b.Endpoint != "" {
			at += fmt.Sprintf(" %q=%q/%q@%q", b.alias(), b.Bucket, b.Prefix, b.Endpoint)
		}
	}
	return at
}

// New makes an instance. It reads ca_file and asks nobody.
func New(env providers.Env, cfg Config) (*Provider, error) {
	if err := cfg.Check(); err != nil {
		return nil, err
	}
	roots, err := wire.Roots(cfg.CAFile)
	if err != nil {
		return nil, err
	}
	env = env.Fill()
	for _, name := range []string{"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if u := env.Getenv(name); cfg.Endpoint == "" && u != "" {
			if err := checkEndpoint(u); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	p := &Provider{
		env: env, cfg: cfg, roots: roots,
		strict:     cfg.Verify == "strict" || cfg.Verify == "" && env.Strict,
		maxBackoff: 5 * time.Second,
		stall:      30 * time.Second,
		renewAfter: 5 * time.Second,
		maxEntries: 5_000_000,
		maxAnswer:  longestAnswer,
		buckets:    map[string]*bucket{},
	}
	if p.env.Protocol == "" {
		p.env.Protocol = "s3"
	}
	if cfg.AccessKeyIDFile != "" {
		p.keys = &keyFiles{id: watched{path: cfg.AccessKeyIDFile}, secret: watched{path: cfg.SecretAccessKeyFile}, token: watched{path: cfg.SessionTokenFile}}
	}
	for _, b := range cfg.Buckets {
		p.buckets[b.alias()] = p.newBucket(b, true)
	}
	return p, nil
}

func (p *Provider) newBucket(set Bucket, named bool) *bucket {
	return &bucket{p: p, set: set, named: named, key: watched{path: cmp.Or(set.SSECKeyFile, p.cfg.SSECKeyFile)}}
}

// Close drops idle connections. The provider stays usable.
func (p *Provider) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.http != nil {
		p.http.CloseIdleConnections()
	}
	return nil
}

// account returns what the first request loaded, or loads it anew when the key
// files have changed: a client would go on signing with the secret it knows, as
// the SDK keeps derived keys by the id alone. Anonymous requests have an account
// of their own, which broken credentials do not touch.
func (p *Provider) account(ctx context.Context, anonymous bool) (*account, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, keys := &p.current, keyValues{}
	if anonymous {
		at = &p.public
	} else if p.keys != nil {
		var err error
		if keys, err = p.keys.read(); err != nil {
			return nil, err
		}
	}
	if *at == nil || (*at).keys != keys {
		// Files only: the lock is not held over the network.
		a, err := p.load(ctx, keys, anonymous)
		if err != nil {
			return nil, err
		}
		*at = a
	}
	return *at, nil
}

// renew makes the next request load credentials anew, and reports whether that
// can help: not when old was loaded less than age ago.
func (p *Provider) renew(old *account, age time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != old {
		return true // another request did it already
	}
	if p.env.Now().Sub(old.loaded) < age {
		return false
	}
	p.current = nil
	return true
}

// Resolve finds a bucket, or what is below a prefix of one, with one request.
func (p *Provider) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	first, rest, _ := strings.Cut(name, "/")
	absent := func(why string, args ...any) error {
		err := fmt.Errorf("%w: "+why, append([]any{iofs.ErrNotExist}, args...)...)
		return &providers.Error{Op: "resolve", Protocol: p.env.Protocol, Name: name, Err: err}
	}
	if ref != "" {
		return nil, absent("a bucket has no revision %q", ref)
	}
	if rest != "" && providers.ValidPath(rest) != nil || name != first && rest == "" {
		return nil, absent("no prefix is written so")
	}
	b := p.bucket(first)
	if b == nil {
		return nil, absent("no bucket has such a name")
	}
	prefix := strings.Trim(b.set.Prefix, "/")
	if rest != "" {
		prefix = strings.TrimPrefix(prefix+"/"+rest, "/")
	}
	m := &model{bucket: b, name: name, prefix: prefix}
	found, err := m.probe(ctx)
	switch {
	case err != nil && b.named && rest == "" && code(err) == "AccessDenied":
		// Callers that may only s3:GetObject: names that are known still work.
		b.noteOnce("the bucket may not be listed; only objects directly in it can be opened", "remedy", remedyDenied)
	case err != nil:
		return nil, p.wrap(ctx, "resolve", name, "", !b.named && b.unsigned(err), err)
	case !found && prefix != "":
		return nil, absent("nothing has the prefix %q", prefix+"/")
	}
	p.keep(first, b)
	return m, nil
}

// bucket finds a configured, known or possible bucket.
func (p *Provider) bucket(name string) *bucket {
	p.mu.Lock()
	defer p.mu.Unlock()
	if b := p.buckets[name]; b != nil {
		return b
	}
	if !bucketName(name) {
		return nil
	}
	return p.newBucket(Bucket{Alias: name, Bucket: name}, false)
}

// keep remembers a bucket that the source has, so that its models share what is
// learned. Of two lookups at once the first is kept.
func (p *Provider) keep(name string, b *bucket) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.buckets[name] == nil {
		p.buckets[name] = b
	}
}

// List yields the configured buckets, or those that the credentials may list.
func (p *Provider) List(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		switch {
		case prefix != "": // what is below a bucket is inside the model
		case len(p.cfg.Buckets) > 0:
			for _, b := range p.cfg.Buckets {
				if !yield(b.alias(), nil) {
					return
				}
			}
		case !p.cfg.Anonymous: // nobody may list buckets unsigned
			p.listBuckets(ctx, yield)
		}
	}
}

func (p *Provider) listBuckets(ctx context.Context, yield func(string, error) bool) {
	all := p.newBucket(Bucket{}, false)
	var pages pageGuard
	in := &s3.ListBucketsInput{}
	for {
		var out *s3.ListBucketsOutput
		err := all.do(ctx, func(c *s3.Client) (err error) {
			out, err = c.ListBuckets(ctx, in)
			return err
		})
		if err != nil {
			// Most credentials may not; that only means that names must be known.
			if _, kind := classify(ctx, err); !errors.Is(kind, iofs.ErrPermission) {
				yield("", p.wrap(ctx, "list", "", "", false, err))
			}
			return
		}
		for _, b := range out.Buckets {
			if name := aws.ToString(b.Name); bucketName(name) && !yield(name, nil) {
				return
			}
		}
		in.ContinuationToken = out.ContinuationToken
		if aws.ToString(out.ContinuationToken) == "" {
			return
		}
		if err := pages.next(*out.ContinuationToken, len(out.Buckets)); err != nil {
			yield("", p.wrap(ctx, "list", "", "", false, err))
			return
		}
	}
}
