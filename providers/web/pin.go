package web

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"modelfs/providers"
)

// A pin is what a validator holds: a strong ETag, else all that the server tells, the
// weak one and the time. Its zero value proves nothing.
type pin struct {
	etag  string // as the server wrote it
	mtime int64  // seconds; 0 beside a strong ETag
}

// maxETag bounds what a server can have us keep for each file.
const maxETag = 512

// newPin reads the header of an answer.
func newPin(h http.Header) pin {
	p := pin{etag: etagOf(h)}
	if !p.strong() {
		p.mtime = seconds(modified(h))
	}
	return p
}

func etagOf(h http.Header) string {
	etag := strings.TrimSpace(h.Get("ETag"))
	if len(etag) > maxETag {
		return ""
	}
	return etag
}

// modified is the time of the last change; zero if the answer tells none.
func modified(h http.Header) time.Time {
	t, err := http.ParseTime(h.Get("Last-Modified"))
	if err != nil {
		return time.Time{}
	}
	return t
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// strong reports whether the ETag is one that If-Match can match (RFC 9110, 8.8.3).
func (p pin) strong() bool {
	return len(p.etag) > 2 && p.etag[0] == '"' && strings.IndexByte(p.etag[1:], '"') == len(p.etag)-2
}

// String writes p as a validator: the strong ETag, or what there is before and after
// an '@'.
func (p pin) String() string {
	switch {
	case p == pin{}:
		return ""
	case p.strong():
		return p.etag
	case p.mtime == 0:
		return p.etag + "@"
	}
	return p.etag + "@" + strconv.FormatInt(p.mtime, 10)
}

// parsePin is the inverse of String.
func parsePin(s string) (pin, error) {
	p := pin{etag: s}
	if s == "" || p.strong() {
		return p, nil
	}
	i := strings.LastIndexByte(s, '@')
	if i < 0 {
		return pin{}, fmt.Errorf("%w: not a validator of this provider", providers.ErrStale)
	}
	p.etag = s[:i]
	if s[i+1:] != "" {
		n, err := strconv.ParseInt(s[i+1:], 10, 64)
		if err != nil {
			return pin{}, fmt.Errorf("%w: not a validator of this provider", providers.ErrStale)
		}
		p.mtime = n
	}
	if p.String() != s {
		return pin{}, fmt.Errorf("%w: not a validator of this provider", providers.ErrStale)
	}
	return p, nil
}

// condition is the header that has the server refuse other content. Not all servers
// heed it: what answers is matched all the same.
func (p pin) condition() http.Header {
	h := http.Header{}
	switch {
	case p.strong():
		h.Set("If-Match", p.etag)
	case p.mtime != 0:
		h.Set("If-Unmodified-Since", time.Unix(p.mtime, 0).UTC().Format(http.TimeFormat))
	}
	return h
}

// match reports whether content with this ETag and time is the pinned one: nil,
// [providers.ErrStale], or that the answer does not tell. An ETag that is weak in one
// answer and strong in the next is one: Apache's are weak for the first second.
func (p pin) match(etag string, changed time.Time) error {
	switch {
	case p.etag != "" && etag == "", p.mtime != 0 && changed.IsZero():
		return fmt.Errorf("%w: the answer does not say which content it has", providers.ErrUnavailable)
	case opaque(p.etag) != opaque(etag) && p.etag != "", p.mtime != 0 && p.mtime != changed.Unix():
		return fmt.Errorf("%w: the file was replaced", providers.ErrStale)
	}
	return nil
}

func opaque(etag string) string { return strings.TrimPrefix(etag, "W/") }
