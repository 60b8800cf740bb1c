package s3

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

const (
	attempts      = 2
	headerTimeout = 10 * time.Second // for the first byte of an answer
	idlePerHost   = 128              // above the ranges ever in flight to one host; fewer would drop connections
	readBuffer    = 256 << 10        // the default of 4 KiB is the first hot spot of a fast read
	imdsTimeout   = time.Second      // EC2 answers in milliseconds, other machines not at all
	// longestAnswer bounds every body but an object's. A page of 1,000 keys of
	// 1,024 bytes, each written as %XX, has about 4 MB.
	longestAnswer = 16 << 20
)

// account is what the credentials and the environment say, as of one moment.
type account struct {
	cfg      aws.Config
	http     *http.Client // the provider's one client: connections outlive accounts
	endpoint string       // what the environment sets, if anything
	keys     keyValues    // of the key files
	loaded   time.Time

	mu      sync.Mutex
	clients map[clientKey]*s3.Client
}

// target is where and how one bucket is asked.
type target struct {
	bucket, region, endpoint string
	pathStyle                *bool
}

// load reads profiles, environment and files, under p.mu. It asks nobody: the
// chain of credentials begins to work with the first request.
func (p *Provider) load(ctx context.Context, keys keyValues, anonymous bool) (*account, error) {
	cfg, err := config.LoadDefaultConfig(ctx, p.loadOptions(keys, anonymous)...)
	if err != nil {
		return nil, &credentialError{given: true, err: err}
	}
	if p.http == nil {
		if p.http, err = p.httpClient(cfg.HTTPClient); err != nil {
			return nil, err
		}
	}
	a := &account{cfg: cfg, http: p.http, keys: keys, loaded: p.env.Now(), clients: map[clientKey]*s3.Client{}}
	s3.NewFromConfig(cfg, func(o *s3.Options) { a.endpoint = aws.ToString(o.BaseEndpoint) })
	if !anonymous && p.keys == nil {
		fromEC2 := aws.IsCredentialsProvider(cfg.Credentials, (*ec2rolecreds.Provider)(nil))
		a.cfg.Credentials = &patient{chain: cfg.Credentials, given: !fromEC2, now: p.env.Now}
	}
	return a, nil
}

// loadOptions are what the configuration says over the environment.
func (p *Provider) loadOptions(keys keyValues, anonymous bool) []func(*config.LoadOptions) error {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient()),
		config.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
			p.env.Log.Debug("aws sdk: " + fmt.Sprintf(format, args...))
		})),
		// Checksums of ranges mean different things to different servers, and
		// some are false (composite ones without their -N).
		config.WithRequestChecksumCalculation(aws.RequestChecksumCalculationWhenRequired),
		config.WithResponseChecksumValidation(aws.ResponseChecksumValidationWhenRequired),
		config.WithEC2RoleCredentialOptions(func(o *ec2rolecreds.Options) {
			o.Client = imds.New(imds.Options{
				HTTPClient: &http.Client{Timeout: imdsTimeout, Transport: &http.Transport{DisableKeepAlives: true}},
				Retryer:    aws.NopRetryer{},
			})
		}),
	}
	switch {
	case anonymous:
		opts = append(opts, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	case p.keys != nil:
		opts = append(opts, config.WithCredentialsProvider(credentials.NewStaticCredentialsProvider(keys.id, keys.secret, keys.token)))
	case p.cfg.Profile != "":
		opts = append(opts, config.WithSharedConfigProfile(p.cfg.Profile))
	}
	if p.cfg.Region != "" {
		opts = append(opts, config.WithRegion(p.cfg.Region))
	}
	return opts
}

// httpClient makes the client for objects from the one that LoadDefaultConfig
// left, which carries AWS_CA_BUNDLE.
func (p *Provider) httpClient(from aws.HTTPClient) (*http.Client, error) {
	base, ok := from.(*awshttp.BuildableClient)
	if !ok {
		return nil, errors.New("the AWS configuration replaced the HTTP client")
	}
	t := base.GetTransport()
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, idlePerHost
	t.ReadBufferSize = readBuffer
	t.ResponseHeaderTimeout = headerTimeout
	t.MaxResponseHeaderBytes = 64 << 10
	t.DisableCompression = true
	// S3 speaks HTTP/1.1 only; a proxy that offers HTTP/2 would squeeze all
	// ranges into one connection.
	t.ForceAttemptHTTP2 = false
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if p.roots != nil {
		if t.TLSClientConfig == nil {
			t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.TLSClientConfig.RootCAs = p.roots
	}
	return &http.Client{
		Transport: bounded{t, p.maxAnswer},
		// A redirect would carry credentials to a host nobody configured. What
		// a moved bucket needs is its region, and the answer's header has it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// clientKey is what tells one client from another.
type clientKey struct {
	region, endpoint string
	pathStyle        bool
}

// client returns the client for t, made once.
func (a *account) client(t target, maxBackoff time.Duration) *s3.Client {
	key := clientKey{t.region, t.endpoint, pathStyle(t.bucket, cmp.Or(t.endpoint, a.endpoint), t.pathStyle)}
	a.mu.Lock()
	defer a.mu.Unlock()
	if c := a.clients[key]; c != nil {
		return c
	}
	c := s3.NewFromConfig(a.cfg, func(o *s3.Options) {
		o.HTTPClient = a.http
		o.Region = key.region
		o.UseARNRegion = true
		o.UsePathStyle = key.pathStyle
		o.AppID = "modelfs"
		if key.endpoint != "" {
			o.BaseEndpoint = aws.String(key.endpoint)
		}
		o.Retryer = retry.NewStandard(func(r *retry.StandardOptions) {
			r.MaxAttempts = attempts
			r.MaxBackoff = maxBackoff
			// The SDK's budget of retries is shared by a whole client, so that
			// one bad minute would fail reads that a second try would serve.
			r.RateLimiter = ratelimit.None
		})
	})
	a.clients[key] = c
	return c
}

// bounded stops answers that do not end. Only an object may be long.
type bounded struct {
	*http.Transport
	longest int64
}

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.Transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	object := r.URL.Query().Get("x-id") == "GetObject" && resp.StatusCode < 300
	if !object && resp.Body != nil {
		resp.Body = &boundedBody{ReadCloser: resp.Body, left: b.longest}
	}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the answer does not end")
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}
