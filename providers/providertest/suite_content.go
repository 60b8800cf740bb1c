package providertest

import (
	"crypto/md5"  //nolint:gosec // sources state it
	"crypto/sha1" //nolint:gosec // sources state it
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"hash/crc64"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"modelfs/providers"
)

// testListed holds that an entry from a listing is as good as one from Stat, where it
// has a size.
func testListed(t *testing.T, f *fixture) {
	m := f.model(t)
	for e, err := range providers.Walk(t.Context(), m) {
		if err != nil {
			t.Fatalf("walk: %v", err)
		}
		if !e.Mode.IsRegular() || e.Size <= 0 || providers.ValidPath(e.Path) != nil || slices.Contains(f.Hidden, e.Path) {
			continue
		}
		if err := m.Check(t.Context(), e); err != nil {
			t.Errorf("check of %s as listed: got %v, want nil", e.Path, err)
		}
		if got, err := read(t.Context(), m, e, 0, e.Size); err != nil || got != f.Files[e.Path] {
			t.Errorf("read of %s as listed: got %.60q, %v; want %.60q", e.Path, got, err, f.Files[e.Path])
		}
	}
}

// testWhole holds that a source which sends files only as a whole does send them, to
// several readers at once.
func testWhole(t *testing.T, f *fixture) {
	m := f.model(t)
	var readers sync.WaitGroup
	for p, want := range f.Files {
		if len(want) < 2 {
			continue
		}
		e := entry(t, m, p)
		if rc, err := m.ReadRange(t.Context(), e, 1, 1); err == nil {
			rc.Close()
		} else if !errors.Is(err, providers.ErrWhole) {
			t.Errorf("%s: got %v, want a range or ErrWhole", p, err)
		}
		for range 2 {
			readers.Go(func() {
				rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
				if err != nil {
					t.Errorf("all of %s: got %v, want it", p, err)
					return
				}
				defer rc.Close()
				if got, err := io.ReadAll(rc); err != nil || string(got) != want {
					t.Errorf("all of %s: got %d bytes, %v; want %d", p, len(got), err, len(want))
				}
			})
		}
	}
	readers.Wait()
}

// testDigests computes every digest that the source states.
func testDigests(t *testing.T, f *fixture) {
	m := f.model(t)
	stated := 0
	late, _ := providers.As[providers.Digester](m)
	for p, want := range f.Files {
		e := entry(t, m, p)
		digests := []providers.Digest{e.Digest}
		if late != nil {
			d, err := late.Digest(t.Context(), e)
			if err != nil {
				t.Errorf("digest of %s: %v", p, err)
			}
			digests = append(digests, d)
		}
		for _, d := range digests {
			if d == "" {
				continue
			}
			stated++
			if got, known := digest(d.Algorithm(), want); !known || got != d {
				t.Errorf("%s: got digest %s, want %s", p, d, got)
			}
		}
	}
	if stated == 0 {
		t.Log("does not apply: the source states no digests")
	}
}

// digest is that of content; false if there is no such algorithm.
func digest(algorithm, content string) (providers.Digest, bool) {
	var h hash.Hash
	switch algorithm {
	case "sha256":
		h = sha256.New()
	case "md5":
		h = md5.New() //nolint:gosec // sources state it
	case "sha1":
		h = sha1.New() //nolint:gosec // sources state it
	case "git":
		h = sha1.New() //nolint:gosec // git's own
		fmt.Fprintf(h, "blob %d\x00", len(content))
	case "crc64nvme":
		h = crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) // NVM Express base specification, reflected
	default:
		return "", false
	}
	_, _ = io.WriteString(h, content) // a hash takes everything
	return providers.NewDigest(algorithm, hex.EncodeToString(h.Sum(nil))), true
}

var factKey = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*$`)

// testFacts holds that what is told about a model can be shown.
func testFacts(t *testing.T, f *fixture) {
	d, ok := providers.As[providers.Describer](f.model(t))
	if !ok {
		t.Log("does not apply: the source tells no facts")
		return
	}
	facts, err := d.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, fact := range facts {
		control := func(r rune) bool { return r < ' ' || r == 0x7f }
		switch {
		case !factKey.MatchString(fact.Key):
			t.Errorf("got key %q, want lower case words with dots", fact.Key)
		case !utf8.ValidString(fact.Value) || strings.ContainsFunc(fact.Value, control):
			t.Errorf("%s: got %q, which cannot be shown", fact.Key, fact.Value)
		}
	}
}
