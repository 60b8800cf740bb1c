package providertest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"modelfs/providers"
)

// A mutant breaks a source in one way. The check must notice.
type mutant struct {
	check, name string
	opts        MemoryOptions
	broken      broken
	fixture     func(*Fixture)
}

func told(op string, err error) error {
	return &providers.Error{Op: op, Protocol: "memory", Err: err}
}

func bytesOf(s string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(s)), nil }

// content reads a range however it is asked for.
func content(m providers.Model, e providers.Entry, off, n int64) string {
	s, err := read(context.Background(), m, e, off, n)
	if err != nil {
		return ""
	}
	return s
}

// now finds the entry that a path has at present, and its content.
func now(p providers.Provider, e providers.Entry) (providers.Entry, string) {
	m, err := p.Resolve(context.Background(), "org/model", "")
	if err != nil {
		return e, ""
	}
	is, err := providers.Stat(context.Background(), m, e.Path)
	if err != nil {
		return e, ""
	}
	return is, content(m, is, 0, is.Size)
}

var (
	serial atomic.Int64
	busy   atomic.Int64
)

func always(err error) func(context.Context, providers.Model, providers.Entry) error {
	return func(context.Context, providers.Model, providers.Entry) error { return err }
}

// deaf passes calls on without their context.
func deaf(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	return m.ReadRange(context.WithoutCancel(ctx), e, off, n)
}

func refuses(err error) func(*Fixture) {
	return func(f *Fixture) {
		p := f.Provider
		f.Down = func(*testing.T) { p.(*broken).Provider.(*Memory).Fail(err) }
		f.Refuse = f.Down
		f.Fails = map[string]func(*testing.T){"so": f.Down}
	}
}

