package transformers

import (
	"bytes"
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

var content = pattern(300_000)

// files are the two ways in which the Hub holds content, and odd names.
var files = map[string]testhub.File{
	"git.txt":                testhub.Bytes(content),
	"w.bin":                  testhub.Bytes(content),
	"empty.txt":              testhub.Text(""),
	"dir/a b#c?d%e&f+g.bin":  testhub.Text("odd"),
	"dir/ünïcode 日本.txt":     testhub.Text("odd"),
	"dir/.hidden;x=y@z:1":    testhub.Text("odd"),
	"dir/[q]{r}|s^t`u\\v\"w": testhub.Text("odd"),
}

func TestReadRange(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	f.Allow("hf_member_token")
	m := resolve(t, f.with(t, "hf_member_token"), "org/name", "")
	size := int64(len(content))
	for _, path := range []string{"git.txt", "w.bin"} {
		e := stat(t, m, path)
		for _, r := range [][2]int64{{0, size}, {0, 1}, {size - 1, 1}, {1, size - 1}, {100_000, 65_536}} {
			got, err := read(t.Context(), m, e, r[0], r[1])
			wantBytes(t, got, err, content[r[0]:r[0]+r[1]])
		}
	}
	for path, file := range walk(t, m) {
		if strings.HasPrefix(path, "dir/") {
			got, err := read(t.Context(), m, file, 0, 3)
			wantBytes(t, got, err, []byte("odd"))
		}
	}
	for _, r := range f.Requests() {
		if token := r.Header.Get("Authorization"); (token != "") != (r.Server == "hub") {
			t.Errorf("got token %q at %v, want it at the Hub alone", token, r)
		}
		if r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("User-Agent") != "modelfs" {
			t.Errorf("got headers %v at %v", r.Header, r)
		}
	}
	// A file that git holds costs one request for each range, and a link serves
	// all ranges of the other.
	wantCount(t, f, "hub", "/resolve/"+m.Origin().Revision+"/git.txt", 5)
	wantCount(t, f, "hub", "/resolve/"+m.Origin().Revision+"/w.bin", 1)
	wantCount(t, f, "cdn", "", 6)
}

func TestReadRangeRefusesWhatIsNoRange(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Forget()
	for _, r := range [][2]int64{{-1, 1}, {0, 0}, {0, -1}, {0, e.Size + 1}, {e.Size, 1}, {1 << 62, 1 << 62}} {
		_, err := m.ReadRange(t.Context(), e, r[0], r[1])
		wantErr(t, err, iofs.ErrInvalid)
	}
	_, err := m.ReadRange(t.Context(), stat(t, m, "empty.txt"), 0, 1)
	wantErr(t, err, iofs.ErrInvalid)
	_, err = m.ReadRange(t.Context(), providers.Entry{Path: "../x", Size: 1}, 0, 1)
	wantErr(t, err, iofs.ErrNotExist)
	wantCount(t, f, "hub", "", 0)
}

// TestReadSettings reads from Hubs and mirrors that answer in other ways.
func TestReadSettings(t *testing.T) {
	for name, set := range map[string]func(*testhub.Settings){
		"no resolve cache": func(s *testhub.Settings) { s.NoResolveCache = true },
		"no linked":        func(s *testhub.Settings) { s.NoLinked = true },
		"inline":           func(s *testhub.Settings) { s.Inline = true },
		"short links":      func(s *testhub.Settings) { s.LinkLife = 2 * time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			f := start(t, Config{})
			f.Push("org/name", "main", files)
			f.Set(set)
			m := resolve(t, f.Provider, "org/name", "")
			for _, path := range []string{"git.txt", "w.bin"} {
				e := stat(t, m, path)
				for _, off := range []int64{0, 1000} {
					got, err := read(t.Context(), m, e, off, 5000)
					wantBytes(t, got, err, content[off:off+5000])
				}
			}
		})
	}
}

func TestReadStaysAtItsCommit(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	git, lfs := stat(t, m, "git.txt"), stat(t, m, "w.bin")
	f.Push("org/name", "main", map[string]testhub.File{"git.txt": testhub.Text("new"), "w.bin": testhub.Text("new")})
	for _, e := range []providers.Entry{git, lfs} {
		got, err := read(t.Context(), m, e, 5, 100)
		wantBytes(t, got, err, content[5:105])
	}
}

