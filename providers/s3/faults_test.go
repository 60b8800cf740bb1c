package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"modelfs/providers"
	"modelfs/providers/s3/s3test"
)

// These tests put faults between the provider and a real server.

// faulted is one object behind a proxy.
type faulted struct {
	server  *s3test.Server
	proxy   *s3test.Proxy
	p       *Provider
	log     *journal
	m       *model
	e       providers.Entry
	content string
}

func fault(t *testing.T) *faulted {
	t.Helper()
	isolate(t)
	f := &faulted{server: s3test.Start(t), content: rising(200_000)}
	f.proxy = s3test.StartProxy(t, f.server.Endpoint)
	f.server.Bucket(t, "models", false)
	f.server.Put(t, "models", "dir/w.bin", f.content)
	f.p, f.log = open(t, keyed(t, f.server, f.proxy.URL))
	f.m = resolve(t, f.p, "models")
	f.e = stat(t, f.m, "dir/w.bin")
	f.proxy.Reset()
	return f
}

// onGet hooks the answers to object reads.
func (f *faulted) onGet(fault func() *s3test.Fault) {
	f.proxy.Hook(func(r *http.Request) *s3test.Fault {
		if r.Method == http.MethodGet && r.URL.Query().Get("x-id") == "GetObject" {
			return fault()
		}
		return nil
	})
}

