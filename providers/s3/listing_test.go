package s3

import (
	"encoding/xml"
	"fmt"
	iofs "io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"modelfs/providers"
)

// These tests run against servers that say what no honest file system could.

// answer is a page of ListObjectsV2 as it goes over the wire.
type answer struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	EncodingType          string `xml:",omitempty"`
	IsTruncated           bool
	NextContinuationToken string `xml:",omitempty"`
	Contents              []wireKey
	CommonPrefixes        []wirePrefix
}

type wireKey struct {
	Key, ETag, LastModified string
	Size                    int64
}

type wirePrefix struct{ Prefix string }

func keyOf(name string, size int64) wireKey {
	return wireKey{Key: name, ETag: `"abc"`, LastModified: "2026-01-02T03:04:05.678Z", Size: size}
}

// lister serves listings only, and makes a model of them.
func lister(t *testing.T, list func(url.Values) answer) (*model, *journal, *atomic.Int32) {
	t.Helper()
	isolate(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		q := r.URL.Query()
		if q.Get("list-type") != "2" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		a := list(q)
		a.Name = "models"
		w.Header().Set("Content-Type", "application/xml")
		if err := xml.NewEncoder(w).Encode(a); err != nil {
			t.Logf("the client went away: %v", err)
		}
	}))
	t.Cleanup(server.Close)
	p, log := open(t, Config{Endpoint: server.URL, Anonymous: true})
	return &model{bucket: p.newBucket(Bucket{Bucket: "models"}, false), name: "models"}, log, &asked
}

func TestListsHundredThousandKeysAsAStream(t *testing.T) {
	const pages = 100
	m, _, asked := lister(t, func(q url.Values) answer {
		n, _ := strconv.Atoi(q.Get("continuation-token"))
		a := answer{IsTruncated: n < pages-1, NextContinuationToken: strconv.Itoa(n + 1)}
		for i := range 1000 {
			a.Contents = append(a.Contents, keyOf(fmt.Sprintf("dir/%08d", n*1000+i), int64(i)))
		}
		return a
	})
	heap := func() uint64 {
		var s runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&s)
		return s.HeapAlloc
	}
	before, entries := heap(), 0
	for e, err := range m.ReadDir(t.Context(), "dir") {
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("dir/%08d", entries); e.Path != want {
			t.Fatalf("entry %d: got %q; want %q", entries, e.Path, want)
		}
		if entries++; entries == 1 && asked.Load() != 1 {
			t.Errorf("pages before the first entry: got %d; want 1", asked.Load())
		}
		if entries == 90_500 {
			if grown := int64(heap()) - int64(before); grown > 8<<20 {
				t.Errorf("memory after %d entries: got %d bytes more; want at most 8 MiB", entries, grown)
			}
		}
	}
	if entries != pages*1000 {
		t.Errorf("entries: got %d; want %d", entries, pages*1000)
	}
	asked.Store(0)
	for _, err := range m.ReadDir(t.Context(), "dir") {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("pages for a reader that stops: got %d; want 1", got)
	}
}

func TestListingsThatNeverEnd(t *testing.T) {
	for what, list := range map[string]func(url.Values) answer{
		"circle": func(url.Values) answer {
			return answer{IsTruncated: true, NextContinuationToken: "again", Contents: []wireKey{keyOf("dir/a", 1)}}
		},
		"long circle": func(q url.Values) answer {
			n, _ := strconv.Atoi(q.Get("continuation-token"))
			return answer{IsTruncated: true, NextContinuationToken: strconv.Itoa((n + 1) % 7), Contents: []wireKey{keyOf("dir/a", 1)}}
		},
		"nowhere": func(url.Values) answer { return answer{IsTruncated: true, Contents: []wireKey{keyOf("dir/a", 1)}} },
		"only empty ones": func(q url.Values) answer {
			n, _ := strconv.Atoi(q.Get("continuation-token"))
			return answer{IsTruncated: true, NextContinuationToken: strconv.Itoa(n + 1)}
		},
	} {
		m, _, _ := lister(t, list)
		wantErr(t, what, listErr(t.Context(), m, "dir"), providers.ErrUnavailable)
	}
	m, _, _ := lister(t, func(q url.Values) answer {
		n, _ := strconv.Atoi(q.Get("continuation-token"))
		return answer{IsTruncated: true, NextContinuationToken: strconv.Itoa(n + 1), Contents: []wireKey{keyOf("dir/a", 1), keyOf("dir/b", 1)}}
	})
	m.bucket.p.maxEntries = 100
	err := listErr(t.Context(), m, "dir")
	if err == nil || !has(err.Error(), "more than 100 entries") {
		t.Errorf("more entries than the cap: got %v; want an error about 100 entries", err)
	}
}