func TestExpiredLinkIsRenewedOnce(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	got, err := read(t.Context(), m, e, 0, 10)
	wantBytes(t, got, err, content[:10])
	f.ExpireLinks()
	f.Limit(testhub.Shape{Latency: 30 * time.Millisecond})
	f.Forget()
	var wg sync.WaitGroup
	for i := range int64(16) {
		wg.Go(func() {
			got, err := read(t.Context(), m, e, i*1000, 1000)
			if err != nil || !bytes.Equal(got, content[i*1000:i*1000+1000]) {
				t.Errorf("got %d bytes, error %v, want the range", len(got), err)
			}
		})
	}
	wg.Wait()
	if n := f.count(testhub.To("hub", "/resolve/")); n > 2 {
		t.Errorf("got %d renewals for 16 readers, want one", n)
	}
}

func TestColdReadersShareOneLink(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Limit(testhub.Shape{Latency: 50 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range int64(16) {
		wg.Go(func() {
			if _, err := read(t.Context(), m, e, i*1000, 1000); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantCount(t, f, "hub", "/resolve/", 1)
	wantCount(t, f, "cdn", "", 16)
}

func TestTokenRevokedWhileLinkLives(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/private", "main", files)
	f.SetPrivate("org/private", true)
	f.Allow("hf_member_token", "org/private")
	m := resolve(t, f.with(t, "hf_member_token"), "org/private", "")
	e := stat(t, m, "w.bin")
	got, err := read(t.Context(), m, e, 0, 10)
	wantBytes(t, got, err, content[:10])
	f.Revoke("hf_member_token")
	got, err = read(t.Context(), m, e, 10, 10)
	wantBytes(t, got, err, content[10:20])
	f.ExpireLinks()
	_, err = read(t.Context(), m, e, 20, 10)
	wantErr(t, err, iofs.ErrPermission)
	wantRemedy(t, err, "renew it")
}

func TestFileOverFourGiB(t *testing.T) {
	const size = 5<<30 + 11
	big := testhub.Synthetic(9, size)
	big.SHA256 = strings.Repeat("5", 64)
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"big.gguf": big})
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "big.gguf")
	for _, off := range []int64{1<<32 - 50, size - 100} {
		want := make([]byte, 100)
		if n, _ := big.Content.ReadAt(want, off); n != len(want) {
			t.Fatalf("got %d bytes of the original", n)
		}
		got, err := read(t.Context(), m, e, off, 100)
		wantBytes(t, got, err, want)
	}
}

func TestLinkIsRenewedForEachStatus(t *testing.T) {
	for _, status := range []int{400, 401, 403, 404, 410} {
		f := start(t, Config{})
		f.Push("org/name", "main", files)
		m := resolve(t, f.Provider, "org/name", "")
		e := stat(t, m, "w.bin")
		f.Inject(1, testhub.To("cdn", ""), testhub.Fault{Status: status})
		got, err := read(t.Context(), m, e, 7, 100)
		wantBytes(t, got, err, content[7:107])
		wantCount(t, f, "hub", "/resolve/", 2)
	}
}

func TestLinkIsForgottenInTime(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	f.Set(func(s *testhub.Settings) { s.LinkLife = 20 * time.Minute })
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	for _, later := range []time.Duration{0, 15 * time.Minute, 10 * time.Minute} {
		if err := f.clock.sleep(t.Context(), later); err != nil {
			t.Fatal(err)
		}
		got, err := read(t.Context(), m, e, 0, 10)
		wantBytes(t, got, err, content[:10])
	}
	wantCount(t, f, "hub", "/resolve/", 2)
}

func TestRangeRefusedIsAskedWider(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	exact := func(r testhub.Request) bool { return r.Server == "cdn" && r.Header.Get("Range") == "bytes=70000-70099" }
	f.Inject(-1, exact, testhub.Fault{Status: 403, Body: "Auth failed: invalid range"})
	got, err := read(t.Context(), m, e, 70_000, 100)
	wantBytes(t, got, err, content[70_000:70_100])
	if log := f.log.String(); !strings.Contains(log, "invalid range") {
		t.Errorf("got log %q, want what the content network said", log)
	}
}

func TestLinkRefusedForGood(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	// This network repeats the whole link that it refuses.
	var signature string
	f.Inject(-1, func(r testhub.Request) bool {
		if r.Server == "cdn" {
			signature = r.Query
		}
		return false
	}, testhub.Fault{})
	_, err := read(t.Context(), m, e, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	f.Heal()
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{Status: 403, Body: "bad link: " + signature})
	for _, n := range []int64{10, e.Size} {
		_, err = read(t.Context(), m, e, 0, n)
		wantErr(t, err, providers.ErrUnavailable)
	}
	_, value, _ := strings.Cut(signature, "Signature=")
	if out := err.Error() + f.log.String(); value == "" || strings.Contains(out, value) {
		t.Errorf("got the signature %q in errors or log: %s", value, out)
	}
}

// TestReadFaults holds every way of answering wrongly to its error. None may
// return a wrong byte as success.
func TestReadFaults(t *testing.T) {
	header := func(k, v string) map[string]string { return map[string]string{k: v} }
	pointer := []byte(pointerMagic + "\noid sha256:" + strings.Repeat("0", 64) + "\nsize 300000\n")
	for _, c := range []struct {
		name  string
		fault testhub.Fault
		want  error // nil: the right bytes
	}{
		{"range ignored", testhub.Fault{IgnoreRange: true}, nil},
		{"range ignored, chunked", testhub.Fault{IgnoreRange: true, Chunked: true}, nil},
		{"compressed whole", testhub.Fault{IgnoreRange: true, Gzip: true}, nil},
		{"chunked range", testhub.Fault{Chunked: true}, nil},
		{"compressed range", testhub.Fault{Gzip: true}, providers.ErrUnavailable},
		{"unknown coding", testhub.Fault{IgnoreRange: true, Header: header("Content-Encoding", "br")}, providers.ErrUnavailable},
		{"broken gzip", testhub.Fault{IgnoreRange: true, Header: header("Content-Encoding", "gzip")}, providers.ErrUnavailable},
		{"cut", testhub.Fault{Cut: 1000}, providers.ErrUnavailable},
		{"cut whole", testhub.Fault{IgnoreRange: true, Cut: 2000}, providers.ErrUnavailable},
		{"silent", testhub.Fault{Stall: 1000}, providers.ErrUnavailable},
		{"short, chunked", testhub.Fault{Chunked: true, Replace: nil, Header: header("Content-Range", "bytes 5000-15000/300000")}, providers.ErrUnavailable},
		{"overlong", testhub.Fault{Extra: 1}, providers.ErrCorrupt},
		{"overlong, chunked", testhub.Fault{Extra: 1, Chunked: true}, providers.ErrCorrupt},
		{"other range", testhub.Fault{Header: header("Content-Range", "bytes 0-9999/300000")}, providers.ErrUnavailable},
		{"no range told", testhub.Fault{Header: header("Content-Range", "")}, providers.ErrUnavailable},
		{"unknown total", testhub.Fault{Header: header("Content-Range", "bytes 5000-14999/*")}, providers.ErrUnavailable},
		{"nonsense range", testhub.Fault{Header: header("Content-Range", "bytes +5000-14999/300000")}, providers.ErrUnavailable},
		{"other total", testhub.Fault{Header: header("Content-Range", "bytes 5000-14999/300001")}, providers.ErrStale},
		{"shorter file", testhub.Fault{Replace: content[:10_000]}, providers.ErrStale},
		{"much shorter file", testhub.Fault{Replace: content[:100]}, providers.ErrStale},
		{"longer file", testhub.Fault{Replace: append(pattern(300_000), 1)}, providers.ErrStale},
		{"longer whole", testhub.Fault{IgnoreRange: true, Replace: append(pattern(300_000), 1)}, providers.ErrStale},
		{"pointer whole", testhub.Fault{IgnoreRange: true, Replace: pointer}, providers.ErrCorrupt},
		{"pointer, chunked", testhub.Fault{IgnoreRange: true, Chunked: true, Replace: pointer}, providers.ErrCorrupt},
		{"server error", testhub.Fault{Status: 500}, providers.ErrUnavailable},
		{"no content", testhub.Fault{Status: 204}, providers.ErrUnavailable},
		{"too many", testhub.Fault{Status: 429, Header: header("Retry-After", "17")}, providers.ErrUnavailable},
		{"not satisfiable", testhub.Fault{Status: 416, Header: header("Content-Range", "bytes */10")}, providers.ErrStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := start(t, Config{})
			f.hub.impatient(t)
			f.Push("org/name", "main", files)
			m := resolve(t, f.Provider, "org/name", "")
			e := stat(t, m, "w.bin")
			f.Inject(-1, testhub.To("cdn", ""), c.fault)
			got, err := read(t.Context(), m, e, 5000, 10_000)
			if c.want == nil {
				wantBytes(t, got, err, content[5000:15_000])
				return
			}
			wantErr(t, err, c.want)
			if len(got) > 0 && !bytes.HasPrefix(content[5000:], got) {
				t.Errorf("got wrong bytes %.20q before the error", got)
			}
			f.Heal() // the failure leaves nothing behind
			got, err = read(t.Context(), m, e, 5000, 10_000)
			wantBytes(t, got, err, content[5000:15_000])
		})
	}
}

func TestWrongLengthIsRefusedBeforeAnyByte(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{Extra: 1})
	if r, err := m.ReadRange(t.Context(), e, 0, 10); !errors.Is(err, providers.ErrCorrupt) {
		t.Errorf("got reader %v, error %v, want ErrCorrupt at once", r, err)
	}
}

