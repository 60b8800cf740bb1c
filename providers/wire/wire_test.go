package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestOrigin(t *testing.T) {
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"https://Hub.example/x", "https://hub.example:443/y", true},
		{"http://hub.example", "http://hub.example:80", true},
		{"https://hub.example", "http://hub.example", false},
		{"http://127.0.0.1:1", "http://127.0.0.1:2", false},
		{"https://hub.example", "https://hub.example.evil.example", false},
	} {
		if got := Origin(mustURL(t, c.a)) == Origin(mustURL(t, c.b)); got != c.same {
			t.Errorf("%s and %s: got same %v, want %v", c.a, c.b, got, c.same)
		}
	}
}

func TestGate(t *testing.T) {
	for _, c := range []struct {
		ip                string
		toPublic, toWhere bool // allowed for a public endpoint, for a private one
	}{
		{"93.184.215.14", true, true},
		{"2606:4700::1", true, true},
		{"127.0.0.1", false, true},
		{"::1", false, true},
		{"10.1.2.3", false, true},
		{"192.168.0.1", false, true},
		{"100.64.0.1", false, true},
		{"fd00::1", false, true},
		{"::ffff:10.0.0.1", false, true},
		{"169.254.169.254", false, false},
		{"::ffff:169.254.169.254", false, false},
		{"fe80::1", false, false},
		{"0.0.0.0", false, false},
		{"224.0.0.1", false, false},
	} {
		g := &gate{home: "hub.example"}
		ip := netip.MustParseAddr(c.ip)
		if got := g.judge(ip) == nil; got != c.toPublic {
			t.Errorf("%s from a public endpoint: got %v, want %v", c.ip, got, c.toPublic)
		}
		g.private.Store(true)
		if got := g.judge(ip) == nil; got != c.toWhere {
			t.Errorf("%s from a private endpoint: got %v, want %v", c.ip, got, c.toWhere)
		}
	}
}

func TestGateDials(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	g := &gate{home: "hub.example"}
	addr := srv.Listener.Addr().String()
	conn, err := g.dial(t.Context(), "tcp", addr)
	var refusedTo *RefusedAddr
	if err == nil {
		conn.Close()
		t.Fatal("got a connection to loopback, want it refused")
	}
	if !errors.As(err, &refusedTo) {
		t.Errorf("got error %v, want a refused address", err)
	}
	g.proxies.Store("127.0.0.1", true)
	conn, err = g.dial(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatalf("a proxy: got error %v, want a connection", err)
	}
	conn.Close()
}

func TestRetryAfter(t *testing.T) {
	for _, c := range []struct {
		after, date string
		want        time.Duration
	}{
		{"7", "", 7 * time.Second},
		{"-7", "", 0},
		{"999999999999", "", MaxRetryAfter},
		{"Mon, 01 Jun 2026 12:00:09 GMT", "Mon, 01 Jun 2026 12:00:00 GMT", 9 * time.Second},
		{"Mon, 01 Jun 2026 12:00:00 GMT", "Mon, 01 Jun 2026 12:00:09 GMT", 0},
		{"Mon, 01 Jun 2026 12:00:00 GMT", "", 0},
		{"soon", "", 0},
		{"", "", 0},
	} {
		h := http.Header{"Retry-After": {c.after}, "Date": {c.date}}
		if got := RetryAfter(h); got != c.want {
			t.Errorf("%q at %q: got %v, want %v", c.after, c.date, got, c.want)
		}
	}
}

func TestParseContentRange(t *testing.T) {
	for _, c := range []struct {
		in                string
		start, end, total int64
		ok                bool
	}{
		{"bytes 0-9/10", 0, 9, 10, true},
		{"bytes 5-5/*", 5, 5, -1, true},
		{"bytes */10", -1, -1, 10, true},
		{"bytes 0-10/10", 0, 0, 0, false},
		{"bytes 9-5/10", 0, 0, 0, false},
		{"bytes -5/10", 0, 0, 0, false},
		{"bytes 0-9", 0, 0, 0, false},
		{"items 0-9/10", 0, 0, 0, false},
		{"bytes 0-9/99999999999999999999", 0, 0, 0, false},
		{"", 0, 0, 0, false},
	} {
		start, end, total, ok := ParseContentRange(c.in)
		if ok != c.ok || ok && (start != c.start || end != c.end || total != c.total) {
			t.Errorf("%q: got %d-%d/%d %v, want %d-%d/%d %v", c.in, start, end, total, ok, c.start, c.end, c.total, c.ok)
		}
	}
}