func TestEmptyPagesAreNotTheEnd(t *testing.T) {
	m, _, _ := lister(t, func(q url.Values) answer {
		switch q.Get("continuation-token") {
		case "":
			return answer{IsTruncated: true, NextContinuationToken: "a"}
		case "a":
			return answer{IsTruncated: true, NextContinuationToken: "b", Contents: []wireKey{keyOf("dir/one", 1)}}
		case "b":
			return answer{IsTruncated: true, NextContinuationToken: "c"}
		}
		return answer{Contents: []wireKey{keyOf("dir/two", 2)}}
	})
	wantNames(t, "dir", list(t, m, "dir"), "dir/one", "dir/two")
	if !stat(t, m, "dir").IsDir() {
		t.Error("stat: got a file; want a directory")
	}
}

func TestEncodedKeys(t *testing.T) {
	keys := []string{"dir/plain", "dir/a b", "dir/a+b", "dir/100%", "dir/\x01", "dir/ü", "dir/\xff", "dir/a&b<c>"}
	for _, encodes := range []bool{true, false} {
		want := keys
		if !encodes { // XML cannot carry the others
			want = []string{"dir/plain", "dir/a b", "dir/a+b", "dir/100%", "dir/ü", "dir/a&b<c>"}
		}
		m, _, _ := lister(t, func(q url.Values) answer {
			if got := q.Get("encoding-type"); got != "url" {
				t.Errorf("encoding-type: got %q; want url", got)
			}
			a := answer{CommonPrefixes: []wirePrefix{{"dir/sub+dir%2F"}}}
			if encodes {
				a.EncodingType = "url"
			} else {
				a.CommonPrefixes[0].Prefix = "dir/sub dir/"
			}
			for _, k := range want {
				if encodes {
					k = url.QueryEscape(k)
				}
				a.Contents = append(a.Contents, keyOf(k, 1))
			}
			return a
		})
		wantNames(t, fmt.Sprintf("encoded: %v", encodes), list(t, m, "dir"), append([]string{"dir/sub dir"}, want...)...)
	}
}

func TestKeysThatAreNoFileNames(t *testing.T) {
	m, log, _ := lister(t, func(q url.Values) answer {
		long := strings.Repeat("x", 300)
		return answer{
			Contents:       []wireKey{keyOf("dir/", 5), keyOf("dir/..", 1), keyOf("dir/.", 1), keyOf("dir/"+long, 1), keyOf("elsewhere/x", 1), keyOf("", 1), keyOf("dir/good", -7)},
			CommonPrefixes: []wirePrefix{{"dir//"}, {"dir/../"}, {"other/"}, {"dir/"}},
		}
	})
	got := list(t, m, "dir")
	valid := 0
	for path, e := range got {
		if providers.ValidPath(path) != nil {
			continue
		}
		if valid++; e.Path != "dir/good" || e.Size != providers.SizeUnknown {
			t.Errorf("entry that may be shown: got %+v; want dir/good of unknown size", e)
		}
	}
	if hidden := len(got) - valid; valid != 1 || hidden != 4 { // ".." is a file and a directory
		t.Errorf("entries: got %d to show and %d to hide; want 1 and 4: %v", valid, hidden, got)
	}
	list(t, m, "dir")
	if n := strings.Count(log.String(), "ends in a slash"); n != 1 {
		t.Errorf("lines about the marker with content: got %d; want 1", n)
	}
}

