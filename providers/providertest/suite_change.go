package providertest

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"modelfs/providers"
)

// testUnchanged holds that what did not change is said not to have.
func testUnchanged(t *testing.T, f *fixture) {
	m := f.model(t)
	for p := range f.Files {
		e := entry(t, m, p)
		if err := m.Check(t.Context(), e); err != nil {
			t.Errorf("check %s: got %v, want nil", p, err)
		}
		if is := entry(t, f.model(t), p); is.Identity() != e.Identity() {
			t.Errorf("%s: got identity %s, then %s", p, e.Identity(), is.Identity())
		}
	}
}

func testRewritten(t *testing.T, f *fixture) {
	if f.Rewrite == nil {
		t.Log("does not apply: the source cannot change a file")
		return
	}
	m, p := f.model(t), f.big()
	old, e := f.Files[p], entry(t, m, p)
	f.Rewrite(t, p, changed(old))
	f.eventually(t, "check of a rewritten file says so", func() bool { return m.Check(t.Context(), e) != nil })
	f.fails(t, "check of a rewritten file", m.Check(t.Context(), e), providers.ErrChanged)
	if m.Origin().Revision != "" {
		if now := f.model(t).Origin().Revision; now == m.Origin().Revision {
			t.Errorf("the ref still means revision %s", now)
		}
	}
	fresh := f.model(t)
	is := entry(t, fresh, p)
	if is.Identity() == e.Identity() {
		t.Errorf("other content has the same identity %s", e.Identity())
	}
	if got, err := read(t.Context(), fresh, is, 0, is.Size); err != nil || got != changed(old) {
		t.Errorf("resolved again: got %.60q, %v; want the new content", got, err)
	}
	if got, err := read(t.Context(), m, e, 0, e.Size); err == nil && got != old {
		t.Errorf("the old entry: got %.60q, want the old content or ErrStale", got)
	} else if err != nil {
		f.fails(t, "read of the old entry", err, providers.ErrStale)
	}
	for other := range f.Files {
		if other != p && entry(t, fresh, other).Identity() != entry(t, m, other).Identity() {
			t.Errorf("%s did not change, but its identity did", other)
		}
	}
}

func testRemoved(t *testing.T, f *fixture) {
	if f.Remove == nil {
		t.Log("does not apply: the source cannot remove a file")
		return
	}
	m, p := f.model(t), f.inDir(t)
	e := entry(t, m, p)
	f.Remove(t, p)
	f.eventually(t, "check of a removed file says so", func() bool { return m.Check(t.Context(), e) != nil })
	f.fails(t, "check of a removed file", m.Check(t.Context(), e), providers.ErrChanged)
	_, err := providers.Stat(t.Context(), f.model(t), p)
	f.fails(t, "stat of a removed file", err, absent...)
	if got, err := read(t.Context(), m, e, 0, e.Size); err == nil && got != f.Files[p] {
		t.Errorf("the old entry: got %.60q, want the old content or ErrStale", got)
	} else if err != nil {
		f.fails(t, "read of the old entry", err, providers.ErrStale)
	}
}

// testPinned holds that a revision stays what it is when the ref moves on.
func testPinned(t *testing.T, f *fixture) {
	revision := f.model(t).Origin().Revision
	if revision == "" || f.Rewrite == nil {
		t.Log("does not apply: the source has no revisions, or cannot change")
		return
	}
	m, err := f.Provider.Resolve(t.Context(), f.Name, revision)
	if err != nil {
		t.Fatal(err)
	}
	p := f.big()
	e := entry(t, m, p)
	f.Rewrite(t, p, changed(f.Files[p]))
	if err := m.Check(t.Context(), e); err != nil {
		t.Errorf("check of a pinned model: got %v, want nil", err)
	}
	if is := entry(t, m, p); is.Identity() != e.Identity() {
		t.Errorf("stat in a pinned model: got %s, want %s", is.Identity(), e.Identity())
	}
	if got, err := read(t.Context(), m, e, 0, e.Size); err != nil || got != f.Files[p] {
		t.Errorf("read of a pinned model: got %.60q, %v; want the old content", got, err)
	}
	if f.Remove != nil {
		f.Remove(t, p)
	}
	again, err := f.Provider.Resolve(t.Context(), f.Name, revision)
	if err != nil {
		t.Fatalf("resolve at the old revision: %v", err)
	}
	for what, m := range map[string]providers.Model{"pinned model": m, "model of the old revision": again} {
		if got, want := f.walked(t, m), slices.Sorted(maps.Keys(f.Files)); !slices.Equal(got, want) {
			t.Errorf("walk of a %s: got %q, want %q", what, got, want)
		}
	}
}

