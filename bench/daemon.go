package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const patience = time.Minute // for a daemon to start, to end, or to seal an object

// daemon is a modelfs that serves a mount, with a cache of its own.
type daemon struct {
	dir   string // holds all that is its own
	keep  bool
	mount string
	cmd   *exec.Cmd
	ended chan error
}

// mountFresh starts a daemon on an empty cache, with endpoint as its source.
func (b *bench) mountFresh(ctx context.Context, endpoint string) (*daemon, error) {
	dir, err := os.MkdirTemp(b.dir, "mount-")
	if err != nil {
		return nil, err
	}
	d := &daemon{dir: dir, keep: b.keep, mount: filepath.Join(dir, "mnt"), ended: make(chan error, 1)}
	if err := d.start(ctx, b.modelfs, b.config(dir, endpoint)); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// config is the configuration of a mount. JSON is YAML, and %q quotes for both.
func (b *bench) config(dir, endpoint string) string {
	return fmt.Sprintf("cache: {dir: %q, min_free: 256MiB}\nproviders:\n  s3: {endpoint: %q, path_style: true, buckets: [%s], %s}\n",
		filepath.Join(dir, "cache"), endpoint, bucket, b.origin.settings)
}

func (d *daemon) start(ctx context.Context, binary, config string) error {
	file := filepath.Join(d.dir, "config.yaml")
	if err := errors.Join(os.Mkdir(d.mount, 0o755), os.WriteFile(file, []byte(config), 0o600)); err != nil {
		return err
	}
	log, err := os.Create(d.log())
	if err != nil {
		return err
	}
	defer log.Close()
	d.cmd = exec.CommandContext(context.WithoutCancel(ctx), binary, "--config", file, "mount", d.mount)
	// Nothing of the person's own accounts belongs into a measurement.
	d.cmd.Env = append(os.Environ(), "AWS_CONFIG_FILE=/dev/null", "AWS_SHARED_CREDENTIALS_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
	d.cmd.Stdout, d.cmd.Stderr = log, log
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	if err := d.cmd.Start(); err != nil {
		d.cmd = nil
		return err
	}
	go func() { d.ended <- d.cmd.Wait() }()
	return d.ready(ctx)
}

func (d *daemon) log() string { return filepath.Join(d.dir, "modelfs.log") }

// ready waits until the log says that the mount answers.
func (d *daemon) ready(ctx context.Context) error {
	return d.await(ctx, "mount", func() (bool, error) {
		said, err := os.ReadFile(d.log())
		return bytes.Contains(said, []byte("mounted")), err
	})
}

// await asks done until it is true, the daemon has ended, or patience has.
func (d *daemon) await(ctx context.Context, what string, done func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		select {
		case err := <-d.ended:
			d.ended <- err
			return fmt.Errorf("modelfs ended (%v): %s", err, d.tail()) //nolint:errorlint // nil has a meaning too
		case <-ctx.Done():
			return fmt.Errorf("%s: %w: %s", what, ctx.Err(), d.tail())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// tail is the end of the daemon's log.
func (d *daemon) tail() string {
	said, err := os.ReadFile(d.log())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(said[max(0, len(said)-2000):]))
}

// path is where an object is in the mount.
func (d *daemon) path(key string) string { return filepath.Join(d.mount, "s3", bucket, key) }

// sealed waits until no object of the cache is incomplete: their data files have
// other names then (blockcache/FORMAT.md).
func (d *daemon) sealed(ctx context.Context) error {
	return d.await(ctx, "seal", func() (bool, error) {
		parts, err := filepath.Glob(filepath.Join(d.dir, "cache", "objects", "*", "*.part"))
		return len(parts) == 0, err
	})
}

// objects are the data files of the cache.
func (d *daemon) objects() ([]string, error) {
	return filepath.Glob(filepath.Join(d.dir, "cache", "objects", "*", "*"))
}

// cpu is the time that the daemon has had of a processor.
func (d *daemon) cpu() (time.Duration, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parseCPU(string(raw))
}

// working runs f, and adds to spent what the daemon worked meanwhile.
func (d *daemon) working(spent *time.Duration, f func() error) error {
	before, err := d.cpu()
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := d.cpu()
	*spent += after - before
	return err
}

// parseCPU adds utime and stime, the 14th and 15th fields of proc_pid_stat(5), in
// ticks of which Linux shows 100 a second on every platform. The second field is
// a name in parentheses, with whatever in it.
func parseCPU(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("process status has %d fields", len(fields))
	}
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process status: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// peakMemory is the most that the daemon has held so far, in bytes.
func (d *daemon) peakMemory() (int64, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	return parsePeak(string(raw))
}

func parsePeak(status string) (int64, error) {
	for line := range strings.Lines(status) {
		var kib int64
		if n, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 && err == nil {
			return kib << 10, nil
		}
	}
	return 0, errors.New("process status has no VmHWM")
}

// close unmounts, ends the daemon and, unless told otherwise, removes what was its own.
func (d *daemon) close() error {
	var err error
	if d.cmd != nil {
		err = d.stop()
	}
	if d.keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(d.dir))
}

func (d *daemon) stop() error {
	if err := d.cmd.Process.Signal(os.Interrupt); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case err := <-d.ended:
		if err != nil {
			return fmt.Errorf("modelfs ended: %w: %s", err, d.tail())
		}
		return nil
	case <-time.After(patience):
	}
	err := errors.Join(fmt.Errorf("modelfs does not end: %s", d.tail()), d.cmd.Process.Kill(), <-d.ended)
	if os.Geteuid() == 0 {
		return errors.Join(err, unix.Unmount(d.mount, unix.MNT_DETACH))
	}
	return err
}
