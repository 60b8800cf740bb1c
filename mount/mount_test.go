package mount

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelfs/config"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestMountPoint(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	link := filepath.Join(dir, "link")
	good := filepath.Join(dir, "good dir")
	for _, err := range []error{os.WriteFile(file, nil, 0o600), os.Mkdir(good, 0o700), os.Symlink(good, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct{ point, want, says string }{
		{good, good, ""},
		{link, good, ""},
		{good + "/", good, ""},
		{"", "", "no mount point"},
		{file, "", "is not a directory"},
		{filepath.Join(dir, "missing"), "", "mkdir -p"},
		{"/proc", "", "busy: proc is mounted on it"},
	} {
		got, err := checkPoint(c.point, quiet())
		if got != c.want || (err != nil) != (c.says != "") || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q: got %q and %v, want %q and an error that says %q", c.point, got, err, c.want, c.says)
		}
	}
}

func TestInside(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "a"), link); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, dir string
		want      bool
	}{
		{"a", "a", true},
		{"a/b/c", "a", true},
		{"link/b", "a", true},
		{"a/b", "link", true},
		{"ab", "a", false},
		{"a", "a/b", false},
		{"a/../b", "a", false},
		{"..a", "..", true},
	} {
		if got := inside(filepath.Join(dir, c.path), filepath.Join(dir, c.dir)); got != c.want {
			t.Errorf("%s inside %s: got %v, want %v", c.path, c.dir, got, c.want)
		}
	}
}

// memoryType is a kind of provider over src.
func memoryType(src *providertest.Memory) providers.Type {
	type none struct{}
	return providers.Define("memory", none{}, func(providers.Env, none) (providers.Provider, error) { return src, nil })
}

