package s3

import (
	"crypto/sha256"
	"fmt"
	iofs "io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modelfs/providers"
	"modelfs/providers/s3/s3test"
)

// These tests run against versitygw, a real server that checks signatures.

func TestReadsWhatIsStored(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "models", false)
	weights := rising(300_000)
	s.Put(t, "models", "bert/config.json", "{}")
	s.Put(t, "models", "bert/weights/a.bin", weights)
	s.Put(t, "models", "bert/empty", "")
	s.Put(t, "models", "top.txt", "top")
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "models")

	if got, want := m.Origin(), (providers.Origin{Protocol: "s3", Name: "models", Source: "s3://models"}); got != want {
		t.Errorf("origin: got %+v; want %+v", got, want)
	}
	wantNames(t, "root", list(t, m, ""), "bert", "top.txt")
	bert := list(t, m, "bert")
	wantNames(t, "bert", bert, "bert/config.json", "bert/weights", "bert/empty")
	if !bert["bert/weights"].IsDir() || !stat(t, m, "bert/weights").IsDir() || !stat(t, m, "").IsDir() {
		t.Errorf("directories: got files")
	}
	for _, path := range []string{"bert/config.json", "bert/empty"} {
		if got, want := stat(t, m, path), bert[path]; got != want || got.Identity() != want.Identity() {
			t.Errorf("stat %s: got %+v; want what the listing says, %+v", path, got, want)
		}
	}
	e := stat(t, m, "bert/weights/a.bin")
	if e.Size != int64(len(weights)) || e.ModTime.IsZero() || time.Since(e.ModTime) > time.Hour {
		t.Errorf("stat: got %+v; want %d bytes of just now", e, len(weights))
	}
	for _, at := range [][2]int64{{0, 1}, {0, 300_000}, {1, 299_999}, {299_999, 1}, {65_536, 65_536}, {123_456, 7}} {
		wantRead(t, m, e, at[0], weights[at[0]:at[0]+at[1]])
	}
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("check unchanged: got %v; want nil", err)
	}
	if err := m.Check(t.Context(), stat(t, m, "bert")); err != nil {
		t.Errorf("check of a directory: got %v; want nil", err)
	}
	gone := providers.Entry{Path: "gone", Mode: iofs.ModeDir}
	wantErr(t, "check of an absent directory", m.Check(t.Context(), gone), providers.ErrChanged)
	foreign := providers.Entry{Path: "top.txt", Size: 3, Validator: "of another provider"}
	wantErr(t, "check of a foreign validator", m.Check(t.Context(), foreign), providers.ErrChanged)
	_, err := read(t.Context(), m, foreign, 0, 3)
	wantErr(t, "read of a foreign validator", err, providers.ErrStale)
	var walked []string
	for e, err := range m.Walk(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, e.Path)
	}
	slices.Sort(walked)
	if want := []string{"bert/config.json", "bert/empty", "bert/weights/a.bin", "top.txt"}; !slices.Equal(walked, want) {
		t.Errorf("walk: got %q; want %q", walked, want)
	}
	for _, path := range []string{"none", "bert/none", "top.txt/x", "a//b", "..", "bert@v1", strings.Repeat("k/", 600) + "k"} {
		_, err := m.Stat(t.Context(), path)
		wantErr(t, "stat "+path, err, iofs.ErrNotExist)
	}
	for _, dir := range []string{"none", "top.txt", "bert/../bert"} {
		wantErr(t, "list "+dir, listErr(t.Context(), m, dir), iofs.ErrNotExist)
	}
}

func TestEmptyObjectIsNotAsked(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "models", false)
	s.Put(t, "models", "empty", "")
	proxy := s3test.StartProxy(t, s.Endpoint)
	p, _ := open(t, keyed(t, s, proxy.URL))
	m := resolve(t, p, "models")
	e := stat(t, m, "empty")
	proxy.Reset()
	wantRead(t, m, e, 0, "")
	if got := len(proxy.Requests()); got != 0 {
		t.Errorf("requests for an empty object: got %d; want 0", got)
	}
}

