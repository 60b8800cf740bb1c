package s3test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestServerKeepsVersionsAndEnds(t *testing.T) {
	s := Start(t)
	s.Bucket(t, "versioned", true)
	first := s.Put(t, "versioned", "dir/key", "one")
	if second := s.Put(t, "versioned", "dir/key", "two"); first == "" || first == second {
		t.Errorf("version ids: got %q, then %q; want two", first, second)
	}
	out, err := s.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("versioned"), Key: aws.String("dir/key"), VersionId: aws.String(first)})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := ReadAll(out.Body); err != nil || string(got) != "one" {
		t.Errorf("first version: got %q, %v; want one", got, err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close: got %v; want nil", err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close again: got %v; want nil", err)
	}
	if _, err := http.Get(s.Endpoint); err == nil {
		t.Error("the server still answers after Close")
	}
}

func TestRunSaysWhyItFails(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Run(t.Context(), file); err == nil {
		t.Error("run in a file: got no error")
	}
}

// origin is what the proxies of these tests stand before.
func origin(t *testing.T, body string) *Proxy {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Host-Asked", r.Host)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	}))
	t.Cleanup(server.Close)
	return StartProxy(t, server.URL)
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	b, err := ReadAll(resp.Body)
	return resp, string(b), err
}

func TestProxyPassesOnAndRemembers(t *testing.T) {
	p := origin(t, "content")
	resp, body, err := get(t, p.URL+"/a/b?x=1")
	if err != nil || body != "content" {
		t.Errorf("body: got %q, %v; want content", body, err)
	}
	if got, want := "http://"+resp.Header.Get("Host-Asked"), p.URL; got != want {
		t.Errorf("host that the server sees: got %s; want %s", got, want)
	}
	r := p.Requests()
	if len(r) != 1 || r[0].Method != http.MethodGet || r[0].Path != "/a/b" || r[0].Query.Get("x") != "1" {
		t.Errorf("requests: got %+v; want GET /a/b?x=1", r)
	}
	p.Reset()
	if got := p.Count(func(Request) bool { return true }); got != 0 {
		t.Errorf("requests after reset: got %d; want 0", got)
	}
}

func TestProxyFaults(t *testing.T) {
	p := origin(t, "content")
	set := func(f Fault) { p.Hook(func(*http.Request) *Fault { return &f }) }

	set(Fault{Cut: 3})
	if _, body, err := get(t, p.URL); !errors.Is(err, io.ErrUnexpectedEOF) || body != "con" {
		t.Errorf("cut: got %q, %v; want con and unexpected EOF", body, err)
	}
	set(Fault{Flip: 2})
	if _, body, err := get(t, p.URL); err != nil || body != "cnntent" {
		t.Errorf("flip: got %q, %v; want cnntent", body, err)
	}
	set(Fault{Reply: &Reply{Status: 503, Body: "busy", Header: http.Header{"Retry-After": {"1"}}}})
	if resp, body, err := get(t, p.URL); err != nil || resp.StatusCode != http.StatusServiceUnavailable || body != "busy" || resp.Header.Get("Retry-After") != "1" {
		t.Errorf("reply: got %d %q, %v; want 503 busy", resp.StatusCode, body, err)
	}
	set(Fault{Edit: func(r *http.Response) error { return SetBody(r, []byte("other")) }})
	if _, body, err := get(t, p.URL); err != nil || body != "other" {
		t.Errorf("edit: got %q, %v; want other", body, err)
	}
	set(Fault{Rewire: func(r *http.Request) { r.Header.Set("Range", "bytes=0-0") }})
	if resp, body, err := get(t, p.URL); err != nil || resp.StatusCode != http.StatusPartialContent || body != "c" {
		t.Errorf("rewire: got %d %q, %v; want 206 c", resp.StatusCode, body, err)
	}
	set(Fault{Stall: 3})
	client := http.Client{Timeout: 200 * time.Millisecond}
	resp, err := client.Get(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := ReadAll(resp.Body); err == nil || string(body) != "con" {
		t.Errorf("stall: got %q, %v; want con and a timeout", body, err)
	}
}

func TestProxyIsAsSlowAsItIsTold(t *testing.T) {
	p := origin(t, strings.Repeat("x", 100_000))
	for what, c := range map[string]struct {
		shape Shape
		fault Fault
	}{
		"latency":        {Shape{Latency: 200 * time.Millisecond}, Fault{}},
		"delay":          {Shape{}, Fault{Delay: 200 * time.Millisecond}},
		"one connection": {Shape{PerConn: 500_000}, Fault{}},
		"all":            {Shape{Total: 500_000}, Fault{}},
		"one body":       {Shape{}, Fault{Pace: 500_000}},
	} {
		p.Shape(c.shape)
		p.Hook(func(*http.Request) *Fault { return &c.fault })
		began := time.Now()
		if _, body, err := get(t, p.URL); err != nil || len(body) != 100_000 {
			t.Errorf("%s: got %d bytes, %v; want 100000", what, len(body), err)
		}
		if d := time.Since(began); d < 150*time.Millisecond || d > 5*time.Second {
			t.Errorf("%s: got %s; want about 200ms", what, d)
		}
	}
}
