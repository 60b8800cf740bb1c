package web

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"modelfs/providers"
)

func FuzzReadIndex(f *testing.F) {
	f.Add(`[{"path":"a/b","size":1,"sha256":"` + strings.Repeat("0", 64) + `","mtime":"2026-01-31T12:00:00Z"},{"path":"../c"}]`)
	f.Add(`[{"path":"f","size":-1}]`)
	f.Fuzz(func(t *testing.T, in string) {
		entries, err := readIndex(strings.NewReader(in))
		for _, e := range entries {
			if err != nil || e.Path == "" || e.Size < providers.SizeUnknown || e.Size >= 0 && e.Digest == "" {
				t.Errorf("got %+v, %v", e, err)
			}
		}
	})
}

func FuzzReadSums(f *testing.F) {
	sum := strings.Repeat("0a", 32)
	f.Add(sum + "  f\n" + `\` + sum + ` *a\nb\\` + "\nSHA256 (x) = " + sum)
	f.Fuzz(func(t *testing.T, in string) {
		entries, err := readSums(strings.NewReader(in))
		for _, e := range entries {
			if err != nil || e.Path == "" || e.Digest.Algorithm() != "sha256" || len(e.Digest.Hex()) != 64 {
				t.Errorf("got %+v, %v", e, err)
			}
		}
		if err == nil && len(entries) == 0 {
			t.Error("got no sum and no error")
		}
		// A name that is written as sha256sum writes it is read as it was.
		if in == "" || strings.ContainsAny(in, "\x00") || strings.HasPrefix(in, "./") || len(in) > 4096 {
			return
		}
		back, err := readSums(strings.NewReader(sumsIndex(map[string]string{in: "x"})))
		if err != nil || len(back) != 1 || back[0].Path != in {
			t.Errorf("wrote %q, got %+v, %v", in, back, err)
		}
	})
}

func FuzzReadPage(f *testing.F) {
	f.Add(`<html><a href="f">f</a><a href='d/'>d</a><a href="../x"><a href="//h/m/y?z#w"><a href="%2e%2e%2f">`)
	f.Fuzz(func(t *testing.T, in string) {
		page := &url.URL{Scheme: "https", Host: "h", Path: "/m/"}
		entries, err := readPage(strings.NewReader(in), page, "")
		seen := map[string]bool{}
		for _, e := range entries {
			if err != nil || e.Path == "" || strings.Contains(e.Path, "/") || seen[e.Path] {
				t.Errorf("got %+v, %v", e, err)
			}
			seen[e.Path] = true
		}
	})
}

func FuzzPin(f *testing.F) {
	f.Add(`"abc"`, "Sat, 31 Jan 2026 12:00:00 GMT")
	f.Add(`W/"abc"`, "Sat, 31 Jan 2026 12:00:00 GMT")
	f.Add(`a@b`, "")
	f.Fuzz(func(t *testing.T, etag, changed string) {
		h := http.Header{"Etag": {etag}, "Last-Modified": {changed}}
		p := newPin(h)
		back, err := parsePin(p.String())
		if err != nil || back != p {
			t.Errorf("pin of %q and %q: got %+v, %v; want %+v", etag, changed, back, err, p)
		}
		if err := p.match(etagOf(h), modified(h)); err != nil {
			t.Errorf("pin of %q and %q does not match itself: %v", etag, changed, err)
		}
		if q, err := parsePin(etag); err == nil && q.String() != etag {
			t.Errorf("validator %q: got %q again", etag, q)
		}
	})
}