func testConfig(t *testing.T, types ...providers.Type) *config.Config {
	t.Helper()
	home := t.TempDir()
	cfg, err := config.Load(config.Options{Types: types, Getenv: func(k string) string {
		return map[string]string{"HOME": home, "XDG_CONFIG_HOME": home}[k]
	}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Mountpoint, cfg.Cache.Dir = t.TempDir(), filepath.Join(t.TempDir(), "cache")
	return cfg
}

func TestRunServesUntilTheContextEnds(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{})
	src.Publish("m", "", providertest.Text(map[string]string{"f": "hello"}))
	typ := memoryType(src)
	cfg := testConfig(t, typ)
	for range 2 { // the second one meets what the first one left
		ctx, stop := context.WithCancel(t.Context())
		ready, done := make(chan struct{}), make(chan error, 1)
		go func() {
			done <- Run(ctx, cfg, Options{Log: quiet(), Types: []providers.Type{typ}, Ready: func() { close(ready) }})
		}()
		select {
		case <-ready:
		case err := <-done:
			t.Fatalf("not mounted: %v", err)
		}
		got, err := os.ReadFile(filepath.Join(cfg.Mountpoint, "memory", "m", "f"))
		if err != nil || string(got) != "hello" {
			t.Errorf("got %q, %v", got, err)
		}
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("end: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("it does not end")
		}
		if _, err := os.Stat(filepath.Join(cfg.Mountpoint, "memory")); !os.IsNotExist(err) {
			t.Errorf("still mounted: %v", err)
		}
	}
}

// TestABusyMountIsDetached ends a mount while somebody has a file of it open.
func TestABusyMountIsDetached(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{})
	src.Publish("m", "", providertest.Text(map[string]string{"f": "hello"}))
	typ := memoryType(src)
	cfg := testConfig(t, typ)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- Run(ctx, cfg, Options{Log: quiet(), Types: []providers.Type{typ}, Ready: func() { close(ready) }})
	}()
	<-ready
	f, err := os.Open(filepath.Join(cfg.Mountpoint, "memory", "m", "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	stop()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("end: %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("a reader keeps the daemon from ending")
	}
	if _, err := os.Stat(filepath.Join(cfg.Mountpoint, "memory")); !os.IsNotExist(err) {
		t.Errorf("still mounted: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	src := providertest.NewMemory(providertest.MemoryOptions{})
	typ := memoryType(src)
	inUse := testConfig(t, typ)
	c, err := openCache(inUse, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, tc := range map[string]struct {
		change func(*config.Config)
		says   string
	}{
		"cache inside the mount": {func(c *config.Config) { c.Cache.Dir = filepath.Join(c.Mountpoint, "x") }, "inside the mount point"},
		"mount inside the cache": {func(c *config.Config) { c.Cache.Dir = filepath.Dir(c.Mountpoint) }, "inside the cache directory"},
		"no cache":               {func(c *config.Config) { c.Cache.Dir = "" }, "set cache.dir"},
		"cache in use":           {func(c *config.Config) { c.Cache.Dir = inUse.Cache.Dir }, "in use by another modelfs"},
		"missing mount point":    {func(c *config.Config) { c.Mountpoint = "/nonexistent/x" }, "mkdir -p"},
		"unknown type":           {func(c *config.Config) { c.Providers[0].Type = "ftp" }, `no type "ftp"`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := testConfig(t, typ)
			tc.change(cfg)
			err := Run(t.Context(), cfg, Options{Log: quiet(), Types: []providers.Type{typ}})
			if err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want an error that says %q", err, tc.says)
			}
		})
	}
}

func TestAllowOtherNeedsTheSystemsLeave(t *testing.T) {
	conf := filepath.Join(t.TempDir(), "fuse.conf")
	for _, c := range []struct {
		text  string
		uid   int
		other bool
		ok    bool
	}{
		{"", 1000, true, false},
		{"#user_allow_other\n", 1000, true, false},
		{"mount_max = 10\nuser_allow_other\n", 1000, true, true},
		{"", 1000, false, true},
		{"", 0, true, true},
	} {
		if err := os.WriteFile(conf, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := mayAllowOther(ServeOptions{AllowOther: c.other}, conf, c.uid)
		if (err == nil) != c.ok {
			t.Errorf("%q, uid %d, allow_other %v: %v", c.text, c.uid, c.other, err)
		}
	}
}

// A mount whose process has died is named, with the way out; it is not taken for an
// empty directory.
func TestADeadMountIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can mount without a server")
	}
	point := t.TempDir()
	dev, err := os.OpenFile("/dev/fuse", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	opts := fmt.Sprintf("fd=%d,rootmode=40000,user_id=0,group_id=0", dev.Fd())
	if err := syscall.Mount("modelfs", point, fsType, 0, opts); err != nil {
		t.Fatal(err)
	}
	if err := dev.Close(); err != nil { // which is the server's death
		t.Fatal(err)
	}
	if _, err := checkPoint(point, quiet()); err == nil || !strings.Contains(err.Error(), "modelfs umount "+point) {
		t.Errorf("got %v, want an error that says how to remove it", err)
	}
	if err := detach(t.Context(), point); err != nil {
		t.Error(err)
	}
}

// onDisk is a source with directories here.
type onDisk struct {
	*providertest.Memory
	dirs []string
}

func (o onDisk) LocalPaths() []string { return o.dirs }

func TestAMountAndASourceContainNotEachOther(t *testing.T) {
	point := t.TempDir()
	for _, dir := range []string{filepath.Dir(point), point, filepath.Join(point, "x"), "/"} {
		reg, err := providers.NewRegistry([]providers.Instance{{
			Protocol: "zoo", Type: "zoo",
			Provider: onDisk{providertest.NewMemory(providertest.MemoryOptions{}), []string{dir}},
		}}, providers.RegistryOptions{Log: quiet()})
		if err != nil {
			t.Fatal(err)
		}
		err = checkLocal(reg, point)
		if err == nil || !strings.Contains(err.Error(), point) || !strings.Contains(err.Error(), "choose another root") {
			t.Errorf("root %s of a source: %v, want an error that says what to do", dir, err)
		}
	}
}