func TestKeysThatBeginWithASlash(t *testing.T) {
	m, _, _ := lister(t, func(url.Values) answer {
		return answer{Contents: []wireKey{keyOf("good", 1)}, CommonPrefixes: []wirePrefix{{"/"}, {"//"}}}
	})
	var walked []string
	for e, err := range providers.Walk(t.Context(), onlyModel{m}) {
		if err != nil {
			t.Fatal(err)
		}
		walked = append(walked, e.Path)
	}
	if want := []string{"good"}; !slices.Equal(walked, want) {
		t.Errorf("walk: got %q; want %q", walked, want)
	}
}

// onlyModel hides what a model can do beside the contract.
type onlyModel struct{ providers.Model }

func TestAnswerThatIsTooLong(t *testing.T) {
	isolate(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "<ListBucketResult><Name>models</Name>")
		for line := strings.Repeat(" ", 64<<10); r.Context().Err() == nil; {
			if _, err := fmt.Fprint(w, line); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	p, _ := open(t, Config{Endpoint: server.URL, Anonymous: true})
	p.maxAnswer = 256 << 10
	_, err := p.Resolve(t.Context(), "models", "")
	wantErr(t, "resolve", err, providers.ErrUnavailable)
}

// An object larger than any limit that S3 has had.
func TestObjectOfFiftyTerabytes(t *testing.T) {
	isolate(t)
	const size = 50_000_000_000_000
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"big"`)
		w.Header().Set("Last-Modified", "Fri, 01 Jan 2100 00:00:00 GMT") // a clock that is wrong is no reason to fail
		if r.Method == http.MethodHead {
			w.Header().Set("Content-Length", strconv.FormatInt(size, 10))
			return
		}
		if got, want := r.Header.Get("Range"), "bytes=49999999999995-49999999999999"; got != want {
			t.Errorf("range: got %s; want %s", got, want)
		}
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", int64(size)-5, int64(size)-1, int64(size)))
		w.WriteHeader(http.StatusPartialContent)
		fmt.Fprint(w, "last5")
	}))
	defer server.Close()
	p, _ := open(t, Config{Endpoint: server.URL, Anonymous: true})
	m := &model{bucket: p.newBucket(Bucket{Bucket: "models"}, false)}
	e, err := m.statFile(t.Context(), "big")
	if err != nil || e.Size != size || e.ModTime.Year() != 2100 {
		t.Errorf("stat: got %+v, %v; want %d bytes of 2100", e, err, int64(size))
	}
	wantRead(t, m, e, size-5, "last5")
}

// gofakes3 keeps flat keys and does not know If-Match on reads.
func TestFlatKeysOnAServerWithoutIfMatch(t *testing.T) {
	isolate(t)
	backend := s3mem.New()
	server := httptest.NewServer(gofakes3.New(backend).Server())
	defer server.Close()
	if err := backend.CreateBucket("flat"); err != nil {
		t.Fatal(err)
	}
	put := func(key, content string) {
		t.Helper()
		if _, err := backend.PutObject("flat", key, map[string]string{}, strings.NewReader(content), int64(len(content)), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a", "a/b", "a//b", "x/../y", "w.bin"} {
		put(key, "content of "+key)
	}
	p, _ := open(t, Config{Endpoint: server.URL, Anonymous: true})
	m := resolve(t, p, "flat")
	var shown []string
	for path := range list(t, m, "") {
		if providers.ValidPath(path) == nil {
			shown = append(shown, path)
		}
	}
	slices.Sort(shown)
	if want := []string{"a", "w.bin", "x"}; !slices.Equal(shown, want) {
		t.Errorf("names to show: got %q; want %q", shown, want)
	}
	if !stat(t, m, "a").IsDir() {
		t.Error("stat of a key that is also a prefix: got a file; want the directory")
	}
	wantRead(t, m, stat(t, m, "a/b"), 0, "content of a/b")
	for _, path := range []string{"a//b", "/lead", "x/../y", "x/.."} {
		_, err := m.Stat(t.Context(), path)
		wantErr(t, "stat "+path, err, iofs.ErrNotExist)
	}

	e := stat(t, m, "w.bin")
	wantRead(t, m, e, 3, "tent of w.bin")
	put("w.bin", "CONTENT OF w.bin")
	_, err := read(t.Context(), m, e, 0, 5)
	wantErr(t, "read after replacement of the same size", err, providers.ErrStale)
	wantErr(t, "check after replacement", m.Check(t.Context(), e), providers.ErrChanged)
}
