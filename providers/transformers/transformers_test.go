package transformers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
	testhub "modelfs/testdata/hub"
)

// TestMain fails the run if a goroutine of this package outlives its test.
func TestMain(m *testing.M) {
	status := m.Run()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		left := strings.Count(string(stacks), "created by modelfs/")
		if left == 0 {
			break
		}
		if time.Now().After(deadline) {
			os.Stderr.Write(stacks)
			os.Exit(1)
		}
	}
	os.Exit(status)
}

// fixture is a Hub, a provider of it, and what the provider sees and says.
type fixture struct {
	*testhub.Server
	*Provider
	env   map[string]string
	clock *clock
	log   *logBuffer
}

// clock is the true time, moved on by every sleep.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
	slept []time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) sleep(ctx context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
	c.slept = append(c.slept, d)
	return ctx.Err()
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start makes a fixture. The environment is empty but for HF_ENDPOINT and what
// env adds.
func start(t *testing.T, c Config, env ...string) *fixture {
	t.Helper()
	s := testhub.New()
	f := &fixture{Server: s, env: map[string]string{"HF_ENDPOINT": s.URL}, clock: &clock{}, log: &logBuffer{}}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		f.env[k] = v
	}
	f.Provider = f.provider(t, c)
	t.Cleanup(func() {
		if v := s.Violations(); len(v) > 0 {
			t.Errorf("secrets sent to the content network: %q", v)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

// provider makes another provider in the same environment.
func (f *fixture) provider(t *testing.T, c Config) *Provider {
	t.Helper()
	env := providers.Env{
		Getenv: func(k string) string { return f.env[k] },
		Now:    f.clock.now,
		Log:    slog.New(slog.NewTextHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	p, err := open(env, c)
	if err != nil {
		t.Fatal(err)
	}
	p.hub.pace.sleep = f.clock.sleep
	p.hub.pace.tries = 5 // more than by default, to see what happens between them
	t.Cleanup(func() { p.hub.client.CloseIdleConnections() })
	return p
}

// with makes a provider of the fixture's Hub that sends a token.
func (f *fixture) with(t *testing.T, token string) *Provider {
	t.Helper()
	path := t.TempDir() + "/token"
	if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return f.provider(t, Config{TokenFile: path})
}

func resolve(t *testing.T, p *Provider, name, ref string) providers.Model {
	t.Helper()
	m, err := p.Resolve(t.Context(), name, ref)
	if err != nil {
		t.Fatalf("resolve %s@%s: %v", name, ref, err)
	}
	return m
}

func stat(t *testing.T, m providers.Model, path string) providers.Entry {
	t.Helper()
	e, err := providers.Stat(t.Context(), m, path)
	if err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return e
}

// read reads a range to its end.
func read(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) ([]byte, error) {
	r, err := m.ReadRange(ctx, e, off, n)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	return b, errors.Join(err, r.Close())
}

func wantBytes(t *testing.T, got []byte, err error, want []byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("got %d bytes %.40q, want %d bytes %.40q", len(got), got, len(want), want)
	}
}

// wantErr checks what an error means, and that it says what was asked.
func wantErr(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("got error %v, want %v", err, want)
	}
	var e *providers.Error
	if !errors.As(err, &e) {
		t.Fatalf("got a bare error %v, want a *providers.Error", err)
	}
	if e.Op == "" || e.Protocol != "transformers" {
		t.Errorf("got error of op %q, protocol %q, want both told", e.Op, e.Protocol)
	}
}

func wantRemedy(t *testing.T, err error, part string) {
	t.Helper()
	if got := providers.Remedy(err); !strings.Contains(got, part) {
		t.Errorf("got remedy %q, want one with %q", got, part)
	}
}

// count is the number of recorded requests that match.
func (f *fixture) count(match testhub.Match) int {
	n := 0
	for _, r := range f.Requests() {
		if match(r) {
			n++
		}
	}
	return n
}

func wantCount(t *testing.T, f *fixture, server, part string, want int) {
	t.Helper()
	if got := f.count(testhub.To(server, part)); got != want {
		t.Errorf("got %d requests to %s %q, want %d: %v", got, server, part, want, f.Requests())
	}
}

// pattern is content in which every position differs from its neighbours.
func pattern(n int) []byte {
	b := make([]byte, n)
	if _, err := testhub.Synthetic(7, int64(n)).Content.ReadAt(b, 0); err != nil && err != io.EOF {
		panic(err)
	}
	return b
}

// transport reaches into a client, for timeouts that a test cannot wait for.

// impatient gives servers a second to say something.
func (h *hub) impatient(t *testing.T) {
	t.Helper()
	h.client = mustClient(t, wire.Options{Home: h.endpoint, Authorize: h.authorize, Silence: time.Second})
	t.Cleanup(h.client.CloseIdleConnections)
}

func mustClient(t testing.TB, o wire.Options) *wire.Client {
	t.Helper()
	c, err := wire.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
