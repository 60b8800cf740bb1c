package wire

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// ReadSecret reads a password or token from a file. It is small and read for every
// request, so that a rotated one works at once.
func ReadSecret(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 64<<10))
	if err != nil {
		return "", err
	}
	secret, err := CleanSecret(string(b))
	if err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return secret, nil
}

// CleanSecret strips what editors add. The secret itself is in none of its errors.
func CleanSecret(s string) (string, error) {
	s = strings.TrimSpace(s)
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return "", errors.New("holds bytes that a secret cannot have")
		}
	}
	return s, nil
}

// Redact takes secrets out of text that a server wrote: servers are known to repeat
// what they were sent.
func Redact(s string, secrets ...string) string {
	for _, secret := range secrets {
		if len(secret) >= 6 {
			s = strings.ReplaceAll(s, secret, "[hidden]")
		}
	}
	return s
}

// Clip bounds text from outside that goes into a log or an error.
func Clip(s string) string {
	if len(s) > 200 {
		s = s[:200] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}