func mutants() []mutant {
	noRevisions := MemoryOptions{NoRevisions: true, NoDigests: true}
	return []mutant{
		{check: "resolution", name: "another protocol", broken: broken{origin: func(o providers.Origin) providers.Origin { o.Protocol = "x"; return o }}},
		{check: "resolution", name: "no name", broken: broken{origin: func(o providers.Origin) providers.Origin { o.Name = ""; return o }}},
		{check: "resolution", name: "never the same", broken: broken{origin: func(o providers.Origin) providers.Origin {
			o.Source = fmt.Sprint(serial.Add(1))
			return o
		}}},
		{check: "resolution", name: "a revision that moves", broken: broken{origin: func(o providers.Origin) providers.Origin { o.Immutable = false; return o }}},
		{check: "resolution", name: "a ref that never moves", broken: broken{origin: func(o providers.Origin) providers.Origin { o.Immutable = true; return o }}},
		{check: "refs", name: "another ref", fixture: func(f *Fixture) { f.Refs["v1"] = f.Files }},
		{check: "refs", name: "another content", fixture: func(f *Fixture) { f.Refs["v1"] = map[string]string{"old": "of later!"} }},
		{check: "absence", name: "failure", fixture: func(f *Fixture) {
			f.Provider.(*broken).Provider.(*Memory).Fail(providers.ErrUnavailable)
		}},
		{check: "absence", name: "without what was asked", broken: broken{stat: func(context.Context, providers.Model, string) (providers.Entry, error) {
			return providers.Entry{}, iofs.ErrNotExist
		}}},
		{check: "absence", name: "an empty directory", broken: broken{readDir: func(providers.Model, string) iter.Seq2[providers.Entry, error] {
			return func(func(providers.Entry, error) bool) {}
		}}},
		{check: "absence", name: "partial is absent", fixture: func(f *Fixture) { f.Partial = "nothing" }},
		{check: "listing", name: "a file too many", fixture: func(f *Fixture) { delete(f.Files, "empty") }},
		{check: "listing", name: "a file too few", fixture: func(f *Fixture) { f.Files["more"] = "more" }},
		{check: "listing", name: "wrong size", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Size++; return e }}},
		{check: "listing", name: "no proof", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Digest, e.Validator = "", ""; return e }}},
		{check: "listing", name: "link without target", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Target = ""; return e }}},
		{check: "listing", name: "twice", broken: broken{readDir: func(m providers.Model, dir string) iter.Seq2[providers.Entry, error] {
			return func(yield func(providers.Entry, error) bool) {
				for e, err := range m.ReadDir(context.Background(), dir) {
					if !yield(e, err) || e.Mode.IsRegular() && !yield(e, err) {
						return
					}
				}
			}
		}}},
		{check: "stat", name: "another identity", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Digest, e.Validator = "", "other"; return e }}},
		{check: "stat", name: "another mode", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Mode ^= 0o100; return e }}},
		{check: "names", name: "empty", broken: broken{list: func(string) []string { return []string{""} }}},
		{check: "names", name: "twice", broken: broken{list: func(string) []string { return []string{"a", "a"} }}},
		{check: "ranges", name: "off by one", broken: broken{read: func(_ context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
			return bytesOf(content(m, e, max(0, off-1), n))
		}}},
		{check: "ranges", name: "short", broken: broken{read: func(_ context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
			return bytesOf(content(m, e, off, n)[1:])
		}}},
		{check: "ranges", name: "long", broken: broken{read: func(_ context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
			return bytesOf(content(m, e, off, n) + "x")
		}}},
		{check: "listed entries", name: "not known to check", broken: broken{entry: func(e providers.Entry) providers.Entry { e.Validator = "of a listing"; return e }}, opts: noRevisions},
		{check: "whole files", name: "not even whole", broken: broken{read: func(context.Context, providers.Model, providers.Entry, int64, int64) (io.ReadCloser, error) {
			return nil, told("read", providers.ErrWhole)
		}}},
		{check: "whole files", name: "a part of it", opts: MemoryOptions{Whole: true}, broken: broken{read: func(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
			if n < e.Size {
				return m.ReadRange(ctx, e, off, n)
			}
			return bytesOf(content(m, e, off, n)[:n/2])
		}}},
		{check: "local files", name: "other content", broken: broken{open: func(providers.Model, providers.Entry) (*os.File, error) { return os.Open(os.DevNull) }}},
		{check: "digests", name: "a lie", fixture: func(f *Fixture) { f.Files["config.json"] = `{"a": 2}` }},
		{check: "digests", name: "a late lie", broken: broken{digest: providers.NewDigest("md5", strings.Repeat("0", 32))}},
		{check: "digests", name: "no algorithm", broken: broken{digest: "sum:00"}},
		{check: "facts", name: "a key for people", broken: broken{facts: []providers.Fact{{Key: "Model Type", Value: "x"}}}},
		{check: "facts", name: "control bytes", broken: broken{facts: []providers.Fact{{Key: "x", Value: "\x1b[2J"}}}},
		{check: "hostile paths", name: "found", broken: broken{stat: func(_ context.Context, _ providers.Model, p string) (providers.Entry, error) {
			return providers.Entry{Path: p}, nil
		}}},
		{check: "hostile paths", name: "resolved", fixture: func(f *Fixture) {
			b, m := f.Provider.(*broken), f.Provider.(*broken).Provider
			b.resolve = func(ctx context.Context, _, _ string) (providers.Model, error) {
				return m.Resolve(ctx, "org/model", "")
			}
		}},
		{check: "unchanged", name: "always changed", broken: broken{check: always(told("check", providers.ErrChanged))}},
		{check: "unchanged", name: "never the same", broken: broken{stat: func(ctx context.Context, m providers.Model, p string) (providers.Entry, error) {
			e, err := providers.Stat(ctx, m, p)
			e.Digest, e.Validator = "", rand.Text()
			return e, err
		}, check: always(nil)}},
		{check: "rewritten", name: "never changed", broken: broken{check: always(nil)}},
		{check: "rewritten", name: "same identity", broken: broken{stat: func(ctx context.Context, m providers.Model, p string) (providers.Entry, error) {
			e, err := providers.Stat(ctx, m, p)
			e.Digest, e.Validator = "", "same"
			return e, err
		}}},
		{check: "removed", name: "never changed", broken: broken{check: always(nil)}},
		{check: "removed", name: "still there", broken: broken{stat: func(_ context.Context, _ providers.Model, p string) (providers.Entry, error) {
			return providers.Entry{Path: p}, nil
		}}},
		{check: "pinned revision", name: "moves", fixture: func(f *Fixture) {
			b, m := f.Provider.(*broken), f.Provider.(*broken).Provider
			b.resolve = func(ctx context.Context, name, _ string) (providers.Model, error) { return m.Resolve(ctx, name, "") }
		}},
		{check: "another process", name: "a secret of its own", fixture: func(f *Fixture) {
			b := f.Provider.(*broken)
			of := func(secret string) providers.Provider {
				c := *b
				c.stat = func(ctx context.Context, m providers.Model, p string) (providers.Entry, error) {
					e, err := providers.Stat(ctx, m, p)
					e.Digest, e.Validator = "", secret
					return e, err
				}
				c.check = always(nil)
				return &c
			}
			f.Provider, f.Reopen = of("one"), func(*testing.T) providers.Provider { return of("two") }
		}},
		{check: "change under a reader", name: "the present content", fixture: func(f *Fixture) {
			b := f.Provider.(*broken)
			b.read = func(_ context.Context, _ providers.Model, e providers.Entry, off, n int64) (io.ReadCloser, error) {
				return &present{p: b.Provider, e: e, off: off, left: n}, nil
			}
		}},
		{check: "cancellation", name: "deaf reads", broken: broken{read: deaf}},
		{check: "cancellation", name: "deaf lookups", fixture: func(f *Fixture) {
			b, m := f.Provider.(*broken), f.Provider.(*broken).Provider
			b.resolve = func(ctx context.Context, name, ref string) (providers.Model, error) {
				return m.Resolve(context.WithoutCancel(ctx), name, ref)
			}
			b.Provider = providersOnly{m}
		}},
		{check: "silence", name: "deaf", fixture: func(f *Fixture) {
			f.Hang = func(*testing.T) { f.Provider.(*broken).Provider.(*Memory).Delay(2 * time.Second) }
		}, broken: broken{read: deaf}},
		{check: "silence", name: "not heard", fixture: func(f *Fixture) { f.Hang = func(*testing.T) {} }},
		{check: "concurrency", name: "one at a time", broken: broken{check: func(ctx context.Context, m providers.Model, e providers.Entry) error {
			defer busy.Add(-1)
			if busy.Add(1) > 1 {
				return errors.New("busy")
			}
			time.Sleep(time.Millisecond)
			return m.Check(ctx, e)
		}}},
		{check: "down", name: "absent", fixture: refuses(iofs.ErrNotExist)},
		{check: "down", name: "absent and unavailable", fixture: refuses(fmt.Errorf("%w: %w", providers.ErrUnavailable, iofs.ErrNotExist))},
		{check: "failures", name: "stale", fixture: refuses(providers.ErrStale)},
		{check: "credentials", name: "in an address", broken: broken{origin: func(o providers.Origin) providers.Origin { o.Source = "https://u:s3cret@h"; return o }}},
		{check: "credentials", name: "in a header", broken: broken{facts: []providers.Fact{{Key: "x", Value: "Basic czNjcmV0"}}}},
		{check: "credentials", name: "in an error", fixture: refuses(fmt.Errorf("%w: s3cret", providers.ErrUnavailable))},
		{check: "credentials", name: "in the log", fixture: func(f *Fixture) { f.Logged = func() string { return "token=s3cret" } }},
		{check: "credentials", name: "elsewhere", fixture: func(f *Fixture) { f.Leaked = func() []string { return []string{"to a stranger"} } }},
		{check: "refused credentials", name: "absent", fixture: refuses(iofs.ErrNotExist)},
		{check: "refused credentials", name: "told", fixture: refuses(fmt.Errorf("%w: s3cret", iofs.ErrPermission))},
		{check: "guarded", name: "from the beginning again", broken: broken{read: func(ctx context.Context, m providers.Model, e providers.Entry, _, n int64) (io.ReadCloser, error) {
			return m.ReadRange(ctx, e, 0, n)
		}}},
	}
}

