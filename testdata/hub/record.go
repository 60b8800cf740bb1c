package hub

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

// A Request is one that the server has received.
type Request struct {
	Server string // "hub" or "cdn"
	Method string
	Path   string // as it was sent, escaped
	Query  string
	Header http.Header
}

// String is the request's first line, for failures.
func (r Request) String() string {
	return fmt.Sprintf("%s: %s %s?%s range=%q", r.Server, r.Method, r.Path, r.Query, r.Header.Get("Range"))
}

// Requests returns what came since the start or the last [Server.Forget], in
// the order of arrival.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Request(nil), s.requests...)
}

// Forget empties the record.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// maxRecorded bounds the record of a server that runs for long.
const maxRecorded = 100_000

// recorded wraps a listener's handler with the record, the faults and the shape.
func (s *Server) recorded(server string, next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, controlPath) {
			next(w, r)
			return
		}
		req := Request{server, r.Method, r.URL.EscapedPath(), r.URL.RawQuery, r.Header.Clone()}
		s.mu.Lock()
		if len(s.requests) < maxRecorded {
			s.requests = append(s.requests, req)
		}
		fault := s.faultFor(req)
		s.mu.Unlock()
		s.shape.wait(r.Context())
		shaped := &shapedWriter{ResponseWriter: w, shape: &s.shape, ctx: r.Context()}
		if fault == nil {
			next(shaped, r)
			return
		}
		fault.serve(s, shaped, r, next)
	})
}

// quota is what is left of a bucket of requests in its window.
type quota struct {
	limit, left int
	reset       time.Time
}

// SetQuota leaves a bucket ("api", "resolvers", "pages") n requests until reset;
// what comes beyond is answered 429.
func (s *Server) SetQuota(bucket string, n int, reset time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quota[bucket] = &quota{n, n, time.Now().Add(reset)}
}

// spend takes one request from the bucket and reports whether there was one.
func (s *Server) spend(w http.ResponseWriter, bucket string) bool {
	s.mu.Lock()
	q := s.quota[bucket]
	if q == nil || time.Now().After(q.reset) {
		q = &quota{3000, 3000, time.Now().Add(5 * time.Minute)}
		s.quota[bucket] = q
	}
	ok := q.left > 0
	if ok {
		q.left--
	}
	left, limit, wait := q.left, q.limit, max(0, int(time.Until(q.reset).Seconds()))
	s.mu.Unlock()
	w.Header().Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", bucket, left, wait))
	w.Header().Set("RateLimit-Policy", fmt.Sprintf("%q;%q;q=%d;w=300", "fixed window", bucket, limit))
	if !ok {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusTooManyRequests)
		send(w, []byte("We had to rate limit you.\n"))
	}
	return ok
}

// Match chooses the requests that a fault is for.
type Match func(Request) bool

// To matches requests to one listener ("hub", "cdn") whose path holds part.
func To(server, part string) Match {
	return func(r Request) bool { return r.Server == server && strings.Contains(r.Path, part) }
}
