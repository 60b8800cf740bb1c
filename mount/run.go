package mount

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/moby/sys/mountinfo"

	"modelfs/blockcache"
	"modelfs/catalog"
	"modelfs/config"
	"modelfs/fs"
	"modelfs/providers"
)

// Options are what Run gets beside the configuration.
type Options struct {
	Log *slog.Logger
	// Types are the kinds of providers there are.
	Types []providers.Type
	// Ready is called once the mount answers.
	Ready func()
}

// Run mounts what cfg describes and serves it until ctx ends or somebody unmounts
// it. Whatever fails before the mount leaves nothing mounted.
func Run(ctx context.Context, cfg *config.Config, o Options) (err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics.Listen != "" {
		o.Log.Warn("metrics.listen is set, but this version serves no metrics")
	}
	point, err := checkPoint(cfg.Mountpoint, o.Log)
	if err != nil {
		return err
	}
	if err := checkPaths(cfg, point); err != nil {
		return err
	}
	reg, err := Registry(cfg, point, o)
	if err != nil {
		return err
	}
	if err := checkLocal(reg, point); err != nil {
		return err
	}
	cache, err := openCache(cfg, o.Log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cache.Close()) }()
	known, err := openCatalog(cfg, o.Log)
	if err != nil {
		return err
	}
	var f *fs.FS
	server, err := Serve(point, func(canPass func(int) bool) *fs.FS {
		f = fs.New(fsOptions(cfg, reg, cache, known, canPass, o.Log))
		return f
	}, ServeOptions{AllowOther: cfg.Access.AllowOther, Exec: cfg.Access.Exec, Log: o.Log})
	if f != nil {
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	if err != nil {
		return err
	}
	if o.Ready != nil {
		o.Ready()
	}
	return server.until(ctx, o.Log)
}

// until serves until ctx ends, and then unmounts; a mount that readers hold on to
// is detached.
func (s *Server) until(ctx context.Context, log *slog.Logger) error {
	gone := make(chan struct{})
	go func() {
		s.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		log.Info("unmounted from outside", "mountpoint", s.point)
		return nil
	case <-ctx.Done():
	}
	if err := s.Unmount(); err != nil {
		log.Warn("the mount is in use; it is detached and its readers fail", "mountpoint", s.point, "error", err)
		if err := s.Detach(context.WithoutCancel(ctx)); err != nil {
			return fmt.Errorf("unmount %s: %w; remove it with `modelfs umount --lazy %s`", s.point, err, s.point)
		}
		return nil
	}
	<-gone
	return nil
}

// checkPaths refuses a cache inside the mount, where this process would wait for
// itself.
func checkPaths(cfg *config.Config, point string) error {
	if cfg.Cache.Dir == "" {
		return errors.New("no cache directory: there is no home directory to put it in; set cache.dir or --cache-dir")
	}
	if inside(cfg.Cache.Dir, point) {
		return fmt.Errorf("cache directory %s is inside the mount point %s, which it would serve; set cache.dir to a directory elsewhere", cfg.Cache.Dir, point)
	}
	if inside(point, cfg.Cache.Dir) {
		return fmt.Errorf("mount point %s is inside the cache directory %s; choose another one", point, cfg.Cache.Dir)
	}
	return nil
}

// checkLocal refuses sources on a local disk inside the mount, likewise, and a mount
// inside one: to list the source would be to list the mount.
func checkLocal(reg *providers.Registry, point string) error {
	for _, name := range reg.Protocols() {
		in, _ := reg.Instance(name)
		local, ok := providers.As[interface{ LocalPaths() []string }](in.Provider)
		if !ok {
			continue
		}
		for _, dir := range local.LocalPaths() {
			if inside(dir, point) {
				return fmt.Errorf("%s is a root of providers.%s and inside the mount point %s; mount elsewhere, or choose another root", dir, name, point)
			}
			if inside(point, dir) {
				return fmt.Errorf("mount point %s is inside %s, which is a root of providers.%s; mount elsewhere, or choose another root", point, dir, name)
			}
		}
	}
	return nil
}

