package providers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

const content = "0123456789abcdefghijklmnopqrstuvwxyz"

// source is a guarded model with one file, and the faults below it.
type source struct {
	*providertest.Faulty
	guard providers.Provider
	mem   *providertest.Memory
	log   *bytes.Buffer
}

func newSource(t *testing.T, opts providers.GuardOptions) *source {
	t.Helper()
	s := &source{mem: providertest.NewMemory(providertest.MemoryOptions{}), log: &bytes.Buffer{}}
	s.mem.Publish("m", "", providertest.Text(map[string]string{"f": content, "d/g": "x"}))
	s.Faulty = providertest.NewFaulty(s.mem)
	opts.Protocol, opts.Log = "memory", slog.New(slog.NewTextHandler(s.log, nil))
	s.guard = providers.Guard(s.Faulty, opts)
	return s
}

func (s *source) model(t *testing.T) (providers.Model, providers.Entry) {
	t.Helper()
	m, err := s.guard.Resolve(t.Context(), "m", "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := providers.Stat(t.Context(), m, "f")
	if err != nil {
		t.Fatal(err)
	}
	return m, e
}

func (s *source) health(t *testing.T) providers.Health {
	t.Helper()
	h, ok := providers.As[providers.Healther](s.guard)
	if !ok {
		t.Fatal("guard has no Health")
	}
	return h.Health()
}

// read reads all of the file through the guard.
func (s *source) read(t *testing.T) (string, error) {
	t.Helper()
	m, e := s.model(t)
	rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
	if err != nil {
		return "", err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	return string(b), err
}

var errReset = errors.New("connection reset")

// Every fault of a body that the source can recover from is not noticed.
func TestGuardReadRecovers(t *testing.T) {
	for name, faults := range map[string][]providertest.Fault{
		"cut":                {{Cut: 10}},
		"cut with error":     {{Cut: 10, CutErr: errReset}},
		"cut before a byte":  {{Cut: -1}, {Cut: -1, CutErr: errReset}},
		"cut again and anew": {{Cut: 1}, {Cut: 1}, {Cut: 1}, {Cut: 1}, {Cut: 1}, {Cut: 1}, {Cut: 1}},
		"stall":              {{StallAt: 20}},
		"stall at once":      {{StallAt: -1}},
		"surplus":            {{Surplus: 100}},
		"cut and surplus":    {{Cut: 5}, {Surplus: 1}},
		"unavailable":        {{Err: providers.ErrUnavailable}, {Err: providers.ErrUnavailable}},
		"never opens":        {{Hang: true}},
		"throttled":          {{Err: &providers.Throttled{After: 20 * time.Second, Err: errReset}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t, providers.GuardOptions{})
				for _, f := range faults {
					s.Next("read", 1, f)
				}
				start := time.Now()
				got, err := s.read(t)
				if got != content || err != nil {
					t.Errorf("got %q, %v; want the content", got, err)
				}
				if d := time.Since(start); d > time.Minute {
					t.Errorf("took %s; want less than a minute", d)
				}
				if got := s.health(t).Bytes; got != int64(len(content)) {
					t.Errorf("got %d bytes counted, want %d", got, len(content))
				}
			})
		})
	}
}

// What it cannot recover from ends in time, in the right error, with no byte that
// is not the file's.
// wholeOnly answers ErrWhole to every part of a file.
type wholeOnly struct{ providers.Provider }

func (w wholeOnly) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := w.Provider.Resolve(ctx, name, ref)
	return wholeOnlyModel{m}, err
}

type wholeOnlyModel struct{ providers.Model }

func (m wholeOnlyModel) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	if off != 0 || n != e.Size {
		return nil, providers.ErrWhole
	}
	return m.Model.ReadRange(ctx, e, off, n)
}

// A whole file that breaks is begun again, and what was read of it is read past.
func TestGuardReadsWholeFileOn(t *testing.T) {
	mem := providertest.NewMemory(providertest.MemoryOptions{})
	mem.Publish("m", "", providertest.Text(map[string]string{"f": content}))
	faulty := providertest.NewFaulty(wholeOnly{mem})
	guard := providers.Guard(faulty, providers.GuardOptions{Protocol: "memory", Backoff: 1})
	m, err := guard.Resolve(t.Context(), "m", "")
	if err != nil {
		t.Fatal(err)
	}
	e, err := providers.Stat(t.Context(), m, "f")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ReadRange(t.Context(), e, 3, 5); !errors.Is(err, providers.ErrWhole) {
		t.Errorf("a part: got %v, want %v", err, providers.ErrWhole)
	}
	for _, cut := range []int{7, 20} {
		faulty.Next("read", 1, providertest.Fault{Cut: cut})
		faulty.Next("read", 1, providertest.Fault{}) // for the rest, which is no whole
		faulty.Next("read", 1, providertest.Fault{Cut: cut + 4})
	}
	rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	if got, err := io.ReadAll(rc); err != nil || string(got) != content {
		t.Errorf("got %q, %v; want all of the file", got, err)
	}
}

