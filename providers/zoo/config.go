package zoo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modelfs/providers"
)

// Config is the providers.zoo section of the configuration.
type Config struct {
	// Roots are the directories that hold models, first one first. If empty,
	// $MODELFS_ZOO (several separated by colons), else ~/models.
	Roots []string `yaml:"roots"`
}

// Check reports roots that cannot be meant.
func (c *Config) Check() error {
	for _, r := range c.Roots {
		if r == "" {
			return fmt.Errorf("roots: an entry is empty")
		}
		if !filepath.IsAbs(r) && !strings.HasPrefix(r, "~/") {
			return fmt.Errorf("roots: %q is not absolute: write it from / or from ~/", r)
		}
	}
	return nil
}

// Type is the kind of provider that this package makes.
func Type() providers.Type {
	return providers.Define("zoo", Config{}, New)
}

// New makes a zoo. Roots need not exist yet.
func New(env providers.Env, c Config) (providers.Provider, error) {
	env = env.Fill()
	if err := c.Check(); err != nil {
		return nil, err
	}
	paths := c.Roots
	if len(paths) == 0 {
		paths = defaultRoots(env)
	}
	z := &Zoo{protocol: env.Protocol, log: env.Log, strict: env.Strict}
	if z.protocol == "" {
		z.protocol = "zoo"
	}
	for _, p := range paths {
		if rest, ok := strings.CutPrefix(p, "~/"); ok {
			p = filepath.Join(home(env), rest)
		}
		abs, err := filepath.Abs(p)
		if err != nil {
			return nil, fmt.Errorf("roots: %w", err)
		}
		z.roots = append(z.roots, newRoot(abs))
	}
	z.grafts = newGrafts(z.roots, env.Log, env.Now, 5*time.Second)
	return z, nil
}

func defaultRoots(env providers.Env) []string {
	if list := filepath.SplitList(env.Getenv("MODELFS_ZOO")); len(list) > 0 {
		return list
	}
	if h := home(env); h != "" {
		return []string{filepath.Join(h, "models")}
	}
	return nil // a service without a home has no default zoo
}

func home(env providers.Env) string {
	if h := env.Getenv("HOME"); h != "" {
		return h
	}
	h, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return h
}

// LocalPaths are the directories that a zoo reads: a mount over one of them would
// wait for itself.
func (z *Zoo) LocalPaths() []string {
	var paths []string
	for _, r := range z.roots {
		paths = append(paths, r.path)
	}
	return paths
}
