package providertest

import (
	"errors"
	iofs "io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"modelfs/providers"
)

func testResolution(t *testing.T, f *fixture) {
	m := f.model(t)
	o := m.Origin()
	if f.Protocol != "" && o.Protocol != f.Protocol {
		t.Errorf("origin: got protocol %q, want %q", o.Protocol, f.Protocol)
	}
	if o.Name == "" || o.Ref != f.Ref {
		t.Errorf("origin: got name %q and ref %q, want a name and %q", o.Name, o.Ref, f.Ref)
	}
	if again := f.model(t).Origin(); again != o {
		t.Errorf("resolved again: got %+v, want %+v", again, o)
	}
	if o.Revision == "" {
		return
	}
	pinned, err := f.Provider.Resolve(t.Context(), f.Name, o.Revision)
	if err != nil {
		t.Fatalf("resolve at revision %s: %v", o.Revision, err)
	}
	if p := pinned.Origin(); p.Revision != o.Revision || !p.Immutable {
		t.Errorf("at its revision: got %+v, want revision %s, immutable", p, o.Revision)
	}
	if o.Immutable && o.Ref != o.Revision {
		t.Errorf("origin of ref %q says that it is immutable", o.Ref)
	}
}

func testAbsence(t *testing.T, f *fixture) {
	_, err := f.Provider.Resolve(t.Context(), f.Absent, "")
	f.fails(t, "absent name", err, absent...)
	_, err = f.Provider.Resolve(t.Context(), f.Name, "no-such-ref")
	f.fails(t, "absent ref", err, absent...)
	if f.Partial != "" {
		_, err = f.Provider.Resolve(t.Context(), f.Partial, "")
		f.fails(t, "partial name", err, providers.ErrPartial)
	}
	m := f.model(t)
	file, _, _ := strings.Cut(f.inDir(t), "/")
	for _, p := range []string{"absent", file + "/absent", "absent/absent", f.big() + "/absent"} {
		_, err := providers.Stat(t.Context(), m, p)
		f.fails(t, "stat "+p, err, absent...)
		got := 0
		for _, err := range m.ReadDir(t.Context(), p) {
			f.fails(t, "list "+p, err, absent...)
			got++
		}
		if got != 1 {
			t.Errorf("list %s: got %d elements, want one error", p, got)
		}
	}
}

func testListing(t *testing.T, f *fixture) {
	m := f.model(t)
	files, links := map[string]bool{}, map[string]string{}
	for e, err := range providers.Walk(t.Context(), m) {
		if err != nil {
			t.Fatalf("walk: %v", err)
		}
		switch {
		case providers.ValidPath(e.Path) != nil || slices.Contains(f.Hidden, e.Path):
		case e.IsSymlink():
			links[e.Path] = e.Target
		case files[e.Path]:
			t.Errorf("%s is listed twice", e.Path)
		default:
			files[e.Path] = true
			if want := int64(len(f.Files[e.Path])); e.Size != want && e.Size != providers.SizeUnknown {
				t.Errorf("%s: got size %d, want %d", e.Path, e.Size, want)
			}
			// Without a size it is but a name: Stat tells the rest.
			if e.Size != providers.SizeUnknown && e.Digest == "" && e.Validator == "" {
				t.Errorf("%s has neither digest nor validator", e.Path)
			}
		}
	}
	got, want := slices.Sorted(maps.Keys(files)), slices.Sorted(maps.Keys(f.Files))
	if !slices.Equal(got, want) {
		t.Errorf("walk: got files %q, want %q", got, want)
	}
	if !maps.Equal(links, f.Links) {
		t.Errorf("walk: got links %q, want %q", links, f.Links)
	}
	n := 0
	for _, err := range m.ReadDir(t.Context(), "") {
		if err != nil {
			t.Errorf("a listing that is left early: got %v", err)
		}
		n++
		break
	}
	if n != 1 {
		t.Errorf("a listing that is left early: got %d elements, want 1", n)
	}
}

