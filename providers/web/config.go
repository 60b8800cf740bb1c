package web

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"modelfs/providers"
)

// Config are the keys of a web provider.
type Config struct {
	// Sites are the folders, by the names of their models.
	Sites map[string]Site `yaml:"sites"`
}

// Site is one folder on a web server.
type Site struct {
	// URL is the folder's address.
	URL string `yaml:"url"`
	// Index says how the folder is listed: index.json, sha256sums, html, none; or
	// auto, which is also what empty means, for the first of them that is there.
	Index string `yaml:"index,omitempty"`
	// Username goes with PasswordFile.
	Username string `yaml:"username,omitempty"`
	// PasswordFile holds the password and is read again when it changes.
	PasswordFile string `yaml:"password_file,omitempty"`
	// TokenFile holds a token, sent as Authorization: Bearer, or as it is in the
	// header that HeaderName names.
	TokenFile string `yaml:"token_file,omitempty"`
	// HeaderName is where the token goes.
	HeaderName string `yaml:"header_name,omitempty"`
	// CAFile holds PEM certificates that are trusted beside the system's.
	CAFile string `yaml:"ca_file,omitempty"`
	// Verify is "default", "strict" or empty for the mount's own.
	Verify string `yaml:"verify,omitempty"`
}

// The values of Site.Index.
const (
	indexAuto = "auto"
	indexJSON = "index.json"
	indexSums = "sha256sums"
	indexPage = "html"
	indexNone = "none"
)

// Type is the registry's entry for this package.
func Type() providers.Type {
	return providers.Define("web", Config{}, func(env providers.Env, cfg Config) (providers.Provider, error) {
		return New(env, cfg)
	})
}

// Ambient says that nothing but a configuration makes an instance.
func (c Config) Ambient(func(string) string) bool { return false }

// Check reports what is wrong with c.
func (c Config) Check() error {
	for _, name := range slices.Sorted(maps.Keys(c.Sites)) {
		if err := providers.ValidElement(name); err != nil {
			return fmt.Errorf("sites: %w", err)
		}
		if err := c.Sites[name].check(); err != nil {
			return fmt.Errorf("sites.%s: %w", name, err)
		}
	}
	return nil
}

func (s Site) check() error {
	if _, err := parseFolder(s.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	switch s.Index {
	case "", indexAuto, indexJSON, indexSums, indexPage, indexNone:
	default:
		return fmt.Errorf("index: %q is none of auto, index.json, sha256sums, html and none", s.Index)
	}
	switch s.Verify {
	case "", "default", "strict":
	default:
		return fmt.Errorf("verify: %q is neither default nor strict", s.Verify)
	}
	return s.checkSecrets()
}

func (s Site) checkSecrets() error {
	switch {
	case (s.Username == "") != (s.PasswordFile == ""):
		return errors.New("username and password_file need each other")
	case strings.ContainsRune(s.Username, ':'):
		return errors.New("username: a user's name holds no colon")
	case s.HeaderName != "" && s.TokenFile == "":
		return errors.New("header_name needs token_file")
	case s.TokenFile != "" && s.Username != "" && s.HeaderName == "":
		return errors.New("token_file and username exclude each other, unless header_name has a place for the token")
	case s.HeaderName != "" && !isToken(s.HeaderName):
		return fmt.Errorf("header_name: %q is no header's name", s.HeaderName)
	}
	return nil
}

// isToken reports whether s has only bytes that a header's name may have (RFC 9110,
// 5.6.2).
func isToken(s string) bool {
	const marks = "!#$%&'*+-.^_`|~"
	return !strings.ContainsFunc(s, func(r rune) bool {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z' && r < 0x80
		return !letter && (r < '0' || r > '9') && !strings.ContainsRune(marks, r)
	})
}

// parseFolder reads a folder's address; its path then ends in a slash.
func parseFolder(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case s == "":
		return nil, errors.New("there is none")
	case err != nil:
		// The error of url.Parse repeats the URL, which may hold a password.
		return nil, errors.New("not a URL")
	case u.Scheme != "http" && u.Scheme != "https", u.Host == "", u.Opaque != "":
		return nil, fmt.Errorf("%q is not an http or https URL", u.Redacted())
	case u.User != nil:
		return nil, fmt.Errorf("%q holds credentials; use username and password_file", u.Redacted())
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("the URL has a query or a fragment, which a folder has not")
	}
	if !strings.HasSuffix(u.Path, "/") {
		// Together, so that an escaped slash in it stays escaped.
		u.Path, u.RawPath = u.Path+"/", u.EscapedPath()+"/"
	}
	return u, nil
}
