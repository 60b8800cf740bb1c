package transformers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

func TestParseRateLimit(t *testing.T) {
	for _, c := range []struct {
		header, bucket string
		left           int64
		reset          time.Duration
		ok             bool
	}{
		{`"api";r=12;t=55`, "api", 12, 55 * time.Second, true},
		{`"pages";r=1;t=2, "api";r=0;t=3`, "api", 0, 3 * time.Second, true},
		{`"pages";r=0;t=2, "api";r=1;t=3`, "", 0, 2 * time.Second, true},
		{`"resolvers";r=0;t=9`, "api", 0, 0, false},
		{`"api";t=55`, "api", 0, 0, false},
		{`"api";r=-1;t=55`, "api", 0, 0, false},
		{`"api";r=0;t=99999999`, "api", 0, maxBlocked, true},
		{``, "api", 0, 0, false},
	} {
		left, reset, ok := parseRateLimit(c.header, c.bucket)
		if ok != c.ok || ok && (left != c.left || reset != c.reset) {
			t.Errorf("%s: got %d, %v, %v, want %d, %v, %v", c.header, left, reset, ok, c.left, c.reset, c.ok)
		}
	}
}

func TestBackoff(t *testing.T) {
	f := start(t, Config{})
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 503})
	_, err := f.Resolve(t.Context(), "org/name", "")
	wantErr(t, err, providers.ErrUnavailable)
	wantCount(t, f, "hub", "", 5)
	for i, d := range f.clock.slept {
		whole := time.Second << i
		if d < whole/2 || d > whole {
			t.Errorf("got delay %d of %v, want it within %v to %v", i, d, whole/2, whole)
		}
	}
}

func TestQuotaUsedUpIsWaitedFor(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.SetQuota("api", 1, 20*time.Second)
	resolve(t, f.Provider, "org/name", "") // takes the last, and learns so
	// The second is held back by the provider, not by the Hub: its clock, which
	// every sleep moves on, is past the window, while the Hub's is not.
	f.SetQuota("api", 10, time.Minute)
	resolve(t, f.Provider, "org/name", "")
	if len(f.clock.slept) != 1 || f.clock.slept[0] < 15*time.Second || f.clock.slept[0] > 21*time.Second {
		t.Errorf("got waits %v, want one of about 20 s", f.clock.slept)
	}
	wantCount(t, f, "hub", "", 2)
}

func TestQuotaFarFromResetFailsAtOnce(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "config.json")
	f.SetQuota("api", 0, 250*time.Second)
	f.Forget()
	for range 3 {
		_, err := f.Resolve(t.Context(), "org/name", "")
		wantErr(t, err, providers.ErrUnavailable)
		var throttled *providers.Throttled
		if !errors.As(err, &throttled) || throttled.After < 240*time.Second || throttled.After > 260*time.Second {
			t.Fatalf("got error %v, want it throttled for about 250 s", err)
		}
		wantRemedy(t, err, "rate limits")
	}
	wantCount(t, f, "hub", "", 1)
	if len(f.clock.slept) != 0 {
		t.Errorf("got waits %v, want none", f.clock.slept)
	}
	// The other bucket is open.
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("got error %v, want the resolve route asked", err)
	}
}

func TestThrottledWithoutFigures(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	f.Inject(2, testhub.To("hub", ""), testhub.Fault{Status: 429})
	resolve(t, f.Provider, "org/name", "")
	f.Inject(1, testhub.To("hub", ""), testhub.Fault{Status: 429, Header: map[string]string{"Retry-After": "9"}})
	f.clock.slept = nil
	resolve(t, f.Provider, "org/name", "")
	if len(f.clock.slept) != 1 || f.clock.slept[0].Round(time.Second) != 9*time.Second {
		t.Errorf("got waits %v, want one of 9 s", f.clock.slept)
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	f := start(t, Config{})
	f.hub.pace.sleep = sleep
	f.Inject(-1, testhub.To("hub", ""), testhub.Fault{Status: 503})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := f.Resolve(ctx, "org/name", "")
	wantErr(t, err, context.DeadlineExceeded)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("got an answer after %v, want it soon after the context ended", took)
	}
}

func TestTransient(t *testing.T) {
	source := func(err error) error { return fmt.Errorf("%w: %w", providers.ErrUnavailable, err) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{source(syscall.ECONNRESET), true},
		{source(syscall.EPIPE), true},
		{source(io.EOF), true},
		{source(&net.DNSError{Err: "late", IsTimeout: true}), true},
		{source(&net.DNSError{IsTemporary: true, IsTimeout: true}), true},
		{source(&net.DNSError{IsNotFound: true}), false},
		{source(syscall.ECONNREFUSED), false},
		{source(&tls.CertificateVerificationError{Err: io.EOF}), false},
		{providers.ErrUnavailable, false},
		{context.DeadlineExceeded, false},
		{context.Canceled, false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("%v: got %v, want %v", c.err, got, c.want)
		}
	}
}

func TestBucketOf(t *testing.T) {
	for path, want := range map[string]string{
		"/api/models/a/b":                "api",
		"/hf/api/models/a/b":             "api",
		"/a/b/resolve/main/c":            "resolvers",
		"/api/resolve-cache/models/a/b":  "resolvers",
		"/a/b":                           "pages",
		"/" + strings.Repeat("a", 10):    "pages",
		"/api/models/a/b/tree/x/resolve": "api",
	} {
		h := &hub{endpoint: mustEndpoint(t, "https://hub.example")}
		if got := bucketOf(h.at(path)); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
