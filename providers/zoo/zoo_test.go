package zoo

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelfs/providers"
)

// write makes files below dir; "-> target" is a symbolic link, and $DIR in it dir.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(files[name], "-> "); link {
			err = os.Symlink(strings.ReplaceAll(target, "$DIR", dir), p)
		} else {
			err = os.WriteFile(p, []byte(files[name]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func newZoo(t *testing.T, roots ...string) *Zoo {
	t.Helper()
	p, err := New(providers.Env{Protocol: "zoo"}, Config{Roots: roots})
	if err != nil {
		t.Fatal(err)
	}
	return p.(*Zoo)
}

func resolve(t *testing.T, z *Zoo, name string) providers.Model {
	t.Helper()
	m, err := z.Resolve(t.Context(), name, "")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// tree walks a model and renders files with their content and links with their target.
func tree(t *testing.T, m providers.Model) map[string]string {
	t.Helper()
	out := map[string]string{}
	for e, err := range providers.Walk(t.Context(), m) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := out[e.Path]; twice {
			t.Errorf("%s is listed twice", e.Path)
		}
		if e.IsSymlink() {
			out[e.Path] = "-> " + e.Target
			continue
		}
		s, err := read(t.Context(), m, e)
		if err != nil {
			t.Errorf("read %s: %v", e.Path, err)
		}
		out[e.Path] = s
		if is, err := providers.Stat(t.Context(), m, e.Path); err != nil || is != e {
			t.Errorf("stat %s: got %+v, %v; want %+v", e.Path, is, err, e)
		}
	}
	return out
}

func read(ctx context.Context, m providers.Model, e providers.Entry) (string, error) {
	if e.Size == 0 {
		return "", nil
	}
	rc, err := m.ReadRange(ctx, e, 0, e.Size)
	if err != nil {
		return "", err
	}
	defer rc.Close()
	b, err := io.ReadAll(rc)
	return string(b), err
}

func expect(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	if !maps.Equal(got, want) {
		t.Errorf("%s:\ngot  %q\nwant %q", what, got, want)
	}
}

func list(t *testing.T, z *Zoo, prefix string) []string {
	t.Helper()
	var out []string
	for el, err := range z.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, el)
	}
	slices.Sort(out)
	return out
}

func TestRootsAreLaidOverOneAnother(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write(t, a, map[string]string{
		"top.txt":        "a file beside the models hides no other root",
		"group/x/w":      "ax",
		"both/w":         "a",
		"both/sub/s":     "as",
		"half/onnx/o":    "ao",
		"empty/.keep/k":  "k",
		"kind/is/a/dir":  "d",
		"link/latest":    "-> v1",
		"link/v1/w":      "a1",
		"shadow/is-file": "f",
	})
	write(t, b, map[string]string{
		"group/x/w":        "bx",
		"group/y/w":        "by",
		"both/w":           "b",
		"both/extra":       "never beside a's",
		"both/sub/t":       "never beside a's",
		"half/config":      "bc",
		"half/onnx/p":      "never beside a's",
		"half/data/d":      "bd",
		"only-b/w":         "b",
		"kind/is":          "a file where a has a directory",
		"link/v2/w":        "b2",
		"shadow/is-file/w": "a directory where a has a file",
	})
	z := newZoo(t, a, b)
	for name, want := range map[string]map[string]string{
		"group":  {"x/w": "ax", "y/w": "by"},
		"both":   {"w": "a", "sub/s": "as"},
		"half":   {"onnx/o": "ao", "config": "bc", "data/d": "bd"},
		"only-b": {"w": "b"},
		"kind":   {"is/a/dir": "d"},
		"link":   {"latest": "-> v1", "v1/w": "a1", "v2/w": "b2"},
		"shadow": {"is-file": "f"},
	} {
		expect(t, name, tree(t, resolve(t, z, name)), want)
	}
	got := list(t, z, "")
	want := []string{"both", "empty", "group", "half", "kind", "link", "only-b", "shadow"}
	if !slices.Equal(got, want) {
		t.Errorf("list: got %q, want %q", got, want)
	}
	expect(t, "group/y", tree(t, resolve(t, z, "group/y")), map[string]string{"w": "by"})
}

func TestLinks(t *testing.T) {
	dir := t.TempDir()
	outside := t.TempDir()
	write(t, outside, map[string]string{"secret": "s"})
	write(t, dir, map[string]string{
		"m/f":            "f",
		"m/sub/g":        "g",
		"m/plain":        "-> sub/g",
		"m/up":           "-> sub/../f",
		"m/sub/back":     "-> ../f",
		"m/abs":          "-> $DIR/m/sub/g",
		"m/round":        "-> ../m/f",
		"m/dangling":     "-> nothing",
		"m/ring":         "-> ring",
		"m/blob":         "-> ../blobs/b",
		"m/other":        "-> ../other",
		"m/out":          "-> " + outside + "/secret",
		"m/climb":        "-> ../../../../../../../../etc/passwd",
		"m/sub/hop":      "-> ../blob",
		"blobs/b":        "blob",
		"other/o":        "o",
		"other/in":       "-> o",
		"other/m":        "-> ../m",
		"alias":          "-> m/sub",
		"absalias":       "-> $DIR/other",
		"outalias":       "-> " + outside,
		"other/deep/out": "-> ../../../../etc/passwd",
	})
	z := newZoo(t, dir)
	got := tree(t, resolve(t, z, "m"))
	hidden := func(p string) {
		t.Helper()
		target, ok := strings.CutPrefix(got[p], "-> ")
		if !ok || providers.LinkInside(p, target) {
			t.Errorf("%s: got %q, want a link that the caller hides", p, got[p])
		}
		delete(got, p)
	}
	hidden("out")
	hidden("climb")
	hidden("other/deep/out")
	for p := range got {
		if strings.HasPrefix(p, "other/m") { // the ring of m and other, cut somewhere
			if target, link := strings.CutPrefix(got[p], "-> "); link && p == "other/m" && providers.LinkInside(p, target) {
				t.Errorf("%s: got a link to %q inside the model", p, target)
			}
			if strings.Count(p, "/") > 6 {
				t.Errorf("%s: the ring is not cut", p)
			}
			delete(got, p)
		}
	}
	expect(t, "m", got, map[string]string{
		"f": "f", "sub/g": "g", "plain": "-> sub/g", "up": "-> sub/../f", "sub/back": "-> ../f",
		"abs": "-> sub/g", "round": "-> f", "dangling": "-> nothing", "ring": "-> ring",
		"blob": "blob", "other/o": "o", "other/in": "-> o", "sub/hop": "blob",
	})
	expect(t, "alias", tree(t, resolve(t, z, "alias")), map[string]string{"g": "g", "back": "f", "hop": "blob"})
	if _, err := z.Resolve(t.Context(), "outalias", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("a model outside the root: got %v, want iofs.ErrNotExist", err)
	}
	resolve(t, z, "absalias")
	if _, err := providers.Stat(t.Context(), resolve(t, z, "m"), "out/secret"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("stat through a link outside: got %v, want iofs.ErrNotExist", err)
	}
	e := providers.Entry{Path: "out", Size: 1, Validator: "x"}
	if _, err := resolve(t, z, "m").ReadRange(t.Context(), e, 0, 1); !errors.Is(err, providers.ErrStale) {
		t.Errorf("read of a link outside: got %v, want ErrStale", err)
	}
	if l := list(t, z, ""); !slices.Contains(l, "alias") || slices.Contains(l, "outalias") {
		t.Errorf("list: got %q, want alias and not outalias", l)
	}
}

func TestGrafts(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	write(t, a, map[string]string{
		"store/17/marie.json":      `{"_name_or_path": "group/ner", "layers": 3}`,
		"store/17/model":           "m",
		"store/17/sub/link":        "-> ../model",
		"store/17/out":             "-> ../18/model",
		"store/18/marie.json":      `{"_name_or_path": "org/deep/name"}`,
		"store/18/model":           "n",
		"store/19/marie.json":      `{"_name_or_path": "group/real"}`,
		"group/real/model":         "the real path wins",
		"group/own/marie.json":     `{"_name_or_path": "group/own"}`,
		"bad/1/marie.json":         `{"_name_or_path": "../../etc"}`,
		"bad/2/marie.json":         `{"_name_or_path": "/abs"}`,
		"bad/3/marie.json":         `{"_name_or_path": 7}`,
		"bad/4/marie.json":         strings.Repeat("[", 100_000),
		"bad/5/marie.json":         `{"_name_or_path": "big", "x": "` + strings.Repeat("x", maxManifest) + `"}`,
		"bad/6/marie.json":         `{"_name_or_path": ""}`,
		"bad/7/marie.json":         "-> ../../store/17/marie.json",
		"1/2/3/4/5/6/7/marie.json": `{"_name_or_path": "deepest"}`,
		"1/2/3/4/5/6/marie.json":   `{"_name_or_path": "deep-enough"}`,
	})
	write(t, b, map[string]string{
		"x/marie.json": `{"_name_or_path": "group/ner"}`,
		"y/marie.json": `{"_name_or_path": "single"}`,
		"y/w":          "y",
	})
	z := newZoo(t, a, b)
	const ner = `{"_name_or_path": "group/ner", "layers": 3}`
	got := tree(t, resolve(t, z, "group"))
	expect(t, "group", got, map[string]string{
		"real/model": "the real path wins", "own/marie.json": `{"_name_or_path": "group/own"}`,
		"ner/marie.json": ner, "ner/model": "m", "ner/sub/link": "-> ../model", "ner/out": "n",
	})
	expect(t, "org/deep/name", tree(t, resolve(t, z, "org/deep/name")), map[string]string{
		"marie.json": `{"_name_or_path": "org/deep/name"}`, "model": "n",
	})
	expect(t, "below a graft", tree(t, resolve(t, z, "group/ner/sub")), map[string]string{"link": "m"})
	expect(t, "single", tree(t, resolve(t, z, "single")), map[string]string{
		"marie.json": `{"_name_or_path": "single"}`, "w": "y",
	})
	for _, name := range []string{"org", "org/deep"} {
		if _, err := z.Resolve(t.Context(), name, ""); !errors.Is(err, providers.ErrPartial) {
			t.Errorf("%s: got %v, want ErrPartial", name, err)
		}
	}
	for _, name := range []string{"etc", "abs", "big", "deepest", "org/other", "group/none", "..", ""} {
		if _, err := z.Resolve(t.Context(), name, ""); !errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%s: got %v, want iofs.ErrNotExist", name, err)
		}
	}
	if got, want := list(t, z, "org"), []string{"deep"}; !slices.Equal(got, want) {
		t.Errorf("list org: got %q, want %q", got, want)
	}
	for _, el := range []string{"org", "single", "group", "deep-enough", "store"} {
		if got := list(t, z, ""); !slices.Contains(got, el) {
			t.Errorf("list: got %q, want %s in it", got, el)
		}
	}
}