// walked are the regular files of m whose names can be, in order.
func (f *fixture) walked(t *testing.T, m providers.Model) []string {
	t.Helper()
	var out []string
	for e, err := range providers.Walk(t.Context(), m) {
		if err != nil {
			t.Fatalf("walk: %v", err)
		}
		if e.Mode.IsRegular() && providers.ValidPath(e.Path) == nil && !slices.Contains(f.Hidden, e.Path) {
			out = append(out, e.Path)
		}
	}
	slices.Sort(out)
	return out
}

// testRefs holds further refs of the model to what the source has there.
func testRefs(t *testing.T, f *fixture) {
	if len(f.Refs) == 0 {
		t.Log("does not apply: the source has one ref")
		return
	}
	revision := f.model(t).Origin().Revision
	for ref, files := range f.Refs {
		m, err := f.Provider.Resolve(t.Context(), f.Name, ref)
		if err != nil {
			t.Errorf("resolve at %s: %v", ref, err)
			continue
		}
		if o := m.Origin(); o.Ref != ref || (o.Revision == "") != (revision == "") {
			t.Errorf("at %s: got %+v, want that ref, and a revision if there are any", ref, o)
		}
		if got, want := f.walked(t, m), slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
			t.Errorf("walk at %s: got %q, want %q", ref, got, want)
		}
		for p, want := range files {
			e := entry(t, m, p)
			if got, err := read(t.Context(), m, e, 0, e.Size); len(want) > 0 && (err != nil || got != want) {
				t.Errorf("%s at %s: got %.60q, %v; want %.60q", p, ref, got, err, want)
			}
		}
	}
}

// testReopened holds that what an entry says is enough for another process.
func testReopened(t *testing.T, f *fixture) {
	if f.Reopen == nil {
		t.Log("does not apply: the source cannot be opened again")
		return
	}
	old := f.model(t)
	kept := map[string]providers.Entry{}
	for p := range f.Files {
		text, err := json.Marshal(entry(t, old, p))
		var e providers.Entry
		if err = errors.Join(err, json.Unmarshal(text, &e)); err != nil {
			t.Fatal(err)
		}
		kept[p] = e
	}
	f.Provider = f.Reopen(t)
	m := f.model(t)
	if was, is := old.Origin(), m.Origin(); was != is {
		t.Errorf("another instance: got origin %+v, want %+v", is, was)
	}
	for p, e := range kept {
		if is := entry(t, m, p); is.Identity() != e.Identity() {
			t.Errorf("%s: got identity %s, want %s", p, is.Identity(), e.Identity())
		}
		if err := m.Check(t.Context(), e); err != nil {
			t.Errorf("check of a kept entry of %s: got %v, want nil", p, err)
		}
		if got, err := read(t.Context(), m, e, 0, e.Size); e.Size > 0 && (err != nil || got != f.Files[p]) {
			t.Errorf("read of a kept entry of %s: got %.60q, %v; want its content", p, got, err)
		}
	}
}

// testChangeUnderReader rewrites a file while a body of it is half read.
func testChangeUnderReader(t *testing.T, f *fixture) {
	if f.Rewrite == nil {
		t.Log("does not apply: the source cannot change a file")
		return
	}
	m, p := f.model(t), f.big()
	old, e := f.Files[p], entry(t, m, p)
	rc, err := m.ReadRange(t.Context(), e, 0, e.Size)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	head := make([]byte, len(old)/3)
	if _, err := io.ReadFull(rc, head); err != nil {
		t.Fatal(err)
	}
	f.Rewrite(t, p, changed(old))
	tail, err := io.ReadAll(rc)
	got := string(head) + string(tail)
	if !strings.HasPrefix(old, got) {
		t.Errorf("got %.60q… of two contents", got)
	}
	if err == nil && got != old {
		t.Errorf("got %d of %d bytes and no error", len(got), len(old))
	}
	// The next range of the handle that read the one before.
	off := e.Size / 2
	if got, err := read(t.Context(), m, e, off, e.Size-off); err == nil && got != old[off:] {
		t.Errorf("the next range: got %.60q, want old content or ErrStale", got)
	} else if err != nil {
		f.fails(t, "the next range", err, providers.ErrStale)
	}
}
