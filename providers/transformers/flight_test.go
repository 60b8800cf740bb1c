package transformers

import (
	"context"
	"errors"
	"runtime"
	"testing"
)

// waiters is how many callers wait for a key.
func (f *flight[T]) waiters(key string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.calls[key]; c != nil {
		return c.waiting
	}
	return 0
}

func TestFlightOutlivesItsFirstCaller(t *testing.T) {
	var f flight[int]
	release := make(chan struct{})
	fn := func(ctx context.Context) (int, error) {
		select {
		case <-release:
			return 7, ctx.Err()
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
	first, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() { _, err := f.do(first, "k", fn); left <- err }()
	for f.waiters("k") < 1 {
		runtime.Gosched()
	}
	type result struct {
		n   int
		err error
	}
	got := make(chan result, 1)
	go func() { n, err := f.do(t.Context(), "k", fn); got <- result{n, err} }()
	for f.waiters("k") < 2 {
		runtime.Gosched()
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("first caller: got error %v, want its context's", err)
	}
	close(release)
	if r := <-got; r.n != 7 || r.err != nil {
		t.Errorf("second caller: got %d, error %v, want 7", r.n, r.err)
	}
}

func TestFlightEndsWithItsLastCaller(t *testing.T) {
	var f flight[int]
	ended := make(chan struct{})
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan error, 1)
	go func() {
		_, err := f.do(ctx, "k", func(ctx context.Context) (int, error) {
			<-ctx.Done()
			close(ended)
			return 0, ctx.Err()
		})
		left <- err
	}()
	for f.waiters("k") < 1 {
		runtime.Gosched()
	}
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the context's", err)
	}
	<-ended
	if n, err := f.do(t.Context(), "k", func(context.Context) (int, error) { return 1, nil }); n != 1 || err != nil {
		t.Errorf("next caller: got %d, error %v, want a call of its own", n, err)
	}
}
