package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

// The kinds of providers in these tests have the settings of real ones.
type (
	zooConfig struct {
		Roots []string `yaml:"roots"`
	}
	s3Config struct {
		Remote    remoteConfig `yaml:",inline"`
		Region    string       `yaml:"region"`
		PathStyle bool         `yaml:"path_style"`
		Buckets   []string     `yaml:"buckets"`
		Parallel  int          `yaml:"parallel"`
		SecretKey string       `yaml:"secret_key"`
	}
	remoteConfig struct {
		Endpoint string `yaml:"endpoint"`
	}
	hubConfig struct {
		Endpoint  string        `yaml:"endpoint"`
		TokenFile string        `yaml:"token_file"`
		Wait      time.Duration `yaml:"wait"`
	}
	driveConfig struct {
		Folders map[string]folder `yaml:"folders"`
	}
	folder struct {
		ID          string `yaml:"id"`
		ResourceKey string `yaml:"resource_key"`
	}
)

// UnmarshalYAML reads a folder as its id alone, or in full.
func (f *folder) UnmarshalYAML(unmarshal func(any) error) error {
	if unmarshal(&f.ID) == nil {
		return nil
	}
	type full folder
	return unmarshal((*full)(f))
}

// MarshalYAML writes the shorter form where it says all.
func (f folder) MarshalYAML() (any, error) {
	if f.ResourceKey == "" {
		return f.ID, nil
	}
	type full folder
	return full(f), nil
}

func (c *hubConfig) Check() error {
	if strings.HasPrefix(c.Endpoint, "ftp:") {
		return errors.New("endpoint is not http")
	}
	return nil
}

func testTypes() []providers.Type {
	kind := func(name string, config func() any, aliases ...string) providers.Type {
		return providers.Type{Name: name, Aliases: aliases, Config: config}
	}
	return []providers.Type{
		kind("transformers", func() any { return &hubConfig{Endpoint: "https://hub.example"} }, "hf"),
		kind("zoo", func() any { return new(zooConfig) }),
		kind("s3", func() any { return &s3Config{Parallel: 4} }),
		kind("gdrive", func() any { return new(driveConfig) }),
	}
}

// testEnv is the environment of a user whose home is dir.
func testEnv(dir string) environment {
	vars := map[string]string{"HOME": dir}
	return environment{getenv: func(k string) string { return vars[k] }, uid: 1000, gid: 100}
}

func mustLoad(t *testing.T, yaml string) *Config {
	t.Helper()
	c, err := load("modelfs.yaml", []byte(yaml), testTypes(), testEnv("/home/me"))
	if err != nil {
		t.Fatalf("got error:\n%v\nwant none", err)
	}
	return c
}

func protocols(c *Config) []string {
	var names []string
	for _, p := range c.Providers {
		names = append(names, p.Protocol)
	}
	return names
}

func (c *Config) provider(t *testing.T, protocol string) Provider {
	t.Helper()
	i := slices.IndexFunc(c.Providers, func(p Provider) bool { return p.Protocol == protocol })
	if i < 0 {
		t.Fatalf("got providers %v, want %s among them", protocols(c), protocol)
	}
	return c.Providers[i]
}

func TestDefaultsNeedNoFile(t *testing.T) {
	for _, yaml := range []string{"", "\n", "# nothing\n", "---\n", "{}\n", "null\n", "providers:\n"} {
		c := mustLoad(t, yaml)
		if got, want := c.Cache.Dir, "/home/me/.cache/modelfs"; got != want {
			t.Errorf("%q: got cache dir %q, want %q", yaml, got, want)
		}
		if got, want := c.Access, (Access{UID: 1000, GID: 100, FileMode: 0o444, DirMode: 0o555}); got != want {
			t.Errorf("%q: got access %+v, want %+v", yaml, got, want)
		}
		if got, want := c.Search, []string{"zoo", "s3", "gdrive", "transformers"}; !slices.Equal(got, want) {
			t.Errorf("%q: got search %v, want %v", yaml, got, want)
		}
		if p := c.provider(t, "transformers"); p.Explicit || p.Config.(*hubConfig).Endpoint == "" || !slices.Equal(p.Aliases, []string{"hf"}) {
			t.Errorf("%q: got %+v, want the default instance", yaml, p)
		}
	}
}