func TestGraftIndexIsBelievedForAWhile(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	z := newZoo(t, dir)
	z.grafts.now = func() time.Time { return now }
	resolves := func() bool { _, err := z.Resolve(t.Context(), "late", ""); return err == nil }
	if resolves() {
		t.Fatal("a name before its manifest")
	}
	write(t, dir, map[string]string{"d/marie.json": `{"_name_or_path": "late"}`})
	if now = now.Add(z.grafts.ttl - 1); resolves() {
		t.Error("the index was built anew before its time")
	}
	if now = now.Add(1); !resolves() {
		t.Error("the index was not built anew after its time")
	}
}

// A zoo that takes long to look through for names lists what its directories hold,
// and does not call a name absent before it knows.
func TestSlowGraftIndex(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"m/w": "x", "d/marie.json": `{"_name_or_path": "late"}`})
	z := newZoo(t, dir)
	z.grafts.patience = 0
	z.grafts.building = make(chan struct{}) // one that is not over yet
	if got, want := list(t, z, ""), []string{"d", "m"}; !slices.Equal(got, want) {
		t.Errorf("list: got %q, want %q", got, want)
	}
	if _, err := z.Resolve(t.Context(), "late", ""); !errors.Is(err, providers.ErrUnavailable) {
		t.Errorf("a name before the end of the build: got %v, want %v", err, providers.ErrUnavailable)
	}
	done := z.grafts.building
	z.grafts.build(t.Context(), done)
	if _, err := z.Resolve(t.Context(), "late", ""); err != nil {
		t.Errorf("a name after it: got %v", err)
	}
	z.grafts.slow, z.grafts.ttl = true, 0
	if _, err := z.Resolve(t.Context(), "none", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("absent, while a slow build is under way: got %v, want iofs.ErrNotExist", err)
	}
}

