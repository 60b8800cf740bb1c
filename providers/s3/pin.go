package s3

import (
	"errors"
	iofs "io/fs"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"modelfs/providers"
)

// pin is what a validator holds: enough to recognise one object's content.
//
// A strong etag is enough by itself, and is the same in a listing and in the
// answers about one object. The time joins it only where the etag is weak or
// missing. The version id is no part of it, as listings do not tell it, except
// where the path itself names the version.
type pin struct {
	etag    string // without quotes and W/
	weak    bool
	mtime   int64 // seconds; 0 where the etag is strong
	version string
}

// newPin reads the fields of an answer. Some servers quote etags in one kind of
// answer only, and some give fractions of seconds in listings only.
func newPin(etag string, mtime time.Time) pin {
	p := pin{etag: strings.TrimSpace(etag)}
	p.etag, p.weak = strings.CutPrefix(p.etag, "W/")
	p.etag = strings.Trim(p.etag, `"`)
	p.weak = p.weak && p.etag != ""
	if (p.weak || p.etag == "") && !mtime.IsZero() {
		p.mtime = mtime.Unix()
	}
	return p
}

// String writes p as a validator.
func (p pin) String() string {
	v := url.Values{}
	if p.etag != "" {
		key := "etag"
		if p.weak {
			key = "weak"
		}
		v.Set(key, p.etag)
	}
	if p.mtime != 0 {
		v.Set("mtime", strconv.FormatInt(p.mtime, 10))
	}
	if p.version != "" {
		v.Set("version", p.version)
	}
	return v.Encode()
}

var errNoPin = errors.New("validator is not one of this provider")

// parsePin is the inverse of String.
func parsePin(s string) (pin, error) {
	v, err := url.ParseQuery(s)
	if err != nil {
		return pin{}, errNoPin
	}
	p := pin{etag: v.Get("etag"), version: v.Get("version")}
	if w := v.Get("weak"); w != "" {
		p.etag, p.weak = w, true
	}
	if m := v.Get("mtime"); m != "" {
		if p.mtime, err = strconv.ParseInt(m, 10, 64); err != nil {
			return pin{}, errNoPin
		}
	}
	if p.etag == "" && p.mtime == 0 && p.version == "" || p.String() != s {
		return pin{}, errNoPin
	}
	return p, nil
}

// ifMatch is the header's value, or "": a weak etag matches nothing there, and
// one from a listing may hold what no header can.
func (p pin) ifMatch() string {
	odd := func(r rune) bool { return r < 0x20 || r == 0x7f || r == '"' }
	if p.weak || p.etag == "" || strings.ContainsFunc(p.etag, odd) {
		return ""
	}
	return `"` + p.etag + `"`
}

var errUnproven = errors.New("the answer does not say which content it has: no ETag and no Last-Modified")

// match reports whether an answer is about the pinned content: nil,
// providers.ErrStale, or that the answer does not tell.
func (p pin) match(etag string, mtime time.Time) error {
	got := newPin(etag, time.Time{})
	switch {
	case p.etag != "" && got.etag == "":
		return errUnproven
	case p.etag != "" && got.etag != p.etag:
		return providers.ErrStale
	case p.mtime != 0 && mtime.IsZero():
		return errUnproven
	case p.mtime != 0 && mtime.Unix() != p.mtime:
		return providers.ErrStale
	}
	return nil
}

// splitVersion reads "key@version". The id "null" is what unversioned objects
// have, and may be overwritten: it pins nothing.
func splitVersion(path string) (key, version string, err error) {
	i := strings.LastIndexByte(path, '@')
	if i <= 0 || path[i-1] == '/' {
		return "", "", iofs.ErrNotExist
	}
	key, version = path[:i], path[i+1:]
	if version == "" || version == "null" || strings.Contains(version, "/") {
		return "", "", iofs.ErrNotExist
	}
	return key, version, nil
}

// versions remembers which version id an object's content has, so that reads
// can go on after the object was replaced. It may forget at any time.
type versions struct {
	mu   sync.Mutex
	byID map[[2]string]string // key and etag → version id
}

// maxVersions bounds the memory: some hundred bytes each, and 2 KiB at most.
const maxVersions = 8192

func (v *versions) get(key, etag string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.byID[[2]string{key, etag}]
}

func (v *versions) put(key, etag, version string) {
	if etag == "" || version == "" || version == "null" || len(etag)+len(version) > maxKey {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.byID == nil || len(v.byID) >= maxVersions {
		v.byID = map[[2]string]string{}
	}
	v.byID[[2]string{key, etag}] = version
}
