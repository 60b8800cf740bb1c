package mount

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	fusefs "github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"modelfs/fs"
)

const (
	// maxRead is the largest read request the kernel sends.
	maxRead = 1 << 20
	// maxBackground keeps reads of one stuck source from filling the one queue
	// that readahead of all sources shares; the kernel's own default of 12
	// freezes every reader.
	maxBackground = 512
)

// ServeOptions set up one mount.
type ServeOptions struct {
	AllowOther bool
	Exec       bool
	Log        *slog.Logger
}

// Server is a mounted file system.
type Server struct {
	point  string
	fuse   *fuse.Server
	log    *slog.Logger
	passer *passer
}

// Passer decides which files the kernel may read by itself. It is made before the
// mount and learns of it when there is one.
func newPasser(log *slog.Logger) *passer { return &passer{log: log, devices: map[uint64]bool{}} }

type passer struct {
	log    *slog.Logger
	server atomic.Pointer[fuse.Server]

	mu      sync.Mutex
	devices map[uint64]bool
}

// canPass reports whether the kernel takes the file for passthrough. It is tried
// once per device: a refusal at open would switch passthrough off for good.
func (p *passer) canPass(fd int) bool {
	server := p.server.Load()
	if server == nil {
		return false
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	ok, known := p.devices[st.Dev]
	if known {
		return ok
	}
	id, errno := server.RegisterBackingFd(&fuse.BackingMap{Fd: int32(fd)})
	ok = errno == 0
	if ok {
		if errno := server.UnregisterBackingFd(id); errno != 0 {
			p.log.Warn("passthrough probe", "error", errno)
		}
	} else {
		p.log.Info("no passthrough for files of this device; they are spliced", "device", st.Dev, "reason", errno)
	}
	p.devices[st.Dev] = ok
	return ok
}

// Serve mounts the file system that make builds. make gets the function for
// fs.Options.CanPass.
func Serve(point string, make func(canPass func(fd int) bool) *fs.FS, o ServeOptions) (*Server, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := mayAllowOther(o, "/etc/fuse.conf", os.Geteuid()); err != nil {
		return nil, err
	}
	raiseLimits(o.Log)
	p := newPasser(o.Log)
	f := make(p.canPass)
	server, err := fusefs.Mount(point, f.Root(), options(o))
	if err != nil {
		return nil, &mountError{point, err}
	}
	p.server.Store(server)
	s := &Server{point: point, fuse: server, log: o.Log, passer: p}
	s.raiseReadahead()
	return s, nil
}

// mayAllowOther says beforehand what fusermount would say badly: that the system
// does not let users share a mount.
func mayAllowOther(o ServeOptions, conf string, uid int) error {
	if !o.AllowOther || uid == 0 {
		return nil
	}
	raw, err := os.ReadFile(conf)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil // fusermount, which may read it, decides
	}
	for line := range strings.Lines(string(raw)) {
		if strings.TrimSpace(line) == "user_allow_other" {
			return nil
		}
	}
	return fmt.Errorf("access.allow_other: %s does not allow it to users; add the line user_allow_other there, or mount as root", conf)
}

// mountError is a mount that the system refused, and what to do about it.
type mountError struct {
	point string
	err   error
}

func (e *mountError) Error() string {
	hint := "see that the package fuse3 is installed and /dev/fuse is there"
	switch {
	case errors.Is(e.err, os.ErrNotExist):
		hint = "install the package fuse3, and see that /dev/fuse is there"
	case errors.Is(e.err, os.ErrPermission):
		hint = "mounting needs root, or fusermount3 from the package fuse3 and access to /dev/fuse"
	}
	return fmt.Sprintf("mount %s: %s; %s", e.point, strings.TrimSpace(e.err.Error()), hint)
}

func (e *mountError) Unwrap() error { return e.err }

