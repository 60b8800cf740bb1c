package transformers

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

// Config are the keys of a transformers provider. Its zero value is the public
// Hub, with the token that the environment gives.
type Config struct {
	// Endpoint is the Hub's base URL; $HF_ENDPOINT, else https://huggingface.co.
	// It may have a path, for a gateway.
	Endpoint string `yaml:"endpoint"`
	// TokenFile holds the token and goes before the environment's.
	TokenFile string `yaml:"token_file"`
	// CAFile holds PEM certificates that are trusted beside the system's.
	CAFile string `yaml:"ca_file"`
	// Verify is "default", "strict" or empty for the mount's own.
	Verify string `yaml:"verify"`
	// ReuseHubCache serves files from the cache of huggingface_hub where they
	// are there and their digest is right. Nothing is written to it.
	ReuseHubCache bool `yaml:"reuse_hub_cache"`
}

// Check reports what is wrong with c.
func (c Config) Check() error {
	if c.Endpoint != "" {
		if _, err := parseEndpoint(c.Endpoint); err != nil {
			return fmt.Errorf("endpoint: %w", err)
		}
	}
	switch c.Verify {
	case "", "default", "strict":
		return nil
	}
	return fmt.Errorf("verify: %q is neither default nor strict", c.Verify)
}

const publicHub = "https://huggingface.co"

// canonical are the hosts that the public Hub calls itself, which a mirror's
// answers may still name.
var canonical = map[string]bool{"huggingface.co": true, "www.huggingface.co": true, "hf.co": true}

func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimRight(s, "/"))
	switch {
	case err != nil:
		// The error of url.Parse repeats the URL, which may hold a password.
		return nil, fmt.Errorf("not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Opaque != "":
		return nil, fmt.Errorf("%q is not an http or https URL", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("%q holds credentials; put the token into token_file", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("the URL has a query or a fragment, which an endpoint has not")
	}
	return u, nil
}

// set reports whether an HF_* switch is on, as huggingface_hub reads it
// (constants.py, ENV_VARS_TRUE_VALUES).
func set(getenv func(string) string, name string) bool {
	switch strings.ToUpper(getenv(name)) {
	case "1", "ON", "YES", "TRUE":
		return true
	}
	return false
}

// offline returns the variable that forbids the network, if one does.
func offline(getenv func(string) string) string {
	for _, name := range []string{"HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"} {
		if set(getenv, name) {
			return name
		}
	}
	return ""
}

// home is the directory that holds the ecosystem's token and cache; empty if
// the environment names none.
func home(getenv func(string) string) string {
	if dir := getenv("HF_HOME"); dir != "" {
		return dir
	}
	if dir := getenv("XDG_CACHE_HOME"); dir != "" {
		return filepath.Join(dir, "huggingface")
	}
	if dir := getenv("HOME"); dir != "" {
		return filepath.Join(dir, ".cache", "huggingface")
	}
	return ""
}

// hubCache is the directory of huggingface_hub's cache.
func hubCache(getenv func(string) string) string {
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := getenv(name); dir != "" {
			return dir
		}
	}
	if dir := home(getenv); dir != "" {
		return filepath.Join(dir, "hub")
	}
	return ""
}