func TestWordsHideTheLink(t *testing.T) {
	f := start(t, Config{})
	u := mustEndpoint(t, "https://cdn.example/x")
	u.RawQuery = "Signature=ab%2Fcd%2Bef~&Policy=p0l1cy~~&a=b"
	resp := &http.Response{Body: io.NopCloser(strings.NewReader("<a>ab%2Fcd%2Bef~</a><b>ab/cd+ef~</b><c>p0l1cy~~</c> a b"))}
	got, want := f.hub.words(resp, u), "<a>[hidden]</a><b>[hidden]</b><c>[hidden]</c> a b"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestThrottledByContentNetwork(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{Status: 429, Header: map[string]string{"Retry-After": "17"}})
	_, err := read(t.Context(), m, e, 0, 10)
	var throttled *providers.Throttled
	if !errors.As(err, &throttled) || throttled.After != 17*time.Second {
		t.Errorf("got error %v, want it throttled for 17 s", err)
	}
}

// TestHubContradictsItsListing covers what the resolve route says of the file
// beside its bytes.
func TestHubContradictsItsListing(t *testing.T) {
	for _, c := range []struct {
		path, name, value string
	}{
		{"w.bin", "X-Linked-Size", "300001"},
		{"w.bin", "X-Linked-Size", "many"},
		{"w.bin", "X-Linked-Etag", `"` + strings.Repeat("a", 64) + `"`},
		{"w.bin", "X-Repo-Commit", strings.Repeat("b", 40)},
		{"git.txt", "ETag", `W/"` + strings.Repeat("a", 40) + `"`},
		{"git.txt", "X-Repo-Commit", strings.Repeat("b", 40)},
	} {
		f := start(t, Config{})
		f.Push("org/name", "main", files)
		m := resolve(t, f.Provider, "org/name", "")
		e := stat(t, m, c.path)
		f.Inject(-1, testhub.To("hub", "/resolve"), testhub.Fault{Header: map[string]string{c.name: c.value}})
		_, err := read(t.Context(), m, e, 0, 10)
		wantErr(t, err, providers.ErrStale)
	}
}

