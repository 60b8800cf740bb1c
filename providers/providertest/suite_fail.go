package providertest

import (
	"context"
	"errors"
	iofs "io/fs"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

// testDown holds that a source which cannot be asked is never said to lack a thing.
func testDown(t *testing.T, f *fixture) {
	if f.Down == nil {
		t.Log("does not apply: the source cannot be down")
		return
	}
	f.unanswered(t, f.Down)
}

// testFailures is testDown for every other way of failing, each on a fresh source.
func testFailures(t *testing.T, f *fixture) {
	if len(f.Fails) == 0 {
		t.Log("does not apply: the source has no other ways to fail")
		return
	}
	for name := range f.Fails {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, f.fresh, f.patience)
			f.unanswered(t, f.Fails[name])
		})
	}
}

// unanswered asks everything after the source stopped to answer.
func (f *fixture) unanswered(t *testing.T, stop func(*testing.T)) {
	t.Helper()
	m, p := f.model(t), f.big()
	e := entry(t, m, p)
	stop(t)
	_, err := f.Provider.Resolve(t.Context(), f.Name, f.Ref)
	f.fails(t, "resolve", err, providers.ErrUnavailable)
	if !f.Known {
		_, err = f.Provider.Resolve(t.Context(), f.Absent, "")
		f.fails(t, "resolve of an absent name", err, providers.ErrUnavailable)
	}
	if err := m.Check(t.Context(), e); !m.Origin().Immutable {
		f.fails(t, "check", err, providers.ErrUnavailable)
	}
	got, err := read(t.Context(), m, e, 0, e.Size)
	f.fails(t, "read", err, providers.ErrUnavailable)
	if !strings.HasPrefix(f.Files[p], got) {
		t.Errorf("read: got %.60q, which is not of the file", got)
	}
	// What was listed before may be known still.
	told := map[string]error{"read": err}
	if _, err := providers.Stat(t.Context(), m, p); err != nil {
		f.fails(t, "stat", err, providers.ErrUnavailable)
		told["stat"] = err
	}
	for _, err := range m.ReadDir(t.Context(), "") {
		if err != nil {
			f.fails(t, "list", err, providers.ErrUnavailable)
			told["list"] = err
		}
	}
	for op, err := range told {
		if errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%s: %v says that something is absent", op, err)
		}
	}
}

// testSilence holds that a call ends soon after its context, whatever the source does.
func testSilence(t *testing.T, f *fixture) {
	if f.Hang == nil {
		t.Log("does not apply: the source cannot be silent")
		return
	}
	m, p := f.model(t), f.big()
	e := entry(t, m, p)
	f.Hang(t)
	for op, call := range map[string]func(context.Context) error{
		"resolve": func(ctx context.Context) error { _, err := f.Provider.Resolve(ctx, f.Name, f.Ref); return err },
		"check":   func(ctx context.Context) error { return m.Check(ctx, e) },
		"stat":    func(ctx context.Context) error { _, err := providers.Stat(ctx, m, p); return err },
		"read":    func(ctx context.Context) error { _, err := read(ctx, m, e, 0, e.Size); return err },
		"list": func(ctx context.Context) error {
			for _, err := range m.ReadDir(ctx, "") {
				if err != nil {
					return err
				}
			}
			return nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		start := time.Now()
		err := call(ctx)
		cancel()
		if d := time.Since(start); d > f.patience/3 {
			t.Errorf("%s: took %s after its context ended at 200ms", op, d)
		}
		if err != nil || op == "resolve" || op == "read" {
			f.fails(t, op, err, context.DeadlineExceeded)
		}
	}
}