func TestGuardReadGivesUp(t *testing.T) {
	for name, c := range map[string]struct {
		fault providertest.Fault
		want  error
		calls int
	}{
		"always short":   {providertest.Fault{Cut: -1}, providers.ErrCorrupt, 5},
		"always reset":   {providertest.Fault{Cut: -1, CutErr: errReset}, providers.ErrUnavailable, 5},
		"always stalled": {providertest.Fault{StallAt: -1}, providers.ErrUnavailable, 5},
		"down":           {providertest.Fault{Err: providers.ErrUnavailable}, providers.ErrUnavailable, 4},
		"stale":          {providertest.Fault{Err: providers.ErrStale}, providers.ErrStale, 1},
		"stale halfway":  {providertest.Fault{Cut: 5, CutErr: providers.ErrStale}, providers.ErrStale, 1},
		"corrupt":        {providertest.Fault{Cut: len(content), CutErr: providers.ErrCorrupt}, providers.ErrCorrupt, 1},
		"gone":           {providertest.Fault{Err: iofs.ErrNotExist}, iofs.ErrNotExist, 1},
		"refused":        {providertest.Fault{Err: iofs.ErrPermission}, iofs.ErrPermission, 1},
		"panic":          {providertest.Fault{Panic: "token=secret"}, nil, 1},
		"long throttle":  {providertest.Fault{Err: &providers.Throttled{After: time.Hour, Err: errReset}}, providers.ErrUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSource(t, providers.GuardOptions{})
				s.Always("read", c.fault)
				start := time.Now()
				got, err := s.read(t)
				if err == nil || (c.want != nil && !errors.Is(err, c.want)) {
					t.Errorf("got error %v, want %v", err, c.want)
				}
				if !strings.HasPrefix(content, got) || got == content {
					t.Errorf("got %q, want a proper beginning of the content", got)
				}
				if d := time.Since(start); d > 75*time.Second {
					t.Errorf("took %s; want less", d)
				}
				if got := s.Count("read"); got != c.calls {
					t.Errorf("got %d requests, want %d", got, c.calls)
				}
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("error %q tells the panic's value", err)
				}
			})
		})
	}
}

func TestGuardReadEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		s.Always("read", providertest.Fault{StallAt: 3})
		m, e := s.model(t)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		rc, err := m.ReadRange(ctx, e, 0, e.Size)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(rc)
		if string(got) != "012" || !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("got %q, %v; want 012 and the caller's deadline", got, err)
		}
		rc.Close()
		if s.health(t).Open {
			t.Error("the caller's end counted against the source")
		}
	})
}

func TestGuardCloseEndsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{Concurrency: 1})
		s.Next("read", 1, providertest.Fault{StallAt: -1})
		m, e := s.model(t)
		rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() {
			_, err := rc.Read(make([]byte, 1))
			done <- err
		}()
		synctest.Wait()
		rc.Close()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if got, err := s.read(t); got != content {
			t.Errorf("got %q, %v after Close; want the content, the slot being free", got, err)
		}
	})
}

func TestGuardOpDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		m, e := s.model(t)
		st, _ := providers.As[providers.Stater](m)
		for op, call := range map[string]func(context.Context) error{
			"resolve": func(ctx context.Context) error { _, err := s.guard.Resolve(ctx, "m", ""); return err },
			"check":   func(ctx context.Context) error { return m.Check(ctx, e) },
			"stat":    func(ctx context.Context) error { _, err := st.Stat(ctx, "f"); return err },
			"list": func(ctx context.Context) error {
				for _, err := range m.ReadDir(ctx, "") {
					return err
				}
				return nil
			},
		} {
			s.Next(op, 1, providertest.Fault{Hang: true})
			start := time.Now()
			err := call(t.Context())
			// An op ends at its deadline; a listing, which has none for the
			// whole, asks again and succeeds.
			if d := time.Since(start); d < 30*time.Second || d > 31*time.Second {
				t.Errorf("%s took %s, want its deadline", op, d)
			}
			if op != "list" && (!errors.Is(err, providers.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded)) {
				t.Errorf("%s: got %v, want ErrUnavailable by a deadline", op, err)
			}
			if op == "list" && err != nil {
				t.Errorf("list: got %v, want nil", err)
			}
			if err := call(t.Context()); err != nil {
				t.Errorf("%s afterwards: got %v, want nil", op, err)
			}
		}
	})
}

