package transformers

import (
	"context"
	"sync"
)

// flight lets callers that want the same thing at the same time share one
// request. The request ends when the last of them has left, not with the first.
type flight[T any] struct {
	mu    sync.Mutex
	calls map[string]*call[T]
}

type call[T any] struct {
	cancel  context.CancelFunc
	waiting int // guarded by flight.mu
	done    chan struct{}
	value   T
	err     error
}

func (f *flight[T]) do(ctx context.Context, key string, fn func(context.Context) (T, error)) (T, error) {
	f.mu.Lock()
	c := f.calls[key]
	if c == nil {
		c = f.start(ctx, key, fn)
	}
	c.waiting++
	f.mu.Unlock()
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if c.waiting--; c.waiting == 0 {
		c.cancel()
		f.forget(key, c)
	}
	var zero T
	return zero, ctx.Err()
}

// start runs fn for whoever waits. f.mu is held.
func (f *flight[T]) start(ctx context.Context, key string, fn func(context.Context) (T, error)) *call[T] {
	shared, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c := &call[T]{cancel: cancel, done: make(chan struct{})}
	if f.calls == nil {
		f.calls = map[string]*call[T]{}
	}
	f.calls[key] = c
	go func() {
		defer cancel()
		c.value, c.err = fn(shared)
		f.mu.Lock()
		f.forget(key, c)
		f.mu.Unlock()
		close(c.done)
	}()
	return c
}

// forget lets the next caller begin anew. f.mu is held.
func (f *flight[T]) forget(key string, c *call[T]) {
	if f.calls[key] == c {
		delete(f.calls, key)
	}
}
