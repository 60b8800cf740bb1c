package s3

import (
	"strings"
	"testing"
	"time"
)

func TestPinsAreReadAsWritten(t *testing.T) {
	at := time.Unix(1_700_000_000, 999)
	for _, c := range []struct {
		etag string
		want string
	}{
		{`"abc"`, "etag=abc"},
		{`abc`, "etag=abc"},
		{`"abc-2"`, "etag=abc-2"},
		{`W/"abc"`, "mtime=1700000000&weak=abc"},
		{``, "mtime=1700000000"},
		{`""`, "mtime=1700000000"},
		{`"a&b=c"`, "etag=a%26b%3Dc"},
	} {
		p := newPin(c.etag, at)
		if got := p.String(); got != c.want {
			t.Errorf("etag %s: got %q; want %q", c.etag, got, c.want)
		}
		if got, err := parsePin(p.String()); err != nil || got != p {
			t.Errorf("parse %q: got %+v, %v; want %+v", p, got, err, p)
		}
	}
	for _, s := range []string{"", "x", "etag=", "mtime=x", "version=", "etag=a&x=y", "%zz", "mtime=0"} {
		if got, err := parsePin(s); err == nil {
			t.Errorf("parse %q: got %+v; want an error", s, got)
		}
	}
}

func TestVersionsForgetRatherThanGrow(t *testing.T) {
	var v versions
	for i := range 3 * maxVersions {
		v.put(strings.Repeat("k", 1+i%7)+time.Unix(int64(i), 0).String(), "e", "v")
	}
	if got := len(v.byID); got > maxVersions {
		t.Errorf("remembered: got %d; want at most %d", got, maxVersions)
	}
	v.put("key", "etag", "1")
	v.put("null", "etag", "null")
	if v.get("key", "etag") != "1" || v.get("key", "other") != "" || v.get("null", "etag") != "" {
		t.Errorf("versions: got %q, %q, %q; want 1 and nothing", v.get("key", "etag"), v.get("key", "other"), v.get("null", "etag"))
	}
}

func FuzzPin(f *testing.F) {
	for _, s := range []string{`"abc"`, `W/"x"`, "", `"a&b"`, "\xff\x00", `W/W/""`} {
		f.Add(s, int64(1), "v1")
	}
	f.Fuzz(func(t *testing.T, etag string, sec int64, version string) {
		p := newPin(etag, time.Unix(sec%(1<<40), 0))
		p.version = version
		if p == (pin{}) || p.etag == "" && p.mtime == 0 && p.version == "" {
			return
		}
		if got, err := parsePin(p.String()); err != nil || got != p {
			t.Errorf("%q: got %+v, %v; want %+v", p.String(), got, err, p)
		}
		if strings.ContainsAny(p.ifMatch(), "\r\n") {
			t.Errorf("If-Match of %q holds a line end", etag)
		}
	})
}

func FuzzParsePin(f *testing.F) {
	for _, s := range []string{"etag=abc", "mtime=1&weak=a", "version=x", "etag=a&version=b", "a=%"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if p, err := parsePin(s); err == nil && p.String() != s {
			t.Errorf("%q: got %q when written again", s, p)
		}
	})
}

func FuzzContentRange(f *testing.F) {
	for _, s := range []string{"bytes 0-1/2", "bytes 0-0/*", "bytes */5", "bytes 1-0/9", "bytes 0-9223372036854775807/9223372036854775807", "bytes -1-2/3", "bytes +1-2/3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		first, last, total, err := parseContentRange(s)
		if err == nil && (first < 0 || last < first || total != -1 && total <= last) {
			t.Errorf("%q: got %d-%d/%d; want an error or a range", s, first, last, total)
		}
	})
}

func FuzzDecodeKey(f *testing.F) {
	f.Add("a%2Fb+c", true)
	f.Add("100%", true)
	f.Fuzz(func(t *testing.T, s string, encoded bool) {
		got := decodeKey(s, encoded)
		if len(got) > len(s) || !encoded && got != s {
			t.Errorf("%q, encoded %v: got %q", s, encoded, got)
		}
	})
}
