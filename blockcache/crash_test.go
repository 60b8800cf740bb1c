package blockcache

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// The test binary is its own victim: a process that fills a cache until it is killed,
// and one whose disk is full.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MODELFS_TEST_FULL"); dir != "" {
		if err := liveOnFullDisk(dir); err != nil {
			os.Stderr.WriteString(err.Error())
			os.Exit(3)
		}
		os.Exit(0)
	}
	if dir := os.Getenv("MODELFS_TEST_FILL"); dir != "" {
		fillForever(dir)
	}
	os.Exit(m.Run())
}

const crashFiles, crashMax = 6, 14 * BlockSize

func crashContent(i int) []byte { return content((i+1)*BlockSize+i*777, uint64(60+i)) }

func crashKey(i int) Key {
	data := crashContent(i)
	k := Key{Source: "crash" + strconv.Itoa(i), Size: int64(len(data))}
	if i%2 == 0 {
		k.Digest = sha(data)
	}
	return k
}

// fillForever reads at random, in a cache smaller than what it reads, so that
// filling, sealing and evicting go on at once.
func fillForever(dir string) {
	c, err := Open(Options{Dir: dir, MaxSize: crashMax})
	if err != nil {
		os.Stderr.WriteString(err.Error())
		os.Exit(3)
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(w)))
			for {
				i := rnd.IntN(crashFiles)
				s := &origin{name: "mem", data: crashContent(i)}
				r, err := c.Reader(context.Background(), crashKey(i), s.source())
				if err != nil {
					continue
				}
				for range rnd.IntN(8) + 1 {
					off := rnd.Int64N(int64(len(s.data)))
					got, err := get(r, off, min(BlockSize, len(s.data)-int(off)), 2*BlockSize)
					if err == nil && !bytes.Equal(got, s.data[off:off+int64(len(got))]) {
						os.Stderr.WriteString("wrong bytes")
						os.Exit(4)
					}
				}
				r.Close()
			}
		})
	}
	os.Stdout.WriteString("filling\n")
	wg.Wait()
}

// TestKilledAtAnyMoment kills a process that fills a cache, and reads everything
// again from what it left.
func TestKilledAtAnyMoment(t *testing.T) {
	rounds := 12
	if n, err := strconv.Atoi(os.Getenv("MODELFS_TEST_KILLS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 2))
	dir := t.TempDir()
	kept := int64(0)
	for round := range rounds {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "MODELFS_TEST_FILL="+dir)
		var stderr strings.Builder
		cmd.Stderr = &stderr
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(out, make([]byte, 8)); err != nil {
			t.Fatalf("round %d: it did not start: %v %s", round, err, stderr.String())
		}
		time.Sleep(time.Duration(rnd.IntN(1200)) * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatalf("round %d: %v %s", round, err, stderr.String())
		}
		if err := cmd.Wait(); err == nil || strings.Contains(stderr.String(), "wrong") {
			t.Fatalf("round %d: it ended by itself: %v %s", round, err, stderr.String())
		}
		kept += readAll(t, dir)
	}
	if kept == 0 {
		t.Errorf("in %d rounds nothing survived a kill", rounds)
	}
}

// readAll compares every file through a cache in dir with its content, and returns
// how many bytes were there.
func readAll(t *testing.T, dir string) (kept int64) {
	t.Helper()
	c, err := Open(Options{Dir: dir, MaxSize: crashMax})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	if used := c.Stats().Used; used < 0 || used > crashMax {
		t.Errorf("%d bytes used after a kill, want at most %d", used, crashMax)
	}
	for i := range crashFiles {
		data := crashContent(i)
		s := &origin{name: "mem", data: data}
		r, err := c.Reader(context.Background(), crashKey(i), s.source())
		if err != nil {
			t.Fatal(err)
		}
		wantRange(t, r, data, 0, len(data))
		kept += int64(len(data)) - min(s.bytes.Load(), int64(len(data)))
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	return kept
}