func TestEverySettingIsRead(t *testing.T) {
	c := mustLoad(t, `
mountpoint: /models/
cache: {dir: ~/blocks, max_size: 1.5TiB, min_free: 2.5%}
freshness: {ttl: 0s, hold: 1h30m, on_error: fail}
timeouts: {lookup: 1s, read: 2m}
verify: strict
search: [hf, zoo]
access: {allow_other: true, uid: 7, gid: 8, file_mode: 0440, dir_mode: "550", exec: true}
metrics: {listen: "127.0.0.1:9105"}
log: {level: debug, format: json}
providers:
  zoo: {roots: [/srv/zoo, ~/models]}
  s3: {endpoint: "~/9000", path_style: true, region: 007, parallel: 16}
  transformers: {token_file: ~/hf, wait: 3s}
  gdrive:
    folders:
      team: 0AbCdEf
      pub: {id: 1XyZ, resource_key: k}
  minio: {type: s3, buckets: [a]}
`)
	got := *c
	got.Providers, got.env, got.lines = nil, environment{}, nil
	want := Config{
		Mountpoint: "/models",
		Cache:      Cache{Dir: "/home/me/blocks", MaxSize: Limit{Bytes: 3 << 39}, MinFree: Limit{Percent: 2.5}},
		Freshness:  Freshness{TTL: 0, Hold: 90 * time.Minute, OnError: "fail"},
		Timeouts:   Timeouts{Lookup: time.Second, Read: 2 * time.Minute},
		Verify:     "strict",
		Search:     []string{"transformers", "zoo"},
		Access:     Access{AllowOther: true, UID: 7, GID: 8, FileMode: 0o440, DirMode: 0o550, Exec: true},
		Metrics:    Metrics{Listen: "127.0.0.1:9105"},
		Log:        Log{Level: "debug", Format: "json"},
		File:       "modelfs.yaml",
	}
	equal(t, got, want)
	equal(t, protocols(c), []string{"zoo", "s3", "minio", "gdrive", "transformers"})
	equal(t, *c.provider(t, "zoo").Config.(*zooConfig), zooConfig{Roots: []string{"/srv/zoo", "/home/me/models"}})
	equal(t, *c.provider(t, "s3").Config.(*s3Config), s3Config{Remote: remoteConfig{"~/9000"}, PathStyle: true, Region: "007", Parallel: 16})
	equal(t, *c.provider(t, "transformers").Config.(*hubConfig), hubConfig{Endpoint: "https://hub.example", TokenFile: "/home/me/hf", Wait: 3 * time.Second})
	equal(t, *c.provider(t, "gdrive").Config.(*driveConfig), driveConfig{map[string]folder{"team": {ID: "0AbCdEf"}, "pub": {"1XyZ", "k"}}})
	minio := c.provider(t, "minio")
	if minio.Type != "s3" || minio.Line != 19 || !minio.Explicit || minio.Config.(*s3Config).Parallel != 4 {
		t.Errorf("got %+v, want an s3 of line 19 with its defaults", minio)
	}
}

func TestInstancesAreLeftOut(t *testing.T) {
	c := mustLoad(t, "providers:\n  zoo: null\n  s3: ~\n  gdrive: {enabled: false, folders: {x: y}}\n")
	equal(t, protocols(c), []string{"transformers"})
	equal(t, c.Search, []string{"transformers"})
}

func TestAliasIsFreeWhenItsOwnerIsLeftOut(t *testing.T) {
	c := mustLoad(t, "providers: {transformers: null, hf: {type: transformers}}\n")
	equal(t, protocols(c), []string{"zoo", "s3", "gdrive", "hf"})
	if p := c.provider(t, "hf"); len(p.Aliases) != 0 {
		t.Errorf("got aliases %v of a second instance, want none", p.Aliases)
	}
}

func TestFirstFileFoundIsRead(t *testing.T) {
	home := t.TempDir()
	write := func(name, verify string) string {
		file := filepath.Join(home, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte("verify: "+verify+"\n"), 0o644)); err != nil {
			t.Fatal(err)
		}
		return file
	}
	user := write(".config/modelfs/config.yaml", "strict")
	moved := write("xdg/modelfs/config.yaml", "strict")
	named := write("named.yaml", "default")
	for _, test := range []struct {
		name, flag string
		vars       map[string]string
		want       string
	}{
		{"home", "", map[string]string{"HOME": home}, user},
		{"xdg", "", map[string]string{"HOME": home, "XDG_CONFIG_HOME": filepath.Join(home, "xdg")}, moved},
		{"variable", "", map[string]string{"HOME": home, "MODELFS_CONFIG": named}, named},
		{"flag", user, map[string]string{"HOME": home, "MODELFS_CONFIG": named}, user},
	} {
		c, err := Load(Options{File: test.flag, Getenv: func(k string) string { return test.vars[k] }})
		if err != nil {
			t.Errorf("%s: got error %v, want none", test.name, err)
		} else if c.File != test.want {
			t.Errorf("%s: got %q, want %q", test.name, c.File, test.want)
		}
	}
}

func TestNamedFileHasToBeThere(t *testing.T) {
	for variable, opts := range map[string]Options{
		"--config":        {File: "/nowhere/c.yaml"},
		"$MODELFS_CONFIG": {Getenv: func(string) string { return "/nowhere/c.yaml" }},
	} {
		_, err := Load(opts)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), "no such file") || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: got error %v, want an *Error that names it", variable, err)
		}
	}
	if _, err := Load(Options{File: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: got error %v, want: not a regular file", err)
	}
}

func TestCheckSeesWhatTheCommandLineChanged(t *testing.T) {
	c := mustLoad(t, "")
	c.Mountpoint = "/home/me/.cache"
	if err := c.Check(); err == nil || !strings.Contains(err.Error(), "cache.dir: /home/me/.cache/modelfs is inside the mountpoint") {
		t.Errorf("got error %v, want: cache.dir is inside the mountpoint", err)
	}
}
