package transformers

import (
	"context"
	"fmt"
	"net/http"

	"modelfs/providers"
)

// askSize asks the resolve route how long a file is, or for its first byte
// where a mirror leaves that out.
func (m *model) askSize(ctx context.Context, path string) (int64, error) {
	h := m.p.hub
	u := h.fileURL(m.repo, m.origin.Revision, path)
	for _, q := range []question{{method: http.MethodHead, url: u}, {method: http.MethodGet, url: u, span: "bytes=0-0"}} {
		a, err := h.query(ctx, q, h.pace)
		if err != nil {
			return 0, err
		}
		if a.StatusCode >= 400 && a.StatusCode != http.StatusRequestedRangeNotSatisfiable {
			return 0, pinned(h.refusal(u, a.Response))
		}
		n := toldSize(a.Response)
		discard(a.Response)
		if n < 0 && a.away != nil && q.span != "" {
			resp, err := h.send(ctx, h.cdn, q.method, a.away, q.span)
			if err != nil {
				return 0, err
			}
			n = toldSize(resp)
			discard(resp)
		}
		if n >= 0 {
			return n, nil
		}
	}
	return 0, fmt.Errorf("%w: neither the listing nor the file's own answer tells its size", providers.ErrUnavailable)
}

// toldSize is the size of the whole file according to an answer about it.
func toldSize(resp *http.Response) int64 {
	if n, ok := decimal(resp.Header.Get("X-Linked-Size")); ok {
		return n
	}
	switch {
	case resp.StatusCode == http.StatusOK && resp.Header.Get("Content-Encoding") == "":
		return resp.ContentLength
	case resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		if _, _, total, ok := parseContentRange(resp.Header.Get("Content-Range")); ok {
			return total
		}
	}
	return -1
}
