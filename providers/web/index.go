package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"modelfs/providers"
)

// file is one object of an index.json.
type file struct {
	Path   string    `json:"path"`
	Size   *int64    `json:"size"`
	SHA256 string    `json:"sha256"`
	MTime  time.Time `json:"mtime"`
}

// readIndex reads an index.json, one object at a time: a list of empty objects takes
// forty times its bytes of memory.
func readIndex(r io.Reader) ([]providers.Entry, error) {
	d := json.NewDecoder(r)
	if t, err := d.Token(); err == io.EOF || err == nil && t != json.Delim('[') {
		return nil, indexError(nil, "not an array of files")
	} else if err != nil {
		return nil, indexError(err, "not JSON")
	}
	var entries []providers.Entry
	for d.More() {
		var f file
		if err := d.Decode(&f); err != nil {
			return nil, indexError(err, "file %d", len(entries)+1)
		}
		e, err := f.entry()
		if err != nil {
			return nil, indexError(err, "file %d", len(entries)+1)
		}
		if entries = append(entries, e); len(entries) > maxEntries {
			return nil, fmt.Errorf("%w: index.json has more than %d files", errFormat, maxEntries)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, indexError(err, "no end of the array")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, indexError(err, "something follows the array")
	}
	return entries, nil
}

// entry is f as a listing has it. A size is of use only beside a digest, which then
// holds the content to both.
func (f file) entry() (providers.Entry, error) {
	e := providers.Entry{Path: f.Path, Size: providers.SizeUnknown, ModTime: f.MTime}
	if f.Path == "" {
		return e, errors.New("has no path")
	}
	if f.SHA256 != "" {
		if e.Digest = providers.NewDigest("sha256", f.SHA256); e.Digest == "" {
			return e, errors.New("has a sha256 that is none")
		}
	}
	if f.Size != nil && *f.Size < 0 {
		return e, errors.New("has a negative size")
	}
	if f.Size != nil && e.Digest != "" {
		e.Size = *f.Size
	}
	return e, nil
}

// indexError tells a list that is wrong from one whose end did not arrive.
func indexError(err error, format string, args ...any) error {
	switch {
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%w: index.json ends early", providers.ErrUnavailable)
	}
	// The decoder's own words repeat what it met.
	why := ""
	if err != nil {
		why = fmt.Sprintf(": %.100q", err.Error())
	}
	return fmt.Errorf("%w: index.json: "+format+"%s", append(append([]any{errFormat}, args...), why)...)
}