// newClient is a client whose home is at handler, and which sends a secret there.
func newClient(t *testing.T, handler http.HandlerFunc) (*Client, *url.URL) {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	c, err := New(Options{Home: mustURL(t, srv.URL), Silence: 200 * time.Millisecond, Authorize: func(r *http.Request) error {
		r.Header.Set("Authorization", "Bearer secret")
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c, mustURL(t, srv.URL)
}

// Credentials, and headers that a caller adds, stay with the origin they are for;
// the range goes along.
func TestCredentialsStayHome(t *testing.T) {
	var met []http.Header
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { met = append(met, r.Header) }))
	defer stranger.Close()
	var home http.Header
	c, u := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		home = r.Header
		http.Redirect(w, r, stranger.URL+"/x?sig=1", http.StatusFound)
	})
	resp, err := c.Follow(t.Context(), Request{URL: u, Off: 5, N: 3, Header: http.Header{"X-Own": {"1"}, "Cookie": {"c=1"}}})
	if err != nil {
		t.Fatal(err)
	}
	Discard(resp)
	if home.Get("Authorization") == "" || home.Get("X-Own") == "" {
		t.Errorf("home got headers %v, want the credentials and the caller's own", home)
	}
	if len(met) != 1 || met[0].Get("Authorization") != "" || met[0].Get("X-Own") != "" || met[0].Get("Cookie") != "" || met[0].Get("Range") != "bytes=5-7" {
		t.Errorf("a stranger got %v, want the range and nothing else of ours", met)
	}
	resp, err = c.Send(t.Context(), Request{URL: u, Bare: true})
	if err != nil {
		t.Fatal(err)
	}
	Discard(resp)
	if home.Get("Authorization") != "" {
		t.Error("a bare request carried the credentials")
	}
}

func TestRedirectsThatNobodyShouldFollow(t *testing.T) {
	for _, to := range []string{"ftp://x/y", "file:///etc/passwd", "http://user:pw@127.0.0.1/", "http://[::1", "/loop", "http:///x"} {
		c, u := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", to)
			w.WriteHeader(http.StatusFound)
		})
		resp, err := c.Follow(t.Context(), Request{URL: u})
		if err == nil {
			Discard(resp)
		}
		if !errors.Is(err, providers.ErrUnavailable) || strings.Contains(fmt.Sprint(err), "pw") {
			t.Errorf("to %s: got %v, want %v without its credentials", to, err, providers.ErrUnavailable)
		}
	}
	if err := CheckHop(mustURL(t, "https://a"), mustURL(t, "http://a")); err == nil {
		t.Error("from https to http: got no error")
	}
}

func TestSilenceEndsAnAnswer(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	c, u := newClient(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" {
			w.Header().Set("Content-Length", "10")
			_, _ = io.WriteString(w, "12345")
			w.(http.Flusher).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	if _, err := c.Send(t.Context(), Request{URL: u}); !errors.Is(err, providers.ErrUnavailable) {
		t.Errorf("no answer: got %v, want %v", err, providers.ErrUnavailable)
	}
	resp, err := c.Send(t.Context(), Request{URL: u.JoinPath("body")})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if string(got) != "12345" || !errors.Is(err, providers.ErrUnavailable) || errors.Is(err, context.Canceled) {
		t.Errorf("silent body: got %q, %v; want what came and %v", got, err, providers.ErrUnavailable)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Send(ctx, Request{URL: u}); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: got %v, want %v", err, context.Canceled)
	}
}

func TestTake(t *testing.T) {
	file := bytes.Repeat([]byte("0123456789"), 300_000) // 3 MB
	for name, c := range map[string]struct {
		serve  http.HandlerFunc
		off, n int64
		want   error
	}{
		"range": {func(w http.ResponseWriter, r *http.Request) {
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(file))
		}, 11, 20, nil},
		"no range, begin":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }, 11, 20, nil},
		"no range, far":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }, 2_000_000, 20, providers.ErrWhole},
		"no range, all":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(file) }, 0, 3_000_000, nil},
		"no range, other":     {func(w http.ResponseWriter, _ *http.Request) { sized(w, file[:77]) }, 0, 20, providers.ErrStale},
		"chunked and short":   {func(w http.ResponseWriter, _ *http.Request) { chunked(w, file[:30]) }, 11, 20, providers.ErrUnavailable},
		"chunked and long":    {func(w http.ResponseWriter, _ *http.Request) { chunked(w, append(file, 'x')) }, 0, 3_000_000, providers.ErrCorrupt},
		"other bytes":         {part("bytes 10-29/3000000", 20), 11, 20, providers.ErrUnavailable},
		"other total":         {part("bytes 11-30/3000001", 20), 11, 20, providers.ErrStale},
		"unknown total":       {part("bytes 11-30/*", 20), 11, 20, nil},
		"no bounds":           {part("", 20), 11, 20, providers.ErrUnavailable},
		"longer than it says": {part("bytes 11-30/3000000", 21), 11, 20, providers.ErrCorrupt},
		"encoded": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "br")
			_, _ = w.Write(file)
		}, 0, 20, providers.ErrUnavailable},
		"not satisfiable": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusRequestedRangeNotSatisfiable) }, 0, 20, providers.ErrStale},
		"no content":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }, 0, 20, providers.ErrUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			client, u := newClient(t, c.serve)
			resp, err := client.Send(t.Context(), Request{URL: u, Off: c.off, N: c.n})
			if err != nil {
				t.Fatal(err)
			}
			body, err := Take(resp, c.off, c.n, int64(len(file)))
			var got []byte
			if err == nil {
				got, err = io.ReadAll(body)
				body.Close()
			}
			if !errors.Is(err, c.want) {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			if c.want == nil && strings.HasPrefix(name, "range") && !bytes.Equal(got, file[c.off:c.off+c.n]) {
				t.Errorf("got other bytes")
			}
			if c.want == nil && int64(len(got)) != c.n {
				t.Errorf("got %d bytes, want %d", len(got), c.n)
			}
		})
	}
}

