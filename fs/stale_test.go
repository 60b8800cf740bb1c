package fs_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"modelfs/fs"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

// TestAStaleReadHasTheNextOpenAsk replaces a file within the TTL: its source refuses
// the old content, and that is reason enough to ask.
func TestAStaleReadHasTheNextOpenAsk(t *testing.T) {
	for _, live := range []bool{true, false} {
		src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: live, NoDigests: live})
		rev := src.Publish("m", "", files("f", "old"))
		r := mounted(t, src, func(o *fs.Options) { o.TTL = time.Hour; o.Hold = time.Hour })
		if _, err := os.Stat(r.path("m/f")); err != nil {
			t.Fatal(err)
		}
		src.Publish("m", "", files("f", "newer"))
		if !live {
			src.Forget("m", rev)
		}
		r.wantErr("m/f", syscall.ESTALE)
		for range 3 {
			r.want("m/f", "newer")
		}
	}
}

// denying is a source that says of everything that it is there, and serves nothing.
type denying struct{ providers.Provider }

type denyingModel struct{ providers.Model }

func (d denying) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := d.Provider.Resolve(ctx, name, ref)
	return denyingModel{m}, err
}

func (denyingModel) ReadRange(context.Context, providers.Entry, int64, int64) (io.ReadCloser, error) {
	return nil, providers.ErrStale
}

// TestContentThatNeverWas reads what its source lists and confirms, but has not got:
// to open it again would never help.
func TestContentThatNeverWas(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	r := mounted(t, src, func(o *fs.Options) {
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: denying{src}}}
	})
	r.wantErr("m/f", syscall.ESTALE)
	for range 3 {
		r.wantErr("m/f", syscall.EIO)
	}
	if !strings.Contains(r.log.String(), "does not serve it") {
		t.Error("the log does not say why")
	}
}

// slowly is a source that always sends, but takes its time for all of a file.
type slowly struct{ providers.Provider }

type slowModel struct{ providers.Model }

type slowBody struct{ io.ReadCloser }

func (s slowly) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := s.Provider.Resolve(ctx, name, ref)
	return slowModel{m}, err
}

func (m slowModel) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	rc, err := m.Model.ReadRange(ctx, e, off, n)
	return slowBody{rc}, err
}

func (b slowBody) Read(p []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return b.ReadCloser.Read(p[:min(len(p), 1<<18)])
}

func TestStrictWaitsWhileBlocksArrive(t *testing.T) {
	src := newSource()
	big := random(12<<20, 9)
	src.Publish("m", "", files("f", big))
	r := mounted(t, src, func(o *fs.Options) {
		o.ReadTimeout = 1500 * time.Millisecond // no block takes as long
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: &strictly{slowly{src}}}}
	})
	began := time.Now()
	r.want("m/f", big)
	t.Logf("all of it took %v", time.Since(began))
}

// TestRejectedPagesAreNotServed has bytes rejected that the kernel keeps pages of, and
// then fetched rightly by another name.
func TestRejectedPagesAreNotServed(t *testing.T) {
	src := newSource()
	good := random(3<<20, 5)
	src.Publish("m", "", files("f", good))
	fa := providertest.NewFaulty(src)
	r := mounted(t, src, func(o *fs.Options) {
		o.TTL = time.Hour
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: fa}}
		o.CanPass = func(int) bool { return false }
	})
	fa.Next("read", 1, providertest.Fault{Flip: 100})
	_, err := os.ReadFile(r.path("m/f"))
	if err != nil && !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	r.want("m@main/f", good)
	r.want("m/f", good)
}
