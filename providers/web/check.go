package web

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"

	"modelfs/providers"
)

// Check asks the server, and the index, whether e is what they have now.
func (m *model) Check(ctx context.Context, e providers.Entry) error {
	if e.Path == "" {
		_, err := m.find(ctx)
		return m.fail("check", "", err)
	}
	is, err := m.stat(ctx, e.Path)
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		err = fmt.Errorf("%w: the file is gone", providers.ErrChanged)
	case err == nil && !same(is, e):
		err = fmt.Errorf("%w: the file was replaced", providers.ErrChanged)
	}
	return m.fail("check", e.Path, err)
}

// same reports whether e describes what is. A listing may have left out its size,
// its validator or both.
func same(is, e providers.Entry) bool {
	if is.Mode.Type() != e.Mode.Type() || is.Digest != e.Digest || e.Size != providers.SizeUnknown && is.Size != e.Size {
		return false
	}
	pinned, err := parsePin(e.Validator)
	if err != nil {
		return false
	}
	now, err := parsePin(is.Validator)
	return err == nil && pinned.match(now.etag, is.ModTime) == nil
}
