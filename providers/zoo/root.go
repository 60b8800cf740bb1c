package zoo

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// A root is one directory of the configuration. It is opened anew for each op: a
// held descriptor would keep a disk from being unmounted, and would go on showing
// the old one after another is mounted in its place.
type root struct{ path string }

func newRoot(abs string) *root { return &root{path: filepath.Clean(abs)} }

// errOutside says that a symbolic link leaves its root.
var errOutside = fmt.Errorf("%w: a symbolic link leaves the root", iofs.ErrNotExist)

// rel returns abs as a path in the root. A root that is itself reached by links
// is known by its real path too.
func (r *root) rel(abs string) (string, bool) {
	bases := []string{r.path}
	if real, err := filepath.EvalSymlinks(r.path); err == nil && real != r.path {
		bases = append(bases, real)
	}
	for _, base := range bases {
		if p, err := filepath.Rel(base, abs); err == nil && filepath.IsLocal(p) {
			return slashed(p), true
		}
	}
	return "", false
}

// slashed writes "." as the empty path.
func slashed(p string) string {
	if p == "." {
		return ""
	}
	return p
}

// native writes the empty path as ".".
func native(p string) string {
	if p == "" {
		return "."
	}
	return p
}

// A view is all roots, open for one op.
type view struct {
	layers []*layer
	err    error // why a root could not be opened
}

// A layer is one root, open. Paths in it are slash separated; "" is the root.
type layer struct {
	*os.Root
	root *root
}

func (z *Zoo) view() *view {
	v := &view{}
	for _, r := range z.roots {
		switch o, err := os.OpenRoot(r.path); {
		case err == nil:
			v.layers = append(v.layers, &layer{o, r})
		case !errors.Is(err, iofs.ErrNotExist) && v.err == nil:
			v.err = fmt.Errorf("root %s: %w", r.path, err)
		}
	}
	return v
}

func (v *view) close() {
	for _, l := range v.layers {
		// A directory opened for reading has nothing to lose.
		_ = l.Close()
	}
}

// maxLinks is how many links one path may pass, as in the kernel.
const maxLinks = 40

// resolve follows every link on the way from dir, which is resolved, along p, and
// returns a path without links. It is [errOutside] if one leads out of the root.
func (l *layer) resolve(dir, p string) (string, error) {
	pending, links := strings.Split(p, "/"), 0
	for len(pending) > 0 {
		el := pending[0]
		pending = pending[1:]
		switch el {
		case "", ".":
			continue
		case "..":
			if dir == "" {
				return "", errOutside
			}
			dir = slashed(path.Dir(dir))
			continue
		}
		next := path.Join(dir, el)
		fi, err := l.Lstat(next)
		if err != nil {
			return "", err
		}
		if fi.Mode().Type() != iofs.ModeSymlink {
			dir = next
			continue
		}
		if links++; links > maxLinks {
			return "", fmt.Errorf("%w: more than %d symbolic links", iofs.ErrNotExist, maxLinks)
		}
		target, err := l.Readlink(next)
		if err != nil {
			return "", err
		}
		if path.IsAbs(target) {
			inside, ok := l.root.rel(target)
			if !ok {
				return "", errOutside
			}
			dir, target = "", inside
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return dir, nil
}
