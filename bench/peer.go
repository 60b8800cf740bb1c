package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// rclone runs rclone mount, tuned by its own advice, over the same server. It is
// a peer to look at, and no measure that modelfs is held to: without it there is
// no row.
func rclone(ctx context.Context, b *bench) error {
	binary, err := exec.LookPath("rclone")
	if err != nil {
		b.say("rclone is not installed: no row of it")
		return nil //nolint:nilerr // a peer is no part of modelfs
	}
	first := row{Step: "rclone", What: "rclone mount, first sequential read", Unit: gigabytes, Against: fmt.Sprintf("%d ranges of %d MiB at once", workers, rangeSize>>20)}
	second := row{Step: "rclone", What: "rclone mount, second read, page cache hot", Unit: gigabytes}
	err = b.each(ctx, func(int) error {
		r, err := b.downloaded(ctx, false)
		if err != nil {
			return err
		}
		first.Reference = append(first.Reference, r.speed()/1e9)
		return b.withRclone(ctx, binary, func(path string) error {
			for _, into := range []*series{&first.Modelfs, &second.Modelfs} {
				r, err := readWhole(path)
				if err != nil {
					return err
				}
				*into = append(*into, r.speed()/1e9)
				if err := r.verify(); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.report.add(first)
	b.report.add(second)
	return err
}

// withRclone runs f with the path of the big object in a mount of rclone.
func (b *bench) withRclone(ctx context.Context, binary string, f func(path string) error) (err error) {
	dir, err := os.MkdirTemp(b.dir, "rclone-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	point := filepath.Join(dir, "mnt")
	if err := os.Mkdir(point, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), binary, "mount", ":s3:"+bucket, point, "--read-only",
		"--vfs-cache-mode", "full", "--vfs-read-chunk-streams", "16", "--vfs-read-chunk-size", "4M", "--cache-dir", filepath.Join(dir, "cache"))
	cmd.Env = append(os.Environ(), "RCLONE_CONFIG=/dev/null", "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENDPOINT="+b.origin.fast, "RCLONE_S3_FORCE_PATH_STYLE=true")
	if s := b.origin.server; s != nil {
		cmd.Env = append(cmd.Env, "RCLONE_S3_ACCESS_KEY_ID="+s.AccessKey, "RCLONE_S3_SECRET_ACCESS_KEY="+s.SecretKey)
	}
	cmd.Stdout, cmd.Stderr = io.Discard, b.stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cmd.Process.Signal(os.Interrupt), cmd.Wait()) }()
	if err := awaitMount(ctx, point); err != nil {
		return err
	}
	if err := b.dropCaches(); err != nil {
		return err
	}
	return f(filepath.Join(point, bigKey(0)))
}

// awaitMount waits until a FUSE file system is at point.
func awaitMount(ctx context.Context, point string) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		var st unix.Statfs_t
		if err := unix.Statfs(point, &st); err == nil && st.Type == unix.FUSE_SUPER_MAGIC {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no mount at %s: %w", point, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}
