package web

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"modelfs/providers"
)

// readSums reads a SHA256SUMS. Empty lines and comments are left out, as sha256sum -c
// leaves them out; it also passes over lines that it cannot read, but then a list
// could lack files that nobody misses.
func readSums(r io.Reader) ([]providers.Entry, error) {
	var entries []providers.Entry
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSuffix(lines.Text(), "\r") // one that belongs to a name is escaped
		if line == "" || line[0] == '#' {
			continue
		}
		digest, path, ok := sum(line)
		if !ok {
			return nil, fmt.Errorf("%w: line %d of SHA256SUMS is no sum", errFormat, n)
		}
		entries = append(entries, providers.Entry{Path: path, Size: providers.SizeUnknown, Digest: digest})
		if len(entries) > maxEntries {
			return nil, fmt.Errorf("%w: SHA256SUMS has more than %d files", errFormat, maxEntries)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("%w: SHA256SUMS has a line of more than 64 KiB", errFormat)
	case err != nil:
		return nil, err
	case len(entries) == 0:
		return nil, fmt.Errorf("%w: SHA256SUMS has no sum", errFormat)
	}
	return entries, nil
}

// sum reads one line, as sha256sum writes it: "<hex>  <name>" with a '*' in place of
// the second blank for files read as binary, or with --tag "SHA256 (<name>) = <hex>".
// A backslash before it says that the name is escaped.
func sum(line string) (providers.Digest, string, bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	var hexsum, name string
	if rest, tagged := strings.CutPrefix(line, "SHA256 ("); tagged {
		i := strings.LastIndex(rest, ") = ")
		if i < 0 {
			return "", "", false
		}
		name, hexsum = rest[:i], rest[i+len(") = "):]
	} else {
		if len(line) < 67 || line[64] != ' ' || line[65] != ' ' && line[65] != '*' {
			return "", "", false
		}
		hexsum, name = line[:64], line[66:]
	}
	if escaped {
		var ok bool
		if name, ok = unescapeName(name); !ok {
			return "", "", false
		}
	}
	digest := providers.NewDigest("sha256", hexsum)
	name = strings.TrimPrefix(name, "./") // find and xargs write it
	return digest, name, digest != "" && name != ""
}

// unescapeName undoes what sha256sum does to names with a backslash, a newline or a
// carriage return.
func unescapeName(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", false
		}
		switch s[i] {
		case '\\':
			b.WriteByte('\\')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			return "", false
		}
	}
	return b.String(), true
}
