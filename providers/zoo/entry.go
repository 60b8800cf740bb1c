package zoo

import (
	"fmt"
	iofs "io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"modelfs/providers"
)

// entry describes the child el of the directory p; at is its path in the model. It
// is false for what is neither file, directory nor link.
func (p place) entry(dir *layer, el, at string) (providers.Entry, bool, error) {
	fi, err := dir.Lstat(el)
	if err != nil {
		return providers.Entry{}, false, err
	}
	if fi.Mode().Type() == iofs.ModeSymlink {
		return p.link(dir, el, at)
	}
	e, ok := describe(fi, at)
	return e, ok, nil
}

// describe makes an entry of what is not a link.
func describe(fi iofs.FileInfo, at string) (providers.Entry, bool) {
	e := providers.Entry{Path: at, ModTime: fi.ModTime()}
	switch {
	case fi.IsDir():
		e.Mode = iofs.ModeDir
	case fi.Mode().IsRegular():
		e.Mode, e.Size, e.Validator = fi.Mode().Perm()&0o111, fi.Size(), validator(fi)
	default:
		return e, false
	}
	return e, true
}

// validator names the state of a file. The change time is there for whoever sets
// the modification time back, the inode for a file put in another's place.
func validator(fi iofs.FileInfo) string {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Sprintf("%d-%d", fi.ModTime().UnixNano(), fi.Size())
	}
	return fmt.Sprintf("%d-%d-%d-%d", fi.ModTime().UnixNano(), fi.Size(), st.Ino, st.Ctim.Nano())
}

// link describes a symbolic link as the package comment promises.
func (p place) link(dir *layer, el, at string) (providers.Entry, bool, error) {
	target, err := dir.Readlink(el)
	if err != nil {
		return providers.Entry{}, false, err
	}
	inAnchor := strings.TrimPrefix(strings.TrimPrefix(path.Join(p.path, el), p.anchor), "/")
	plain := providers.LinkInside(inAnchor, target)
	to, err := p.step(el, true)
	switch {
	case err == nil && below(to.path, p.anchor):
		if !plain {
			target, err = filepath.Rel(native(p.path), native(to.path))
		}
		return symlink(at, target), err == nil, err
	case err == nil:
		fi, err := p.Lstat(native(to.path))
		if err != nil {
			return providers.Entry{}, false, err
		}
		e, ok := describe(fi, at)
		return e, ok, nil
	case !absent(err):
		return providers.Entry{}, false, err
	case plain:
		return symlink(at, target), true, nil // dangling, or a ring
	}
	if providers.LinkInside(at, target) {
		// By its text it would point into the model from where it is shown,
		// which is not where it points to from where it is.
		target = filepath.Join(p.root.path, p.path, target)
	}
	return symlink(at, target), true, nil
}

func symlink(at, target string) providers.Entry {
	return providers.Entry{Path: at, Mode: iofs.ModeSymlink, Size: int64(len(target)), Target: target}
}
