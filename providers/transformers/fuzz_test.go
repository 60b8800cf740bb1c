package transformers

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

func FuzzParseRepo(f *testing.F) {
	for _, s := range []string{"gpt2", "org/name", "datasets/org/name", "spaces", "a/../b", "a--b", "x.git", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		r, err := parseRepo(name)
		if err != nil {
			return
		}
		if r.String() != name {
			t.Errorf("got %q, want the name back, %q", r.String(), name)
		}
		h := &hub{endpoint: &url.URL{Scheme: "https", Host: "hub.example"}}
		if got, want := h.apiURL(r, "revision", "main").Path, "/api/"+r.kind.api+"/"+r.id+"/revision/main"; got != want {
			t.Errorf("got path %q, want %q", got, want)
		}
	})
}

// FuzzFileURL holds that a path of a model reaches the server as it is, and
// that a ref stays one segment.
func FuzzFileURL(f *testing.F) {
	f.Add("main", "config.json")
	f.Add("refs/pr/1", "a b#c?d%e/ü\x7f")
	f.Fuzz(func(t *testing.T, ref, path string) {
		if !validRef(ref) || providers.ValidPath(path) != nil {
			return
		}
		h := &hub{endpoint: &url.URL{Scheme: "https", Host: "hub.example", Path: "/hf"}}
		u, err := url.Parse(h.fileURL(repo{models, "org/name"}, ref, path).String())
		if err != nil {
			t.Fatal(err)
		}
		if want := "/hf/org/name/resolve/" + ref + "/" + path; u.Path != want || u.RawQuery != "" || u.Fragment != "" {
			t.Errorf("got %q, query %q, want path %q", u.Path, u.RawQuery, want)
		}
		escaped := strings.TrimPrefix(u.EscapedPath(), "/hf/org/name/resolve/")
		segment, _, _ := strings.Cut(escaped, "/")
		if got, err := url.PathUnescape(segment); err != nil || got != ref {
			t.Errorf("got first segment %q, error %v, want %q", got, err, ref)
		}
	})
}

func FuzzNext(f *testing.F) {
	for _, s := range []string{"/a", "//evil.example/a", "https://huggingface.co/x?y=z", "../..", "http:x", "https://a:b@c/", "\x00", "?q"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, to string) {
		endpoint := &url.URL{Scheme: "https", Host: "mirror.example", Path: "/hf"}
		h := &hub{endpoint: endpoint, mirror: true, client: mustClient(t, wire.Options{Home: endpoint})}
		u, err := h.next(h.at("/api/models/a/b"), to)
		if err != nil {
			if !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("got error %v, want ErrUnavailable", err)
			}
			return
		}
		if u.Scheme != "https" || u.User != nil || u.Host == "" || canonical[strings.ToLower(u.Hostname())] {
			t.Errorf("got %v, want an https URL that is not the public Hub's", u)
		}
	})
}

func FuzzDecodeRows(f *testing.F) {
	f.Add([]byte(`[{"type":"file","path":"a","size":1,"oid":"ce013625030ba8dba906f756967f9e9ca394464a"}]`))
	f.Add([]byte(`[{"type":"file","path":"w","size":-1,"lfs":{"oid":"x","size":null}},{"type":"directory"}]`))
	f.Add([]byte(`[`))
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		l := lister{m: &model{}}
		if err := decodeRows(bytes.NewReader(body), l.add); err != nil {
			if !errors.Is(err, providers.ErrUnavailable) {
				t.Errorf("got error %v, want ErrUnavailable", err)
			}
			return
		}
		for _, e := range l.entries {
			if e.Size < providers.SizeUnknown || e.Digest == "" && e.Validator == "" {
				t.Errorf("got entry %+v, want a size and what names its content", e)
			}
		}
		var rows []json.RawMessage
		if err := json.NewDecoder(bytes.NewReader(body)).Decode(&rows); err != nil || len(rows) < len(l.entries) {
			t.Errorf("got %d entries of %d rows, error %v", len(l.entries), len(rows), err)
		}
	})
}

func FuzzTreeFile(f *testing.F) {
	f.Add([]byte(`{"format_version":1,"files":{"a":{"size":1,"blob_id":"ce013625030ba8dba906f756967f9e9ca394464a"}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := parseTreeFile(b, providers.Origin{})
		if (err == nil) != (tree != nil) {
			t.Errorf("got tree %v, error %v, want one of them", tree, err)
		}
	})
}

func FuzzHeaders(f *testing.F) {
	f.Add(`"api";r=0;t=5`, `<https://h/x>; rel="next"`)
	f.Add(`r;;=,";t=-1`, `<`)
	f.Fuzz(func(t *testing.T, limit, link string) {
		for _, bucket := range []string{"", "api"} {
			if left, reset, ok := parseRateLimit(limit, bucket); ok && (left < 0 || reset < 0 || reset > maxBlocked) {
				t.Errorf("got %d left for %v of %q", left, reset, limit)
			}
		}
		if got := nextLink([]string{link}); !strings.Contains(link, got) {
			t.Errorf("got %q of %q", got, link)
		}
	})
}

func FuzzLifetime(f *testing.F) {
	f.Add("Expires=1780315800", "Mon, 01 Jun 2026 12:05:00 GMT")
	f.Add("X-Amz-Date=20260601T120000Z&X-Amz-Expires=600", "")
	f.Fuzz(func(t *testing.T, query, date string) {
		q, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		if got := lifetime(q, date, time.Unix(1780315200, 0)); got <= 0 || got > maxLife {
			t.Errorf("got %v, want more than nothing and at most %v", got, maxLife)
		}
	})
}
