package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// untilSignal returns a context that ends with the first signal to stop. The
// second detaches the mount and ends the process: whoever asks twice does not
// want to wait for readers. The function it returns ends the watch.
func untilSignal(ctx context.Context, log *slog.Logger, mountpoint string) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM)
	if !signal.Ignored(unix.SIGHUP) { // nohup(1) ignores it
		signal.Notify(signals, unix.SIGHUP)
	}
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case s := <-signals:
			log.Info("unmounting", "signal", s.String(), "mountpoint", mountpoint)
			notify(log, sd.SdNotifyStopping)
			cancel()
		case <-done:
			return
		}
		select {
		case s := <-signals:
			log.Warn("detaching the mount under its readers", "signal", s.String(), "mountpoint", mountpoint)
			if err := detach(context.WithoutCancel(ctx), mountpoint); err != nil {
				log.Error("the mount stays", "error", err)
			}
			os.Exit(failed)
		case <-done:
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-gone
		cancel()
	}
}

// detach takes the mount away under its readers.
func detach(ctx context.Context, mountpoint string) error {
	dir, err := findMount(mountpoint)
	if err != nil {
		return err
	}
	return unmount(ctx, dir, true)
}
