package providertest

import (
	"context"
	"io"
	"iter"
	"sync"

	"modelfs/providers"
)

// A Fault is one way in which a source breaks its promises. Its zero value does
// nothing; several fields act together.
type Fault struct {
	// Err fails the call before the source is asked.
	Err error
	// Panic makes the call panic with this value.
	Panic any
	// Stall, if not nil, holds the call until it is closed or the context ends.
	Stall <-chan struct{}
	// Hang holds the call until the context ends.
	Hang bool

	// The rest is for op read.

	// Cut ends the body after this many bytes, with CutErr or a plain end if
	// that is nil. Negative: after no byte. Zero: no cut.
	Cut    int
	CutErr error
	// StallAt holds the body after this many bytes, like Cut, until the
	// context ends.
	StallAt int
	// Flip inverts the lowest bit of the byte at this offset of the body, which
	// counts from 1.
	Flip int
	// Surplus adds bytes behind the range.
	Surplus int
}

// Faulty wraps a provider and breaks what it says. Faults are queued for an op and
// each is used up by one call; without one, calls pass through.
type Faulty struct {
	next providers.Provider

	mu     sync.Mutex // guards the fields below
	queued map[string][]Fault
	always map[string]Fault
	calls  map[string]int
}

var _ providers.Provider = (*Faulty)(nil)

// NewFaulty wraps p. The models' Stat passes through it too, if they have it.
func NewFaulty(p providers.Provider) *Faulty {
	return &Faulty{next: p, queued: map[string][]Fault{}, always: map[string]Fault{}, calls: map[string]int{}}
}

// Unwrap lets [providers.As] see through.
func (f *Faulty) Unwrap() any { return f.next }

// Next queues fault for the next n calls of op.
func (f *Faulty) Next(op string, n int, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range n {
		f.queued[op] = append(f.queued[op], fault)
	}
}

// Always makes every call of op that has no queued fault suffer fault; the zero
// Fault ends it.
func (f *Faulty) Always(op string, fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.always[op] = fault
}

// Count tells how often op was called.
func (f *Faulty) Count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.calls[op]
}

// suffer takes the fault of a call and does what comes before the answer.
func (f *Faulty) suffer(ctx context.Context, op string) (Fault, error) {
	f.mu.Lock()
	f.calls[op]++
	fault := f.always[op]
	if q := f.queued[op]; len(q) > 0 {
		fault, f.queued[op] = q[0], q[1:]
	}
	f.mu.Unlock()
	if fault.Stall != nil || fault.Hang {
		select {
		case <-fault.Stall: // never, if it is nil
		case <-ctx.Done():
			return fault, ctx.Err()
		}
	}
	if fault.Panic != nil {
		panic(fault.Panic)
	}
	return fault, fault.Err
}

// Resolve implements [providers.Provider].
func (f *Faulty) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	if _, err := f.suffer(ctx, "resolve"); err != nil {
		return nil, err
	}
	m, err := f.next.Resolve(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	out := &faultyModel{Model: m, f: f, next: m}
	if s, ok := providers.As[providers.Stater](m); ok {
		out.next = faultyStater{out, s, m}
	}
	return out, nil
}

type faultyModel struct {
	providers.Model
	f    *Faulty
	next any
}

func (m *faultyModel) Unwrap() any { return m.next }

// ReadDir implements [providers.Model].
func (m *faultyModel) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		if _, err := m.f.suffer(ctx, "list"); err != nil {
			yield(providers.Entry{}, err)
			return
		}
		m.Model.ReadDir(ctx, dir)(yield)
	}
}

// Check implements [providers.Model].
func (m *faultyModel) Check(ctx context.Context, e providers.Entry) error {
	if _, err := m.f.suffer(ctx, "check"); err != nil {
		return err
	}
	return m.Model.Check(ctx, e)
}

// ReadRange implements [providers.Model].
func (m *faultyModel) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	fault, err := m.f.suffer(ctx, "read")
	if err != nil {
		return nil, err
	}
	rc, err := m.Model.ReadRange(ctx, e, off, n)
	if err != nil {
		return nil, err
	}
	return &faultyBody{ctx: ctx, rc: rc, fault: fault}, nil
}

type faultyStater struct {
	m     *faultyModel
	s     providers.Stater
	under any
}

func (s faultyStater) Unwrap() any { return s.under }

// Stat implements [providers.Stater].
func (s faultyStater) Stat(ctx context.Context, path string) (providers.Entry, error) {
	if _, err := s.m.f.suffer(ctx, "stat"); err != nil {
		return providers.Entry{}, err
	}
	return s.s.Stat(ctx, path)
}

// faultyBody is a body with one fault.
type faultyBody struct {
	ctx   context.Context // of the call that the body answers
	rc    io.ReadCloser
	fault Fault
	done  int
	extra int
}

func (b *faultyBody) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if left, set := limit(b.fault.Cut, b.done); set {
		if left == 0 && b.fault.CutErr != nil {
			return 0, b.fault.CutErr
		} else if left == 0 {
			return 0, io.EOF
		}
		p = p[:min(len(p), left)]
	}
	if left, set := limit(b.fault.StallAt, b.done); set {
		if left == 0 {
			<-b.ctx.Done()
			return 0, b.ctx.Err()
		}
		p = p[:min(len(p), left)]
	}
	n, err := b.rc.Read(p)
	if at := b.fault.Flip - 1 - b.done; 0 <= at && at < n {
		p[at] ^= 1
	}
	b.done += n
	if n == 0 && err == io.EOF && b.extra < b.fault.Surplus {
		n = min(len(p), b.fault.Surplus-b.extra)
		clear(p[:n])
		b.extra += n
		return n, nil
	}
	return n, err
}

// limit returns how many bytes may still come, if there is a limit.
func limit(at, done int) (left int, set bool) {
	return max(at, 0) - min(done, max(at, 0)), at != 0
}

// Close implements [io.Closer].
func (b *faultyBody) Close() error { return b.rc.Close() }
