package fs

import (
	"math/rand/v2"
	"testing"
)

const mib = 1 << 20

func TestReadaheadGrowsWithAStream(t *testing.T) {
	var r readahead
	if got := r.read(0, mib); got != 0 {
		t.Errorf("first read: %d ahead, want none: a header is often all that is wanted", got)
	}
	last := int64(0)
	for off := int64(mib); off < 64*mib; off += mib {
		got := r.read(off, mib)
		if got < last {
			t.Fatalf("at %d MiB: %d ahead, after %d", off/mib, got, last)
		}
		last = got
	}
	if last != maxWindow {
		t.Errorf("after 64 MiB: %d ahead, want %d", last, maxWindow)
	}
}

func TestReadaheadToleratesReordering(t *testing.T) {
	var r readahead
	r.read(0, mib)
	order := []int64{2, 1, 4, 3, 6, 5, 8, 7, 10, 9}
	for _, i := range order {
		r.read(i*mib, mib)
	}
	if got := r.read(11*mib, mib); got != maxWindow {
		t.Errorf("%d ahead, want %d: one stream was taken for several", got, maxWindow)
	}
}

func TestReadaheadKeepsSeveralStreams(t *testing.T) {
	var r readahead
	var ahead [4]int64
	for i := range int64(16) {
		for s := range int64(4) {
			ahead[s] = r.read(s*1000*mib+i*mib, mib)
		}
	}
	for s, got := range ahead {
		if got != maxWindow {
			t.Errorf("stream %d: %d ahead, want %d", s, got, maxWindow)
		}
	}
}

func TestReadaheadLeavesRandomReadsAlone(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var r readahead
	var ahead int64
	const reads = 1000
	for range reads {
		ahead += r.read(rnd.Int64N(100<<30), mib)
	}
	if ahead > reads*mib/10 {
		t.Errorf("%d MiB ahead of %d random reads of 1 MiB", ahead/mib, reads)
	}
}
