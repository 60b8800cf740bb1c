// Package config reads what a person decided about a mount: one YAML file, the
// environment, and defaults that work with neither.
//
// [Load] finds the file, reads it strictly and returns a [Config] that is
// complete: every setting has its value, every provider instance its own Config
// struct. A file that is wrong is refused as a whole, and the [*Error] names
// every problem in it: file, line, key and what to write instead.
//
// # Promises
//
// Nothing is guessed: an unknown key, a second value for one key, two instances
// of one protocol name and a size without sense are problems, never warnings.
// No error and no output of [Config.Show] holds a secret; the file itself need
// not hold one either, because secrets are named by *_file keys or come from the
// environment variables of each ecosystem. Load touches no network and writes
// nothing; only [Init] writes, and never over a file that is there.
//
// # Terms
//
// section: a top-level key such as cache. instance: one entry under providers;
// its key is the protocol. type: the kind of provider an instance is, its
// protocol unless it says otherwise. default instance: the one that every type
// has without being mentioned, under the type's own name.
package config

import (
	"os"
	"path/filepath"
	"time"

	"modelfs/providers"
)

// Config is the effective configuration of one mount.
type Config struct {
	// Mountpoint is absolute, or empty if only the command line can say.
	Mountpoint string    `yaml:"mountpoint"`
	Cache      Cache     `yaml:"cache"`
	Freshness  Freshness `yaml:"freshness"`
	Timeouts   Timeouts  `yaml:"timeouts"`
	// Verify is "default" or "strict"; a provider instance may differ.
	Verify string `yaml:"verify"`
	// Search is the order in which a name without a protocol is looked for:
	// protocols of Providers, each once.
	Search  []string `yaml:"search"`
	Access  Access   `yaml:"access"`
	Metrics Metrics  `yaml:"metrics"`
	Log     Log      `yaml:"log"`

	// Providers are the enabled instances, in default search order.
	Providers []Provider `yaml:"-"`
	// File is the file that was read, or empty.
	File string `yaml:"-"`

	// env and lines serve Check: where a value came from.
	env   environment
	lines map[string]int
	// off are the instances that the file leaves out, for Show.
	off []string
}

// Cache says where blocks are kept and how many.
type Cache struct {
	Dir     string `yaml:"dir"`
	MaxSize Limit  `yaml:"max_size"`
	MinFree Limit  `yaml:"min_free"`
}

// Freshness says how long an answer of a source is believed.
type Freshness struct {
	// TTL is how old an answer may be at open; 0 asks at every open.
	TTL time.Duration `yaml:"ttl"`
	// Hold is how long a load in progress keeps its snapshot; 0 is not at all.
	Hold time.Duration `yaml:"hold"`
	// OnError is what an open does when the source does not answer: "serve"
	// the cached revision, or "fail".
	OnError string `yaml:"on_error"`
}

// Timeouts end what a source does not.
type Timeouts struct {
	Lookup time.Duration `yaml:"lookup"`
	Read   time.Duration `yaml:"read"`
}

// Access says who may read the mount, and as what files appear.
type Access struct {
	AllowOther bool   `yaml:"allow_other"`
	UID        uint32 `yaml:"uid"`
	GID        uint32 `yaml:"gid"`
	FileMode   Mode   `yaml:"file_mode"`
	DirMode    Mode   `yaml:"dir_mode"`
	// Exec lets programs in the mount run, and libraries be mapped.
	Exec bool `yaml:"exec"`
}

// Metrics says where Prometheus may ask; nowhere if Listen is empty.
type Metrics struct {
	Listen string `yaml:"listen"`
}

// Log says how much is written to standard error, and how.
type Log struct {
	// Level is debug, info, warn or error.
	Level string `yaml:"level"`
	// Format is text, json, or auto: text on a terminal.
	Format string `yaml:"format"`
}

// Provider is one enabled instance.
type Provider struct {
	// Protocol is its key: the first element of its paths.
	Protocol string
	// Type is the kind of provider: the Name of a providers.Type.
	Type string
	// Aliases are further names of Protocol.
	Aliases []string
	// Config points to the struct of the type, filled.
	Config any
	// Line is where the file names the instance; 0 if it does not.
	Line int
	// Explicit is set when the file names the instance.
	Explicit bool
}

// preferred is the order in which types are searched unless the file says
// otherwise: local first, then what an organisation runs, then the world.
var preferred = []string{"zoo", "mlflow", "s3", "dvc", "git", "gdrive", "transformers"}

// defaults is the configuration of a mount that nobody configured.
func defaults(env environment) *Config {
	return &Config{
		Cache: Cache{
			Dir:     env.cacheDir(),
			MaxSize: Limit{Percent: 80},
			MinFree: Limit{Percent: 5},
		},
		Freshness: Freshness{TTL: 10 * time.Second, Hold: 5 * time.Minute, OnError: "serve"},
		Timeouts:  Timeouts{Lookup: 30 * time.Second, Read: 60 * time.Second},
		Verify:    "default",
		Access:    Access{UID: env.uid, GID: env.gid, FileMode: 0o444, DirMode: 0o555},
		Log:       Log{Level: "info", Format: "auto"},
		env:       env,
		lines:     map[string]int{},
	}
}

// Options are what Load gets from outside. The zero value works: no provider
// types, and the environment of the process.
type Options struct {
	// File is read instead of a file that is searched for; it must be there.
	File string
	// Types are the kinds of providers there are.
	Types []providers.Type
	// Getenv reads the environment; os.Getenv if nil.
	Getenv func(string) string
}

// environment is what the process is and where its user's files are.
type environment struct {
	getenv   func(string) string
	uid, gid uint32
}

func newEnvironment(getenv func(string) string) environment {
	if getenv == nil {
		getenv = os.Getenv
	}
	return environment{getenv, uint32(os.Getuid()), uint32(os.Getgid())}
}

// cacheDir follows the file hierarchy for the system's own daemon, and XDG for
// everybody else. A user without a home gets none, and has to choose.
func (e environment) cacheDir() string {
	if e.uid == 0 {
		return "/var/cache/modelfs"
	}
	return e.xdg("XDG_CACHE_HOME", ".cache")
}

// xdg ignores a relative value, as the XDG specification demands.
func (e environment) xdg(variable, fallback string, elem ...string) string {
	base := e.getenv(variable)
	if !filepath.IsAbs(base) {
		home := e.getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		base = filepath.Join(home, fallback)
	}
	return filepath.Join(append([]string{base, "modelfs"}, elem...)...)
}
