package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"modelfs/providers"
)

// Check reports what is wrong with c as a whole. Load has done so already; a
// caller that then changed a setting from its command line does it again, and
// what is wrong now is not the file's fault.
func (c *Config) Check() error {
	var ps problems
	c.check(&ps, nil)
	return ps.in("")
}

func (c *Config) check(ps *problems, aliases map[string]string) {
	c.checkPaths(ps)
	c.checkCache(ps)
	c.oneOf(ps, "verify", c.Verify, "default", "strict")
	c.oneOf(ps, "freshness.on_error", c.Freshness.OnError, "serve", "fail")
	c.oneOf(ps, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	c.oneOf(ps, "log.format", c.Log.Format, "auto", "text", "json")
	for key, d := range map[string]int64{"timeouts.lookup": int64(c.Timeouts.Lookup), "timeouts.read": int64(c.Timeouts.Read)} {
		if d == 0 {
			c.problem(ps, key, "write how long to wait, such as 30s", "no time at all")
		}
	}
	if a := c.Metrics.Listen; a != "" {
		host, port, err := net.SplitHostPort(a)
		n, perr := strconv.ParseUint(port, 10, 16)
		if err != nil || perr != nil || strings.ContainsAny(host, " /") {
			c.problem(ps, "metrics.listen", "write host:port, such as 127.0.0.1:9105", "%q is not an address", clip(a))
		} else if n == 0 {
			c.problem(ps, "metrics.listen", "write the port that Prometheus asks, such as 9105", "port 0 is not an address to find again")
		}
	}
	c.checkSearch(ps, aliases)
}

func (c *Config) problem(ps *problems, key, remedy, format string, args ...any) {
	ps.add(c.lines[key], key, remedy, format, args...)
}

func (c *Config) oneOf(ps *problems, key, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		c.problem(ps, key, "write "+strings.Join(allowed, " or "), "%q is not one of its values", clip(value))
	}
}

func (c *Config) checkPaths(ps *problems) {
	if c.Mountpoint != "" && !filepath.IsAbs(c.Mountpoint) {
		c.problem(ps, "mountpoint", "write the whole path, from /", "%q is not an absolute path", clip(c.Mountpoint))
	}
	switch {
	case c.Cache.Dir == "":
		c.problem(ps, "cache.dir", "set it, or set $HOME or $XDG_CACHE_HOME", "there is no directory to cache in")
	case !filepath.IsAbs(c.Cache.Dir):
		c.problem(ps, "cache.dir", "write the whole path, from /", "%q is not an absolute path", clip(c.Cache.Dir))
	case c.Mountpoint == "":
	case inside(c.Cache.Dir, c.Mountpoint):
		c.problem(ps, "cache.dir", "choose a directory outside", "%s is inside the mountpoint %s", c.Cache.Dir, c.Mountpoint)
	case inside(c.Mountpoint, c.Cache.Dir):
		c.problem(ps, "mountpoint", "choose a directory outside", "%s is inside the cache %s", c.Mountpoint, c.Cache.Dir)
	}
}

// inside reports whether clean path p is dir or below it. Symbolic links are the
// mount's to see through; a configuration is also checked where it does not run.
func inside(p, dir string) bool {
	return p == dir || strings.HasPrefix(p, strings.TrimSuffix(dir, "/")+"/")
}

func (c *Config) checkCache(ps *problems) {
	if c.Cache.MaxSize == (Limit{}) {
		c.problem(ps, "cache.max_size", "write a size such as 200GiB, or a share of the disk such as 80%", "no room at all")
	}
	if c.Cache.MinFree.Percent == 100 {
		c.problem(ps, "cache.min_free", "write less, such as 5%", "a disk that has to stay empty caches nothing")
	}
}

// checkSearch fills Search if the file does not, and replaces aliases in it.
func (c *Config) checkSearch(ps *problems, aliases map[string]string) {
	var known []string
	for _, p := range c.Providers {
		known = append(known, p.Protocol)
	}
	if len(c.Search) == 0 && c.lines["search"] == 0 {
		c.Search = known
	}
	seen := map[string]bool{}
	for i, name := range c.Search {
		if to := aliases[name]; to != "" && !slices.Contains(known, name) {
			name = to
			c.Search[i] = to
		}
		key := fmt.Sprintf("search[%d]", i)
		switch {
		case !slices.Contains(known, name):
			c.problem(ps, key, missing(name, known), "no provider is called %s", clip(name))
		case seen[name]:
			c.problem(ps, key, "name it once", "%s is searched already", name)
		}
		seen[name] = true
	}
}

func missing(name string, known []string) string {
	if best := nearest(name, known); best != "" {
		return "did you mean " + best + "?"
	}
	return "enable it under providers, or leave it out here; there are " + strings.Join(known, ", ")
}

func aliasesOf(types []providers.Type) map[string]string {
	m := map[string]string{}
	for _, t := range types {
		for _, a := range t.Aliases {
			m[a] = t.Name
		}
	}
	return m
}
