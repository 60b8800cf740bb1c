package providertest_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

// Each fault does what it says, once.
func TestFaultyBodies(t *testing.T) {
	errReset := errors.New("reset")
	for name, c := range map[string]struct {
		fault providertest.Fault
		want  string
		err   error
	}{
		"none":          {providertest.Fault{}, "abcdef", nil},
		"cut":           {providertest.Fault{Cut: 2}, "ab", nil},
		"cut at once":   {providertest.Fault{Cut: -1}, "", nil},
		"cut with err":  {providertest.Fault{Cut: 2, CutErr: errReset}, "ab", errReset},
		"stall":         {providertest.Fault{StallAt: 3}, "abc", context.DeadlineExceeded},
		"stall at once": {providertest.Fault{StallAt: -1}, "", context.DeadlineExceeded},
		"flip first":    {providertest.Fault{Flip: 1}, "`bcdef", nil},
		"flip last":     {providertest.Fault{Flip: 6}, "abcdeg", nil},
		"surplus":       {providertest.Fault{Surplus: 3}, "abcdef\x00\x00\x00", nil},
		"error":         {providertest.Fault{Err: errReset}, "", errReset},
		"hang":          {providertest.Fault{Hang: true}, "", context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := providertest.NewMemory(providertest.MemoryOptions{})
				m.Publish("m", "", providertest.Text(map[string]string{"f": "abcdef"}))
				f := providertest.NewFaulty(m)
				f.Next("read", 1, c.fault)
				model, err := f.Resolve(t.Context(), "m", "")
				if err != nil {
					t.Fatal(err)
				}
				e, err := providers.Stat(t.Context(), model, "f")
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				if got, err := readAll(ctx, model, e); got != c.want || !errors.Is(err, c.err) {
					t.Errorf("got %q, %v; want %q, %v", got, err, c.want, c.err)
				}
				if got, err := readAll(t.Context(), model, e); got != "abcdef" || err != nil {
					t.Errorf("afterwards: got %q, %v; want abcdef", got, err)
				}
				if got := f.Count("read"); got != 2 {
					t.Errorf("got %d reads, want 2", got)
				}
			})
		})
	}
}

func readAll(ctx context.Context, m providers.Model, e providers.Entry) (string, error) {
	rc, err := m.ReadRange(ctx, e, 0, e.Size)
	if err != nil {
		return "", err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	return string(b), err
}

func TestFaultyStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := providertest.NewMemory(providertest.MemoryOptions{})
		m.Publish("m", "", nil)
		f := providertest.NewFaulty(m)
		release := make(chan struct{})
		f.Always("resolve", providertest.Fault{Stall: release})
		done := make(chan error)
		go func() {
			_, err := f.Resolve(t.Context(), "m", "")
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Errorf("got %v before it was released", err)
		default:
		}
		close(release)
		if err := <-done; err != nil {
			t.Errorf("after it was released: got %v, want nil", err)
		}
	})
}
