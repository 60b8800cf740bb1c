package mount

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// checkPoint returns the absolute mount point, or why nothing can be mounted there.
func checkPoint(point string, log *slog.Logger) (string, error) {
	if point == "" {
		return "", errors.New("no mount point; give one as in `modelfs mount /models`, or set mountpoint: in the configuration")
	}
	abs, err := filepath.Abs(point)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		abs = filepath.Join(real, filepath.Base(abs))
	}
	fi, err := os.Lstat(abs)
	switch {
	case errors.Is(err, syscall.ENOTCONN):
		return "", fmt.Errorf("mount point %s holds a dead FUSE mount; remove it with `modelfs umount %s`", abs, abs)
	case errors.Is(err, os.ErrNotExist):
		return "", fmt.Errorf("mount point %s does not exist; make it with `mkdir -p %s`", abs, abs)
	case err != nil:
		return "", fmt.Errorf("mount point: %w", err)
	}
	if fi.Mode()&os.ModeSymlink != 0 {
		if abs, err = filepath.EvalSymlinks(abs); err != nil {
			return "", fmt.Errorf("mount point: %w", err)
		}
		if fi, err = os.Stat(abs); err != nil {
			return "", fmt.Errorf("mount point: %w", err)
		}
	}
	if !fi.IsDir() {
		return "", fmt.Errorf("mount point %s is not a directory; choose one that is", abs)
	}
	on, err := mountinfo.GetMounts(mountinfo.SingleEntryFilter(abs))
	if err != nil {
		return "", fmt.Errorf("read the mount table: %w", err)
	}
	if len(on) > 0 && dead(abs) {
		return "", fmt.Errorf("mount point %s holds a dead FUSE mount; remove it with `modelfs umount %s`", abs, abs)
	}
	if len(on) > 0 {
		return "", fmt.Errorf("mount point %s is busy: %s is mounted on it; unmount that first (`modelfs umount %s` if it is a modelfs) or choose another directory", abs, on[0].FSType, abs)
	}
	if es, err := os.ReadDir(abs); err == nil && len(es) > 0 {
		log.Warn("the mount point is not empty; what is in it is hidden while the mount lasts", "mountpoint", abs, "entries", len(es))
	}
	return abs, nil
}

// fsType is what the kernel calls our mounts.
const fsType = "fuse.modelfs"

// detach takes a mount out of the tree, though it may be in use.
func detach(ctx context.Context, point string) error {
	if os.Geteuid() == 0 {
		return syscall.Unmount(point, unix.MNT_DETACH)
	}
	return lazyUnmount(ctx, point)
}

// dead reports whether what is mounted on a directory has lost its server. Only
// reading tells: the kernel may still know the attributes. A server that does not
// answer is not dead.
func dead(point string) bool {
	told := make(chan error, 1)
	go func() {
		_, err := os.ReadDir(point)
		told <- err
	}()
	select {
	case err := <-told:
		return errors.Is(err, syscall.ENOTCONN) || errors.Is(err, syscall.ECONNABORTED)
	case <-time.After(2 * time.Second):
		return false
	}
}

// inside reports whether the path lies in or is the directory dir, both taken as
// they really are.
func inside(path, dir string) bool {
	rel, err := filepath.Rel(realPath(dir), realPath(path))
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// realPath resolves the links of the longest part of path that is there.
func realPath(path string) string {
	path, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	rest := ""
	for dir := path; ; dir = filepath.Dir(dir) {
		if real, err := filepath.EvalSymlinks(dir); err == nil {
			return filepath.Join(real, rest)
		}
		if dir == filepath.Dir(dir) {
			return path
		}
		rest = filepath.Join(filepath.Base(dir), rest)
	}
}

// lazyUnmount detaches a user's mount.
func lazyUnmount(ctx context.Context, point string) error {
	out, err := exec.CommandContext(ctx, "fusermount3", "-u", "-z", "--", point).CombinedOutput()
	if err != nil {
		return fmt.Errorf("fusermount3 -u -z %s: %w: %s", point, err, strings.TrimSpace(string(out)))
	}
	return nil
}