func TestNamesOfModels(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "models", false)
	s.Put(t, "models", "team/bert/config.json", "{}")
	proxy := s3test.StartProxy(t, s.Endpoint)
	cfg := keyed(t, s, proxy.URL)
	cfg.Buckets = []Bucket{{Alias: "bert", Bucket: "models", Prefix: "team/bert/"}, {Bucket: "models"}}
	p, _ := open(t, cfg)

	for name, path := range map[string]string{"models": "team/bert/config.json", "models/team": "bert/config.json", "models/team/bert": "config.json", "bert": "config.json"} {
		m := resolve(t, p, name)
		wantRead(t, m, stat(t, m, path), 0, "{}")
		if got := m.Origin().Name; got != name {
			t.Errorf("origin's name: got %q; want %q", got, name)
		}
	}
	if got, want := resolve(t, p, "bert").Origin().Source, "s3://models/team/bert"; got != want {
		t.Errorf("source: got %q; want %q", got, want)
	}
	for _, name := range []string{"absent-bucket", "models/none", "models/team/bert/config.json", "bert/none"} {
		_, err := p.Resolve(t.Context(), name, "")
		wantErr(t, "resolve "+name, err, iofs.ErrNotExist)
	}
	_, err := p.Resolve(t.Context(), "models", "v1")
	wantErr(t, "resolve models@v1", err, iofs.ErrNotExist)

	proxy.Reset()
	for _, name := range []string{"", ".git", "..", "a", "models/", "models//x", "models/../x", "a b", "x:y", "evil.example/..", "a..b", strings.Repeat("a", 300)} {
		_, err := p.Resolve(t.Context(), name, "")
		wantErr(t, "resolve "+name, err, iofs.ErrNotExist)
	}
	if got := len(proxy.Requests()); got != 0 {
		t.Errorf("requests for impossible names: got %d; want 0", got)
	}
}

func TestVersionedBucketReadsOn(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "versioned", true)
	old, young := rising(100_000), strings.Repeat("x", 100_000)
	v1 := s.Put(t, "versioned", "w.bin", old)
	proxy := s3test.StartProxy(t, s.Endpoint)
	p, _ := open(t, keyed(t, s, proxy.URL))
	m := resolve(t, p, "versioned")
	listed := list(t, m, "")["w.bin"]
	e := stat(t, m, "w.bin")
	if listed != e {
		t.Errorf("stat: got %+v; want what the listing says, %+v", e, listed)
	}

	s.Put(t, "versioned", "w.bin", young)
	wantRead(t, m, e, 0, old)
	wantErr(t, "check after replacement", m.Check(t.Context(), e), providers.ErrChanged)
	wantRead(t, m, stat(t, m, "w.bin"), 0, young)

	s.Delete(t, "versioned", "w.bin")
	wantRead(t, m, e, 500, old[500:])
	wantErr(t, "check after deletion", m.Check(t.Context(), e), providers.ErrChanged)
	_, err := m.Stat(t.Context(), "w.bin")
	wantErr(t, "stat after deletion", err, iofs.ErrNotExist)

	// Another process does not know the version, and finds it.
	q, _ := open(t, keyed(t, s, proxy.URL))
	elsewhere := resolve(t, q, "versioned")
	wantRead(t, elsewhere, e, 90_000, old[90_000:])
	gone := e
	gone.Validator = pin{etag: "00000000000000000000000000000000"}.String()
	_, err = read(t.Context(), elsewhere, gone, 0, 10)
	wantErr(t, "read of what no version has", err, providers.ErrStale)

	pinned := stat(t, m, "w.bin@"+v1)
	if pinned.Path != "w.bin@"+v1 || pinned.Size != int64(len(old)) {
		t.Errorf("stat of a version: got %+v", pinned)
	}
	wantRead(t, m, pinned, 7, old[7:])
	proxy.Reset()
	if err := m.Check(t.Context(), pinned); err != nil || len(proxy.Requests()) != 0 {
		t.Errorf("check of a version: got %v and %d requests; want neither", err, len(proxy.Requests()))
	}
	for _, path := range []string{"w.bin@01BADVERSION", "w.bin@null", "w.bin@", "other@" + v1} {
		_, err := m.Stat(t.Context(), path)
		wantErr(t, "stat "+path, err, iofs.ErrNotExist)
	}
}

func TestKeyWithAtSignIsAKey(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "versioned", true)
	s.Put(t, "versioned", "w@2x.png", "picture")
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "versioned")
	e := stat(t, m, "w@2x.png")
	wantRead(t, m, e, 0, "picture")
	s.Put(t, "versioned", "w@2x.png", "changed")
	wantErr(t, "check", m.Check(t.Context(), e), providers.ErrChanged)
}

