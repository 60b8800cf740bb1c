package providers_test

import (
	"context"
	"errors"
	"iter"
	"testing"
	"testing/synctest"
	"time"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

// able is a model that can walk and digest, each failing as it is told.
type able struct {
	providers.Model
	fail func(context.Context) error
}

func (a able) Walk(ctx context.Context) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		if err := a.fail(ctx); err != nil {
			yield(providers.Entry{}, err)
			return
		}
		yield(providers.Entry{Path: "walked"}, nil)
	}
}

func (a able) Digest(ctx context.Context, _ providers.Entry) (providers.Digest, error) {
	return "md5:0", a.fail(ctx)
}

type ableProvider struct {
	providers.Provider
	fail func(context.Context) error
}

func (p ableProvider) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := p.Provider.Resolve(ctx, name, ref)
	return able{m, p.fail}, err
}

// List fails as it is told.
func (p ableProvider) List(ctx context.Context, _ string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := p.fail(ctx); err != nil {
			yield("", err)
			return
		}
		yield("listed", nil)
	}
}

// The optional interfaces have the guard's attempts and deadlines too.
func TestGuardOptionalInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var fail func(context.Context) error
		mem := providertest.NewMemory(providertest.MemoryOptions{Plain: true})
		mem.Publish("m", "", nil)
		g := providers.Guard(ableProvider{mem, func(ctx context.Context) error { return fail(ctx) }}, providers.GuardOptions{BreakAfter: 1000})
		m, err := g.Resolve(t.Context(), "m", "")
		if err != nil {
			t.Fatal(err)
		}
		d, ok := providers.As[providers.Digester](m)
		if !ok {
			t.Fatal("no Digester through the guard")
		}
		l, ok := providers.As[providers.Lister](g)
		if !ok {
			t.Fatal("no Lister through the guard")
		}
		for name, call := range map[string]func() (string, error){
			"digest": func() (string, error) { s, err := d.Digest(t.Context(), providers.Entry{}); return string(s), err },
			"walk": func() (string, error) {
				for e, err := range providers.Walk(t.Context(), m) {
					return e.Path, err
				}
				return "", nil
			},
			"list": func() (string, error) {
				for s, err := range l.List(t.Context(), "") {
					return s, err
				}
				return "", nil
			},
		} {
			left := 3
			fail = func(context.Context) error {
				if left--; left >= 0 {
					return providers.ErrUnavailable
				}
				return nil
			}
			if got, err := call(); got == "" || err != nil {
				t.Errorf("%s after three failures: got %q, %v; want an answer", name, got, err)
			}
			fail = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			start := time.Now()
			_, err := call()
			if !errors.Is(err, providers.ErrUnavailable) || errors.Is(err, context.Canceled) {
				t.Errorf("%s without answer: got %v, want ErrUnavailable and not the caller's end", name, err)
			}
			if d := time.Since(start); d > 3*time.Minute {
				t.Errorf("%s without answer took %s", name, d)
			}
			fail = func(context.Context) error { panic("boom") }
			if _, err := call(); err == nil || errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("%s with a panic: got %v, want its error", name, err)
			}
		}
	})
}

// A throttled op waits as long as it was told, and fails at once if that is longer
// than it has.
func TestGuardThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		for after, want := range map[time.Duration]bool{20 * time.Second: true, time.Hour: false} {
			s.Next("resolve", 1, providertest.Fault{Err: &providers.Throttled{After: after, Err: errReset}})
			start := time.Now()
			_, err := s.guard.Resolve(t.Context(), "m", "")
			if (err == nil) != want {
				t.Errorf("throttled for %s: got %v, want success %v", after, err, want)
			}
			if took := time.Since(start); want && took < after || !want && took != 0 {
				t.Errorf("throttled for %s: took %s", after, took)
			}
		}
	})
}
