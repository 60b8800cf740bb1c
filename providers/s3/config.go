package s3

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"modelfs/providers"
)

// Config is the configuration of one instance. Its zero value reads AWS with the
// credentials of the environment.
type Config struct {
	// Region of buckets whose region is not known yet; a bucket elsewhere is
	// found by what the server answers.
	Region string `yaml:"region,omitempty"`
	// Endpoint is the URL of a compatible server; empty is AWS.
	Endpoint string `yaml:"endpoint,omitempty"`
	// PathStyle puts the bucket into the path instead of the host. Left out, it
	// is so where no host name can carry the bucket: endpoints that are an
	// address or a bare name, and buckets with dots.
	PathStyle *bool `yaml:"path_style,omitempty"`
	// Anonymous leaves requests unsigned, for public buckets.
	Anonymous bool `yaml:"anonymous,omitempty"`
	// Profile of ~/.aws to use.
	Profile string `yaml:"profile,omitempty"`
	// RequestPayer agrees to pay for reading requester-pays buckets.
	RequestPayer bool `yaml:"request_payer,omitempty"`
	// AccessKeyIDFile, SecretAccessKeyFile and SessionTokenFile hold one value
	// each, and are read again when they change.
	AccessKeyIDFile     string `yaml:"access_key_id_file,omitempty"`
	SecretAccessKeyFile string `yaml:"secret_access_key_file,omitempty"`
	SessionTokenFile    string `yaml:"session_token_file,omitempty"`
	// SSECKeyFile holds the customer key of SSE-C objects: 32 bytes, raw or in
	// base64.
	SSECKeyFile string `yaml:"sse_c_key_file,omitempty"`
	// CAFile holds certificates to trust beside those of the system.
	CAFile string `yaml:"ca_file,omitempty"`
	// Verify is default or strict; empty is the mount's choice.
	Verify string `yaml:"verify,omitempty"`
	// Buckets are the ones to show in a listing; others can still be looked up.
	Buckets []Bucket `yaml:"buckets,omitempty"`
}

// Bucket is one item of Config.Buckets: a bucket's name, or a mapping from an
// alias to what it stands for. Access point ARNs need an alias, as they hold
// slashes.
type Bucket struct {
	// Alias is the name under the protocol; it defaults to Bucket.
	Alias string `yaml:"-"`
	// Bucket is a bucket's name, or the ARN or alias of an access point.
	Bucket string `yaml:"bucket"`
	// Prefix is where in the bucket the model begins.
	Prefix string `yaml:"prefix,omitempty"`
	// Region, Endpoint, PathStyle, and SSECKeyFile replace those of the instance.
	Region      string `yaml:"region,omitempty"`
	Endpoint    string `yaml:"endpoint,omitempty"`
	PathStyle   *bool  `yaml:"path_style,omitempty"`
	SSECKeyFile string `yaml:"sse_c_key_file,omitempty"`
	// RequestPayer and Anonymous add to those of the instance.
	RequestPayer bool `yaml:"request_payer,omitempty"`
	Anonymous    bool `yaml:"anonymous,omitempty"`
}

// UnmarshalYAML reads either form. Its signature is the one that YAML libraries
// share, so that this package needs none of them.
func (b *Bucket) UnmarshalYAML(unmarshal func(any) error) error {
	var name string
	if unmarshal(&name) == nil {
		*b = Bucket{Alias: name, Bucket: name}
		return nil
	}
	type plain Bucket
	var item map[string]plain
	if err := unmarshal(&item); err != nil {
		return err
	}
	if len(item) != 1 {
		return fmt.Errorf("an item of buckets is a name or one alias: {bucket: ...}; this one has %d", len(item))
	}
	for alias, p := range item {
		*b = Bucket(p)
		b.Alias = alias
	}
	return nil
}

// MarshalYAML is the inverse of UnmarshalYAML.
func (b Bucket) MarshalYAML() (any, error) {
	if b == (Bucket{Alias: b.Bucket, Bucket: b.Bucket}) {
		return b.Bucket, nil
	}
	type plain Bucket
	return map[string]plain{b.Alias: plain(b)}, nil
}

// Type is the registry's entry for this package.
func Type() providers.Type {
	return providers.Define("s3", Config{}, func(env providers.Env, cfg Config) (providers.Provider, error) {
		return New(env, cfg)
	})
}