func TestReplacedObjectIsStale(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	for name, change := range map[string]func(string){
		"same size": func(key string) { s.Put(t, "plain", key, "12345") },
		"longer":    func(key string) { s.Put(t, "plain", key, "a longer one") },
		"shorter":   func(key string) { s.Put(t, "plain", key, "a") },
		"deleted":   func(key string) { s.Delete(t, "plain", key) },
	} {
		key := strings.ReplaceAll(name, " ", "-")
		s.Put(t, "plain", key, "abcde")
		e := stat(t, m, key)
		wantRead(t, m, e, 1, "bcd")
		change(key)
		_, err := read(t.Context(), m, e, 1, 3)
		wantErr(t, "read, "+name, err, providers.ErrStale)
		wantErr(t, "check, "+name, m.Check(t.Context(), e), providers.ErrChanged)
		_, err = m.Digest(t.Context(), e)
		wantErr(t, "digest, "+name, err, providers.ErrStale)
	}
	s.Put(t, "plain", "same", "abcde")
	e := stat(t, m, "same")
	s.Put(t, "plain", "same", "abcde")
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("check after the same content was stored again: got %v; want nil", err)
	}
}

// Files put into the server's folder have no etag: the time pins them.
func TestObjectWithoutETag(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	file := filepath.Join(s.Root, "plain", "dropped.bin")
	if err := os.WriteFile(file, []byte("abcde"), 0o644); err != nil {
		t.Fatal(err)
	}
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	e := stat(t, m, "dropped.bin")
	if listed := list(t, m, "")["dropped.bin"]; listed != e {
		t.Errorf("stat: got %+v; want what the listing says, %+v", e, listed)
	}
	wantRead(t, m, e, 1, "bcde")
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("check: got %v; want nil", err)
	}
	if err := os.Chtimes(file, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	_, err := read(t.Context(), m, e, 0, 5)
	wantErr(t, "read of another time", err, providers.ErrStale)
	wantErr(t, "check of another time", m.Check(t.Context(), e), providers.ErrChanged)
}

func TestMarkersAreLeftOut(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	s.Put(t, "plain", "made/", "")
	s.Put(t, "plain", "made/file", "x")
	s.Put(t, "plain", "hadoop_$folder$", "")
	s.Put(t, "plain", "hadoop/part-0", "x")
	s.Put(t, "plain", "real_$folder$", "content")
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	wantNames(t, "root", list(t, m, ""), "made", "hadoop", "real_$folder$")
	wantNames(t, "made", list(t, m, "made"), "made/file")
	_, err := m.Stat(t.Context(), "hadoop_$folder$")
	wantErr(t, "stat of a marker", err, iofs.ErrNotExist)
	wantRead(t, m, stat(t, m, "real_$folder$"), 0, "content")
}

func TestDigests(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	put := func(key, content string, a types.ChecksumAlgorithm) {
		s.PutWith(t, &s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String(key), Body: strings.NewReader(content), ChecksumAlgorithm: a})
	}
	put("sha", "content", types.ChecksumAlgorithmSha256)
	put("crc", "123456789", types.ChecksumAlgorithmCrc64nvme)
	put("crc32", "content", types.ChecksumAlgorithmCrc32)
	multipart(t, s, "plain", "parts")
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	sum := fmt.Sprintf("%x", sha256.Sum256([]byte("content")))
	for key, want := range map[string]providers.Digest{
		"sha":   providers.NewDigest("sha256", sum),
		"crc":   "crc64nvme:ae8b14860a799888", // the check value of CRC-64/NVME
		"crc32": "",
		"parts": "", // a checksum of checksums
	} {
		got, err := m.Digest(t.Context(), stat(t, m, key))
		if err != nil || got != want {
			t.Errorf("digest of %s: got %q, %v; want %q", key, got, err, want)
		}
	}
}

// multipart stores an object whose SHA-256 is composite.
func multipart(t *testing.T, s *s3test.Server, bucket, key string) {
	t.Helper()
	c, ctx := s.Client(), t.Context()
	up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for i, content := range []string{strings.Repeat("a", 5<<20), "end"} {
		n := aws.Int32(int32(i + 1))
		out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: n, Body: strings.NewReader(content), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256})
	}
	if _, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
		t.Fatal(err)
	}
}

func TestMultipartObjectReads(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	multipart(t, s, "plain", "parts")
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	e := stat(t, m, "parts")
	if !has(e.Validator, "-2") {
		t.Errorf("validator: got %q; want the etag of two parts", e.Validator)
	}
	wantRead(t, m, e, 5<<20-2, "aaend")
}

func TestContentEncodingIsServedAsStored(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "plain", false)
	stored := "\x1f\x8b not really gzip, and nobody's business"
	s.PutWith(t, &s3.PutObjectInput{Bucket: aws.String("plain"), Key: aws.String("a.gz"), Body: strings.NewReader(stored), ContentEncoding: aws.String("gzip")})
	p, _ := open(t, keyed(t, s, s.Endpoint))
	m := resolve(t, p, "plain")
	wantRead(t, m, stat(t, m, "a.gz"), 0, stored)
}

