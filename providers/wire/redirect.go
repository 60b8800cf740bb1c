package wire

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"modelfs/providers"
)

// maxHops bounds the redirects of one request.
const maxHops = 5

// Follow is Send for a GET or HEAD, and follows redirects: with credentials and
// headers at home, without both elsewhere, but for the range. The URL of the answer
// is that of its Request.
func (c *Client) Follow(ctx context.Context, r Request) (*http.Response, error) {
	for range maxHops + 1 {
		resp, err := c.Send(ctx, r)
		if err != nil || !Redirects(resp) {
			return resp, err
		}
		next, err := Next(r.URL, resp.Header.Get("Location"))
		Discard(resp)
		if err != nil {
			return nil, err
		}
		if Origin(next) != Origin(r.URL) {
			r.Header = nil
		}
		r.URL = next
	}
	return nil, fmt.Errorf("%w: more than %d redirects", providers.ErrUnavailable, maxHops)
}

// Redirects reports whether resp leads elsewhere.
func Redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
}

// Next reads where a reference leads from at, and refuses what nobody should
// follow: other schemes, credentials in it, and the step from https to http.
func Next(at *url.URL, to string) (*url.URL, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("%w: led to what is no URL", providers.ErrUnavailable)
	}
	u = at.ResolveReference(u)
	return u, CheckHop(at, u)
}

// CheckHop refuses a step that nobody should follow.
func CheckHop(at, u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%w: led to a %q URL", providers.ErrUnavailable, u.Scheme)
	case u.User != nil:
		return fmt.Errorf("%w: led to a URL with credentials", providers.ErrUnavailable)
	case at.Scheme == "https" && u.Scheme == "http":
		return fmt.Errorf("%w: led from https to http", providers.ErrUnavailable)
	}
	return nil
}
