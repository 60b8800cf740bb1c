package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/spf13/cobra"

	"modelfs/config"
	"modelfs/mount"
	"modelfs/providers/all"
)

// mountFlags override settings of the configuration.
type mountFlags struct {
	daemon     bool
	logFile    string
	cacheDir   string
	cacheSize  string
	ttl        time.Duration
	allowOther bool
	debug      bool
}

func newMount(g *global) *cobra.Command {
	var f mountFlags
	c := &cobra.Command{
		Use:   "mount [MOUNTPOINT]",
		Short: "Serve the models of every source until unmounted",
		Long: `Serve the models of every source below MOUNTPOINT, a directory that exists,
until unmounted. Without MOUNTPOINT, the configuration's mountpoint is used.
SIGINT and SIGTERM unmount cleanly; a second one detaches the mount at once.`,
		Example: `  modelfs mount /models
  modelfs mount --daemon --cache-dir /data/cache --cache-size 500GiB /models`,
		Args: upTo(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := g.load(nil)
			if err != nil {
				return err
			}
			if err := f.apply(c, cfg, args); err != nil {
				return err
			}
			if f.logFile != "" && !f.daemon {
				return usage(c, "--log-file needs --daemon; in the foreground the log is standard error")
			}
			p := waitingParent()
			if f.daemon && p == nil {
				child, err := again(c.Context())
				if err != nil {
					return err
				}
				return background(child, c.ErrOrStderr(), f.logFile)
			}
			return serve(c.Context(), c.ErrOrStderr(), cfg, p)
		},
	}
	fs := c.Flags()
	fs.BoolVar(&f.daemon, "daemon", false, "return when the mount answers, and serve in the background")
	fs.StringVar(&f.logFile, "log-file", "", "where the background process logs to `FILE`")
	fs.StringVar(&f.cacheDir, "cache-dir", "", "keep the cache in `DIR`")
	fs.StringVar(&f.cacheSize, "cache-size", "", "keep the cache below `SIZE`, such as 200GiB or 50%")
	fs.DurationVar(&f.ttl, "ttl", 0, "believe an answer of a source for `DURATION`; 0s asks at every open")
	fs.BoolVar(&f.allowOther, "allow-other", false, "let other users read")
	fs.BoolVar(&f.debug, "debug", false, "log everything")
	return c
}

// apply puts what the command line says over cfg.
func (f *mountFlags) apply(c *cobra.Command, cfg *config.Config, args []string) (err error) {
	set := c.Flags().Changed
	if len(args) > 0 {
		if cfg.Mountpoint, err = filepath.Abs(args[0]); err != nil {
			return err
		}
	}
	if cfg.Mountpoint == "" {
		return usage(c, "no mountpoint; name a directory, or set mountpoint: in the configuration")
	}
	if set("cache-dir") {
		if cfg.Cache.Dir, err = filepath.Abs(f.cacheDir); err != nil {
			return err
		}
	}
	if set("cache-size") {
		if err := cfg.Cache.MaxSize.UnmarshalText([]byte(f.cacheSize)); err != nil {
			return usage(c, "--cache-size: %w", err)
		}
	}
	if set("ttl") {
		if f.ttl < 0 {
			return usage(c, "--ttl: %s is before now", f.ttl)
		}
		cfg.Freshness.TTL = f.ttl
	}
	if set("allow-other") {
		cfg.Access.AllowOther = f.allowOther
	}
	if f.debug {
		cfg.Log.Level = "debug"
	}
	return cfg.Check()
}

// serve mounts and returns when the mount is gone. p is told when it answers, or
// why it does not.
func serve(ctx context.Context, stderr io.Writer, cfg *config.Config, p *parent) error {
	log := newLog(stderr, cfg.Log)
	ctx, stop := untilSignal(ctx, log, cfg.Mountpoint)
	defer stop()
	ctx, abandon := context.WithCancel(ctx)
	defer abandon()
	ready := func() {
		log.Info("mounted", "mountpoint", cfg.Mountpoint, "cache", cfg.Cache.Dir, "providers", names(cfg))
		notify(log, sd.SdNotifyReady+"\nSTATUS=serving "+cfg.Mountpoint)
		if p == nil {
			return
		}
		if err := settle(p); err != nil {
			log.Error("unmounting: the command that started this mount is gone", "error", err)
			abandon()
		}
	}
	err := mount.Run(ctx, cfg, mount.Options{Log: log, Types: all.Types(), Ready: ready})
	if err == nil || p == nil || p.told {
		return err
	}
	// The parent says it on the terminal; the log is where it is looked for later.
	log.Error("mount failed", "mountpoint", cfg.Mountpoint, "error", err)
	return errors.Join(&exitError{failed}, p.tell(err.Error()))
}

// settle lets go of the directory that the command was called in, now that every
// path is absolute, and lets the parent return.
func settle(p *parent) error {
	return errors.Join(os.Chdir("/"), p.tell(readyWord))
}

// notify speaks to systemd, if it listens.
func notify(log *slog.Logger, state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		log.Warn("systemd was not told", "state", state, "error", err)
	}
}
