package fs_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	iofs "io/fs"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelfs/fs"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

// TestEveryStatementHasATest compares SEMANTICS.md with the tests of this package.
func TestEveryStatementHasATest(t *testing.T) {
	page, err := os.ReadFile("SEMANTICS.md")
	if err != nil {
		t.Fatal(err)
	}
	pkgs, err := parser.ParseDir(token.NewFileSet(), ".", nil, 0) //nolint:staticcheck // one small package
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, p := range pkgs {
		for _, f := range p.Files {
			for _, d := range f.Decls {
				if fn, ok := d.(*ast.FuncDecl); ok {
					have[fn.Name.Name] = true
				}
			}
		}
	}
	rows := 0
	for line := range strings.Lines(string(page)) {
		if !regexp.MustCompile(`^\| [A-Z]\d+ \|`).MatchString(line) {
			continue
		}
		rows++
		names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(line, -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, n := range names {
			if !have[n[1]] {
				t.Errorf("%s does not exist: %s", n[1], line)
			}
		}
	}
	if rows < 30 {
		t.Errorf("found %d statements, want at least 30: is the table read right?", rows)
	}
}

func TestWrongBytesAreNeverServed(t *testing.T) {
	src := newSource()
	small, big := random(1000, 1), random(4<<20, 2)
	fl := files("good", "x")
	fl["small"] = providertest.File{Data: []byte(small), Digest: providers.NewDigest("sha256", strings.Repeat("00", 32))}
	fl["big"] = providertest.File{Data: []byte(big), Digest: providers.NewDigest("sha256", strings.Repeat("11", 32))}
	src.Publish("m", "", fl)
	r := mounted(t, src, nil)
	r.wantErr("m/small", syscall.EIO)
	// Blocks of a big file are served as they arrive whole, but nobody gets to its
	// end: not the first reader, nor the one for whom it is fetched once more, nor
	// the next.
	for range 3 {
		r.wantErr("m/big", syscall.EIO)
	}
	r.want("m/good", "x")
}

func TestStrictServesNothingUnchecked(t *testing.T) {
	src := newSource()
	fl := files("good", random(3<<20, 3))
	fl["big"] = providertest.File{Data: []byte(random(4<<20, 2)), Digest: providers.NewDigest("sha256", strings.Repeat("11", 32))}
	src.Publish("m", "", fl)
	strict := &strictly{Provider: src}
	r := mounted(t, src, func(o *fs.Options) { o.Protocols = []fs.Protocol{{Name: "mem", Provider: strict}} })
	r.want("m/good", random(3<<20, 3))
	f, err := os.Open(r.path("m/big"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if n, err := f.ReadAt(make([]byte, 10), 0); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %d bytes, %v; want none and EIO", n, err)
	}
}

func TestSilentSourceEndsAtTheDeadline(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", random(2<<20, 4), "g", "g"))
	r := mounted(t, src, func(o *fs.Options) { o.ReadTimeout = 400 * time.Millisecond; o.TTL = time.Hour })
	r.want("m/g", "g")
	f, err := os.Open(r.path("m/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	src.Delay(10 * time.Second)
	defer src.Delay(0)
	start := time.Now()
	_, err = f.ReadAt(make([]byte, 10), 0)
	if !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	// The kernel asks twice: for its readahead, then for the page.
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("it took %v, want about 0.4s or twice that", d)
	}
	r.want("m/g", "g")
}

func TestListingIsAtMostTTLOld(t *testing.T) {
	for _, live := range []bool{false, true} {
		src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: live})
		src.Publish("m", "", files("a", "1"))
		r := mounted(t, src, func(o *fs.Options) { o.TTL = 200 * time.Millisecond })
		list := func() string {
			es, err := os.ReadDir(r.path("m"))
			if err != nil {
				t.Fatal(err)
			}
			var s []string
			for _, e := range es {
				fi, err := e.Info()
				if err != nil {
					t.Fatal(err)
				}
				s = append(s, fmt.Sprintf("%s:%d", e.Name(), fi.Size()))
			}
			return strings.Join(s, " ")
		}
		if got := list(); got != "a:1" {
			t.Fatalf("live=%v: %s, want a:1", live, got)
		}
		src.Publish("m", "", files("a", "22", "b", "1"))
		r.settle()
		if got := list(); got != "a:2 b:1" {
			t.Errorf("live=%v: %s, want a:2 b:1", live, got)
		}
	}
}

func TestAnOpenDirectoryShowsOneRevision(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("a", "1", "b", "1", "c", "1"))
	r := mounted(t, src, nil)
	d, err := os.Open(r.path("m"))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, err := d.Readdirnames(1); err != nil {
		t.Fatal(err)
	}
	r.settle()
	src.Publish("m", "", files("x", "1", "y", "1"))
	rest, err := d.Readdirnames(-1)
	if err != nil || len(rest) != 2 {
		t.Errorf("rest of the directory: %v, %v; want two of a, b, c", rest, err)
	}
	for _, n := range rest {
		if n != "a" && n != "b" && n != "c" {
			t.Errorf("%s is of another revision", n)
		}
	}
}

func TestAModelThatIsGone(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, nil)
	r.want("m/f", "x")
	src.Remove("m")
	r.settle()
	r.wantErr("m/f", iofs.ErrNotExist)
	r.restart()
	r.wantErr("m/f", iofs.ErrNotExist)
	src.Publish("m", "", files("f", "again"))
	time.Sleep(1100 * time.Millisecond)
	r.want("m/f", "again")
}
