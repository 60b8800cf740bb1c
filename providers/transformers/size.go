package transformers

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// askSize asks the resolve route how long a file is, or for its first byte
// where a mirror leaves that out.
func (m *model) askSize(ctx context.Context, path string) (int64, error) {
	h := m.p.hub
	u := h.fileURL(m.repo, m.origin.Revision, path)
	for _, q := range []question{{method: http.MethodHead, url: u}, {method: http.MethodGet, url: u, n: 1}} {
		a, err := h.query(ctx, q, h.pace)
		if err != nil {
			return 0, err
		}
		if a.StatusCode >= 400 && a.StatusCode != http.StatusRequestedRangeNotSatisfiable {
			return 0, pinned(h.refusal(u, a.Response))
		}
		n := toldSize(a.Response)
		wire.Discard(a.Response)
		if n < 0 && a.away != nil && q.n > 0 {
			resp, err := h.send(ctx, wire.Request{Method: q.method, URL: a.away, N: q.n}) //nolint:bodyclose // Discard closes it
			if err != nil {
				return 0, err
			}
			n = toldSize(resp)
			wire.Discard(resp)
		}
		if n >= 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: neither the listing nor the file's own answer tells its size", providers.ErrUnavailable)
}

// toldSize is the size of the whole file according to an answer about it.
func toldSize(resp *http.Response) int64 {
	if n, err := strconv.ParseUint(resp.Header.Get("X-Linked-Size"), 10, 63); err == nil {
		return int64(n)
	}
	switch {
	case resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Encoding") == "":
		return resp.ContentLength
	case resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if _, _, total, ok := wire.ParseContentRange(resp.Header.Get("Content-Range")); ok {
			return total
		}
	}
	return -1
}
