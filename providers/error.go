package providers

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels that say what an error means, beside those of io/fs, context and
// errors. They are tested with errors.Is.
var (
	// ErrPartial answers Resolve: not a model, but the beginning of names.
	ErrPartial = errors.New("part of a name")
	// ErrChanged answers Check: the ref means something else now.
	ErrChanged = errors.New("changed at the source")
	// ErrStale says that pinned content is no longer served.
	ErrStale = errors.New("pinned content is no longer at the source")
	// ErrWhole answers ReadRange: the source sends this file only as a whole.
	ErrWhole = errors.New("the source sends this file only as a whole")
	// ErrUnavailable says that the source did not answer, or throttles.
	ErrUnavailable = errors.New("source unavailable")
	// ErrOffline is an ErrUnavailable by choice: a setting forbids to ask, and
	// asking again is of no use.
	ErrOffline = fmt.Errorf("%w: offline by choice", ErrUnavailable)
	// ErrCorrupt says that bytes did not match what was promised of them.
	ErrCorrupt = errors.New("content does not match its digest or length")
)

// Error tells what was asked of which source, like *iofs.PathError, and what to
// do about it.
type Error struct {
	Op       string // resolve, list, stat, check, read
	Protocol string
	Name     string
	Path     string
	Remedy   string // what a person can do; empty if nothing
	Err      error
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	b.WriteByte(' ')
	b.WriteString(e.Protocol)
	for _, part := range []string{e.Name, e.Path} {
		if part != "" {
			fmt.Fprintf(&b, "/%s", part)
		}
	}
	b.WriteString(": ")
	b.WriteString(e.Err.Error())
	if e.Remedy != "" {
		b.WriteString("; ")
		b.WriteString(e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Remedy returns what a person can do about err, if any error in its chain says.
func Remedy(err error) string {
	var e *Error
	for errors.As(err, &e) {
		if e.Remedy != "" {
			return e.Remedy
		}
		err = e.Err
	}
	return ""
}

// Throttled is ErrUnavailable with the time after which to ask again.
type Throttled struct {
	After time.Duration
	Err   error
}

func (t *Throttled) Error() string {
	return fmt.Sprintf("throttled for %s: %v", t.After.Round(time.Second), t.Err)
}

// Unwrap makes a Throttled an ErrUnavailable.
func (t *Throttled) Unwrap() []error { return []error{ErrUnavailable, t.Err} }
