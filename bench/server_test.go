package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// testStore serves a few objects.
func testStore(t *testing.T, s shape, small int) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), bucket)
	if err := writeSmall(root, small); err != nil {
		t.Fatal(err)
	}
	if err := writeFile(filepath.Join(root, "big", "00.bin"), 0, 4<<20); err != nil {
		t.Fatal(err)
	}
	st, err := newStore(root)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(shaped(st, s))
	t.Cleanup(server.Close)
	return server.URL
}

func ask(t *testing.T, method, url string, header map[string]string) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range header {
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	p, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, p
}

func TestStoreAnswersAsS3Does(t *testing.T) {
	base := testStore(t, shape{}, 3)
	object := base + "/" + bucket + "/" + bigKey(0)
	head, _ := ask(t, http.MethodHead, object, nil)
	etag := head.Header.Get("Etag")
	if head.StatusCode != http.StatusOK || head.ContentLength != 4<<20 || etag == "" {
		t.Errorf("head: got %d, %d bytes, etag %s; want 200, %d bytes and an etag", head.StatusCode, head.ContentLength, etag, 4<<20)
	}
	for _, c := range []struct {
		what, url string
		header    map[string]string
		status    int
	}{
		{"a range under its etag", object, map[string]string{"Range": "bytes=4096-8191", "If-Match": etag}, 206},
		{"another etag", object, map[string]string{"Range": "bytes=0-1", "If-Match": `"other"`}, 412},
		{"beyond the end", object, map[string]string{"Range": "bytes=5000000-"}, 416},
		{"no such key", base + "/" + bucket + "/none", nil, 404},
		{"no such bucket", base + "/none/none", nil, 404},
	} {
		resp, body := ask(t, http.MethodGet, c.url, c.header)
		if resp.StatusCode != c.status {
			t.Errorf("%s: got %d, want %d", c.what, resp.StatusCode, c.status)
		}
		if c.status == 206 {
			if got, want := resp.Header.Get("Content-Range"), "bytes 4096-8191/4194304"; got != want || len(body) != 4096 || check(body, 4096) != nil {
				t.Errorf("%s: got %q and %d bytes (%v), want %q and 4096", c.what, got, len(body), check(body, 4096), want)
			}
		}
	}
}

func TestStoreListsPages(t *testing.T) {
	base := testStore(t, shape{}, 25)
	list := func(q url.Values) (out listing) {
		t.Helper()
		_, body := ask(t, http.MethodGet, base+"/"+bucket+"?list-type=2&"+q.Encode(), nil)
		if err := xml.Unmarshal(body, &out); err != nil {
			t.Fatalf("%v: %s", err, body)
		}
		return out
	}
	top := list(url.Values{"delimiter": {"/"}})
	if got, want := fmt.Sprint(top.CommonPrefixes, len(top.Contents), top.IsTruncated), "[{big/} {small/}] 0 false"; got != want {
		t.Errorf("top: got %s, want %s", got, want)
	}
	var keys []string
	q := url.Values{"prefix": {"small/"}, "max-keys": {"10"}, "delimiter": {"/"}}
	for pages := 1; ; pages++ {
		out := list(q)
		for _, c := range out.Contents {
			keys = append(keys, c.Key)
			if c.Size != smallSize {
				t.Errorf("%s: got %d bytes, want %d", c.Key, c.Size, smallSize)
			}
		}
		if !out.IsTruncated {
			if pages != 3 {
				t.Errorf("pages: got %d, want 3", pages)
			}
			break
		}
		q.Set("continuation-token", out.Token)
	}
	if len(keys) != 25 || !slices.IsSorted(keys) || keys[24] != smallKey(24) {
		t.Errorf("keys: got %d, last %s; want 25 in order", len(keys), keys[len(keys)-1])
	}
}

func TestShape(t *testing.T) {
	for _, c := range []struct {
		what  string
		shape shape
		least time.Duration
	}{
		{"latency", shape{latency: 150 * time.Millisecond}, 150 * time.Millisecond},
		{"one connection", shape{perConn: 20 << 20}, 150 * time.Millisecond}, // 4 MiB: 200 ms
		{"all", shape{total: 20 << 20}, 150 * time.Millisecond},
	} {
		object := testStore(t, c.shape, 1) + "/" + bucket + "/" + bigKey(0)
		began := time.Now()
		resp, body := ask(t, http.MethodGet, object, nil)
		if took := time.Since(began); took < c.least || took > 10*time.Second {
			t.Errorf("%s: took %s, want %s or little more", c.what, took, c.least)
		}
		if resp.StatusCode != http.StatusOK || len(body) != 4<<20 || check(body, 0) != nil {
			t.Errorf("%s: got %d and %d bytes (%v), want the object", c.what, resp.StatusCode, len(body), check(body, 0))
		}
	}
}

func TestDownload(t *testing.T) {
	object := testStore(t, shape{}, 1) + "/" + bucket + "/" + bigKey(0)
	path := filepath.Join(t.TempDir(), "f")
	r, err := download(t.Context(), object, path, 4<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.verify(); err != nil {
		t.Errorf("downloaded: got %v, want the object", err)
	}
	if _, err := download(t.Context(), object, path, 5<<20); err == nil {
		t.Error("more than there is: got no error")
	}
	if _, err := download(t.Context(), strings.Replace(object, bucket, "none", 1), path, 1); err == nil {
		t.Error("from no bucket: got no error")
	}
}

// The store plays its role in a process of its own, and ends when it is told.
func TestStoreInItsOwnProcess(t *testing.T) {
	var object string
	o, err := startOrigin(context.Background(), "plain", t.TempDir(), func(root string) error {
		return writeFile(filepath.Join(root, bigKey(0)), 0, 1<<20)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, shaped := range []bool{false, true} {
		if object, err = o.url(t.Context(), o.endpoint(shaped), bigKey(0)); err != nil {
			t.Fatal(err)
		}
		p := make([]byte, 4096)
		if err := getBytes(t.Context(), object, p, 8192); err != nil || check(p, 8192) != nil {
			t.Errorf("shaped %v: got %v, %v; want the bytes", shaped, err, check(p, 8192))
		}
	}
	if err := o.close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := getBytes(t.Context(), object, make([]byte, 8), 0); err == nil {
		t.Error("after close: got no error")
	}
}
