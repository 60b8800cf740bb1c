package providertest

import (
	"io"
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
	eventually(t, "check of a rewritten file says so", func() bool { return m.Check(t.Context(), e) != nil })
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
	eventually(t, "check of a removed file says so", func() bool { return m.Check(t.Context(), e) != nil })
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
}