func options(o ServeOptions) *fusefs.Options {
	flags := uintptr(unix.MS_RDONLY | unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOATIME)
	opts := []string{"default_permissions"}
	if !o.Exec {
		flags |= unix.MS_NOEXEC
	}
	root := os.Geteuid() == 0
	if !root {
		opts = append(opts, "ro", "nosuid", "nodev", "noatime")
		if !o.Exec {
			opts = append(opts, "noexec")
		}
	}
	logger := slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)
	return &fusefs.Options{
		NullPermissions: true,
		Logger:          logger,
		MountOptions: fuse.MountOptions{
			AllowOther:           o.AllowOther,
			Options:              opts,
			FsName:               "modelfs",
			Name:                 "modelfs",
			MaxBackground:        maxBackground,
			MaxWrite:             maxRead,
			MaxReadAhead:         maxRead,
			DirectMountStrict:    root,
			DirectMountFlags:     flags,
			EnableSymlinkCaching: true,
			IgnoreSecurityLabels: true,
			// Pages belong to an inode, and an inode to one content: there
			// is nothing for the kernel to invalidate by itself.
			ExplicitDataCacheControl: true,
			Logger:                   logger,
			PanicHandler:             panicHandler(o.Log),
		},
	}
}

// panicHandler answers a request whose handler panicked.
func panicHandler(l *slog.Logger) func(any) fuse.Status {
	var count atomic.Int64
	return func(v any) fuse.Status {
		if n := count.Add(1); n == 1 {
			l.Error("a request handler panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		} else {
			l.Error("a request handler panicked again", "panic", fmt.Sprint(v), "count", n)
		}
		return fuse.EIO
	}
}

// raiseLimits lets the kernel splice whole requests: its pipes hold 1 MiB unless
// root says otherwise, and a request of 1 MiB and its header need a little more.
func raiseLimits(l *slog.Logger) {
	const name = "/proc/sys/fs/pipe-max-size"
	raw, err := os.ReadFile(name)
	if err != nil {
		return
	}
	if n, err := strconv.Atoi(strings.TrimSpace(string(raw))); err != nil || n > maxRead {
		return
	}
	if err := os.WriteFile(name, []byte(strconv.Itoa(2*maxRead)), 0o644); err != nil { //nolint:gosec // a sysctl
		l.Debug("pipes stay at 1 MiB; large replies are copied", "error", err)
	}
}

// raiseReadahead lifts the kernel's readahead of the mount from 128 KiB, which it
// sets whatever the mount asks for; only root may.
func (s *Server) raiseReadahead() {
	var st unix.Stat_t
	if err := statDevice(s.point, &st); err != nil {
		s.log.Debug("readahead of the mount is unknown", "error", err)
		return
	}
	name := fmt.Sprintf("/sys/class/bdi/%d:%d/read_ahead_kb", unix.Major(st.Dev), unix.Minor(st.Dev))
	if err := os.WriteFile(name, []byte(strconv.Itoa(maxRead>>10)), 0o644); err != nil { //nolint:gosec // sysfs
		s.log.Debug("readahead of the mount stays at the kernel's default", "error", err)
	}
}

// statDevice finds the device of a mount in this process's mount table. It must
// not stat the mount itself, which this process serves.
func statDevice(point string, st *unix.Stat_t) error {
	raw, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	point, err = filepath.Abs(point)
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(raw)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[4] != mountinfoEscape(point) {
			continue
		}
		var major, minor uint32
		if _, err := fmt.Sscanf(fields[2], "%d:%d", &major, &minor); err != nil {
			return err
		}
		st.Dev = unix.Mkdev(major, minor) // the last one is on top
	}
	if st.Dev == 0 {
		return fmt.Errorf("%s is not in the mount table", point)
	}
	return nil
}

func mountinfoEscape(p string) string {
	return strings.NewReplacer("\\", `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(p)
}

// Wait returns when the file system is unmounted, by whomever.
func (s *Server) Wait() { s.fuse.Wait() }

// Unmount unmounts, waiting a little for readers to go.
func (s *Server) Unmount() error {
	var err error
	for wait := 10 * time.Millisecond; wait < 2*time.Second; wait *= 2 {
		if err = s.fuse.Unmount(); err == nil {
			return nil
		}
		time.Sleep(wait)
	}
	return err
}

// Detach takes the mount out of the tree though it is in use; it ends with its
// last reader.
func (s *Server) Detach(ctx context.Context) error {
	return detach(ctx, s.point)
}
