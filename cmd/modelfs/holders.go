package main

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// holder is a process that keeps a mount from going away.
type holder struct {
	pid     int
	command string
	how     string // working directory, open file …
	path    string
}

func (h holder) String() string {
	return fmt.Sprintf("%s (process %d): %s %s", h.command, h.pid, h.how, h.path)
}

// holders finds the processes that hold dir, one line for each, and counts those
// that this user may not look into. It reads only what /proc itself says: the
// file system at dir may be dead.
func holders(proc, dir string) (found []holder, hidden int) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, 0 // without /proc nobody can be named
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		how, path, err := heldBy(filepath.Join(proc, e.Name()), dir)
		switch {
		case errors.Is(err, iofs.ErrPermission):
			hidden++
		case how != "":
			command, _ := os.ReadFile(filepath.Join(proc, e.Name(), "comm")) // it may have ended just now
			found = append(found, holder{pid, printable(string(command)), how, printable(path)})
		}
	}
	return found, hidden
}

// heldBy returns the first way in which the process at proc holds dir.
func heldBy(proc, dir string) (how, path string, err error) {
	for _, link := range []struct{ name, how string }{
		{"cwd", "working directory"}, {"root", "root directory"}, {"exe", "program"},
	} {
		to, err := os.Readlink(filepath.Join(proc, link.name))
		if errors.Is(err, iofs.ErrPermission) {
			return "", "", err
		}
		if below(to, dir) {
			return link.how, to, nil
		}
	}
	fds, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		return "", "", err
	}
	for _, fd := range fds {
		to, err := os.Readlink(filepath.Join(proc, "fd", fd.Name()))
		if err == nil && below(to, dir) {
			return "open file", to, nil
		}
	}
	maps, err := os.ReadFile(filepath.Join(proc, "maps"))
	if err != nil {
		return "", "", err
	}
	for l := range strings.Lines(string(maps)) {
		// address perms offset dev inode path
		if i := strings.IndexByte(l, '/'); i >= 0 && below(strings.TrimSpace(l[i:]), dir) {
			return "mapped file", strings.TrimSpace(l[i:]), nil
		}
	}
	return "", "", nil
}

func below(path, dir string) bool {
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

// printable keeps names of processes and files from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !strconv.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, strings.TrimSpace(s))
}
