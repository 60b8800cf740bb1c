package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/moby/sys/mountinfo"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// fsType is what the kernel calls our mounts.
const fsType = "fuse.modelfs"

func newUmount() *cobra.Command {
	var lazy bool
	c := &cobra.Command{
		Use:   "umount MOUNTPOINT",
		Short: "Detach a mount of modelfs, also one whose process has died",
		Long: `Detach the mount of modelfs at MOUNTPOINT, also one whose process has died. Other
mounts are not touched. If the mount is in use, the processes that hold it are
named; --lazy detaches it now and lets them finish.`,
		Args:              upTo(1, 1),
		ValidArgsFunction: completeMounts,
		RunE: func(c *cobra.Command, args []string) error {
			dir, err := findMount(args[0])
			if err != nil {
				return err
			}
			if err := unmount(c.Context(), dir, lazy); err != nil {
				return explainBusy(dir, err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&lazy, "lazy", false, "detach now, and let those who hold it finish")
	return c
}

// findMount returns the mount point that arg means. It asks the kernel's table
// first, because a path whose file system is dead or hangs cannot be looked at.
func findMount(arg string) (string, error) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return "", err
	}
	dir, err := filepath.Abs(arg)
	if err != nil {
		return "", err
	}
	for _, path := range spellings(dir) {
		top := "" // a later line is mounted over an earlier one
		for _, m := range mounts {
			if m.Mountpoint == path {
				top = m.FSType
			}
		}
		switch top {
		case fsType:
			return path, nil
		case "":
		default:
			return "", fmt.Errorf("%s is a mount of type %s, not of modelfs; use umount(8) if it is to go", path, top)
		}
	}
	ours := ourMounts(mounts)
	if len(ours) == 0 {
		return "", fmt.Errorf("%s is not a mount point; modelfs has no mount here", dir)
	}
	return "", fmt.Errorf("%s is not a mount point; the mounts of modelfs are %s", dir, strings.Join(ours, ", "))
}

func ourMounts(mounts []*mountinfo.Info) (points []string) {
	for _, m := range mounts {
		if m.FSType == fsType {
			points = append(points, m.Mountpoint)
		}
	}
	return points
}

// completeMounts offers the shell what umount can be given.
func completeMounts(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	mounts, err := mountinfo.GetMounts(nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return ourMounts(mounts), cobra.ShellCompDirectiveNoFileComp
}

// spellings returns the paths that dir may have in the kernel's table: as it is
// written, and with the links followed that lead to it. A link is read without
// looking at what it leads to, which may be dead.
func spellings(dir string) []string {
	paths := []string{dir}
	for range 40 { // as many as the kernel follows
		if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
			dir = filepath.Join(parent, filepath.Base(dir))
			paths = append(paths, dir)
		}
		target, err := os.Readlink(dir)
		if err != nil {
			break // not a link
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(dir), target)
		}
		dir = target
		paths = append(paths, dir)
	}
	return paths
}

// unmount detaches dir by the system call, or, for a user who may not, by the
// helper that FUSE installs for that.
func unmount(ctx context.Context, dir string, lazy bool) error {
	flags := unix.UMOUNT_NOFOLLOW
	if lazy {
		flags |= unix.MNT_DETACH
	}
	err := unix.Unmount(dir, flags)
	if !errors.Is(err, unix.EPERM) {
		return err
	}
	args := []string{"-u", "--", dir} // without -q, which hides the reason
	if lazy {
		args = append([]string{"-z"}, args...)
	}
	helper, err := exec.LookPath("fusermount3")
	if err != nil {
		return fmt.Errorf("only root may unmount without fusermount3; install the package fuse3: %w", err)
	}
	cmd := exec.CommandContext(ctx, helper, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("fusermount3: %s (%w)", bytes.TrimSpace(out), err)
	}
	return nil
}

// explainBusy adds to err who holds dir, if anybody does.
func explainBusy(dir string, err error) error {
	held, hidden := holders("/proc", dir)
	busy := errors.Is(err, unix.EBUSY) || len(held) > 0
	if !busy {
		return fmt.Errorf("%s: %w", dir, err)
	}
	var b strings.Builder
	for _, h := range held {
		fmt.Fprintf(&b, "\n  %s", h)
	}
	if hidden > 0 && os.Geteuid() != 0 { // what root cannot look into holds nothing
		fmt.Fprintf(&b, "\n  (processes of other users: %d, which only root can look into)", hidden)
	}
	if b.Len() == 0 {
		b.WriteString("\n  (no process; it may be exported, or be seen from a container)")
	}
	return fmt.Errorf("%s is in use by%s\nEnd them, or detach it under them: modelfs umount --lazy %s", dir, b.String(), dir)
}
