package wire

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"modelfs/providers"
)

// DefaultSilence is how long a server may take to begin an answer, and how long a
// body may be silent.
const DefaultSilence = 10 * time.Second

// Options set up a [Client]. Only Home is needed.
type Options struct {
	// Home is the address that the operator configured. Credentials go to its
	// origin only.
	Home *url.URL
	// CAFile names a file of PEM certificates to trust beside the system's.
	CAFile string
	// Insecure switches the check of certificates off.
	Insecure bool
	// Certificate is the client's own, if the server asks for one.
	Certificate *tls.Certificate
	// Authorize adds credentials to a request that goes home. It is called for
	// each, so that a rotated secret works at once. An error ends the request.
	Authorize func(*http.Request) error
	// Silence replaces DefaultSilence.
	Silence time.Duration
}

// A Client sends requests. It is safe for concurrent use.
type Client struct {
	home      *url.URL
	origin    string
	authorize func(*http.Request) error
	silence   time.Duration
	metadata  *http.Client
	ranges    *http.Client
}

// New makes a Client. It does not use the network.
func New(o Options) (*Client, error) {
	roots, err := Roots(o.CAFile)
	if err != nil {
		return nil, err
	}
	c := &Client{home: o.Home, origin: Origin(o.Home), authorize: o.Authorize, silence: o.Silence}
	if c.silence <= 0 {
		c.silence = DefaultSilence
	}
	g := &gate{home: strings.ToLower(o.Home.Hostname()), dialer: net.Dialer{Timeout: c.silence}}
	conf := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12, InsecureSkipVerify: o.Insecure} //nolint:gosec // the operator's choice
	if o.Certificate != nil {
		conf.Certificates = []tls.Certificate{*o.Certificate}
	}
	c.metadata = client(g, conf, c.silence, false)
	c.ranges = client(g, conf, c.silence, true)
	return c, nil
}

// Roots are the system's certificates and those of the file; nil, which is the
// system's, without a file.
func Roots(caFile string) (*x509.CertPool, error) {
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
// name without the port whether credentials go along. Ranges use HTTP/1.1,
// where each has a connection of its own: one HTTP/2 connection would share a
// single congestion window among all of them.
func client(g *gate, conf *tls.Config, silence time.Duration, ranges bool) *http.Client {
	t := &http.Transport{
		Proxy:                 g.proxy,
		DialContext:           g.dial,
		TLSClientConfig:       conf.Clone(),
		TLSHandshakeTimeout:   silence,
		ResponseHeaderTimeout: silence,
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

// A Request is one question. Its zero fields are a GET without headers.
type Request struct {
	Method string
	URL    *url.URL
	Header http.Header
	Body   []byte
	// Off and N ask for a range if N is not zero; connections are then not
	// shared with other requests.
	Off, N int64
	// Bytes is set for the bytes of a file that are not asked for by range.
	Bytes bool
	// Bare keeps the client's credentials out even at home.
	Bare bool
}

// Send makes one request and follows no redirect. The answer may be a refusal; its
// body must be closed. Errors wrap [providers.ErrUnavailable], or are those of ctx
// or of Authorize.
func (c *Client) Send(ctx context.Context, r Request) (*http.Response, error) {
	attempt, cancel := context.WithCancelCause(ctx)
	req, err := c.request(attempt, r)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	by := c.metadata
	if r.N > 0 || r.Bytes {
		by = c.ranges
	}
	resp, err := by.Do(req)
	if err != nil {
		cancel(nil)
		return nil, unreachable(ctx, r.URL, err)
	}
	resp.Body = &watched{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, silence: c.silence}
	return resp, nil
}

func (c *Client) request(ctx context.Context, r Request) (*http.Request, error) {
	method := r.Method
	if method == "" {
		method = http.MethodGet
	}
	var body io.Reader
	if r.Body != nil {
		body = bytes.NewReader(r.Body)
	}
	req, err := http.NewRequestWithContext(ctx, method, r.URL.String(), body)
	if err != nil {
		return nil, fmt.Errorf("%w: cannot make the request", providers.ErrUnavailable)
	}
	if r.Header != nil {
		req.Header = r.Header.Clone()
	}
	req.Header.Set("User-Agent", "modelfs")
	req.Header.Set("Accept-Encoding", "identity") // else text comes compressed, without length
	if r.N > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.Off, r.Off+r.N-1))
	}
	if c.authorize != nil && !r.Bare && c.Home(r.URL) {
		if err := c.authorize(req); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// Home reports whether u is at the origin that may see the credentials.
func (c *Client) Home(u *url.URL) bool { return Origin(u) == c.origin }

// Origin is the scheme, host and port of u, in one spelling.
func Origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + port
}

// unreachable words a failure of the transport. The error of net/http repeats
// the URL, whose query may be a signature, so only its cause is kept.
func unreachable(ctx context.Context, u *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	return fmt.Errorf("%w: %s: %w", providers.ErrUnavailable, u.Host, hideContext(err))
}

// hideContext keeps an error of our own timeouts from looking like one of the
// caller's context, which would be told to the reader as an interrupt.
func hideContext(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return &timeout{err.Error()}
	}
	return err
}

type timeout struct{ text string }

func (t *timeout) Error() string { return t.text }

// Timeout makes a timeout one that is retried.
func (t *timeout) Timeout() bool { return true }

// CloseIdleConnections closes what is open and not in use.
func (c *Client) CloseIdleConnections() {
	c.metadata.CloseIdleConnections()
	c.ranges.CloseIdleConnections()
}
