package transformers

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// maxHops bounds the redirects of one request.
const maxHops = 5

// A question is one request and how its redirects are taken.
type question struct {
	method string
	url    *url.URL
	off, n int64 // the range, if n is not zero
	// enough says that an answer needs no further hop, though it is a redirect.
	enough func(http.Header) bool
}

// An answer is what came at the end of the hops. Its body must be closed.
type answer struct {
	*http.Response
	// away is where a redirect leads that leaves the endpoint; nobody has been
	// there yet.
	away *url.URL
}

// ask sends q to the endpoint and follows redirects as long as they stay there.
func (h *hub) ask(ctx context.Context, q question) (*answer, error) {
	at := q.url
	for range maxHops + 1 {
		resp, err := h.send(ctx, wire.Request{Method: q.method, URL: at, Off: q.off, N: q.n}) //nolint:bodyclose // the caller closes the answer
		if err != nil {
			return nil, err
		}
		if !wire.Redirects(resp) || q.enough != nil && q.enough(resp.Header) {
			return &answer{Response: resp}, nil
		}
		next, err := h.next(at, resp.Header.Get("Location"))
		if err == nil && !h.client.Home(next) {
			return &answer{Response: resp, away: next}, nil
		}
		wire.Discard(resp)
		if err != nil {
			return nil, err
		}
		at = next
	}
	return nil, fmt.Errorf("%w: more than %d redirects", providers.ErrUnavailable, maxHops)
}

// next reads where a redirect or a Link header leads from at. What names the
// public Hub is a mirror's upstream talking, and means the mirror itself
// (huggingface_hub, utils/_xet.py and PR 4739).
func (h *hub) next(at *url.URL, to string) (*url.URL, error) {
	u, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("%w: redirected to what is no URL", providers.ErrUnavailable)
	}
	prefix := strings.TrimRight(h.endpoint.EscapedPath(), "/")
	switch {
	case h.mirror && canonical[strings.ToLower(u.Hostname())]:
		u = h.rebase(u)
	case u.Host == "" && u.Scheme == "" && h.client.Home(at) && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.EscapedPath(), prefix+"/"):
		// A gateway passed on a path that its upstream wrote without the
		// gateway's prefix. Without it the path belongs to some other service
		// of this host, which must not see the token.
		u = h.rebase(u)
	default:
		u = at.ResolveReference(u)
	}
	return u, wire.CheckHop(at, u)
}

// rebase puts what a URL names below the endpoint.
func (h *hub) rebase(u *url.URL) *url.URL {
	moved := h.at(u.EscapedPath())
	moved.RawQuery = u.RawQuery
	return moved
}

// send makes one request, with the token if u is at the endpoint's origin. Its
// errors wrap ErrUnavailable, or are those of ctx.
func (h *hub) send(ctx context.Context, r wire.Request) (*http.Response, error) {
	if h.offline != "" {
		return nil, &offlineError{h.offline}
	}
	resp, err := h.client.Send(ctx, r)
	if err == nil && h.client.Home(r.URL) {
		h.limits.observe(r.URL, resp, h.now())
		h.warnOnce(resp.Header)
	}
	return resp, err
}

// authorize adds the token, if there is one.
func (h *hub) authorize(r *http.Request) error {
	token, err := h.tokens.token()
	if err == nil && token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// offlineError says which variable forbids the network.
type offlineError struct{ variable string }

func (o *offlineError) Error() string {
	return fmt.Sprintf("%v: %s is set", providers.ErrUnavailable, o.variable)
}
func (o *offlineError) Unwrap() error { return providers.ErrOffline }

// warnOnce logs each topic of X-HF-Warning ("topic; message") the first time.
func (h *hub) warnOnce(header http.Header) {
	for _, line := range header.Values("X-HF-Warning") {
		topic, message, ok := strings.Cut(line, ";")
		if !ok {
			topic, message = "", line
		}
		topic = wire.Clip(strings.TrimSpace(topic))
		h.mu.Lock()
		// A hostile endpoint must not fill memory or the log with topics.
		first := !h.warned[topic] && len(h.warned) < 100
		if first {
			h.warned[topic] = true
		}
		h.mu.Unlock()
		if first {
			h.log.Warn("the Hub warns", "topic", topic, "message", h.redact(wire.Clip(strings.TrimSpace(message))))
		}
	}
}

// redact takes the token and whatever else is secret out of text that a server
// wrote: servers are known to repeat what they were sent.
func (h *hub) redact(s string, secrets ...string) string {
	if token, err := h.tokens.token(); err == nil && token != "" {
		secrets = append(secrets, token)
	}
	return wire.Redact(s, secrets...)
}
