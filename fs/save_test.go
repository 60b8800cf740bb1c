package fs_test

import (
	"context"
	"fmt"
	"io"
	iofs "io/fs"
	"iter"
	"os"
	"testing"
	"time"

	"modelfs/fs"
	"modelfs/providers"
)

// walking lists its models in one go.
type walking struct{ providers.Provider }

type walkingModel struct{ providers.Model }

func (w walking) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := w.Provider.Resolve(ctx, name, ref)
	if err != nil {
		return nil, err
	}
	return walkingModel{m}, nil
}

func (m walkingModel) Walk(ctx context.Context) iter.Seq2[providers.Entry, error] {
	return providers.Walk(ctx, m.Model)
}

// TestWhatWasLearnedLastIsKept ends a mount at once after something was learned.
func TestWhatWasLearnedLastIsKept(t *testing.T) {
	for _, walk := range []bool{false, true} {
		src := newSource()
		src.Publish("m", "", files("f", "x", "d/g", "y"))
		var p providers.Provider = src
		if walk {
			p = walking{src}
		}
		r := mounted(t, src, func(o *fs.Options) { guarded(o, p) })
		r.want("m/f", "x")
		r.want("m/d/g", "y")
		r.sealed("m/f")
		r.stop()
		src.Fail(fmt.Errorf("down: %w", providers.ErrUnavailable))
		r.start()
		for range 2 { // what was remembered is not lost by being used
			r.want("m/f", "x")
			r.want("m/d/g", "y")
			r.restart()
		}
	}
}

// many is a source of one revision with more files than one record keeps.
type many struct{}

const manyFiles = 250_010

func (many) Resolve(context.Context, string, string) (providers.Model, error) {
	var es []providers.Entry
	for i := range manyFiles {
		es = append(es, providers.Entry{Path: fmt.Sprintf("d%d/f%d", i/1000, i), Size: 1, Validator: "v"})
	}
	return manyModel{providers.NewTree(es)}, nil
}

type manyModel struct{ tree *providers.Tree }

func (manyModel) Origin() providers.Origin {
	return providers.Origin{Protocol: "mem", Name: "m", Ref: "rev", Revision: "rev", Immutable: true}
}

func (m manyModel) Walk(context.Context) iter.Seq2[providers.Entry, error] { return m.tree.Walk() }

func (m manyModel) ReadDir(_ context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return m.tree.ReadDir(dir)
}
func (manyModel) Check(context.Context, providers.Entry) error { return nil }
func (manyModel) ReadRange(context.Context, providers.Entry, int64, int64) (io.ReadCloser, error) {
	return nil, providers.ErrUnavailable
}

var _ providers.Walker = manyModel{}

// TestARecordOfAPartIsNoWhole restarts a mount of a model too large to be kept whole.
func TestARecordOfAPartIsNoWhole(t *testing.T) {
	r := mounted(t, newSource(), func(o *fs.Options) {
		o.LookupTimeout = 30 * time.Second
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: many{}}}
	})
	last := func() {
		t.Helper()
		// The last of all, and one whose directory is surely not remembered.
		for _, i := range []int{manyFiles - 1, 123_456} {
			if _, err := os.Stat(r.path(fmt.Sprintf("m@rev/d%d/f%d", i/1000, i))); err != nil {
				t.Errorf("%v (absent: %v)", err, os.IsNotExist(err))
			}
		}
	}
	if _, err := os.Stat(r.path("m@rev/d0/f0")); err != nil {
		t.Fatal(err)
	}
	r.restart()
	last()
	r.restart()
	last()
	if _, err := os.Stat(r.path("m@rev/nope")); !os.IsNotExist(err) {
		t.Errorf("%v, want %v", err, iofs.ErrNotExist)
	}
}