func TestReadFromHubIsRetried(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	for _, path := range []string{"git.txt", "w.bin"} {
		e := stat(t, m, path)
		f.Inject(2, testhub.To("hub", "/resolve"), testhub.Fault{Status: 502})
		got, err := read(t.Context(), m, e, 3, 10)
		wantBytes(t, got, err, content[3:13])
	}
}

func TestCompressedText(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "git.txt")
	f.Inject(-1, testhub.To("hub", "/resolve-cache"), testhub.Fault{IgnoreRange: true, Gzip: true})
	for _, r := range [][2]int64{{0, e.Size}, {100, 50}} {
		got, err := read(t.Context(), m, e, r[0], r[1])
		wantBytes(t, got, err, content[r[0]:r[0]+r[1]])
	}
}

func TestPointerOfMirror(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	f.Set(func(s *testhub.Settings) { s.Inline = true })
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Inject(-1, testhub.To("hub", "/resolve"), testhub.Fault{
		Replace: []byte(pointerMagic + "\noid sha256:" + e.Digest.Hex() + "\nsize 300000\n")})
	_, err := read(t.Context(), m, e, 0, 10)
	wantErr(t, err, providers.ErrCorrupt)
}

func TestIgnoredRangeFarIntoTheFile(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", map[string]testhub.File{"w.bin": testhub.Synthetic(1, maxSkip+1000)})
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{IgnoreRange: true})
	_, err := read(t.Context(), m, e, maxSkip+1, 10)
	wantErr(t, err, providers.ErrWhole)
	got, err := read(t.Context(), m, e, 0, e.Size)
	if err != nil || int64(len(got)) != e.Size {
		t.Errorf("all of it: got %d bytes, %v; want %d", len(got), err, e.Size)
	}
}

