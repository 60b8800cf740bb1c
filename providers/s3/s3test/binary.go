package s3test

import (
	"context"
	"fmt"
	"go/build"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
)

var binary struct {
	sync.Mutex
	path string
}

// Binary finds versitygw, and builds it if it is nowhere.
func Binary(ctx context.Context) (string, error) {
	binary.Lock()
	defer binary.Unlock()
	if binary.path != "" {
		return binary.path, nil
	}
	path, err := find()
	if err != nil {
		path, err = install(ctx)
	}
	if err == nil {
		binary.path = path
	}
	return path, err
}

func find() (string, error) {
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path, nil
	}
	dirs := []string{os.Getenv("GOBIN")}
	for _, gopath := range filepath.SplitList(build.Default.GOPATH) {
		dirs = append(dirs, filepath.Join(gopath, "bin"))
	}
	if dir, err := cacheDir(); err == nil {
		dirs = append(dirs, dir)
	}
	for _, dir := range dirs {
		if dir == "" {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, "versitygw")); err == nil {
			return path, nil
		}
	}
	return "", exec.ErrNotFound
}

func cacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "modelfs-test", "versitygw-"+Version), err
}

// install builds the pinned version. Two test binaries at once may both do so:
// go install replaces the file in one step.
func install(ctx context.Context) (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	cmd := exec.CommandContext(ctx, "go", "install", Module+"@"+Version)
	cmd.Env = append(os.Environ(), "GOBIN="+dir, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("versitygw is not installed, and go install %s@%s fails: %w: %s", Module, Version, err, out)
	}
	return filepath.Join(dir, "versitygw"), nil
}