// Check reports the first setting that cannot be meant.
func (c *Config) Check() error {
	if err := checkEndpoint(c.Endpoint); err != nil {
		return err
	}
	if err := checkRegion(c.Region); err != nil {
		return err
	}
	switch c.Verify {
	case "", "default", "strict":
	default:
		return fmt.Errorf("verify is %q, not default or strict", c.Verify)
	}
	if err := c.checkKeys(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, b := range c.Buckets {
		if err := b.check(c); err != nil {
			return fmt.Errorf("buckets[%d]: %w", i, err)
		}
		if seen[b.alias()] {
			return fmt.Errorf("buckets[%d]: %q is there twice", i, b.alias())
		}
		seen[b.alias()] = true
	}
	return nil
}

func (c *Config) checkKeys() error {
	files := c.AccessKeyIDFile != "" || c.SecretAccessKeyFile != ""
	switch {
	case files && (c.AccessKeyIDFile == "" || c.SecretAccessKeyFile == ""):
		return errors.New("access_key_id_file and secret_access_key_file need each other")
	case c.SessionTokenFile != "" && !files:
		return errors.New("session_token_file needs access_key_id_file and secret_access_key_file")
	case c.Anonymous && (files || c.Profile != ""):
		return errors.New("anonymous excludes profile and key files; set it for single buckets instead")
	case files && c.Profile != "":
		return errors.New("profile and key files exclude each other")
	}
	return checkSSEC(c.SSECKeyFile, c.Endpoint)
}

func (b Bucket) alias() string {
	if b.Alias != "" {
		return b.Alias
	}
	return b.Bucket
}

func (b Bucket) check(c *Config) error {
	switch {
	case b.Bucket == "":
		return fmt.Errorf("%q names no bucket", b.Alias)
	case strings.HasPrefix(b.Bucket, "arn:") && b.alias() == b.Bucket:
		return fmt.Errorf("%q needs an alias: name: {bucket: %s}", b.Bucket, b.Bucket)
	case !strings.HasPrefix(b.Bucket, "arn:") && !bucketName(b.Bucket):
		return fmt.Errorf("%q is no bucket name", b.Bucket)
	}
	if err := providers.ValidElement(b.alias()); err != nil {
		return err
	}
	if b.Prefix != "" {
		if err := providers.ValidPath(strings.Trim(b.Prefix, "/")); err != nil {
			return fmt.Errorf("prefix: %w", err)
		}
	}
	if err := checkEndpoint(b.Endpoint); err != nil {
		return err
	}
	if err := checkRegion(b.Region); err != nil {
		return err
	}
	return checkSSEC(cmp.Or(b.SSECKeyFile, c.SSECKeyFile), cmp.Or(b.Endpoint, c.Endpoint))
}

func checkEndpoint(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("endpoint is not an http:// or https:// URL")
	case u.User != nil:
		return errors.New("endpoint holds a user name or password; use access_key_id_file and secret_access_key_file")
	case u.RawQuery != "" || u.Fragment != "":
		return errors.New("endpoint has a query or fragment")
	}
	return nil
}

// checkSSEC keeps a customer key off the wire where it could be read.
func checkSSEC(file, endpoint string) error {
	if u, err := url.Parse(endpoint); err == nil && file != "" && u.Scheme == "http" && !loopback(u.Hostname()) {
		return errors.New("sse_c_key_file needs an https endpoint, as the key travels with each request")
	}
	return nil
}

var (
	regionForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)
	bucketForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{1,254}$`)
)

func checkRegion(s string) error {
	if s != "" && !regionForm.MatchString(s) {
		return fmt.Errorf("region %q is no region's name", s)
	}
	return nil
}

// bucketName reports whether s may be a bucket: today's rules, and the wider
// ones of old AWS buckets and of compatible servers.
func bucketName(s string) bool {
	return bucketForm.MatchString(s) && !strings.Contains(s, "..")
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && ip.IsLoopback()
}

// pathStyle decides for one bucket at one endpoint ("" is AWS).
func pathStyle(bucket, endpoint string, set *bool) bool {
	if set != nil {
		return *set
	}
	if strings.HasPrefix(bucket, "arn:") {
		return false // an ARN is a host of its own; the SDK refuses the two together
	}
	if strings.Contains(bucket, ".") {
		return true // the certificate's wildcard covers one label
	}
	u, err := url.Parse(endpoint)
	if endpoint == "" || err != nil {
		return false
	}
	host := u.Hostname()
	return net.ParseIP(host) != nil || !strings.Contains(host, ".") || loopback(host)
}