func TestGuardRetriesOps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{BreakAfter: 100})
		s.Next("resolve", 3, providertest.Fault{Err: providers.ErrUnavailable})
		if _, err := s.guard.Resolve(t.Context(), "m", ""); err != nil {
			t.Errorf("after three failures: got %v, want nil", err)
		}
		s.Next("resolve", 4, providertest.Fault{Err: providers.ErrUnavailable})
		if _, err := s.guard.Resolve(t.Context(), "m", ""); !errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("after four failures: got %v, want ErrUnavailable", err)
		}
		before := s.Count("resolve")
		if _, err := s.guard.Resolve(t.Context(), "none", ""); !errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("absent: got %v, want iofs.ErrNotExist", err)
		}
		if got := s.Count("resolve") - before; got != 1 {
			t.Errorf("an absent name was asked %d times, want 1", got)
		}
	})
}

// A dead source costs a request each time that its rest is over, and nothing between.
func TestGuardBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		down := providertest.Fault{Err: fmt.Errorf("%w: refused", providers.ErrUnavailable)}
		s.Always("resolve", down)
		resolve := func() error { _, err := s.guard.Resolve(t.Context(), "m", ""); return err }
		if err := resolve(); !errors.Is(err, providers.ErrUnavailable) {
			t.Fatalf("got %v, want ErrUnavailable", err)
		}
		if h := s.health(t); h.Open || h.Failures != 4 || !strings.Contains(h.LastError, "refused") {
			t.Errorf("one name failed: got %+v, want 4 failures and the source not judged", h)
		}
		short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, _ = s.guard.Resolve(short, "n", "")
		if h := s.health(t); !h.Open || h.Failures != 5 {
			t.Errorf("two names failed: got %+v, want open", h)
		}
		for _, rest := range []time.Duration{1, 2, 4, 8, 15, 15} {
			before, start := s.Count("resolve"), time.Now()
			for range 100 {
				if err := resolve(); !errors.Is(err, providers.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			}
			if asked, d := s.Count("resolve")-before, time.Since(start); asked != 0 || d != 0 {
				t.Errorf("rest of %ds: %d requests in %s, want none", rest, asked, d)
			}
			time.Sleep(rest * time.Second)
			_ = resolve() // the probe
			if asked := s.Count("resolve") - before; asked != 1 {
				t.Errorf("after %ds: %d requests, want one probe", rest, asked)
			}
		}
		s.Always("resolve", providertest.Fault{})
		time.Sleep(15 * time.Second)
		if err := resolve(); err != nil || s.health(t).Open {
			t.Errorf("got %v, open %v; want the source back", err, s.health(t).Open)
		}
		if got := strings.Count(s.log.String(), "level=WARN"); got != 1 {
			t.Errorf("got %d warnings for one outage, want 1:\n%s", got, s.log)
		}
	})
}

// One name that fails is left alone, and nobody else is.
func TestGuardBreakerOfOneName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		s.Next("resolve", 4, providertest.Fault{Err: providers.ErrUnavailable})
		for range 3 {
			if _, err := s.guard.Resolve(t.Context(), "bad", ""); !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("bad: got %v, want ErrUnavailable", err)
			}
		}
		if got := s.Count("resolve"); got != 4 {
			t.Errorf("requests about the bad name: got %d, want the attempts of one call", got)
		}
		if _, err := s.guard.Resolve(t.Context(), "m", ""); err != nil {
			t.Errorf("another name: got %v, want it", err)
		}
	})
}

// A source that is silent until its callers' time is over counts as failing.
func TestGuardBreakerOfASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		s.Always("resolve", providertest.Fault{Hang: true})
		for _, name := range []string{"a", "b", "a", "b"} {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			if _, err := s.guard.Resolve(ctx, name, ""); err == nil {
				t.Fatal("got an answer")
			}
			cancel()
		}
		if h := s.health(t); !h.Open || h.Failures != 4 {
			t.Errorf("got %+v, want open after 4 failures", h)
		}
	})
}

// A read that is answered with no says nothing about other files.
func TestGuardBreakerAndRefusedReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		m, e := s.model(t)
		s.Always("read", providertest.Fault{Err: fmt.Errorf("%w: 503", providers.ErrUnavailable)})
		for range 3 {
			if _, err := m.ReadRange(t.Context(), e, 0, e.Size); !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("got %v, want ErrUnavailable", err)
			}
		}
		s.Always("read", providertest.Fault{})
		if rc, err := m.ReadRange(t.Context(), e, 0, e.Size); err != nil {
			t.Errorf("afterwards: got %v, want the file", err)
		} else {
			rc.Close()
		}
	})
}