func sized(w http.ResponseWriter, p []byte) {
	w.Header().Set("Content-Length", strconv.Itoa(len(p)))
	_, _ = w.Write(p)
}

func chunked(w http.ResponseWriter, p []byte) {
	w.(http.Flusher).Flush()
	_, _ = w.Write(p)
}

// part answers 206 with n bytes that it calls contentRange.
func part(contentRange string, n int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Range", contentRange)
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(make([]byte, n))
	}
}

func TestDecodeJSON(t *testing.T) {
	for body, ok := range map[string]bool{`{"a":1}`: true, `{"a":`: false, `{"a":1,"b":"` + strings.Repeat("x", 2000) + `"}`: false, ``: false, `<html>`: false} {
		client, u := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, body)
		})
		resp, err := client.Send(t.Context(), Request{URL: u})
		if err != nil {
			t.Fatal(err)
		}
		var v map[string]json.RawMessage
		if err := DecodeJSON(resp, 1000, &v); (err == nil) != ok || err != nil && !errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("%.20q: got %v", body, err)
		}
	}
	client, u := newClient(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, `{}`)
	})
	resp, err := client.Send(t.Context(), Request{URL: u})
	if err != nil {
		t.Fatal(err)
	}
	if err := DecodeJSON(resp, 1000, &struct{}{}); !errors.Is(err, providers.ErrUnavailable) || !strings.Contains(err.Error(), "page") {
		t.Errorf("a page: got %v, want an error that says so", err)
	}
}

func TestSecrets(t *testing.T) {
	if got, err := CleanSecret(" s3cret\r\n"); got != "s3cret" || err != nil {
		t.Errorf("got %q, %v; want it stripped", got, err)
	}
	if _, err := CleanSecret("a\nbcdefg"); err == nil || strings.Contains(err.Error(), "bcdefg") {
		t.Errorf("two lines: got %v, want an error without the secret", err)
	}
	if _, err := ReadSecret(t.TempDir() + "/none"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("no file: got %v", err)
	}
	if got := Redact("token=abcdef123 and ab", "abcdef123", "ab"); got != "token=[hidden] and ab" {
		t.Errorf("got %q", got)
	}
}

func FuzzHeaders(f *testing.F) {
	f.Add("7", "bytes 0-9/10")
	f.Add("Mon, 01 Jun 2026 12:00:09 GMT", "bytes */*")
	f.Fuzz(func(t *testing.T, after, contentRange string) {
		if d := RetryAfter(http.Header{"Retry-After": {after}, "Date": {after}}); d < 0 || d > MaxRetryAfter {
			t.Errorf("got %v of %q", d, after)
		}
		start, end, total, ok := ParseContentRange(contentRange)
		if ok && start >= 0 && (end < start || total >= 0 && end >= total) {
			t.Errorf("got %d-%d/%d of %q", start, end, total, contentRange)
		}
	})
}