// testStat holds Stat to what the listings say.
func testStat(t *testing.T, f *fixture) {
	m := f.model(t)
	if root := entry(t, m, ""); !root.IsDir() || root.Path != "" {
		t.Errorf("stat of the root: got %+v, want a directory", root)
	}
	visited := map[string]bool{}
	var visit func(dir string)
	visit = func(dir string) {
		for e, err := range m.ReadDir(t.Context(), dir) {
			if err != nil {
				t.Fatalf("list %q: %v", dir, err)
			}
			if providers.ValidPath(e.Path) != nil {
				continue
			}
			is := entry(t, m, e.Path)
			if is.Path != e.Path || is.Mode != e.Mode || is.Target != e.Target {
				t.Errorf("stat %s: got %+v, want as listed %+v", e.Path, is, e)
			}
			if e.Mode.IsRegular() && !slices.Contains(f.Hidden, e.Path) {
				visited[e.Path] = true
			}
			switch {
			case e.IsDir():
				visit(e.Path)
			case e.Size != providers.SizeUnknown && (is.Size != e.Size || is.Identity() != e.Identity()):
				t.Errorf("stat %s: got %d bytes %s, want as listed %d bytes %s", e.Path, is.Size, is.Identity(), e.Size, e.Identity())
			case is.Size < 0:
				t.Errorf("stat %s: got size %d", e.Path, is.Size)
			}
		}
	}
	visit("")
	got, want := slices.Sorted(maps.Keys(visited)), slices.Sorted(maps.Keys(f.Files))
	if !slices.Equal(got, want) {
		t.Errorf("directory by directory: got files %q, want %q", got, want)
	}
}

// testNames holds a Lister to yielding elements that names can have, the fixture's
// among them or not: a source may list less than it resolves.
func testNames(t *testing.T, f *fixture) {
	l, ok := providers.As[providers.Lister](f.Provider)
	if !ok {
		t.Log("does not apply: the source does not list its names")
		return
	}
	first, _, _ := strings.Cut(f.Name, "/")
	for _, prefix := range []string{"", first, f.Absent} {
		seen := map[string]bool{}
		for el, err := range l.List(t.Context(), prefix) {
			switch {
			case err != nil && prefix == f.Absent && errors.Is(err, iofs.ErrNotExist):
			case err != nil:
				t.Errorf("list of names below %q: %v", prefix, err)
			case el == "" || seen[el]:
				t.Errorf("list of names below %q: got %q, empty or twice", prefix, el)
			}
			seen[el] = true
		}
	}
	for el, err := range l.List(t.Context(), "") {
		if err != nil {
			t.Errorf("a list that is left early: got %q, %v", el, err)
		}
		break
	}
}

// testHostilePaths asks for paths that must never be more than absent.
func testHostilePaths(t *testing.T, f *fixture) {
	m := f.model(t)
	dir, _, _ := strings.Cut(f.inDir(t), "/")
	for _, p := range []string{
		"..", "../" + dir, dir + "/../..", "/etc/passwd", "../../../../../../etc/passwd", ".", dir + "//x",
		"q\x00r", "\xfe", strings.Repeat("x", 256), strings.Repeat("x/", 3000) + "x", "%2e%2e/x", "a?b#c", `..\..`,
	} {
		if _, err := providers.Stat(t.Context(), m, p); err == nil {
			t.Errorf("stat %.40q: got an entry", p)
		} else if errors.Is(err, providers.ErrUnavailable) {
			t.Errorf("stat %.40q: got %v, want an answer", p, err)
		}
		for e, err := range m.ReadDir(t.Context(), p) {
			if err == nil {
				t.Errorf("list %.40q: got %q", p, e.Path)
			}
		}
		if got, err := read(t.Context(), m, providers.Entry{Path: p, Size: 1, Validator: "x"}, 0, 1); err == nil {
			t.Errorf("read %.40q: got %q", p, got)
		}
	}
	for _, name := range []string{"..", "../x", "a/../..", ".", "", "\x00", "a\nb", strings.Repeat("x", 300), "%2e%2e", "a?b#c", "-x"} {
		m, err := f.Provider.Resolve(t.Context(), name, "")
		if m != nil && err == nil {
			t.Errorf("resolve %.40q: got a model", name)
		} else if !errors.Is(err, iofs.ErrNotExist) && !errors.Is(err, iofs.ErrPermission) && !errors.Is(err, providers.ErrPartial) {
			t.Errorf("resolve %.40q: got %v, want an answer", name, err)
		}
	}
	for _, ref := range []string{"..", "../x", "a b", "\x00", "-x", "refs/../x", strings.Repeat("x", 300)} {
		if m, err := f.Provider.Resolve(t.Context(), f.Name, ref); err == nil {
			t.Errorf("resolve at ref %.40q: got %+v", ref, m.Origin())
		}
	}
}
