package config

import (
	_ "embed"
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
)

// Starter is a configuration file that changes nothing: every setting with its
// meaning and its default, commented out.
//
//go:embed starter.yaml
var Starter []byte

// Init writes Starter to file and returns its path; an empty file is the first
// of [Places]. It never writes over what is there.
func Init(file string, getenv func(string) string) (string, error) {
	if file == "" {
		file = Places(getenv)[0]
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, iofs.ErrExist) {
		return "", fmt.Errorf("%s is there already; edit it, or name another file: modelfs config init FILE", file)
	}
	if err != nil {
		return "", err
	}
	_, err = f.Write(Starter)
	return file, errors.Join(err, f.Close())
}
