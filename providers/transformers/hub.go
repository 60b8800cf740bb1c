package transformers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
)

// hub speaks HTTP with the endpoint and with the content networks that it
// names.
type hub struct {
	endpoint *url.URL
	origin   string // of the endpoint: where the token may go
	mirror   bool   // the endpoint is not the public Hub
	offline  string // the variable that forbids the network
	api      *http.Client
	cdn      *http.Client
	tokens   tokens
	limits   limits
	pace     pace
	log      *slog.Logger
	now      func() time.Time

	mu     sync.Mutex
	warned map[string]bool // topics of X-HF-Warning that were logged
}

// headerTimeout is how long a server may take to begin an answer, and how long
// a body may stay silent; both are huggingface_hub's (HF_HUB_ETAG_TIMEOUT,
// HF_HUB_DOWNLOAD_TIMEOUT).
const headerTimeout = 10 * time.Second

func newHub(env providers.Env, c Config) (*hub, error) {
	base := c.Endpoint
	if base == "" {
		base = env.Getenv("HF_ENDPOINT")
	}
	if base == "" {
		base = publicHub
	}
	endpoint, err := parseEndpoint(base)
	if err != nil {
		return nil, fmt.Errorf("endpoint or HF_ENDPOINT: %w", err)
	}
	roots, err := trust(c.CAFile)
	if err != nil {
		return nil, err
	}
	guard := newGuard(endpoint)
	return &hub{
		endpoint: endpoint,
		origin:   origin(endpoint),
		mirror:   !canonical[strings.ToLower(endpoint.Hostname())],
		offline:  offline(env.Getenv),
		api:      client(guard, roots, false),
		cdn:      client(guard, roots, true),
		tokens:   tokens{file: c.TokenFile, getenv: env.Getenv, log: env.Log},
		limits:   limits{until: map[string]time.Time{}},
		pace:     defaultPace,
		log:      env.Log,
		now:      env.Now,
		warned:   map[string]bool{},
	}, nil
}

// trust is the system's certificates and those of the file.
func trust(caFile string) (*x509.CertPool, error) {
	if caFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("ca_file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("ca_file: system certificates: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca_file: %s holds no PEM certificate", caFile)
	}
	return pool, nil
}

// client never follows a redirect by itself: net/http decides by the host's
// name without the port whether the token goes along. Ranges use HTTP/1.1,
// where each has a connection of its own: one HTTP/2 connection would share a
// single congestion window among all of them.
func client(g *guard, roots *x509.CertPool, ranges bool) *http.Client {
	t := &http.Transport{
		Proxy:                 g.proxy,
		DialContext:           g.dial,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   headerTimeout,
		ResponseHeaderTimeout: headerTimeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConns:          256,
		MaxIdleConnsPerHost:   64,
		ReadBufferSize:        256 << 10,
		// A hostile header is not worth more memory than this.
		MaxResponseHeaderBytes: 1 << 20,
		DisableCompression:     true,
		Protocols:              new(http.Protocols),
	}
	t.Protocols.SetHTTP1(true)
	t.Protocols.SetHTTP2(!ranges)
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
