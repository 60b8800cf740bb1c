package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Error is a configuration that cannot be used, with everything wrong in it.
type Error struct {
	// File is the file, or empty if the problem is not in one.
	File     string
	Problems []Problem
}

// Problem is one thing wrong, and what to do about it.
type Problem struct {
	// Line is in the file, from 1; 0 if the value is not from the file.
	Line int `json:"line,omitempty"`
	// Key is the path of the setting, such as cache.max_size.
	Key string `json:"key,omitempty"`
	// Text says what is wrong with it.
	Text string `json:"text"`
	// Remedy says what to write instead.
	Remedy string `json:"remedy,omitempty"`
}

// Error writes one line for each problem, the way compilers do.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.in(e.File)
	}
	return strings.Join(lines, "\n")
}

func (p Problem) in(file string) string {
	var b strings.Builder
	switch {
	case file == "":
		b.WriteString("configuration: ")
	case p.Line == 0:
		fmt.Fprintf(&b, "%s: ", file)
	default:
		fmt.Fprintf(&b, "%s:%d: ", file, p.Line)
	}
	if p.Key != "" {
		fmt.Fprintf(&b, "%s: ", p.Key)
	}
	b.WriteString(p.Text)
	if p.Remedy != "" {
		fmt.Fprintf(&b, "; %s", p.Remedy)
	}
	return strings.Map(printable, b.String())
}

// problems collects while reading goes on, so that one run tells them all.
type problems []Problem

func (ps *problems) add(line int, key, remedy, format string, args ...any) {
	*ps = append(*ps, Problem{line, key, fmt.Sprintf(format, args...), remedy})
}

// in returns the problems in the order of the file, or nil if there are none.
func (ps problems) in(file string) error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int { return cmp.Compare(a.Line, b.Line) })
	return &Error{File: file, Problems: ps}
}

// printable keeps what a file says from steering the terminal.
func printable(r rune) rune {
	if unicode.IsPrint(r) {
		return r
	}
	return '\uFFFD'
}
