package web

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// errLength says that a file cannot be served because its length is not told.
var errLength = fmt.Errorf("%w: the server does not tell the length of the file", errors.ErrUnsupported)

// errUnproven says that nothing would tell one content of a file from the next.
var errUnproven = fmt.Errorf("%w: neither the server nor an index tells which content the file has", errors.ErrUnsupported)

// Stat asks for one file, and then the site's index what it says of it. In this order
// the validator is not newer than the digest beside it: a file that is replaced in
// between is one that can no longer be read, and not one with a digest of the other.
func (m *model) Stat(ctx context.Context, path string) (providers.Entry, error) {
	if path == "" {
		return providers.Entry{Mode: iofs.ModeDir}, nil
	}
	e, err := m.stat(ctx, path)
	return e, m.fail("stat", path, err)
}

func (m *model) stat(ctx context.Context, path string) (providers.Entry, error) {
	if providers.ValidPath(path) != nil {
		return providers.Entry{}, iofs.ErrNotExist
	}
	index, err := m.listing(ctx)
	if err != nil {
		return providers.Entry{}, err
	}
	e, err := m.head(ctx, path)
	if index == indexJSON || index == indexSums {
		tree, indexErr := m.document(ctx, index, 0)
		if indexErr != nil {
			return providers.Entry{}, m.gone(indexErr)
		}
		says, indexErr := tree.Stat(path)
		if indexErr != nil || says.IsDir() {
			return says, indexErr
		}
		if err == nil && says.Size != providers.SizeUnknown && says.Size != e.Size {
			return providers.Entry{}, fmt.Errorf("%w: the index says %d bytes, the server %d", providers.ErrCorrupt, says.Size, e.Size)
		}
		e.Digest = says.Digest
		err = notFile(err)
	}
	switch {
	case errors.Is(err, errDirectory):
		return providers.Entry{Path: path, Mode: iofs.ModeDir}, nil
	case err != nil:
		return providers.Entry{}, err
	case e.Digest == "" && e.Validator == "":
		return providers.Entry{}, errUnproven
	}
	return e, nil
}

// head describes a file by the header of an answer about it.
func (s *site) head(ctx context.Context, path string) (providers.Entry, error) {
	h, size, err := s.header(ctx, path)
	if err != nil {
		return providers.Entry{}, err
	}
	coding := h.Get("Content-Encoding")
	switch {
	case isPage(h, path):
		return providers.Entry{}, errPage
	case coding != "" && coding != "identity":
		return providers.Entry{}, fmt.Errorf("%w: it is encoded as %q, which was not asked for", errLength, wire.Clip(coding))
	case size < 0:
		return providers.Entry{}, errLength
	}
	return providers.Entry{Path: path, Size: size, ModTime: modified(h), Validator: newPin(h).String()}, nil
}

// header asks with HEAD, or for the first byte where HEAD is refused or does not tell
// the length. A link that was signed for GET refuses HEAD too.
func (s *site) header(ctx context.Context, path string) (h http.Header, size int64, err error) {
	if !s.noHead.Load() {
		if h, size, err = s.viaHead(ctx, path); err == nil && size >= 0 {
			return h, size, nil
		}
		switch status(err) {
		case http.StatusMethodNotAllowed, http.StatusNotImplemented:
			s.noHead.Store(true)
		case http.StatusBadRequest, http.StatusForbidden:
		default:
			if err != nil {
				return nil, 0, err
			}
		}
	}
	return s.viaByte(ctx, path)
}

func (s *site) viaHead(ctx context.Context, path string) (http.Header, int64, error) {
	resp, err := s.ask(ctx, wire.Request{Method: http.MethodHead, URL: s.at(path)}) //nolint:bodyclose // Discard does
	if err != nil {
		return nil, 0, err
	}
	wire.Discard(resp)
	return resp.Header, resp.ContentLength, nil
}

func (s *site) viaByte(ctx context.Context, path string) (http.Header, int64, error) {
	resp, err := s.ask(ctx, wire.Request{URL: s.at(path), N: 1}, http.StatusRequestedRangeNotSatisfiable) //nolint:bodyclose // Discard does
	if err != nil {
		return nil, 0, err
	}
	wire.Discard(resp)
	if resp.StatusCode == http.StatusOK {
		return resp.Header, resp.ContentLength, nil
	}
	_, _, size, ok := wire.ParseContentRange(resp.Header.Get("Content-Range"))
	if !ok {
		size = -1
	}
	return resp.Header, size, nil
}
