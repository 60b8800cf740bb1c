package s3

import (
	"encoding/pem"
	iofs "io/fs"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/goccy/go-yaml"

	"modelfs/providers"
)

func TestConfigReadsAndWrites(t *testing.T) {
	const text = `region: eu-west-1
endpoint: https://s3.example.com
path_style: false
request_payer: true
buckets:
- models
- ap:
    bucket: arn:aws:s3:eu-west-1:123456789012:accesspoint/models
- team:
    bucket: shared
    prefix: team/models
    region: us-west-2
    anonymous: true
`
	no := false
	want := Config{
		Region: "eu-west-1", Endpoint: "https://s3.example.com", PathStyle: &no, RequestPayer: true,
		Buckets: []Bucket{
			{Alias: "models", Bucket: "models"},
			{Alias: "ap", Bucket: "arn:aws:s3:eu-west-1:123456789012:accesspoint/models"},
			{Alias: "team", Bucket: "shared", Prefix: "team/models", Region: "us-west-2", Anonymous: true},
		},
	}
	got, ok := Type().Config().(*Config)
	if !ok {
		t.Fatal("the type's configuration is not a *Config")
	}
	if err := yaml.UnmarshalWithOptions([]byte(text), got, yaml.Strict()); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(*got, want) {
		t.Errorf("read: got %+v; want %+v", *got, want)
	}
	if err := got.Check(); err != nil {
		t.Errorf("check: got %v; want nil", err)
	}
	if out, err := yaml.Marshal(got); err != nil || string(out) != text {
		t.Errorf("write: got %s, %v; want %s", out, err, text)
	}
	if _, err := Type().New(providers.Env{}, got); err != nil {
		t.Errorf("new: got %v; want nil", err)
	}
}

func TestConfigThatCannotBeMeant(t *testing.T) {
	for text, want := range map[string]string{
		"bukets: [a]":                                                    "bukets",
		"buckets: [{a: {bucket: b, prefx: c}}]":                          "prefx",
		"buckets: [{a: {bucket: b1b}, c: {bucket: d1d}}]":                "one alias",
		"buckets: [{a: {}}]":                                             "names no bucket",
		"buckets: [models, models]":                                      "twice",
		"buckets: ['a/b']":                                               "no bucket name",
		"buckets: ['arn:aws:s3:r:1:accesspoint/x']":                      "needs an alias",
		"buckets: [{'a/b': {bucket: models}}]":                           "slash",
		"buckets: [{a: {bucket: models, prefix: a/../b}}]":               "directory link",
		"buckets: [{a: {bucket: models, endpoint: 'x'}}]":                "http",
		"buckets: [{a: {bucket: models, region: 'x/y'}}]":                "region",
		"endpoint: ftp://x":                                              "http",
		"endpoint: https://user:planted@x":                               "user name",
		"endpoint: https://x/?a=b":                                       "query",
		"region: x/y":                                                    "region",
		"verify: maybe":                                                  "verify",
		"access_key_id_file: x":                                          "need each other",
		"session_token_file: x":                                          "session_token_file",
		"{anonymous: true, profile: x}":                                  "anonymous",
		"{profile: x, access_key_id_file: a, secret_access_key_file: b}": "profile",
		"{endpoint: 'http://x.example', sse_c_key_file: k}":              "https",
		"ca_file: /none/at/all":                                          "ca_file",
	} {
		var cfg Config
		err := yaml.UnmarshalWithOptions([]byte(text), &cfg, yaml.Strict())
		if err == nil {
			_, err = New(providers.Env{}, cfg)
		}
		if err == nil || !has(err.Error(), want) || has(err.Error(), "planted") {
			t.Errorf("%s: got error %v; want one about %q", text, err, want)
		}
	}
}

func TestPathStyle(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		bucket, endpoint string
		set              *bool
		want             bool
	}{
		{"models", "", nil, false},
		{"my.models", "", nil, true},
		{"models", "https://s3.example.com", nil, false},
		{"models", "http://127.0.0.1:9000", nil, true},
		{"models", "http://[::1]:9000", nil, true},
		{"models", "http://localhost:9000", nil, true},
		{"models", "http://minio:9000", nil, true},
		{"models", "http://127.0.0.1:9000", &no, false},
		{"models", "https://s3.example.com", &yes, true},
		{"arn:aws:s3:eu-west-1:1:accesspoint/a.b", "", nil, false},
	} {
		if got := pathStyle(c.bucket, c.endpoint, c.set); got != c.want {
			t.Errorf("%s at %q: got %v; want %v", c.bucket, c.endpoint, got, c.want)
		}
	}
}

