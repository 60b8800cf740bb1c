package transformers

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/url"
	"strings"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// ReadRange asks for bytes of e at the model's commit: from the content network
// where the file has a link, else from the resolve route.
func (m *model) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	if off < 0 || n <= 0 || e.Size < 0 || off > e.Size-n {
		return nil, m.fail("read", e.Path, fmt.Errorf("range %d+%d of a file of %d bytes: %w", off, n, e.Size, iofs.ErrInvalid))
	}
	if err := providers.ValidPath(e.Path); err != nil {
		return nil, m.fail("read", e.Path, fmt.Errorf("%w: %w", iofs.ErrNotExist, err))
	}
	body, err := m.read(ctx, e, span{off, n, off, n})
	if err != nil {
		return nil, m.fail("read", e.Path, err)
	}
	return wire.Named(body, func(err error) error { return m.fail("read", e.Path, err) }), nil
}

// span is a range that is wanted, and the range that is asked for to get it.
type span struct{ off, n, askOff, askN int64 }

// wider is s asked for in other bounds, within a file of this size. A content
// network has been seen to refuse some ranges of a valid link and to serve
// others (huggingface/xet-core issue 897).
func (s span) wider(size int64) span {
	const step = 64 << 10
	start := max(0, s.off-1) / step * step
	end := min(size, (s.off+s.n+step)/step*step)
	return span{s.off, s.n, start, end - start}
}

// read asks where e is, and there. A link that is refused is renewed once, for
// all readers of the file together; if the new one is refused too, other bounds
// of the range are the last thing to try.
func (m *model) read(ctx context.Context, e providers.Entry, s span) (io.ReadCloser, error) {
	var no *linkRefused
	for range 2 {
		k, err := m.link(ctx, e)
		if err != nil {
			return nil, err
		}
		body, err := m.fetch(ctx, e, k, s)
		if !errors.As(err, &no) {
			return body, err
		}
		m.p.links.drop(m.linkKey(e.Path), no.link)
	}
	m.p.hub.log.Warn("the content network refuses a new link", "name", m.origin.Name, "path", e.Path,
		"host", no.link.url.Host, "status", no.status, "text", no.text)
	wide := s.wider(e.Size)
	if wide == s {
		return nil, no
	}
	return m.fetchLink(ctx, e, no.link, wide)
}

// fetch asks for a span where k leads.
func (m *model) fetch(ctx context.Context, e providers.Entry, k link, s span) (io.ReadCloser, error) {
	if k.url != nil {
		return m.fetchLink(ctx, e, k, s)
	}
	u := m.p.hub.fileURL(m.repo, m.origin.Revision, e.Path)
	a, err := m.p.hub.query(ctx, question{method: http.MethodGet, url: u, off: s.askOff, n: s.askN}, m.p.hub.pace)
	if err != nil {
		return nil, err
	}
	if a.away != nil {
		k, err := m.took(u, a, e)
		if err != nil {
			return nil, err
		}
		return m.fetchLink(ctx, e, k, s)
	}
	if err := m.judge(u, a, e); err != nil {
		return nil, err
	}
	return take(a.Response, e, s)
}

// linkRefused says that the content network no longer honours a link.
type linkRefused struct {
	link   link
	status int
	text   string
}

func (l *linkRefused) Error() string {
	return fmt.Sprintf("%v: %s answers %d to a new link", providers.ErrUnavailable, l.link.url.Host, l.status)
}

func (l *linkRefused) Unwrap() error { return providers.ErrUnavailable }

// fetchLink asks the content network, over any hops that it makes itself.
func (m *model) fetchLink(ctx context.Context, e providers.Entry, k link, s span) (io.ReadCloser, error) {
	at := k.url
	for range maxHops {
		resp, err := m.p.hub.send(ctx, wire.Request{URL: at, Off: s.askOff, N: s.askN})
		if err != nil {
			return nil, err
		}
		if wire.Redirects(resp) {
			next, err := m.p.hub.next(at, resp.Header.Get("Location"))
			wire.Discard(resp)
			if err != nil {
				return nil, err
			}
			at = next
			continue
		}
		return m.takeLink(resp, e, k, s)
	}
	return nil, fmt.Errorf("%w: more than %d redirects", providers.ErrUnavailable, maxHops)
}

func (m *model) takeLink(resp *http.Response, e providers.Entry, k link, s span) (io.ReadCloser, error) {
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
		return take(resp, e, s)
	case http.StatusRequestedRangeNotSatisfiable:
		wire.Discard(resp)
		return nil, fmt.Errorf("%w: the file is shorter than its listing says", providers.ErrStale)
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		text := m.p.hub.words(resp, k.url)
		wire.Discard(resp)
		return nil, &linkRefused{k, resp.StatusCode, text}
	}
	wire.Discard(resp)
	err := fmt.Errorf("%w: %s answers %d", providers.ErrUnavailable, k.url.Host, resp.StatusCode)
	if resp.StatusCode == http.StatusTooManyRequests {
		return nil, &providers.Throttled{After: wire.RetryAfter(resp.Header), Err: err}
	}
	return nil, err
}

// words is the beginning of what a content network says to a refusal, without
// the parts of the link that it may repeat.
func (h *hub) words(resp *http.Response, u *url.URL) string {
	b, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err != nil {
		b = append(b, "..."...) // what came is still worth telling
	}
	var secrets []string
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, raw, _ := strings.Cut(pair, "=")
		secrets = append(secrets, raw)
	}
	return wire.Clip(h.redact(string(b), secrets...))
}