func TestChangesAreNoticed(t *testing.T) {
	for name, change := range map[string]func(p string) error{
		"rewritten": func(p string) error { return os.WriteFile(p, []byte("NEW CONTENT"), 0o644) },
		"rewritten with its old time": func(p string) error {
			fi, err := os.Stat(p)
			if err != nil {
				return err
			}
			return errors.Join(os.WriteFile(p, []byte("NEW CONTENT"), 0o644), os.Chtimes(p, fi.ModTime(), fi.ModTime()))
		},
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+".new", []byte("new content"), 0o644), os.Rename(p+".new", p))
		},
		"truncated":         func(p string) error { return os.Truncate(p, 3) },
		"removed":           os.Remove,
		"become a pipe":     func(p string) error { return errors.Join(os.Remove(p), syscall.Mkfifo(p, 0o644)) },
		"become a link out": func(p string) error { return errors.Join(os.Remove(p), os.Symlink("/etc/passwd", p)) },
		"model gone":        func(p string) error { return os.RemoveAll(filepath.Dir(p)) },
		"root gone":         func(p string) error { return os.RemoveAll(filepath.Dir(filepath.Dir(p))) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "root")
			write(t, dir, map[string]string{"m/f": "old content"})
			m := resolve(t, newZoo(t, dir), "m")
			e, err := providers.Stat(t.Context(), m, "f")
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Check(t.Context(), e); err != nil {
				t.Errorf("check before: got %v, want nil", err)
			}
			open, err := m.ReadRange(t.Context(), e, 0, e.Size)
			if err != nil {
				t.Fatal(err)
			}
			defer open.Close()
			first := make([]byte, 4)
			if _, err := io.ReadFull(open, first); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond) // a tick of the clock that stamps files
			if err := change(filepath.Join(dir, "m", "f")); err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(open)
			const old = "old content"
			if all := string(first) + string(rest); !strings.HasPrefix(old, all) || (err == nil) != (all == old) {
				t.Errorf("open reader: got %q, %v; want old bytes to the end or an error", all, err)
			}
			if err != nil && !errors.Is(err, providers.ErrStale) {
				t.Errorf("open reader: got %v, want ErrStale", err)
			}
			if err := m.Check(t.Context(), e); !errors.Is(err, providers.ErrChanged) {
				t.Errorf("check after: got %v, want ErrChanged", err)
			}
			if _, err := read(t.Context(), m, e); !errors.Is(err, providers.ErrStale) {
				t.Errorf("read after: got %v, want ErrStale", err)
			}
			if f, err := m.(providers.Opener).Open(t.Context(), e); !errors.Is(err, providers.ErrStale) {
				t.Errorf("open after: got %v, %v, want ErrStale", f, err)
			}
		})
	}
}

