package zoo

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"syscall"

	"modelfs/providers"
)

// error adds to err what was asked, and says in the contract's words what it means.
func (z *Zoo) error(op, name, path string, err error) error {
	if err == nil {
		return nil
	}
	e := &providers.Error{Op: op, Protocol: z.protocol, Name: name, Path: path, Err: translate(err)}
	if errors.Is(e.Err, iofs.ErrPermission) {
		e.Remedy = "let the user that runs modelfs read it, or change the roots of provider " + z.protocol
	}
	return e
}

// translate maps what the kernel says.
func translate(err error) error {
	for _, known := range []error{
		iofs.ErrPermission, providers.ErrStale, providers.ErrChanged, providers.ErrPartial,
		providers.ErrUnavailable, context.Canceled, context.DeadlineExceeded, iofs.ErrInvalid,
	} {
		if errors.Is(err, known) {
			return err
		}
	}
	for _, none := range []error{
		iofs.ErrNotExist, syscall.ENOTDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.EINVAL,
	} {
		if errors.Is(err, none) {
			return iofs.ErrNotExist
		}
	}
	return fmt.Errorf("%w: %w", providers.ErrUnavailable, err)
}
