package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// ReadRange asks for the range of the pinned content, and believes the answer only as
// far as it proves itself.
func (m *model) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	body, err := m.readRange(ctx, e, off, n)
	if err != nil {
		return nil, m.fail("read", e.Path, err)
	}
	return wire.Named(body, func(err error) error { return m.fail("read", e.Path, err) }), nil
}

func (m *model) readRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	all := off == 0 && n == e.Size
	switch {
	case providers.ValidPath(e.Path) != nil:
		return nil, iofs.ErrNotExist
	case off < 0 || n <= 0 || n > e.Size-off:
		return nil, fmt.Errorf("%w: %d bytes at %d of %d", iofs.ErrInvalid, n, off, e.Size)
	case m.whole.Load() && !all:
		return nil, providers.ErrWhole
	}
	if e.Validator != "" || e.Digest == "" {
		pinned, err := parsePin(e.Validator)
		if err != nil {
			return nil, err
		}
		return m.get(ctx, e, pinned, off, n)
	}
	// The file may have been written again with what it had, so a learned pin that is
	// refused is learned once more.
	known, body, err := m.getLearned(ctx, e, off, n)
	if known && errors.Is(err, providers.ErrStale) {
		m.unlearn(e)
		_, body, err = m.getLearned(ctx, e, off, n)
	}
	return body, err
}

func (m *model) getLearned(ctx context.Context, e providers.Entry, off, n int64) (known bool, body io.ReadCloser, err error) {
	pinned, known, err := m.learn(ctx, e)
	if err != nil {
		return known, nil, gone(err)
	}
	body, err = m.get(ctx, e, pinned, off, n)
	return known, body, err
}

// get asks for a range of the content that has this pin.
func (m *model) get(ctx context.Context, e providers.Entry, pinned pin, off, n int64) (io.ReadCloser, error) {
	all := off == 0 && n == e.Size
	switch {
	case pinned == pin{} && e.Digest == "":
		return nil, fmt.Errorf("%w: an entry without proof", providers.ErrStale)
	case pinned == pin{} && !all:
		// Two ranges could be of two contents, and the index has only the sum of all.
		return nil, providers.ErrWhole
	}
	resp, err := m.ask(ctx, wire.Request{URL: m.at(e.Path), Header: pinned.condition(), Off: off, N: n})
	if err != nil {
		return nil, gone(err)
	}
	m.noteRanges(resp, all)
	err = pinned.match(etagOf(resp.Header), modified(resp.Header))
	if err == nil && isPage(resp.Header, e.Path) {
		err = errPage
	}
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return wire.Take(resp, off, n, e.Size)
}

// noteRanges remembers whether the server knows ranges.
func (s *site) noteRanges(resp *http.Response, all bool) {
	switch {
	case resp.StatusCode == http.StatusPartialContent:
		s.whole.Store(false)
	case !all:
		s.whole.Store(true)
	}
}

// gone makes absence of a pinned file what it means to its reader.
func gone(err error) error {
	if errors.Is(err, iofs.ErrNotExist) || errors.Is(err, errDirectory) {
		return fmt.Errorf("%w: %s", providers.ErrStale, err.Error())
	}
	return err
}