func TestListsBuckets(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "one", false)
	s.Bucket(t, "two", false)
	names := func(cfg Config, prefix string) []string {
		p, _ := open(t, cfg)
		var got []string
		for name, err := range p.List(t.Context(), prefix) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, name)
		}
		slices.Sort(got)
		return got
	}
	cfg := keyed(t, s, s.Endpoint)
	listed := cfg
	listed.Buckets = []Bucket{{Bucket: "two"}, {Alias: "uno", Bucket: "one"}}
	wrong := cfg
	wrong.SecretAccessKeyFile = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(wrong.SecretAccessKeyFile, []byte("wrong"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		cfg    Config
		prefix string
		want   []string
	}{
		"all":       {cfg, "", []string{"one", "two"}},
		"below one": {cfg, "one", nil},
		"listed":    {listed, "", []string{"two", "uno"}},
		"refused":   {wrong, "", nil},
		"anonymous": {Config{Endpoint: s.Endpoint, Anonymous: true}, "", nil},
		"no keys":   {Config{Endpoint: s.Endpoint}, "", nil},
	} {
		if got := names(c.cfg, c.prefix); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q; want %q", what, got, c.want)
		}
	}
}

func TestCredentials(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "private", false)
	s.Put(t, "private", "file", "secret content")
	right := keyed(t, s, s.Endpoint)
	wrong := right
	wrong.SecretAccessKeyFile = filepath.Join(t.TempDir(), "secret")
	missing := right
	missing.SecretAccessKeyFile = filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(wrong.SecretAccessKeyFile, []byte("planted-secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		cfg    Config
		named  bool
		want   error
		remedy string
	}{
		"wrong secret":      {wrong, false, iofs.ErrPermission, remedyGiven},
		"missing file":      {missing, false, iofs.ErrPermission, remedyGiven},
		"none, unnamed":     {Config{Endpoint: s.Endpoint}, false, iofs.ErrNotExist, remedyNone},
		"none, named":       {Config{Endpoint: s.Endpoint}, true, iofs.ErrPermission, remedyNone},
		"anonymous refused": {Config{Endpoint: s.Endpoint, Anonymous: true}, false, iofs.ErrNotExist, remedyDenied},
	} {
		if c.named {
			c.cfg.Buckets = []Bucket{{Bucket: "private"}}
		}
		p, log := open(t, c.cfg)
		_, err := p.Resolve(t.Context(), "private", "")
		wantErr(t, what, err, c.want)
		if got := providers.Remedy(err); got != c.remedy {
			t.Errorf("%s: got remedy %q; want %q", what, got, c.remedy)
		}
		if text := fmt.Sprint(err) + log.String(); has(text, "planted-secret") || has(text, s.SecretKey) {
			t.Errorf("%s: a secret is in %q", what, text)
		}
	}
	p, _ := open(t, Config{Endpoint: s.Endpoint, Anonymous: true, Buckets: []Bucket{{Bucket: "private"}}})
	m := resolve(t, p, "private") // its objects may be public though the listing is not
	wantErr(t, "list", listErr(t.Context(), m, ""), iofs.ErrPermission)
	_, err := m.Stat(t.Context(), "file")
	wantErr(t, "stat", err, iofs.ErrNotExist)
}

