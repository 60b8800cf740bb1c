package fs_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"modelfs/fs"
	"modelfs/providers"
	"modelfs/providers/providertest"
)

// guarded makes a source the protocol mem behind a guard, as a real mount has it.
func guarded(o *fs.Options, p providers.Provider) {
	o.Protocols = []fs.Protocol{{Name: "mem", Provider: providers.Guard(p, providers.GuardOptions{
		Protocol: "mem", Timeout: o.LookupTimeout, ReadTimeout: o.ReadTimeout,
	})}}
}

func hang(f *providertest.Faulty, ops ...string) {
	for _, op := range ops {
		f.Always(op, providertest.Fault{Hang: true})
	}
}

// TestSilentSource asks a source that neither answers nor refuses: what is known is
// served within the deadline of a lookup, before and after a restart.
func TestSilentSource(t *testing.T) {
	for _, live := range []bool{false, true} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			src := providertest.NewMemory(providertest.MemoryOptions{Protocol: "mem", NoRevisions: live, NoDigests: live})
			src.Publish("m", "", files("f", "cached", "d/g", "cached too"))
			fa := providertest.NewFaulty(src)
			r := mounted(t, src, func(o *fs.Options) {
				o.LookupTimeout, o.ReadTimeout = 1500*time.Millisecond, 1500*time.Millisecond
				guarded(o, fa)
			})
			r.want("m/f", "cached")
			r.want("m/d/g", "cached too")
			if _, err := os.ReadDir(r.path("m/d")); err != nil {
				t.Fatal(err)
			}
			r.sealed("m/f")
			time.Sleep(400 * time.Millisecond) // until it is remembered
			hang(fa, "resolve", "check", "stat", "list")
			for _, restarted := range []bool{false, true} {
				if restarted {
					r.restart()
				}
				r.settle()
				r.want("m/f", "cached")
				r.want("m/d/g", "cached too")
				if es, err := os.ReadDir(r.path("m/d")); err != nil || len(es) != 1 {
					t.Errorf("restarted=%v: list: %v, %v", restarted, es, err)
				}
			}
		})
	}
}

// TestSilentAboutTheUnknown asks for what nothing is remembered of.
func TestSilentAboutTheUnknown(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", "x"))
	fa := providertest.NewFaulty(src)
	r := mounted(t, src, func(o *fs.Options) {
		o.LookupTimeout = 500 * time.Millisecond
		guarded(o, fa)
	})
	hang(fa, "resolve")
	began := time.Now()
	if _, err := os.Stat(r.path("m/f")); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	if d := time.Since(began); d > 2*time.Second {
		t.Errorf("it took %v, want half a second", d)
	}
}

// TestTheDeadlineOfAReadIsNotDoubled reads where the kernel, too, repeats what failed.
func TestTheDeadlineOfAReadIsNotDoubled(t *testing.T) {
	src := newSource()
	src.Publish("m", "", files("f", random(4<<20, 4)))
	fa := providertest.NewFaulty(src)
	// Without a guard, whose own deadline would be remembered by the cache.
	r := mounted(t, src, func(o *fs.Options) {
		o.ReadTimeout = time.Second
		o.Protocols = []fs.Protocol{{Name: "mem", Provider: fa}}
	})
	f, err := os.Open(r.path("m/f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	hang(fa, "read")
	began := time.Now()
	if _, err := f.Read(make([]byte, 1<<20)); !errors.Is(err, syscall.EIO) {
		t.Errorf("got %v, want EIO", err)
	}
	if d := time.Since(began); d > 1800*time.Millisecond {
		t.Errorf("it took %v, want one second", d)
	}
}
