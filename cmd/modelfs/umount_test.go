package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHoldersOfADirectory asks about a plain directory: who holds a mount is
// found by the same paths in /proc.
func TestHoldersOfADirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "open")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	start := func(in, script string) int {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", script)
		cmd.Dir = in
		pipe, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill() // it may be gone
			_ = cmd.Wait()         // and says that it was killed
		})
		if _, err := pipe.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		return cmd.Process.Pid
	}
	inside := start(dir, "echo; exec sleep 60")
	open := start("/", "exec 9<"+file+"; echo; exec sleep 60")
	start("/", "echo; exec sleep 60")

	got := map[int]string{}
	held, _ := holders("/proc", dir)
	for _, h := range held {
		got[h.pid] = h.how + " " + h.path
	}
	want := map[int]string{inside: "working directory " + dir, open: "open file " + file}
	if len(got) != len(want) || got[inside] != want[inside] || got[open] != want[open] {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestBusyMountNamesItsHoldersAndTheWayOut(t *testing.T) {
	err := explainBusy("/nowhere/at/all", unix.EBUSY)
	for _, want := range []string{"/nowhere/at/all is in use by", "modelfs umount --lazy /nowhere/at/all"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got %q, want %q in it", err, want)
		}
	}
	other := explainBusy("/nowhere/at/all", unix.EINVAL)
	if !errors.Is(other, unix.EINVAL) {
		t.Errorf("got %v, want what was wrong", other)
	}
}