// refuse is S3's answer with an error code.
func refuse(status int, code string, header ...string) *s3test.Fault {
	h := http.Header{"Content-Type": {"application/xml"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	body := fmt.Sprintf("<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>said so\x1b[31m</Message></Error>", code)
	body = strings.ReplaceAll(body, "\x1b", "&#9;")
	return &s3test.Fault{Reply: &s3test.Reply{Status: status, Header: h, Body: body}}
}

func TestAnswersThatDoNotProveThemselves(t *testing.T) {
	f := fault(t)
	const off, n = 1000, 100_000
	set := func(key, value string) func(*http.Response) error {
		return func(r *http.Response) error {
			r.Header.Del(key)
			if value != "" {
				r.Header.Set(key, value)
			}
			return nil
		}
	}
	unknownLength := func(r *http.Response) { r.ContentLength = -1; r.Header.Del("Content-Length") }
	body := func(content string, length bool) func(*http.Response) error {
		return func(r *http.Response) error {
			err := s3test.SetBody(r, []byte(content))
			if !length {
				unknownLength(r)
			}
			return err
		}
	}
	slice := f.content[off : off+n]
	for what, c := range map[string]struct {
		fault s3test.Fault
		want  error
	}{
		"cut":                       {s3test.Fault{Cut: 5000}, providers.ErrUnavailable},
		"short, length told":        {s3test.Fault{Edit: body(slice[:n-1], true)}, providers.ErrUnavailable},
		"short, length untold":      {s3test.Fault{Edit: body(slice[:n-1], false)}, providers.ErrUnavailable},
		"long, length told":         {s3test.Fault{Edit: body(slice+"x", true)}, providers.ErrUnavailable},
		"long, length untold":       {s3test.Fault{Edit: body(slice+"x", false)}, providers.ErrUnavailable},
		"another range":             {s3test.Fault{Edit: set("Content-Range", "bytes 0-99999/200000")}, providers.ErrUnavailable},
		"another total":             {s3test.Fault{Edit: set("Content-Range", "bytes 1000-100999/200001")}, providers.ErrStale},
		"range that is none":        {s3test.Fault{Edit: set("Content-Range", "bytes 1000-/x")}, providers.ErrUnavailable},
		"range untold":              {s3test.Fault{Edit: set("Content-Range", "")}, providers.ErrUnavailable},
		"another etag":              {s3test.Fault{Edit: set("ETag", `"0123456789abcdef0123456789abcdef"`)}, providers.ErrStale},
		"etag untold":               {s3test.Fault{Edit: set("ETag", "")}, providers.ErrUnavailable},
		"compressed by a proxy":     {s3test.Fault{Edit: func(r *http.Response) error { unknownLength(r); return set("Content-Encoding", "gzip")(r) }}, providers.ErrUnavailable},
		"412":                       {*refuse(412, "PreconditionFailed"), providers.ErrStale},
		"416":                       {*refuse(416, "InvalidRange"), providers.ErrStale},
		"404":                       {*refuse(404, "NoSuchKey"), providers.ErrStale},
		"403":                       {*refuse(403, "AccessDenied"), iofs.ErrPermission},
		"500":                       {*refuse(500, "InternalError"), providers.ErrUnavailable},
		"304":                       {s3test.Fault{Reply: &s3test.Reply{Status: 304}}, errRefused},
		"200 with other content":    {s3test.Fault{Edit: func(r *http.Response) error { r.StatusCode = 200; return body(f.content+"x", true)(r) }}, providers.ErrStale},
		"404 that is not S3's":      {s3test.Fault{Reply: &s3test.Reply{Status: 404, Body: "<html>not here</html>"}}, providers.ErrUnavailable},
		"200 of a portal":           {s3test.Fault{Reply: &s3test.Reply{Status: 200, Body: "<html>log in</html>"}}, providers.ErrUnavailable},
		"200, short, length untold": {s3test.Fault{Edit: func(r *http.Response) error { r.StatusCode = 200; return body(f.content[:off+10], false)(r) }}, providers.ErrUnavailable},
	} {
		f.onGet(func() *s3test.Fault { return &c.fault })
		r, err := f.m.ReadRange(t.Context(), f.e, off, n)
		buf := make([]byte, n)
		if err == nil {
			var got int
			got, err = io.ReadFull(r, buf)
			if s := string(buf[:got]); !strings.HasPrefix(slice, s) {
				t.Errorf("%s: %d wrong bytes came before the error", what, got)
			}
			if cerr := r.Close(); cerr != nil {
				t.Errorf("%s: close: %v", what, cerr)
			}
		}
		wantErr(t, what, err, c.want)
	}
	f.proxy.Hook(nil)
	wantRead(t, f.m, f.e, off, slice)
}

func TestHarmlessDifferences(t *testing.T) {
	f := fault(t)
	for what, edit := range map[string]func(*http.Response) error{
		"weak etag": func(r *http.Response) error { r.Header.Set("ETag", "W/"+r.Header.Get("ETag")); return nil },
		"bare etag": func(r *http.Response) error {
			r.Header.Set("ETag", strings.Trim(r.Header.Get("ETag"), `"`))
			return nil
		},
		"total untold":  func(r *http.Response) error { r.Header.Set("Content-Range", "bytes 10-109/*"); return nil },
		"length untold": func(r *http.Response) error { r.ContentLength = -1; r.Header.Del("Content-Length"); return nil },
	} {
		f.onGet(func() *s3test.Fault { return &s3test.Fault{Edit: edit} })
		t.Run(what, func(t *testing.T) { wantRead(t, f.m, f.e, 10, f.content[10:110]) })
	}
}

func TestServerThatIgnoresRanges(t *testing.T) {
	f := fault(t)
	f.content = rising(cheapSkip + 200_000)
	f.server.Put(t, "models", "dir/w.bin", f.content)
	f.e = stat(t, f.m, "dir/w.bin")
	f.onGet(func() *s3test.Fault {
		return &s3test.Fault{Edit: func(r *http.Response) error {
			r.StatusCode = 200
			r.Header.Del("Content-Range")
			return s3test.SetBody(r, []byte(f.content))
		}}
	})
	wantRead(t, f.m, f.e, 0, f.content[:10])
	wantRead(t, f.m, f.e, 100_000, f.content[100_000:100_010])
	wantRead(t, f.m, f.e, 0, f.content)
	_, err := read(t.Context(), f.m, f.e, cheapSkip, 10)
	wantErr(t, "read", err, providers.ErrWhole)
	if got := strings.Count(f.log.String(), "ignores ranges"); got != 1 {
		t.Errorf("lines about it in the log: got %d; want 1", got)
	}
}

func TestStalledBodyIsGivenUp(t *testing.T) {
	f := fault(t)
	f.p.stall = 50 * time.Millisecond
	f.onGet(func() *s3test.Fault { return &s3test.Fault{Stall: 4096} })
	began := time.Now()
	_, err := read(t.Context(), f.m, f.e, 0, 100_000)
	wantErr(t, "read", err, providers.ErrUnavailable)
	if d := time.Since(began); d > 5*time.Second {
		t.Errorf("time until given up: got %s; want about %s", d, f.p.stall)
	}
	// A reader that takes its time is not a stall.
	f.proxy.Hook(nil)
	r, err := f.m.ReadRange(t.Context(), f.e, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(3 * f.p.stall)
	if got, err := s3test.ReadAll(r); err != nil || string(got) != f.content[:10] {
		t.Errorf("slow reader: got %q, %v; want %q", got, err, f.content[:10])
	}
}

func TestCancelledReadersGetTheirOwnError(t *testing.T) {
	f := fault(t)
	f.proxy.Hook(func(*http.Request) *s3test.Fault { return &s3test.Fault{Delay: time.Minute} })
	for what, call := range map[string]func(context.Context) error{
		"resolve": func(ctx context.Context) error { _, err := f.p.Resolve(ctx, "models", ""); return err },
		"stat":    func(ctx context.Context) error { _, err := f.m.Stat(ctx, "dir/w.bin"); return err },
		"check":   func(ctx context.Context) error { return f.m.Check(ctx, f.e) },
		"list":    func(ctx context.Context) error { return listErr(ctx, f.m, "") },
		"read":    func(ctx context.Context) error { _, err := read(ctx, f.m, f.e, 0, 10); return err },
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		wantErr(t, what, call(ctx), context.DeadlineExceeded)
		cancel()
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		wantErr(t, what, call(ctx), context.Canceled)
	}
	f.onGet(func() *s3test.Fault { return &s3test.Fault{Stall: 10} })
	ctx, cancel := context.WithCancel(t.Context())
	r, err := f.m.ReadRange(ctx, f.e, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Millisecond, cancel)
	_, err = s3test.ReadAll(r)
	wantErr(t, "read of a body", err, context.Canceled)
}

func TestBusyServerIsAskedAgain(t *testing.T) {
	f := fault(t)
	for _, status := range []struct {
		code int
		name string
	}{{500, "InternalError"}, {502, "x"}, {503, "SlowDown"}, {504, "x"}} {
		var asked atomic.Int32
		f.onGet(func() *s3test.Fault {
			if asked.Add(1) < attempts {
				return refuse(status.code, status.name)
			}
			return nil
		})
		wantRead(t, f.m, f.e, 0, f.content[:100])
	}
	f.proxy.Reset()
	f.onGet(func() *s3test.Fault { return refuse(503, "SlowDown", "Retry-After", "7") })
	_, err := read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read", err, providers.ErrUnavailable)
	var throttled *providers.Throttled
	if !errors.As(err, &throttled) || throttled.After != 7*time.Second {
		t.Errorf("read: got %v; want to be told to wait 7 s", err)
	}
	if got := len(f.proxy.Requests()); got != attempts {
		t.Errorf("requests: got %d; want %d", got, attempts)
	}
}

func TestServerThatIsGone(t *testing.T) {
	f := fault(t)
	if err := f.proxy.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := f.p.Resolve(t.Context(), "models", "")
	wantErr(t, "resolve", err, providers.ErrUnavailable)
	_, err = f.m.Stat(t.Context(), "dir/w.bin")
	wantErr(t, "stat", err, providers.ErrUnavailable)
	wantErr(t, "check", f.m.Check(t.Context(), f.e), providers.ErrUnavailable)
	wantErr(t, "list", listErr(t.Context(), f.m, ""), providers.ErrUnavailable)
	_, err = read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read", err, providers.ErrUnavailable)
	if got := providers.Remedy(err); got != remedyEndpoint {
		t.Errorf("remedy: got %q; want %q", got, remedyEndpoint)
	}
}

func TestBucketInAnotherRegion(t *testing.T) {
	f := fault(t)
	for _, status := range []int{301, 307, 400, 403} {
		cfg := f.p.cfg
		cfg.Region = "eu-west-1"
		p, _ := open(t, cfg)
		f.proxy.Hook(func(r *http.Request) *s3test.Fault {
			if has(r.Header.Get("Authorization"), "/eu-west-1/s3/") {
				return refuse(status, "PermanentRedirect", "X-Amz-Bucket-Region", s3test.Region, "Location", "http://127.0.0.1:1/")
			}
			return nil
		})
		f.proxy.Reset()
		m := resolve(t, p, "models")
		wantRead(t, m, stat(t, m, "dir/w.bin"), 0, f.content[:10])
		if got := f.proxy.Count(func(r s3test.Request) bool { return has(r.Header.Get("Authorization"), "/eu-west-1/") }); got != 1 {
			t.Errorf("%d: requests to the wrong region: got %d; want 1", status, got)
		}
	}
}

func TestRegionThatCannotBeMeant(t *testing.T) {
	f := fault(t)
	for _, region := range []string{"evil.example/", "eu-west-1", "x@y", strings.Repeat("a", 100)} {
		cfg := f.p.cfg
		cfg.Region = "eu-west-1"
		p, _ := open(t, cfg)
		f.proxy.Hook(func(*http.Request) *s3test.Fault {
			return refuse(301, "PermanentRedirect", "X-Amz-Bucket-Region", region)
		})
		f.proxy.Reset()
		_, err := p.Resolve(t.Context(), "models", "")
		wantErr(t, "resolve", err, errRefused)
		if got := len(f.proxy.Requests()); got != 1 {
			t.Errorf("region %q: got %d requests; want 1", region, got)
		}
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	f := fault(t)
	var asked atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer other.Close()
	for _, status := range []int{301, 302, 303, 307, 308} {
		f.proxy.Hook(func(*http.Request) *s3test.Fault {
			return refuse(status, "TemporaryRedirect", "Location", other.URL+"/models")
		})
		_, err := f.p.Resolve(t.Context(), "models", "")
		wantErr(t, fmt.Sprint(status), err, errRefused)
		_, err = read(t.Context(), f.m, f.e, 0, 10)
		wantErr(t, fmt.Sprint(status), err, errRefused)
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("requests that followed a redirect: got %d; want 0", got)
	}
}

func TestExpiredCredentialsAreRenewed(t *testing.T) {
	f := fault(t)
	for _, status := range []int{400, 403} {
		for _, code := range []string{"ExpiredToken", "InvalidAccessKeyId"} {
			var asked atomic.Int32
			f.proxy.Hook(func(r *http.Request) *s3test.Fault {
				if asked.Add(1) == 1 {
					return refuse(status, code)
				}
				return nil
			})
			wantRead(t, f.m, f.e, 0, f.content[:10])
			asked.Store(0)
			if err := f.m.Check(t.Context(), f.e); err != nil {
				t.Errorf("check after %d %s: got %v; want nil", status, code, err)
			}
		}
	}
	f.proxy.Hook(func(*http.Request) *s3test.Fault { return refuse(400, "ExpiredToken") })
	f.proxy.Reset()
	_, err := read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read", err, iofs.ErrPermission)
	if got := len(f.proxy.Requests()); got != 2 {
		t.Errorf("requests with expired credentials: got %d; want 2", got)
	}
}

func TestRefusalsDoNotDoubleTheRequests(t *testing.T) {
	f := fault(t)
	f.p.renewAfter = time.Hour
	for _, refusal := range []*s3test.Fault{refuse(403, "AccessDenied"), refuse(403, "InvalidAccessKeyId"), refuse(400, "ExpiredToken")} {
		f.proxy.Hook(func(*http.Request) *s3test.Fault { return refusal })
		f.proxy.Reset()
		if _, err := f.m.statFile(t.Context(), "dir/w.bin"); err == nil {
			t.Error("head: got no error")
		}
		_, err := read(t.Context(), f.m, f.e, 0, 10)
		wantErr(t, "read", err, iofs.ErrPermission)
		if got := len(f.proxy.Requests()); got != 2 {
			t.Errorf("requests for one head and one read: got %d; want 2", got)
		}
	}
}

func TestClockThatIsWrong(t *testing.T) {
	f := fault(t)
	var corrected atomic.Bool
	f.proxy.Hook(func(r *http.Request) *s3test.Fault {
		now := time.Now().UTC().Add(time.Hour)
		signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
		if err == nil && now.Sub(signed).Abs() < time.Minute {
			corrected.Store(true)
			return refuse(404, "NoSuchKey")
		}
		return refuse(403, "RequestTimeTooSkewed", "Date", now.Format(http.TimeFormat))
	})
	if _, err := read(t.Context(), f.m, f.e, 0, 10); !corrected.Load() {
		t.Errorf("read from a server whose clock differs by an hour: got %v; want a second request with its time", err)
	}
	f.onGet(func() *s3test.Fault { return refuse(403, "RequestTimeTooSkewed") })
	_, err := read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read", err, providers.ErrUnavailable)
	if got := providers.Remedy(err); got != remedyClock {
		t.Errorf("remedy: got %q; want %q", got, remedyClock)
	}
}

func TestArchivedObject(t *testing.T) {
	f := fault(t)
	f.onGet(func() *s3test.Fault { return refuse(403, "InvalidObjectState") })
	_, err := read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read", err, errArchived)
	if isPermission(err) || errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("read: got %v; want neither a refusal nor absence", err)
	}
	if got := providers.Remedy(err); got != remedyArchive {
		t.Errorf("remedy: got %q; want %q", got, remedyArchive)
	}
}

// Some may list and not read, others read and not list.
func TestPartialPermissions(t *testing.T) {
	f := fault(t)
	deny := func(method string) {
		f.proxy.Hook(func(r *http.Request) *s3test.Fault {
			list := r.URL.Query().Get("list-type") == "2"
			if method == "list" && list || method == "object" && !list || method == "all" {
				return refuse(403, "AccessDenied")
			}
			return nil
		})
	}
	deny("object")
	if got := stat(t, f.m, "dir/w.bin"); got != f.e {
		t.Errorf("stat without s3:GetObject: got %+v; want %+v", got, f.e)
	}
	if !stat(t, f.m, "dir").IsDir() {
		t.Error("stat of a directory without s3:GetObject: got a file")
	}
	_, err := f.m.Stat(t.Context(), "dir/w.bi")
	wantErr(t, "stat of an absent key without s3:GetObject", err, iofs.ErrNotExist)
	if err := f.m.Check(t.Context(), f.e); err != nil {
		t.Errorf("check without s3:GetObject: got %v; want nil", err)
	}
	_, err = read(t.Context(), f.m, f.e, 0, 10)
	wantErr(t, "read without s3:GetObject", err, iofs.ErrPermission)

	deny("list")
	if got := stat(t, f.m, "dir/w.bin"); got != f.e {
		t.Errorf("stat without s3:ListBucket: got %+v; want %+v", got, f.e)
	}
	wantRead(t, f.m, f.e, 0, f.content[:10])
	wantErr(t, "list", listErr(t.Context(), f.m, ""), iofs.ErrPermission)

	deny("all")
	_, err = f.m.Stat(t.Context(), "dir/w.bin")
	wantErr(t, "stat without any permission", err, iofs.ErrPermission)
	_, err = f.p.Resolve(t.Context(), "models", "")
	wantErr(t, "resolve without any permission", err, iofs.ErrPermission)
}

// s3:GetObjectVersion is a permission of its own.
func TestVersionsThatMayNotBeRead(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "versioned", true)
	s.Put(t, "versioned", "w.bin", "content")
	proxy := s3test.StartProxy(t, s.Endpoint)
	p, _ := open(t, keyed(t, s, proxy.URL))
	m := resolve(t, p, "versioned")
	e := stat(t, m, "w.bin")
	byVersion := func(r s3test.Request) bool { return r.Query.Get("versionId") != "" }
	wantRead(t, m, e, 0, "content")
	if got := proxy.Count(byVersion); got != 1 {
		t.Errorf("requests by version: got %d; want 1", got)
	}
	proxy.Hook(func(r *http.Request) *s3test.Fault {
		if r.URL.Query().Get("versionId") != "" {
			return refuse(403, "AccessDenied")
		}
		return nil
	})
	wantRead(t, m, e, 0, "content")
	proxy.Reset()
	wantRead(t, m, e, 0, "content")
	if got := proxy.Count(byVersion); got != 0 {
		t.Errorf("requests by version after a refusal: got %d; want 0", got)
	}
}

func TestAbsenceIsBelievedFromS3Only(t *testing.T) {
	f := fault(t)
	for what, reply := range map[string]s3test.Reply{
		"a web server's 404": {Status: 404, Body: "<html>not found</html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"a portal's page":    {Status: 200, Body: "<html><body>please log in</body></html>", Header: http.Header{"Content-Type": {"text/html"}}},
		"nothing":            {Status: 200},
	} {
		f.proxy.Hook(func(*http.Request) *s3test.Fault { return &s3test.Fault{Reply: &reply} })
		_, err := f.p.Resolve(t.Context(), "models", "")
		wantErr(t, "resolve, "+what, err, providers.ErrUnavailable)
		_, err = f.m.Stat(t.Context(), "dir/other")
		wantErr(t, "stat, "+what, err, providers.ErrUnavailable)
		wantErr(t, "list, "+what, listErr(t.Context(), f.m, "dir"), providers.ErrUnavailable)
	}
}

func TestErrorsHoldNoServersTricks(t *testing.T) {
	f := fault(t)
	f.proxy.Hook(func(*http.Request) *s3test.Fault {
		return &s3test.Fault{Reply: &s3test.Reply{Status: 403, Body: "<Error><Code>AccessDenied</Code><Message>a&#10;b&#9;" + strings.Repeat("long ", 1000) + "</Message></Error>"}}
	})
	_, err := f.p.Resolve(t.Context(), "models", "")
	wantErr(t, "resolve", err, iofs.ErrPermission)
	if text := fmt.Sprint(err); strings.ContainsAny(text, "\n\t") || len(text) > 1000 {
		t.Errorf("error: got %d bytes, %.100q; want one short line", len(text), text)
	}
}

func TestRequesterPaysIsSaidEachTime(t *testing.T) {
	f := fault(t)
	cfg := f.p.cfg
	cfg.Buckets = []Bucket{{Alias: "paid", Bucket: "models", RequestPayer: true}}
	p, _ := open(t, cfg)
	m := resolve(t, p, "paid")
	e := stat(t, m, "dir/w.bin")
	wantRead(t, m, e, 0, f.content[:10])
	list(t, m, "dir")
	for _, r := range f.proxy.Requests() {
		if got := r.Header.Get("X-Amz-Request-Payer"); got != "requester" {
			t.Errorf("%s %s?%s: got payer %q; want requester", r.Method, r.Path, r.Query.Encode(), got)
		}
	}
}

func TestHeadersOfARead(t *testing.T) {
	f := fault(t)
	wantRead(t, f.m, f.e, 5, f.content[5:15])
	r := f.proxy.Requests()[0]
	pinned, err := parsePin(f.e.Validator)
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"Range": "bytes=5-14", "If-Match": `"` + pinned.etag + `"`, "Accept-Encoding": "identity", "X-Amz-Checksum-Mode": ""} {
		if got := r.Header.Get(key); got != want {
			t.Errorf("%s: got %q; want %q", key, got, want)
		}
	}
}

func TestGoroutinesEnd(t *testing.T) {
	f := fault(t)
	if err := f.p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.proxy.Close(); err != nil {
		t.Fatal(err)
	}
	f.proxy = s3test.StartProxy(t, f.server.Endpoint)
	before := runtime.NumGoroutine()

	cfg := f.p.cfg
	cfg.Endpoint = f.proxy.URL
	p, _ := open(t, cfg)
	m := resolve(t, p, "models")
	e := stat(t, m, "dir/w.bin")
	for i := range 20 {
		ctx, cancel := context.WithCancel(t.Context())
		r, err := m.ReadRange(ctx, e, int64(i), 100_000)
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0: // left early
		case 1:
			cancel()
		case 2:
			if _, err := io.Copy(io.Discard, r); err != nil {
				t.Error(err)
			}
		}
		// A body that was cut short may say so when closed.
		_ = r.Close()
		cancel()
		for _, err := range m.ReadDir(t.Context(), "") {
			if err != nil {
				t.Error(err)
			}
			break
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := f.proxy.Close(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			buf := make([]byte, 1<<20)
			t.Fatalf("goroutines: got %d; want %d\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}