func TestKeyFilesAreReadAgain(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "private", false)
	s.Put(t, "private", "file", "content")
	cfg := keyed(t, s, s.Endpoint)
	p, _ := open(t, cfg)
	m := resolve(t, p, "private")
	e := stat(t, m, "file")
	write := func(secret string) {
		if err := os.WriteFile(cfg.SecretAccessKeyFile, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("revoked")
	_, err := read(t.Context(), m, e, 0, 7)
	wantErr(t, "read with a revoked key", err, iofs.ErrPermission)
	write(s.SecretKey)
	wantRead(t, m, e, 0, "content")
}

func TestAmbientCredentials(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "private", false)
	s.Put(t, "private", "file", "content")
	t.Run("environment", func(t *testing.T) {
		t.Setenv("AWS_ACCESS_KEY_ID", s.AccessKey)
		t.Setenv("AWS_SECRET_ACCESS_KEY", s.SecretKey)
		t.Setenv("AWS_ENDPOINT_URL_S3", s.Endpoint)
		p, _ := open(t, Config{})
		m := resolve(t, p, "private")
		wantRead(t, m, stat(t, m, "file"), 0, "content")
	})
	t.Run("profile, rewritten when it expires", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "credentials")
		write := func(secret string) {
			text := fmt.Sprintf("[team]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.AccessKey, secret)
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		write("old")
		p, _ := open(t, Config{Endpoint: s.Endpoint, Profile: "team"})
		_, err := p.Resolve(t.Context(), "private", "")
		wantErr(t, "resolve with an old key", err, iofs.ErrPermission)
		write(s.SecretKey)
		m := resolve(t, p, "private")
		wantRead(t, m, stat(t, m, "file"), 0, "content")
	})
	t.Run("profile, written after the start", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "credentials")
		t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
		now := time.Now()
		p, err := New(providers.Env{Now: func() time.Time { return now }}, Config{Endpoint: s.Endpoint})
		if err != nil {
			t.Fatal(err)
		}
		_, err = p.Resolve(t.Context(), "private", "")
		wantErr(t, "resolve without credentials", err, iofs.ErrNotExist)
		text := fmt.Sprintf("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n", s.AccessKey, s.SecretKey)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = p.Resolve(t.Context(), "private", "")
		wantErr(t, "resolve within the minute", err, iofs.ErrNotExist)
		now = now.Add(remembered + time.Second)
		m := resolve(t, p, "private")
		wantRead(t, m, stat(t, m, "file"), 0, "content")
	})
	t.Run("web identity", func(t *testing.T) {
		// The token service has the last word: refusal is refusal, an outage is an outage.
		token := filepath.Join(t.TempDir(), "token")
		if err := os.WriteFile(token, []byte("planted-token"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::123456789012:role/reader")
		t.Setenv("AWS_REGION", s3test.Region)
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		var status int
		sts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(status)
			if status == http.StatusOK {
				fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>%s</AccessKeyId><SecretAccessKey>%s</SecretAccessKey><SessionToken></SessionToken><Expiration>2999-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, s.AccessKey, s.SecretKey)
			}
		}))
		defer sts.Close()
		t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
		for _, c := range []struct {
			status int
			want   error
		}{{500, providers.ErrUnavailable}, {400, iofs.ErrPermission}, {200, nil}} {
			status = c.status
			p, _ := open(t, Config{Endpoint: s.Endpoint})
			m, err := p.Resolve(t.Context(), "private", "")
			if c.want != nil {
				wantErr(t, fmt.Sprintf("token service answers %d", status), err, c.want)
				if has(err.Error(), "planted") {
					t.Errorf("the token is in %q", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			wantRead(t, m, stat(t, m.(*model), "file"), 0, "content")
		}
	})
	t.Run("profile that is not there", func(t *testing.T) {
		p, _ := open(t, Config{Endpoint: s.Endpoint, Profile: "absent"})
		_, err := p.Resolve(t.Context(), "private", "")
		wantErr(t, "resolve", err, iofs.ErrPermission)
	})
}

func TestPublicBucket(t *testing.T) {
	isolate(t)
	s := s3test.Start(t)
	s.Bucket(t, "public", false)
	s.Put(t, "public", "file", "content")
	policy := `{"Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:GetObject"],"Resource":"arn:aws:s3:::public/*"}]}`
	if _, err := s.Client().PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: aws.String("public"), Policy: &policy}); err != nil {
		t.Fatal(err)
	}
	// Broken credentials of the instance are no matter of a public bucket.
	p, log := open(t, Config{Endpoint: s.Endpoint, Profile: "absent", Buckets: []Bucket{{Bucket: "public", Anonymous: true}}})
	m := resolve(t, p, "public")
	wantRead(t, m, stat(t, m, "file"), 0, "content")
	_, err := m.Stat(t.Context(), "absent")
	wantErr(t, "stat of an absent key", err, iofs.ErrNotExist)
	if !has(log.String(), "may not be listed") {
		t.Errorf("log: got %q; want a line about the listing", log)
	}
}

func TestVerifyIsToldInTheOrigin(t *testing.T) {
	for _, c := range []struct {
		key   string
		mount bool
		want  bool
	}{{"", false, false}, {"", true, true}, {"default", true, false}, {"strict", false, true}} {
		p, err := New(providers.Env{Strict: c.mount}, Config{Verify: c.key})
		if err != nil {
			t.Fatal(err)
		}
		m := &model{bucket: p.newBucket(Bucket{Bucket: "x"}, false)}
		if got := m.Origin().Verify; got != c.want {
			t.Errorf("verify %q under strict=%v: got %v; want %v", c.key, c.mount, got, c.want)
		}
	}
}