// A read does not fail fast: it waits for the source to come back, as long as it
// may, and asks no more than anybody else.
func TestGuardReadOutlivesOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{})
		m, e := s.model(t)
		down := providertest.Fault{Err: providers.ErrUnavailable}
		s.Always("read", down)
		s.Always("resolve", down)
		_, _ = s.guard.Resolve(t.Context(), "n", "")
		if _, err := s.guard.Resolve(t.Context(), "m", ""); err == nil || !s.health(t).Open {
			t.Fatalf("got %v, open %v; want the source down", err, s.health(t).Open)
		}
		time.AfterFunc(3*time.Second, func() { s.Always("read", providertest.Fault{}) })
		rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
		if err != nil {
			t.Fatal(err)
		}
		defer rc.Close()
		if got, err := io.ReadAll(rc); string(got) != content || err != nil {
			t.Errorf("got %q, %v; want the content", got, err)
		}
		if got := s.Count("read"); got > 4 {
			t.Errorf("got %d requests, want at most one an attempt", got)
		}
		if s.health(t).Open {
			t.Error("the read did not tell that the source is back")
		}
	})
}

// A probe without verdict makes room for another.
func TestGuardProbeAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{BreakAfter: 1, Attempts: 1})
		s.Next("resolve", 1, providertest.Fault{Err: providers.ErrUnavailable})
		s.Next("resolve", 1, providertest.Fault{Hang: true})
		_, _ = s.guard.Resolve(t.Context(), "m", "")
		time.Sleep(time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() {
			_, err := s.guard.Resolve(ctx, "m", "")
			done <- err
		}()
		synctest.Wait()
		if _, err := s.guard.Resolve(t.Context(), "m", ""); !errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("beside a probe: got %v, want ErrUnavailable", err)
		}
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("probe: got %v, want context.Canceled", err)
		}
		if _, err := s.guard.Resolve(t.Context(), "m", ""); err != nil {
			t.Errorf("after it: got %v, want nil", err)
		}
	})
}

func TestGuardBulkhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{Concurrency: 3})
		release := make(chan struct{})
		s.Next("resolve", 10, providertest.Fault{Stall: release})
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := s.guard.Resolve(t.Context(), "m", ""); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if got := s.Count("resolve"); got != 3 {
			t.Errorf("got %d requests at once, want 3", got)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := s.guard.Resolve(ctx, "m", ""); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the waiting caller's deadline", err)
		}
		close(release)
		wg.Wait()
	})
}

// A walk of nested listings needs one slot, and a panic of its consumer is its own.
func TestGuardListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSource(t, providers.GuardOptions{Concurrency: 1})
		m, _ := s.model(t)
		var got []string
		for e, err := range providers.Walk(t.Context(), m) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, e.Path)
		}
		if len(got) != 2 {
			t.Errorf("got %q, want two files", got)
		}
		s.Next("list", 1, providertest.Fault{Err: providers.ErrUnavailable})
		for _, err := range m.ReadDir(t.Context(), "") {
			if err != nil {
				t.Errorf("listing after one failure: got %v, want nil", err)
			}
		}
		func() {
			defer func() {
				if r := recover(); r != "mine" {
					t.Errorf("recovered %v, want the consumer's panic", r)
				}
			}()
			for _, err := range m.ReadDir(t.Context(), "") {
				t.Log(err)
				panic("mine")
			}
		}()
		for _, err := range m.ReadDir(t.Context(), "") {
			if err != nil {
				t.Errorf("listing after a panic: got %v, want nil", err)
			}
			break
		}
		s.Next("list", 1, providertest.Fault{Panic: "boom"})
		for _, err := range m.ReadDir(t.Context(), "") {
			if err == nil || errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("panicking listing: got %v, want its error", err)
			}
		}
		if !strings.Contains(s.log.String(), "boom") || !strings.Contains(s.log.String(), "goroutine") {
			t.Errorf("log has no stack of the panic:\n%s", s.log)
		}
	})
}

func TestGuardShowsOptionalInterfaces(t *testing.T) {
	s := newSource(t, providers.GuardOptions{})
	if _, ok := providers.As[providers.Lister](s.guard); !ok {
		t.Error("no Lister through the guard")
	}
	m, _ := s.model(t)
	if _, ok := providers.As[providers.Stater](m); !ok {
		t.Error("no Stater through the guard")
	}
	if _, ok := providers.As[providers.Walker](m); ok {
		t.Error("a Walker that the model has not")
	}
	plain := providertest.NewMemory(providertest.MemoryOptions{Plain: true})
	plain.Publish("m", "", nil)
	g := providers.Guard(struct{ providers.Provider }{plain}, providers.GuardOptions{})
	if _, ok := providers.As[providers.Lister](g); ok {
		t.Error("a Lister that the provider has not")
	}
	pm, err := g.Resolve(t.Context(), "m", "")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := providers.As[providers.Stater](pm); ok {
		t.Error("a Stater that the model has not")
	}
}
