package main

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestSignalEndsTheContext(t *testing.T) {
	for _, signal := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP} {
		ctx, stop := untilSignal(t.Context(), slog.New(slog.DiscardHandler), "/nowhere")
		if err := unix.Kill(os.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%s: got no end of the context in 10s, want one", signal)
		}
		stop()
	}
}

func TestNoSignalEndsNothing(t *testing.T) {
	ctx, stop := untilSignal(t.Context(), slog.New(slog.DiscardHandler), "/nowhere")
	if err := ctx.Err(); err != nil {
		t.Errorf("got %v, want a context that goes on", err)
	}
	stop()
	if ctx.Err() == nil {
		t.Error("got a context that goes on after stop, want its end")
	}
}
