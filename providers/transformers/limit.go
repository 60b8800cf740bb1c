package transformers

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"modelfs/providers/wire"
)

// limits remembers until when each bucket is used up, for all callers.
//
// The Hub counts requests in fixed windows of five minutes, apart for /api/ and
// for /resolve/ (hub-docs, docs/hub/rate-limits.md), and tells what is left with
// every answer (IETF draft "RateLimit header fields", version 9).
type limits struct {
	mu    sync.Mutex
	until map[string]time.Time // by bucket
}

// maxBlocked is twice the Hub's window: no answer may close a bucket for longer.
const maxBlocked = 10 * time.Minute

// bucketOf is the bucket that a URL counts against, where the answer does not say.
func bucketOf(u *url.URL) string {
	p := u.EscapedPath()
	switch {
	case strings.Contains(p, "/resolve/") || strings.Contains(p, "/api/resolve-cache/"):
		return "resolvers"
	case strings.Contains(p, "/api/"):
		return "api"
	}
	return "pages"
}

// wait is how long the bucket of u stays closed.
func (l *limits) wait(u *url.URL, now time.Time) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return max(0, l.until[bucketOf(u)].Sub(now))
}

// observe learns from an answer whether the bucket of u is used up.
func (l *limits) observe(u *url.URL, resp *http.Response, now time.Time) {
	header := resp.Header.Get("RateLimit")
	left, reset, told := parseRateLimit(header, bucketOf(u))
	if !told && resp.StatusCode == http.StatusTooManyRequests {
		left, reset, told = parseRateLimit(header, "")
	}
	var closed time.Duration
	switch {
	case told && left == 0:
		// The window ends within the second that is told.
		closed = reset + time.Second
	case resp.StatusCode == http.StatusTooManyRequests:
		closed = wire.RetryAfter(resp.Header)
	}
	if closed <= 0 {
		return
	}
	until := now.Add(min(closed, maxBlocked))
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := bucketOf(u); until.After(l.until[b]) {
		l.until[b] = until
	}
}

// parseRateLimit reads what is left of a bucket from `"api";r=0;t=55`, which
// may list several buckets; an empty bucket is the first one listed.
func parseRateLimit(header, bucket string) (left int64, reset time.Duration, ok bool) {
	for item := range strings.SplitSeq(header, ",") {
		name, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		if bucket != "" && strings.Trim(name, `"`) != bucket {
			continue
		}
		left = -1
		for param := range strings.SplitSeq(params, ";") {
			k, v, _ := strings.Cut(strings.TrimSpace(param), "=")
			n, err := strconv.ParseInt(v, 10, 64)
			if err != nil || n < 0 {
				continue
			}
			switch k {
			case "r":
				left = n
			case "t":
				reset = time.Duration(min(n, int64(maxBlocked/time.Second))) * time.Second
			}
		}
		return left, reset, left >= 0
	}
	return 0, 0, false
}