func TestReadEndsWithItsContext(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	m := resolve(t, f.Provider, "org/name", "")
	e := stat(t, m, "w.bin")
	f.Inject(1, testhub.To("cdn", ""), testhub.Fault{Stall: 100})
	ctx, cancel := context.WithCancel(t.Context())
	r, err := m.ReadRange(ctx, e, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	time.AfterFunc(30*time.Millisecond, cancel)
	_, err = io.ReadAll(r)
	wantErr(t, err, context.Canceled)
	_, err = m.ReadRange(ctx, e, 0, 10)
	wantErr(t, err, context.Canceled)
}

// TestContentNetworkRedirects covers hops behind the link.
func TestContentNetworkRedirects(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/name", "main", files)
	f.Allow("hf_member_token")
	m := resolve(t, f.with(t, "hf_member_token"), "org/name", "")
	e := stat(t, m, "w.bin")
	_, err := read(t.Context(), m, e, 0, 1)
	if err != nil {
		t.Fatal(err)
	}
	var link string
	for _, r := range f.Requests() {
		if r.Server == "cdn" {
			link = f.CDNURL + r.Path + "?" + r.Query
		}
	}
	f.Inject(1, testhub.To("cdn", ""), testhub.Fault{Status: 302, Header: map[string]string{"Location": link}})
	got, err := read(t.Context(), m, e, 5, 10)
	wantBytes(t, got, err, content[5:15])
	f.Inject(-1, testhub.To("cdn", ""), testhub.Fault{Status: 302, Header: map[string]string{"Location": "/again"}})
	_, err = read(t.Context(), m, e, 5, 10)
	wantErr(t, err, providers.ErrUnavailable)
}

func TestLifetime(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		query, date string
		want        time.Duration
	}{
		{"", "", defaultLife},
		{"Expires=1780315800", "", 10*time.Minute - margin},
		{"Expires=1780315210", "", 5 * time.Second},
		{"Expires=1780315800", "Mon, 01 Jun 2026 12:05:00 GMT", 5*time.Minute - margin},
		{"Expires=1780315100", "", defaultLife},
		{"Expires=99999999999", "", maxLife},
		{"Expires=soon", "", defaultLife},
		{"X-Amz-Date=20260601T120000Z&X-Amz-Expires=600", "", 10*time.Minute - margin},
		{"X-Goog-Date=20260601T120000Z&X-Goog-Expires=600", "", 10*time.Minute - margin},
		{"X-Amz-Date=yesterday&X-Amz-Expires=600", "", defaultLife},
		{"X-Amz-Date=20260601T120000Z&X-Amz-Expires=-600", "", defaultLife},
	} {
		q, err := url.ParseQuery(c.query)
		if err != nil {
			t.Fatal(err)
		}
		if got := lifetime(q, c.date, now); got != c.want {
			t.Errorf("%q at %q: got %v, want %v", c.query, c.date, got, c.want)
		}
	}
}

func TestLinksAreBounded(t *testing.T) {
	var l links
	now := time.Now()
	for i := range maxLinks + 100 {
		l.put(strings.Repeat("k", i), link{expires: now.Add(time.Hour)}, now)
	}
	if got := len(l.m); got > maxLinks {
		t.Errorf("got %d links, want at most %d", got, maxLinks)
	}
}

// BenchmarkReadRange reads 8 MiB ranges of one file, one after another and many
// at once.
func BenchmarkReadRange(b *testing.B) {
	const size, block = 256 << 20, 8 << 20
	s := testhub.New()
	defer s.Close()
	big := testhub.Synthetic(1, size)
	big.SHA256 = strings.Repeat("5", 64)
	s.Push("org/name", "main", map[string]testhub.File{"w.bin": big})
	env := providers.Env{Getenv: func(k string) string { return map[string]string{"HF_ENDPOINT": s.URL}[k] }}
	p, err := open(env, Config{})
	if err != nil {
		b.Fatal(err)
	}
	m, err := p.Resolve(b.Context(), "org/name", "")
	if err != nil {
		b.Fatal(err)
	}
	e, err := providers.Stat(b.Context(), m, "w.bin")
	if err != nil {
		b.Fatal(err)
	}
	var next atomic.Int64
	one := func(buf []byte) {
		r, err := m.ReadRange(b.Context(), e, next.Add(block)%size, block)
		if err != nil {
			b.Error(err)
			return
		}
		defer r.Close()
		if _, err := io.ReadFull(r, buf); err != nil {
			b.Error(err)
		}
	}
	b.Run("sequential", func(b *testing.B) {
		b.SetBytes(block)
		buf := make([]byte, block)
		for b.Loop() {
			one(buf)
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.SetBytes(block)
		b.SetParallelism(4)
		b.RunParallel(func(pb *testing.PB) {
			buf := make([]byte, block)
			for pb.Next() {
				one(buf)
			}
		})
	})
}