// Registry makes the provider instances that cfg describes, each behind its guard.
func Registry(cfg *config.Config, point string, o Options) (*providers.Registry, error) {
	f := foundry{types: map[string]providers.Type{}, log: o.Log, strict: cfg.Verify == "strict"}
	for _, t := range o.Types {
		f.types[t.Name] = t
	}
	var reg *providers.Registry
	// Called when a model is resolved, long after reg is made.
	f.open = func(protocol string) (providers.Provider, error) { return reg.Provider(protocol) }
	var instances []providers.Instance
	for _, p := range cfg.Providers {
		t, err := f.find(p.Type)
		if err != nil {
			return nil, fmt.Errorf("providers.%s: %w", p.Protocol, err)
		}
		made, err := f.make(t, p.Protocol, p.Config)
		if err != nil {
			return nil, fmt.Errorf("providers.%s: %w", p.Protocol, err)
		}
		instances = append(instances, providers.Instance{
			Protocol: p.Protocol, Type: p.Type, Aliases: p.Aliases,
			Provider: providers.Guard(made, providers.GuardOptions{
				Protocol: p.Protocol, Log: o.Log, Timeout: cfg.Timeouts.Lookup, ReadTimeout: cfg.Timeouts.Read,
			}),
		})
	}
	var err error
	reg, err = providers.NewRegistry(instances, providers.RegistryOptions{
		Search: cfg.Search, Mountpoints: []string{point}, Log: o.Log,
	})
	return reg, err
}

// foundry makes provider instances, and those that they make for themselves.
type foundry struct {
	types  map[string]providers.Type
	log    *slog.Logger
	strict bool
	open   func(protocol string) (providers.Provider, error)
}

// find returns a type.
func (f foundry) find(typ string) (providers.Type, error) {
	t, ok := f.types[typ]
	if !ok {
		return t, fmt.Errorf("no type %q is built in", typ)
	}
	return t, nil
}

// make makes an instance of t that is called protocol.
func (f foundry) make(t providers.Type, protocol string, cfg any) (providers.Provider, error) {
	env := providers.Env{Protocol: protocol, Log: f.log.With("protocol", protocol), Strict: f.strict, Open: f.open}.Fill()
	env.Make = func(typ string, settings map[string]any) (providers.Provider, error) {
		t, err := f.find(typ)
		if err != nil {
			return nil, err
		}
		cfg, err := config.Instance(t, protocol, settings, env.Getenv)
		if err != nil {
			return nil, err
		}
		return f.make(t, protocol, cfg)
	}
	return t.New(env, cfg)
}

// minCatalog is what the catalog may take of any cache.
const minCatalog = 64 << 20

// openCatalog opens what is remembered of models, kept to a hundredth of the cache.
func openCatalog(cfg *config.Config, log *slog.Logger) (*catalog.Catalog, error) {
	known, err := catalog.Open(filepath.Join(cfg.Cache.Dir, "models"), log)
	if err != nil {
		return nil, err
	}
	limit := max(int64(cfg.Cache.MaxSize.Bytes)/100, minCatalog)
	return known, known.Limit(limit)
}

// closeTime is how long a daemon may take to let go of its cache after unmounting.
const closeTime = 2 * time.Second

func openCache(cfg *config.Config, log *slog.Logger) (*blockcache.Cache, error) {
	o := blockcache.Options{Dir: cfg.Cache.Dir, MaxSize: int64(cfg.Cache.MaxSize.Bytes), MinFree: cfg.Cache.MinFree.Of, Log: log}
	if cfg.Cache.MaxSize.Percent != 0 {
		o.MaxShare = cfg.Cache.MaxSize.Percent / 100
	}
	// A mount that was unmounted a moment ago may still be writing its index.
	for end := time.Now().Add(closeTime); ; time.Sleep(50 * time.Millisecond) {
		c, err := blockcache.Open(o)
		switch {
		case !errors.Is(err, blockcache.ErrInUse):
			return c, err
		case time.Now().After(end):
			return nil, explainInUse(err)
		}
	}
}

// explainInUse says who may have the cache where no mount is to be seen.
func explainInUse(err error) error {
	ours, listErr := mountinfo.GetMounts(mountinfo.FSTypeFilter(fsType))
	if listErr != nil || len(ours) > 0 {
		return err
	}
	return fmt.Errorf("%w; no mount of modelfs is to be seen here, so that process is ending, or serves one that was detached while in use, until its last reader ends", err)
}

func fsOptions(cfg *config.Config, reg *providers.Registry, cache *blockcache.Cache, known *catalog.Catalog, canPass func(int) bool, log *slog.Logger) fs.Options {
	o := fs.Options{
		Cache: cache, Catalog: known, Disk: cfg.Cache.Dir, CanPass: canPass, Log: log,
		TTL: cfg.Freshness.TTL, Hold: cfg.Freshness.Hold, FailStale: cfg.Freshness.OnError == "fail",
		LookupTimeout: cfg.Timeouts.Lookup, ReadTimeout: cfg.Timeouts.Read,
		FileMode: uint32(cfg.Access.FileMode), DirMode: uint32(cfg.Access.DirMode),
		UID: cfg.Access.UID, GID: cfg.Access.GID,
	}
	for _, name := range reg.Protocols() {
		in, _ := reg.Instance(name)
		o.Protocols = append(o.Protocols, fs.Protocol{Name: name, Aliases: in.Aliases, Provider: in.Provider})
	}
	return o
}