func TestSpecialFilesAreLeftOut(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"m/f": "f", "m/to-pipe": "-> ../pipe"})
	for _, p := range []string{"m/pipe", "pipe"} {
		if err := syscall.Mkfifo(filepath.Join(dir, p), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m := resolve(t, newZoo(t, dir), "m")
	expect(t, "m", tree(t, m), map[string]string{"f": "f"})
	if _, err := providers.Stat(t.Context(), m, "pipe"); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("stat: got %v, want iofs.ErrNotExist", err)
	}
	if err := os.Chmod(filepath.Join(dir, "m/f"), 0o755); err != nil {
		t.Fatal(err)
	}
	if e, err := providers.Stat(t.Context(), m, "f"); err != nil || e.Mode != 0o111 {
		t.Errorf("executable: got %v, %v; want mode 0111", e.Mode, err)
	}
}

func TestMissingRootIsEmpty(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "later")
	z := newZoo(t, dir)
	if _, err := z.Resolve(t.Context(), "m", ""); !errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("got %v, want iofs.ErrNotExist", err)
	}
	if got := list(t, z, ""); len(got) != 0 {
		t.Errorf("list: got %q, want nothing", got)
	}
	write(t, dir, map[string]string{"m/f": "f"})
	expect(t, "m", tree(t, resolve(t, z, "m")), map[string]string{"f": "f"})
}

