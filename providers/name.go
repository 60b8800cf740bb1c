package providers

import (
	"fmt"
	iofs "io/fs"
	"strings"
	"unicode/utf8"
)

// ValidElement reports why s cannot be one element of a path: empty, "." or
// "..", too long, not UTF-8, or with a slash, NUL or control byte in it. It is
// the only judge of names that come from a source.
func ValidElement(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("empty name")
	case s == "." || s == "..":
		return fmt.Errorf("name %q is a directory link", s)
	case len(s) > 255:
		return fmt.Errorf("name of %d bytes is longer than 255", len(s))
	case !utf8.ValidString(s):
		return fmt.Errorf("name %q is not UTF-8", s)
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '/':
			return fmt.Errorf("name %q holds a slash", s)
		case c < 0x20 || c == 0x7f:
			return fmt.Errorf("name %q holds a control byte", s)
		}
	}
	return nil
}

// ValidPath reports why a slash separated path cannot be one of a model.
func ValidPath(p string) error {
	if len(p) > 4096 {
		return fmt.Errorf("path of %d bytes is longer than 4096", len(p))
	}
	depth := 0
	for el := range strings.SplitSeq(p, "/") {
		if err := ValidElement(el); err != nil {
			return err
		}
		if depth++; depth > maxDepth {
			return fmt.Errorf("path is deeper than %d", maxDepth)
		}
	}
	return nil
}

// LinkInside reports whether the symbolic link at path (relative to the model's
// root) with this target stays inside the model, judged by its text.
func LinkInside(path, target string) bool {
	if target == "" || strings.HasPrefix(target, "/") || strings.ContainsRune(target, 0) || len(target) > 4095 {
		return false
	}
	depth := strings.Count(path, "/")
	for el := range strings.SplitSeq(target, "/") {
		switch el {
		case "", ".":
		case "..":
			if depth--; depth < 0 {
				return false
			}
		default:
			depth++
		}
	}
	return true
}

// EscapeElement writes one element of a name for use between the protocol and
// the model: '%', '@', '/' and bytes that cannot be in a path element become
// %XX, and an element "." or ".." is escaped whole.
func EscapeElement(s string) string {
	if s == "." || s == ".." {
		return strings.ReplaceAll(s, ".", "%2E")
	}
	clean := true
	for i := range len(s) {
		if escapes(s[i]) {
			clean = false
			break
		}
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; escapes(c) {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func escapes(c byte) bool {
	return c == '%' || c == '@' || c == '/' || c < 0x20 || c == 0x7f
}

// UnescapeElement is the inverse of EscapeElement. A '%' that begins no %XX is
// iofs.ErrNotExist: no name is written so.
func UnescapeElement(s string) (string, error) {
	if !strings.ContainsRune(s, '%') {
		return s, nil
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			b.WriteByte(s[i])
			continue
		}
		if i+2 >= len(s) || unhex(s[i+1]) < 0 || unhex(s[i+2]) < 0 {
			return "", fmt.Errorf("%w: %q has a %% that is no %%XX", iofs.ErrNotExist, s)
		}
		b.WriteByte(byte(unhex(s[i+1])<<4 | unhex(s[i+2])))
		i += 2
	}
	return b.String(), nil
}

func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}

// SplitElement reads one path element between the protocol and the model as a
// name element and, after its last '@', a ref.
func SplitElement(s string) (name, ref string, err error) {
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		if ref, err = UnescapeElement(s[i+1:]); err != nil {
			return "", "", err
		}
		if ref == "" {
			return "", "", fmt.Errorf("%w: %q has an empty ref", iofs.ErrNotExist, s)
		}
		s = s[:i]
	}
	if name, err = UnescapeElement(s); err == nil && name == "" {
		err = fmt.Errorf("%w: empty name", iofs.ErrNotExist)
	}
	return name, ref, err
}

// JoinElements writes a name and a ref as the path elements that mean them.
func JoinElements(name, ref string) string {
	parts := strings.Split(name, "/")
	for i, p := range parts {
		parts[i] = EscapeElement(p)
	}
	s := strings.Join(parts, "/")
	if ref != "" {
		s += "@" + EscapeElement(ref)
	}
	return s
}
