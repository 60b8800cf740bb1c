package wire

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"modelfs/providers"
)

// maxSkip is how much of a file is thrown away to reach a range that a server
// ignores; beyond it, each block of a large file would cost the whole of it.
const maxSkip = 1 << 20

// Take makes the n bytes at off of a file of this size out of an answer to a range
// request. It closes the answer if it fails:
//
//   - [providers.ErrWhole] if the server ignores ranges and this one is neither
//     the whole file nor near its beginning;
//   - [providers.ErrStale] if the file has another size now;
//   - [providers.ErrUnavailable] for any other answer, a page for people among them.
//
// Statuses other than 200, 206 and 416 are the caller's to judge, before.
func Take(resp *http.Response, off, n, size int64) (io.ReadCloser, error) {
	body, err := take(resp, off, n, size)
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return body, nil
}

func take(resp *http.Response, off, n, size int64) (io.ReadCloser, error) {
	if coding := resp.Header.Get("Content-Encoding"); coding != "" && coding != "identity" {
		return nil, fmt.Errorf("%w: the answer is encoded as %q, which was not asked for", providers.ErrUnavailable, Clip(coding))
	}
	switch resp.StatusCode {
	case http.StatusPartialContent:
		return takePart(resp, off, n, size)
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, fmt.Errorf("%w: the file is shorter than its listing says", providers.ErrStale)
	case http.StatusOK:
		return takeWhole(resp, off, n, size)
	}
	return nil, fmt.Errorf("%w: %s answers %d", providers.ErrUnavailable, resp.Request.URL.Host, resp.StatusCode)
}

func takePart(resp *http.Response, off, n, size int64) (io.ReadCloser, error) {
	start, end, total, ok := ParseContentRange(resp.Header.Get("Content-Range"))
	switch {
	case !ok || start < 0:
		return nil, fmt.Errorf("%w: the answer does not say which bytes it has", providers.ErrUnavailable)
	case total >= 0 && total != size:
		return nil, wrongSize(total, size)
	case start != off || end != off+n-1:
		return nil, fmt.Errorf("%w: asked for bytes %d-%d, got %d-%d", providers.ErrUnavailable, off, off+n-1, start, end)
	case resp.ContentLength >= 0 && resp.ContentLength != n:
		return nil, fmt.Errorf("%w: the answer to a range of %d bytes has %d", providers.ErrCorrupt, n, resp.ContentLength)
	}
	return Exact(resp.Body, 0, n, true)
}

// takeWhole takes the wanted part of a whole file: the server ignores ranges.
func takeWhole(resp *http.Response, off, n, size int64) (io.ReadCloser, error) {
	switch {
	case resp.ContentLength >= 0 && resp.ContentLength != size:
		return nil, wrongSize(resp.ContentLength, size)
	case off+n < size && off+n > maxSkip:
		return nil, fmt.Errorf("%w: %s ignores ranges", providers.ErrWhole, resp.Request.URL.Host)
	}
	return Exact(resp.Body, off, n, off+n == size)
}

func wrongSize(got, want int64) error {
	return fmt.Errorf("%w: the server has %d bytes of a file of %d", providers.ErrStale, got, want)
}

// ParseContentRange reads "bytes a-b/total" or "bytes */total"; what is not
// told is -1.
func ParseContentRange(s string) (start, end, total int64, ok bool) {
	bounds, size, ok := strings.Cut(strings.TrimPrefix(s, "bytes "), "/")
	if !ok || !strings.HasPrefix(s, "bytes ") {
		return 0, 0, 0, false
	}
	total = -1
	if size != "*" {
		if total, ok = decimal(size); !ok {
			return 0, 0, 0, false
		}
	}
	if bounds == "*" {
		return -1, -1, total, true
	}
	first, last, _ := strings.Cut(bounds, "-")
	start, ok = decimal(first)
	end, ok2 := decimal(last)
	if !ok || !ok2 || end < start || total >= 0 && end >= total {
		return 0, 0, 0, false
	}
	return start, end, total, true
}

// decimal reads digits and nothing else: ParseInt alone takes a sign too.
func decimal(s string) (int64, bool) {
	n, err := strconv.ParseUint(s, 10, 63)
	return int64(n), err == nil
}

// MaxRetryAfter is the longest time that a server can ask to be left alone for.
const MaxRetryAfter = 10 * time.Minute

// RetryAfter reads seconds or a date. A date is taken against the server's own
// clock, so that a wrong clock here does no harm.
func RetryAfter(h http.Header) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return time.Duration(min(max(n, 0), int64(MaxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	date, err := http.ParseTime(h.Get("Date"))
	if err != nil {
		return 0
	}
	return min(max(0, at.Sub(date)), MaxRetryAfter)
}