// asNobody runs f on a thread that file permissions apply to.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		f()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestUnreadable(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	if err := os.Chmod(filepath.Dir(a), 0o755); err != nil { // it is 0700
		t.Fatal(err)
	}
	write(t, a, map[string]string{"m/f": "f", "m/dir/g": "g"})
	write(t, b, map[string]string{"n/f": "n"})
	z := newZoo(t, a, b)
	m := resolve(t, z, "m")
	for p, mode := range map[string]os.FileMode{"m/f": 0, "m/dir": 0} {
		if err := os.Chmod(filepath.Join(a, p), mode); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { // so that the directories can be removed by whoever runs this
		if err := errors.Join(os.Chmod(a, 0o755), os.Chmod(filepath.Join(a, "m/dir"), 0o755)); err != nil {
			t.Error(err)
		}
	})
	f, err := providers.Stat(t.Context(), m, "f")
	if err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		_, err := read(t.Context(), m, f)
		if !errors.Is(err, iofs.ErrPermission) || providers.Remedy(err) == "" {
			t.Errorf("file: got %v, want iofs.ErrPermission with a remedy", err)
		}
		if _, err := providers.Stat(t.Context(), m, "dir/g"); !errors.Is(err, iofs.ErrPermission) || errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("in a directory: got %v, want iofs.ErrPermission alone", err)
		}
		for _, err := range m.ReadDir(t.Context(), "dir") {
			if !errors.Is(err, iofs.ErrPermission) {
				t.Errorf("directory: got %v, want iofs.ErrPermission", err)
			}
		}
	})
	if err := os.Chmod(a, 0); err != nil {
		t.Fatal(err)
	}
	asNobody(t, func() {
		if _, err := z.Resolve(t.Context(), "m", ""); !errors.Is(err, iofs.ErrPermission) {
			t.Errorf("root: got %v, want iofs.ErrPermission", err)
		}
		if _, err := z.Resolve(t.Context(), "n", ""); err != nil {
			t.Errorf("the other root: got %v, want nil", err)
		}
	})
}

func TestConfig(t *testing.T) {
	home := t.TempDir()
	env := func(zoo string) providers.Env {
		return providers.Env{Getenv: func(k string) string { return map[string]string{"HOME": home, "MODELFS_ZOO": zoo}[k] }}
	}
	for name, c := range map[string]struct {
		env   string
		roots []string
		want  []string
	}{
		"default":     {"", nil, []string{home + "/models"}},
		"environment": {"/a:/b", nil, []string{"/a", "/b"}},
		"configured":  {"/a", []string{"/c/", "~/d"}, []string{"/c", home + "/d"}},
	} {
		p, err := New(env(c.env), Config{Roots: c.roots})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var got []string
		for _, r := range p.(*Zoo).roots {
			got = append(got, r.path)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	for _, bad := range []string{"", "relative", "~other/x"} {
		if err := (&Config{Roots: []string{bad}}).Check(); err == nil {
			t.Errorf("root %q: got no error", bad)
		}
	}
}

func TestNameOfPath(t *testing.T) {
	dir := t.TempDir()
	alias := filepath.Join(t.TempDir(), "alias")
	if err := os.Symlink(dir, alias); err != nil {
		t.Fatal(err)
	}
	z := newZoo(t, alias)
	for p, want := range map[string]string{
		dir + "/m/f": "m/f", alias + "/m": "m", dir: "", dir + "/../x": "", "/etc/passwd": "", dir + "x/m": "",
	} {
		name, rest, ok := z.NameOfPath(p)
		if got := strings.TrimSuffix(name+"/"+rest, "/"); got != want || ok != (want != "") || strings.Contains(name, "/") {
			t.Errorf("%s: got %q, %q, %v; want %q", p, name, rest, ok, want)
		}
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{`{"_name_or_path":"a/b"}`, `{"_name_or_path":"../x"}`, `[`, ``, `{"_name_or_path":"a\u0000"}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if name, err := parseName(data); err == nil && providers.ValidPath(name) != nil {
			t.Errorf("got %q, which is no path", name)
		}
	})
}