func TestWhereRequestsGo(t *testing.T) {
	isolate(t)
	arn := "arn:aws:s3:eu-west-1:123456789012:accesspoint/models"
	for _, c := range []struct {
		cfg  Config
		want string // host and path
	}{
		{Config{Buckets: []Bucket{{Alias: "x", Bucket: "models"}}}, "models.s3.us-east-1.amazonaws.com/key"},
		{Config{Region: "eu-west-1", Buckets: []Bucket{{Alias: "x", Bucket: "my.models"}}}, "s3.eu-west-1.amazonaws.com/my.models/key"},
		{Config{Buckets: []Bucket{{Alias: "x", Bucket: arn}}}, "models-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/key"},
		{Config{Buckets: []Bucket{{Alias: "x", Bucket: "models", Region: "us-west-2"}}}, "models.s3.us-west-2.amazonaws.com/key"},
		{Config{Endpoint: "https://s3.example.com", Buckets: []Bucket{{Alias: "x", Bucket: "models"}}}, "models.s3.example.com/key"},
		{Config{Endpoint: "https://s3.example.com", Buckets: []Bucket{{Alias: "x", Bucket: "models", Endpoint: "http://10.0.0.1:9000"}}}, "10.0.0.1:9000/models/key"},
	} {
		c.cfg.Anonymous = true
		p, _ := open(t, c.cfg)
		if _, err := p.account(t.Context(), true); err != nil {
			t.Fatal(err)
		}
		var got string
		p.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			got = r.URL.Host + r.URL.Path
			return &http.Response{StatusCode: http.StatusNotFound, Body: http.NoBody, Header: http.Header{}, Request: r}, nil
		})
		m := &model{bucket: p.bucket("x"), name: "x"}
		_, err := m.statFile(t.Context(), "key")
		if got != c.want {
			t.Errorf("%+v: got %s (%v); want %s", c.cfg.Buckets, got, err, c.want)
		}
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// A server with a certificate of its own authority, and an object encrypted with
// a customer's key.
func TestCustomerKeyOverPrivateTLS(t *testing.T) {
	isolate(t)
	key := strings.Repeat("k", 31) + "\n"
	var wrong atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := r.Header
		if h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") != "AES256" ||
			h.Get("X-Amz-Server-Side-Encryption-Customer-Key") != "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2trawo=" ||
			h.Get("X-Amz-Server-Side-Encryption-Customer-Key-Md5") != "5rkTCOMbe1E6aPGZLPQlWw==" {
			wrong.Add(1)
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.Header().Set("ETag", `"not-an-md5"`)
		http.ServeContent(w, r, "", time.Unix(1, 0), strings.NewReader("content"))
	}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError) // of clients that do not trust it
	server.StartTLS()
	defer server.Close()
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := file("ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	for what, content := range map[string]string{"raw": key, "base64": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2trawo=\n"} {
		p, _ := open(t, Config{Endpoint: server.URL, Anonymous: true, CAFile: ca, SSECKeyFile: file(what, content)})
		m := &model{bucket: p.newBucket(Bucket{Bucket: "models"}, true)}
		e, err := m.statFile(t.Context(), "key")
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		wantRead(t, m, e, 1, "ontent")
	}
	if got := wrong.Load(); got != 0 {
		t.Errorf("requests without the right key: got %d; want 0", got)
	}
	for what, c := range map[string]struct {
		cfg    Config
		want   error
		remedy string
	}{
		"no key":             {Config{CAFile: ca}, errRefused, remedyRequest},
		"short key":          {Config{CAFile: ca, SSECKeyFile: file("short", "planted")}, iofs.ErrPermission, remedyGiven},
		"key that is absent": {Config{CAFile: ca, SSECKeyFile: filepath.Join(dir, "none")}, iofs.ErrPermission, remedyGiven},
		"unknown authority":  {Config{}, providers.ErrUnavailable, remedyTrust},
	} {
		c.cfg.Endpoint, c.cfg.Anonymous = server.URL, true
		p, _ := open(t, c.cfg)
		m := &model{bucket: p.newBucket(Bucket{Bucket: "models"}, true)}
		err := m.Check(t.Context(), providers.Entry{Path: "key", Size: 7, Validator: "etag=not-an-md5"})
		wantErr(t, what, err, c.want)
		if got := providers.Remedy(err); got != c.remedy || has(err.Error(), "planted") {
			t.Errorf("%s: got remedy %q of %v; want %q", what, got, err, c.remedy)
		}
	}
}

// Off EC2 nobody answers at the metadata service's address.
func TestNoMetadataServiceDoesNotStall(t *testing.T) {
	isolate(t)
	var asked atomic.Int32
	silent := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		select {
		case <-silent:
		case <-r.Context().Done():
		}
	}))
	defer server.Close()
	defer close(silent)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	p, _ := open(t, Config{Endpoint: "http://127.0.0.1:1"})
	began := time.Now()
	for range 3 {
		_, err := p.Resolve(t.Context(), "models", "")
		wantErr(t, "resolve", err, iofs.ErrNotExist)
		if got := providers.Remedy(err); got != remedyNone {
			t.Errorf("remedy: got %q; want %q", got, remedyNone)
		}
	}
	if d := time.Since(began); d > 4*imdsTimeout {
		t.Errorf("three lookups took %s; want the wait for one answer", d)
	}
	if got := asked.Load(); got == 0 {
		t.Error("the metadata service was not asked")
	}
}