// providersOnly hides what else a provider offers.
type providersOnly struct{ providers.Provider }

// Resolve is deaf to its context.
func (p providersOnly) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	return p.Provider.Resolve(context.WithoutCancel(ctx), name, ref)
}

// present is a body of whatever content its file has at each byte.
type present struct {
	p         providers.Provider
	e         providers.Entry
	off, left int64
}

func (b *present) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	_, s := now(b.p, b.e)
	n := copy(p[:min(int64(len(p)), b.left)], s[b.off:])
	b.off, b.left = b.off+int64(n), b.left-int64(n)
	return n, nil
}

func (b *present) Close() error { return nil }

// mutantVariable names the mutant that TestSource is about, in a process of its own.
const mutantVariable = "PROVIDERTEST_MUTANT"

// TestSource runs the checks over a source that keeps the contract; in a process that
// TestMutants starts, the check that has to notice over one that does not.
func TestSource(t *testing.T) {
	for _, c := range checks {
		if os.Getenv(mutantVariable) == "" {
			t.Run(c.name, func(t *testing.T) { c.test(t, newFixture(t, mutate(mutant{}), time.Second)) })
			continue
		}
		for _, m := range mutants() {
			if m.check+"/"+m.name == os.Getenv(mutantVariable) && c.name == m.check {
				t.Run(c.name, func(t *testing.T) { c.test(t, newFixture(t, mutate(m), time.Second)) })
			}
		}
	}
}

// mutate makes sources of m.
func mutate(m mutant) func(*testing.T) Fixture {
	return func(t *testing.T) Fixture {
		f := memory(m.opts)(t)
		f.Provider = m.broken.on(f.Provider)
		reopened := f.Provider
		f.Reopen = func(*testing.T) providers.Provider { return reopened }
		if m.fixture != nil {
			m.fixture(&f)
		}
		return f
	}
}

// Every check notices every way of breaking what it is about, and every check has one.
func TestMutants(t *testing.T) {
	all := mutants()
	for _, c := range checks {
		if !slices.ContainsFunc(all, func(m mutant) bool { return m.check == c.name }) {
			t.Errorf("no mutant shows that the check %q can fail", c.name)
		}
	}
	for _, m := range all {
		t.Run(m.check+"/"+m.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestSource$", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), mutantVariable+"="+m.check+"/"+m.name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			noticed := []byte("--- FAIL: TestSource/" + strings.ReplaceAll(m.check, " ", "_"))
			if !errors.As(err, &exit) || !bytes.Contains(out, noticed) || bytes.Contains(out, []byte("panic:")) {
				t.Errorf("got %v, want that the check fails:\n%s", err, out)
			}
		})
	}
}
