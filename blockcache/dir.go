package blockcache

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// claim checks the directory and takes its lock.
func claim(dir string) (*os.File, error) {
	if dir == "" {
		return nil, errors.New("no cache directory given")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("cache directory %s cannot be made: %w; set cache.dir to a directory that you may write", dir, err)
	}
	fi, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("cache directory: %w", err)
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("cache directory %s is not a directory; set cache.dir to one", dir)
	}
	if st := fi.Sys().(*syscall.Stat_t); int(st.Uid) != os.Geteuid() {
		return nil, fmt.Errorf("cache directory %s belongs to user %d, not to %d; set cache.dir to a directory of your own", dir, st.Uid, os.Geteuid())
	}
	if fi.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, fmt.Errorf("cache directory %s is open to other users and cannot be closed: %w", dir, err)
		}
	}
	name := filepath.Join(dir, "lock")
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cache directory %s cannot be written: %w; set cache.dir to a directory that you may write", dir, err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		who, readErr := io.ReadAll(io.LimitReader(f, 32))
		if pid := strings.TrimSpace(string(who)); readErr == nil && pid != "" {
			err = fmt.Errorf("process %s holds it", pid)
		}
		return nil, errors.Join(fmt.Errorf("cache directory %s is %w (%v); stop that one or set cache.dir to another directory", dir, ErrInUse, err), f.Close()) //nolint:errorlint // one cause is enough
	}
	if err := errors.Join(f.Truncate(0), writeAll(f, fmt.Sprintf("%d\n", os.Getpid()))); err != nil {
		return nil, errors.Join(fmt.Errorf("cache directory %s cannot be written: %w", dir, err), f.Close())
	}
	return f, nil
}

func writeAll(f *os.File, s string) error {
	_, err := f.WriteAt([]byte(s), 0)
	return err
}

// checkVersion discards a cache of another format.
func (c *Cache) checkVersion() error {
	const want = "modelfs block cache 1\n"
	name := filepath.Join(c.opts.Dir, "VERSION")
	got, err := os.ReadFile(name)
	if err == nil && string(got) == want {
		return nil
	}
	if err == nil {
		c.log.Warn("cache has another format and is begun anew", "version", strings.TrimSpace(string(got)))
	}
	for _, sub := range []string{"index", "objects"} {
		if err := os.RemoveAll(filepath.Join(c.opts.Dir, sub)); err != nil {
			return fmt.Errorf("cache directory cannot be emptied: %w", err)
		}
	}
	if err := os.WriteFile(name, []byte(want), 0o600); err != nil {
		return fmt.Errorf("cache directory %s cannot be written: %w", c.opts.Dir, err)
	}
	return nil
}

func (c *Cache) path(id ID, sealed bool) string {
	s := id.String()
	name := filepath.Join(c.opts.Dir, "objects", s[:2], s)
	if !sealed {
		name += ".part"
	}
	return name
}

// dataFiles lists the data files of the cache, and removes what has no name of ours.
func (c *Cache) dataFiles() (map[dataFile]bool, error) {
	found := map[dataFile]bool{}
	top := filepath.Join(c.opts.Dir, "objects")
	dirs, err := os.ReadDir(top)
	if err != nil {
		return nil, err
	}
	for _, d := range dirs {
		files, err := os.ReadDir(filepath.Join(top, d.Name()))
		if errors.Is(err, syscall.ENOTDIR) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, f := range files {
			name, part := strings.CutSuffix(f.Name(), ".part")
			raw, err := hex.DecodeString(name)
			if err == nil && len(raw) == len(ID{}) && name[:2] == d.Name() {
				found[dataFile{ID(raw), !part}] = true
			} else if err := os.RemoveAll(filepath.Join(top, d.Name(), f.Name())); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

// dataFile is a file in objects.
type dataFile struct {
	id     ID
	sealed bool
}

// removeOrphans deletes data files that no record knows: what a killed process
// began and did not record. It runs before anything else uses the directory.
func (c *Cache) removeOrphans(files map[dataFile]bool) error {
	for f := range files {
		if s := c.slots[f.id]; s != nil && s.rec.Sealed == f.sealed {
			continue
		}
		if err := os.Remove(c.path(f.id, f.sealed)); err != nil {
			return err
		}
	}
	return nil
}
