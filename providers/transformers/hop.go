package transformers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"modelfs/providers"
)

// maxHops bounds the redirects of one request.
const maxHops = 5

// A question is one request and how its redirects are taken.
type question struct {
	method string
	url    *url.URL
	span   string // the Range header, or nothing
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
		resp, err := h.send(ctx, h.api, q.method, at, q.span)
		if err != nil {
			return nil, err
		}
		if !redirects(resp) || q.enough != nil && q.enough(resp.Header) {
			return &answer{Response: resp}, nil
		}
		next, err := h.next(at, resp.Header.Get("Location"))
		if err == nil && origin(next) != h.origin {
			return &answer{Response: resp, away: next}, nil
		}
		discard(resp)
		if err != nil {
			return nil, err
		}
		at = next
	}
	return nil, fmt.Errorf("%w: more than %d redirects", providers.ErrUnavailable, maxHops)
}

func redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther,
		http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
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
	case u.Host == "" && u.Scheme == "" && origin(at) == h.origin && strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(u.EscapedPath(), prefix+"/"):
		// A gateway passed on a path that its upstream wrote without the
		// gateway's prefix. Without it the path belongs to some other service
		// of this host, which must not see the token.
		u = h.rebase(u)
	default:
		u = at.ResolveReference(u)
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("%w: redirected to a %q URL", providers.ErrUnavailable, u.Scheme)
	case u.User != nil:
		return nil, fmt.Errorf("%w: redirected to a URL with credentials", providers.ErrUnavailable)
	case at.Scheme == "https" && u.Scheme == "http":
		return nil, fmt.Errorf("%w: redirected from https to http", providers.ErrUnavailable)
	}
	return u, nil
}

// rebase puts what a URL names below the endpoint.
func (h *hub) rebase(u *url.URL) *url.URL {
	moved := h.at(u.EscapedPath())
	moved.RawQuery = u.RawQuery
	return moved
}

// send makes one request, with the token if u is at the endpoint's origin. Its
// errors wrap ErrUnavailable, or are those of ctx.
func (h *hub) send(ctx context.Context, c *http.Client, method string, u *url.URL, span string) (*http.Response, error) {
	if h.offline != "" {
		return nil, &offlineError{h.offline}
	}
	attempt, cancel := context.WithCancelCause(ctx)
	req, err := http.NewRequestWithContext(attempt, method, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("%w: cannot make the request", providers.ErrUnavailable)
	}
	req.Header.Set("User-Agent", "modelfs")
	req.Header.Set("Accept-Encoding", "identity") // else text comes compressed, without length
	if span != "" {
		req.Header.Set("Range", span)
	}
	home := origin(u) == h.origin
	if home {
		token, err := h.tokens.token()
		if err != nil {
			cancel(nil)
			return nil, err
		}
		if token != "" {
			req.Header.Set("Authorization", "Bearer "+token)
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		cancel(nil)
		return nil, unreachable(ctx, u, err)
	}
	resp.Body = &watched{ReadCloser: resp.Body, ctx: ctx, cancel: cancel, silence: h.pace.silence}
	if home {
		h.limits.observe(u, resp, h.now())
		h.warnOnce(resp.Header)
	}
	return resp, nil
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

// offlineError says which variable forbids the network.
type offlineError struct{ variable string }

func (o *offlineError) Error() string {
	return fmt.Sprintf("%v: %s is set", providers.ErrUnavailable, o.variable)
}
func (o *offlineError) Unwrap() error { return providers.ErrOffline }

// discard lets a short body end, so that its connection can be used again. If
// it does not end, the connection is lost and nothing else.
func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}

// warnOnce logs each topic of X-HF-Warning ("topic; message") the first time.
func (h *hub) warnOnce(header http.Header) {
	for _, line := range header.Values("X-HF-Warning") {
		topic, message, ok := strings.Cut(line, ";")
		if !ok {
			topic, message = "", line
		}
		topic = clip(strings.TrimSpace(topic))
		h.mu.Lock()
		// A hostile endpoint must not fill memory or the log with topics.
		first := !h.warned[topic] && len(h.warned) < 100
		if first {
			h.warned[topic] = true
		}
		h.mu.Unlock()
		if first {
			h.log.Warn("the Hub warns", "topic", topic, "message", h.redact(clip(strings.TrimSpace(message))))
		}
	}
}

// clip bounds text from outside that goes into a log or an error.
func clip(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// redact takes the token and whatever else is secret out of text that a server
// wrote: servers are known to repeat what they were sent.
func (h *hub) redact(s string, secrets ...string) string {
	if token, err := h.tokens.token(); err == nil && token != "" {
		secrets = append(secrets, token)
	}
	for _, secret := range secrets {
		if len(secret) >= 6 {
			s = strings.ReplaceAll(s, secret, "[hidden]")
		}
	}
	return s
}
