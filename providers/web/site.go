package web

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// A site is one folder and what was learned of its server.
type site struct {
	protocol, name string
	conf           Site
	base           *url.URL // ends in a slash
	client         *wire.Client
	strict         bool
	log            *slog.Logger
	now            func() time.Time

	whole  atomic.Bool // the server ignored a range
	noHead atomic.Bool // the server does not know HEAD

	mu      sync.Mutex // guards the fields below
	index   string     // how the site is listed; empty if that has to be found out
	found   time.Time  // when it was
	listed  *document  // the last index.json or SHA256SUMS
	learned map[string]pin
}

func newSite(env providers.Env, name string, c Site) (*site, error) {
	base, err := parseFolder(c.URL)
	if err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	s := &site{
		protocol: env.Protocol, name: name, conf: c, base: base, log: env.Log, now: env.Now,
		strict: c.Verify == "strict" || c.Verify == "" && env.Strict,
	}
	s.client, err = wire.New(wire.Options{Home: base, CAFile: c.CAFile, Authorize: s.authorize})
	return s, err
}

func (s *site) secret() bool { return s.conf.PasswordFile != "" || s.conf.TokenFile != "" }

// errSecret says that credentials are configured and cannot be read.
var errSecret = fmt.Errorf("%w: no credentials", iofs.ErrPermission)

// authorize adds the configured credentials.
func (s *site) authorize(r *http.Request) error {
	if file := s.conf.PasswordFile; file != "" {
		password, err := wire.ReadSecret(file)
		if err != nil {
			// As text: that the file is absent does not make the model so.
			return fmt.Errorf("%w: %s", errSecret, err.Error())
		}
		r.SetBasicAuth(s.conf.Username, password)
	}
	if file := s.conf.TokenFile; file != "" {
		token, err := wire.ReadSecret(file)
		if err != nil {
			return fmt.Errorf("%w: %s", errSecret, err.Error())
		}
		if s.conf.HeaderName != "" {
			r.Header.Set(s.conf.HeaderName, token)
		} else {
			r.Header.Set("Authorization", "Bearer "+token)
		}
	}
	return nil
}

// at is the address of a path below the folder.
func (s *site) at(path string) *url.URL {
	u := *s.base
	u.Path = s.base.Path + path
	// Together, so that an escaped slash in the folder's own address stays escaped.
	u.RawPath = s.base.EscapedPath() + (&url.URL{Path: path}).EscapedPath()
	return &u
}

// errDirectory says that the server knows a directory where a file was asked for.
var errDirectory = errors.New("is a directory")

// ask sends a question and returns the answer if it is a success (2xx), or one of
// those statuses that the caller expects.
func (s *site) ask(ctx context.Context, r wire.Request, expected ...int) (*http.Response, error) {
	resp, err := s.send(ctx, r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 != 2 && !slices.Contains(expected, resp.StatusCode) {
		return nil, refusal(resp)
	}
	return resp, nil
}

// send follows redirects, but for the one that adds a slash: so servers say that
// a directory has the name of the file that was asked for.
func (s *site) send(ctx context.Context, r wire.Request) (*http.Response, error) {
	resp, err := s.client.Send(ctx, r)
	if err != nil || !wire.Redirects(resp) {
		return resp, err
	}
	location := resp.Header.Get("Location")
	wire.Discard(resp)
	// Its host and scheme do not matter: behind a proxy they are often wrong.
	if to, err := r.URL.Parse(location); err == nil && to.Path == r.URL.Path+"/" {
		return nil, errDirectory
	}
	next, err := wire.Next(r.URL, location)
	if err != nil {
		return nil, err
	}
	if wire.Origin(next) != wire.Origin(r.URL) {
		r.Header = nil
	}
	r.URL = next
	return s.client.Follow(ctx, r)
}

// isPage reports whether an answer is a page for people, where path is not one.
func isPage(h http.Header, path string) bool {
	if !wire.IsPage(strings.ToLower(h.Get("Content-Type"))) {
		return false
	}
	for _, ext := range []string{".html", ".htm", ".xhtml", ".shtml"} {
		if strings.HasSuffix(strings.ToLower(path), ext) {
			return false
		}
	}
	return true
}
