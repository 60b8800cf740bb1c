package providertest

import (
	"context"
	"errors"
	"io"
	iofs "io/fs"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"modelfs/providers"
)

// A Fixture is one source with one model of known content.
type Fixture struct {
	// Provider is the instance under test.
	Provider providers.Provider
	// Protocol is what its origins and errors must say; unchecked if empty.
	Protocol string
	// Name and Ref are the model's; an empty Ref is the default one.
	Name, Ref string
	// Files are all regular files of the model. At least one must be of more
	// than 64 bytes and one in a directory; an empty one is welcome.
	Files map[string]string
	// Links are its symbolic links with their targets, if the source has any.
	Links map[string]string
	// Hidden are names that the source holds and that cannot be files: they
	// must be yielded, whatever their paths look like, or left out, and do no
	// harm.
	Hidden []string
	// Partial is the beginning of a name that is no model; none if empty.
	Partial string
	// Absent is a name that the source does not have; "absent-model" if empty.
	Absent string
	// Known is set where the configuration alone says which names there are: their
	// absence is then no matter of the source's.
	Known bool

	// Rewrite gives one file of the model new content of the same length, at
	// the model's ref. Nil if the source cannot change.
	Rewrite func(t *testing.T, path, content string)
	// Remove takes one file out of the model, at its ref. May be nil.
	Remove func(t *testing.T, path string)
	// Down makes the source unreachable. May be nil.
	Down func(t *testing.T)
	// Fails are further ways in which the source can fail to answer whatever it is
	// asked: a login page, a broken gateway. Each must be ErrUnavailable.
	Fails map[string]func(t *testing.T)
	// Hang makes the source take questions and answer none. May be nil.
	Hang func(t *testing.T)
	// Refuse makes the source refuse the credentials that it was given. May be nil.
	Refuse func(t *testing.T)

	// Refs are further refs of the model, with their files.
	Refs map[string]map[string]string
	// Reopen makes another instance, as a new process would. May be nil.
	Reopen func(t *testing.T) providers.Provider
	// Secrets are what the provider was given to prove who it is: nothing that it
	// says may hold one.
	Secrets []string
	// Leaked tells credentials that came to other hosts than those they are for.
	// May be nil.
	Leaked func() []string
	// Logged is what was written to Env.Log. May be nil.
	Logged func() string
}

// Options are what [Run] needs to know.
type Options struct {
	// New makes a fresh source; it cleans up after itself with t.Cleanup.
	New func(t *testing.T) Fixture
}

// A check is one part of the contract.
type check struct {
	name string
	test func(*testing.T, *fixture)
}

var checks = []check{
	{"resolution", testResolution},
	{"refs", testRefs},
	{"absence", testAbsence},
	{"listing", testListing},
	{"stat", testStat},
	{"names", testNames},
	{"ranges", testRanges},
	{"listed entries", testListed},
	{"whole files", testWhole},
	{"local files", testLocalFiles},
	{"digests", testDigests},
	{"facts", testFacts},
	{"hostile paths", testHostilePaths},
	{"unchanged", testUnchanged},
	{"rewritten", testRewritten},
	{"removed", testRemoved},
	{"pinned revision", testPinned},
	{"change under a reader", testChangeUnderReader},
	{"another process", testReopened},
	{"cancellation", testCancellation},
	{"silence", testSilence},
	{"concurrency", testConcurrency},
	{"down", testDown},
	{"failures", testFailures},
	{"credentials", testCredentials},
	{"refused credentials", testRefused},
	{"guarded", testGuarded},
}

// Run checks that a provider keeps the contract, and what it offers beyond it. Each
// subtest has a fresh source and reports all that it finds.
func Run(t *testing.T, opts Options) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) { c.test(t, newFixture(t, opts.New, 15*time.Second)) })
	}
}

// fixture is a Fixture under test.
type fixture struct {
	Fixture
	fresh    func(*testing.T) Fixture
	patience time.Duration // how long a source may take to tell a change, or to give up
}

func newFixture(t *testing.T, fresh func(*testing.T) Fixture, patience time.Duration) *fixture {
	t.Helper()
	f := &fixture{Fixture: fresh(t), fresh: fresh, patience: patience}
	if f.Absent == "" {
		f.Absent = "absent-model"
	}
	return f
}

// model resolves the fixture's model.
func (f *fixture) model(t *testing.T) providers.Model {
	t.Helper()
	m, err := f.Provider.Resolve(t.Context(), f.Name, f.Ref)
	if err != nil {
		t.Fatalf("resolve %s@%s: %v", f.Name, f.Ref, err)
	}
	return m
}

// entry finds the entry of path.
func entry(t *testing.T, m providers.Model, path string) providers.Entry {
	t.Helper()
	e, err := providers.Stat(t.Context(), m, path)
	if err != nil {
		t.Fatalf("stat %s: %v", path, err)
	}
	return e
}

// big returns the path of the longest file.
func (f *fixture) big() string {
	return slices.MaxFunc(slices.Sorted(maps.Keys(f.Files)), func(a, b string) int { return len(f.Files[a]) - len(f.Files[b]) })
}

// inDir returns the path of a file in a directory.
func (f *fixture) inDir(t *testing.T) string {
	t.Helper()
	for _, p := range slices.Sorted(maps.Keys(f.Files)) {
		if strings.Contains(p, "/") {
			return p
		}
	}
	t.Fatal("the fixture has no file in a directory")
	return ""
}

// read reads a range, of a source without ranges as its callers do: all of the file.
func read(ctx context.Context, m providers.Model, e providers.Entry, off, n int64) (string, error) {
	rc, err := m.ReadRange(ctx, e, off, n)
	if errors.Is(err, providers.ErrWhole) && n < e.Size {
		all, err := read(ctx, m, e, 0, e.Size)
		if err != nil || int64(len(all)) != e.Size {
			return all, err
		}
		return all[off : off+n], nil
	}
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(rc)
	return string(b), errors.Join(err, rc.Close())
}

// fails checks that err is one of the sentinels, and at the provider's edge an
// *Error with what was asked.
func (f *fixture) fails(t *testing.T, what string, err error, sentinels ...error) {
	t.Helper()
	if !slices.ContainsFunc(sentinels, func(s error) bool { return errors.Is(err, s) }) {
		t.Errorf("%s: got %v, want one of %v", what, err, sentinels)
		return
	}
	var e *providers.Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("%s: got a %T, want a *providers.Error around it", what, err)
	case e.Op == "" || (f.Protocol != "" && e.Protocol != f.Protocol):
		t.Errorf("%s: the error says op %q of %q, want an op of %q", what, e.Op, e.Protocol, f.Protocol)
	}
}

// eventually waits for a change that a source may tell with a delay.
func (f *fixture) eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(f.patience); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, f.patience)
		}
	}
}

// changed returns content of the same length in which no byte is the same.
func changed(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = 'A' + (b[i]+1)%26
		if b[i] == s[i] {
			b[i]++
		}
	}
	return string(b)
}

var absent = []error{iofs.ErrNotExist}
