package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"log/slog"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
	"modelfs/providers/s3/s3test"
)

// isolate keeps the machine's own credentials and profiles out of a test.
func isolate(t *testing.T) {
	t.Helper()
	for _, k := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
		"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
	} {
		t.Setenv(k, "")
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// journal is a log that a test can read.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// open makes a provider that retries fast.
func open(t *testing.T, cfg Config) (*Provider, *journal) {
	t.Helper()
	j := &journal{}
	p, err := New(providers.Env{Protocol: "s3", Log: slog.New(slog.NewTextHandler(j, nil))}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	p.maxBackoff = 5 * time.Millisecond
	p.renewAfter = 0
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, j
}

// keyed is the configuration for endpoint with the server's keys.
func keyed(t *testing.T, s *s3test.Server, endpoint string) Config {
	t.Helper()
	id, secret, err := s.WriteKeys(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return Config{Endpoint: endpoint, Region: s3test.Region, AccessKeyIDFile: id, SecretAccessKeyFile: secret}
}

func resolve(t *testing.T, p *Provider, name string) *model {
	t.Helper()
	m, err := p.Resolve(t.Context(), name, "")
	if err != nil {
		t.Fatalf("resolve %s: %v", name, err)
	}
	return m.(*model)
}

func stat(t *testing.T, m *model, path string) providers.Entry {
	t.Helper()
	e, err := m.Stat(t.Context(), path)
	if err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return e
}

func read(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (string, error) {
	r, err := m.ReadRange(ctx, e, off, n)
	if err != nil {
		return "", err
	}
	b, err := s3test.ReadAll(r)
	return string(b), err
}

// wantRead fails unless the range reads as want.
func wantRead(t *testing.T, m providers.Model, e providers.Entry, off int64, want string) {
	t.Helper()
	got, err := read(t.Context(), m, e, off, int64(len(want)))
	if err != nil || got != want {
		t.Errorf("read %s at %d: got %.60q, %v; want %.60q", e.Path, off, got, err, want)
	}
}

// wantErr fails unless err wraps want and comes with what was asked.
func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	var e *providers.Error
	if !errors.Is(err, want) || !errors.As(err, &e) {
		t.Errorf("%s: got error %v; want a *providers.Error that is %v", what, err, want)
	}
}

// list returns the entries of dir by path.
func list(t *testing.T, m providers.Model, dir string) map[string]providers.Entry {
	t.Helper()
	all := map[string]providers.Entry{}
	for e, err := range m.ReadDir(t.Context(), dir) {
		if err != nil {
			t.Fatalf("list %q: %v", dir, err)
		}
		all[e.Path] = e
	}
	return all
}

// wantNames fails unless the map has just these keys.
func wantNames(t *testing.T, what string, got map[string]providers.Entry, want ...string) {
	t.Helper()
	names := slices.Sorted(maps.Keys(got))
	slices.Sort(want)
	if !slices.Equal(names, want) {
		t.Errorf("%s: got %q; want %q", what, names, want)
	}
}

func listErr(ctx context.Context, m providers.Model, dir string) error {
	for _, err := range m.ReadDir(ctx, dir) {
		if err != nil {
			return err
		}
	}
	return nil
}

// rising is n bytes that differ from place to place.
func rising(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13)
	}
	return string(b)
}

func isPermission(err error) bool { return errors.Is(err, iofs.ErrPermission) }

func has(s, part string) bool { return strings.Contains(s, part) }

// BenchmarkRead measures the way from the socket to the reader, in ranges of 8 MiB.
func BenchmarkRead(b *testing.B) {
	s := s3test.Start(b)
	s.Bucket(b, "models", false)
	const size = 64 << 20
	s.Put(b, "models", "w.bin", strings.Repeat("0123456789abcdef", size/16))
	id, secret, err := s.WriteKeys(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	p, err := New(providers.Env{}, Config{Endpoint: s.Endpoint, Region: s3test.Region, AccessKeyIDFile: id, SecretAccessKeyFile: secret})
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.Resolve(b.Context(), "models", "")
	if err != nil {
		b.Fatal(err)
	}
	e, err := providers.Stat(b.Context(), m, "w.bin")
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(size)
	buf := make([]byte, 8<<20)
	for b.Loop() {
		for off := int64(0); off < size; off += int64(len(buf)) {
			r, err := m.ReadRange(b.Context(), e, off, int64(len(buf)))
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.ReadFull(r, buf); err != nil {
				b.Fatal(err)
			}
			if err := r.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}
