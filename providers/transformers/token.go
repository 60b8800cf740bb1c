package transformers

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"

	"modelfs/providers/wire"
)

// tokens finds the token to send. Files are read for every request: they are
// small, and a rotated token works at once.
type tokens struct {
	file   string // from the configuration
	getenv func(string) string
	log    *slog.Logger
	warn   sync.Once
}

// token returns the token, or nothing. The order is that of huggingface_hub
// (utils/_auth.py, get_token), after the configuration's own file.
func (t *tokens) token() (string, error) {
	if t.file != "" {
		token, err := readToken(t.file)
		switch {
		case err != nil:
			return "", fmt.Errorf("%w: token_file: %v; set providers.%s.token_file to a file that can be read", iofs.ErrPermission, err, protocol) //nolint:errorlint // a missing file is no missing model
		case token == "":
			return "", fmt.Errorf("%w: token_file: %s is empty", iofs.ErrPermission, t.file)
		}
		return token, nil
	}
	if set(t.getenv, "HF_HUB_DISABLE_IMPLICIT_TOKEN") {
		return "", nil
	}
	for _, name := range []string{"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"} {
		token, err := cleanToken(t.getenv(name))
		if err != nil {
			return "", fmt.Errorf("%w: %s: %w", iofs.ErrPermission, name, err)
		}
		if token != "" {
			return token, nil
		}
	}
	return t.fromHome(), nil
}

// fromHome reads the file that `hf auth login` writes. Nobody configured it for
// us, so one that cannot be read is no reason to refuse public models.
func (t *tokens) fromHome() string {
	path := t.getenv("HF_TOKEN_PATH")
	if dir := home(t.getenv); path == "" && dir != "" {
		path = filepath.Join(dir, "token")
	}
	if path == "" {
		return ""
	}
	token, err := readToken(path)
	if err != nil && !errors.Is(err, iofs.ErrNotExist) {
		t.warn.Do(func() {
			t.log.Warn("going on without a token: its file cannot be used", "error", err)
		})
	}
	return token // empty on an error
}

func readToken(path string) (string, error) {
	s, err := wire.ReadSecret(path)
	if err != nil {
		return "", err
	}
	token, err := cleanToken(s)
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return token, nil
}

// cleanToken strips what editors add. The token itself is in none of its errors.
func cleanToken(s string) (string, error) {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", errors.New("holds bytes that a token cannot have")
		}
	}
	return s, nil
}
