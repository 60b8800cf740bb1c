package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"iter"
	"net/http"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

const (
	// maxList bounds the bytes of a list.
	maxList = 64 << 20
	// maxEntries bounds the files in one.
	maxEntries = 1_000_000
	// sameGlance is how old a list may be for the directories of one listing after
	// another. Everything else asks.
	sameGlance = time.Second
)

// errFormat says that a list is not of its format.
var errFormat = fmt.Errorf("%w: the list cannot be read", providers.ErrUnavailable)

// ReadDir lists a directory: from the site's index, or by its own page.
func (m *model) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		for e, err := range m.readDir(ctx, dir) {
			if err != nil {
				yield(providers.Entry{}, m.fail("list", dir, err))
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (m *model) readDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	if dir != "" && providers.ValidPath(dir) != nil {
		return failed(iofs.ErrNotExist)
	}
	index, err := m.listing(ctx)
	if err != nil {
		return failed(err)
	}
	switch index {
	case indexJSON, indexSums:
		tree, err := m.document(ctx, index, sameGlance)
		if err != nil {
			return failed(m.gone(err))
		}
		return tree.ReadDir(dir)
	case indexPage:
		entries, err := m.page(ctx, dir)
		if err != nil {
			return failed(err)
		}
		return each(entries)
	}
	return failed(errUnlisted)
}

func failed(err error) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) { yield(providers.Entry{}, err) }
}

func each(entries []providers.Entry) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		for _, e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// A document is an index.json or a SHA256SUMS as it was when it was read.
type document struct {
	index string
	tree  *providers.Tree
	asked time.Time
	same  http.Header // the condition that asks whether it still is so; nil if none does
}

// document returns what the site's index says, at most age ago.
func (s *site) document(ctx context.Context, index string, age time.Duration) (*providers.Tree, error) {
	s.mu.Lock()
	last := s.listed
	s.mu.Unlock()
	if last == nil || last.index != index {
		last = &document{}
	}
	asked := s.now()
	if last.tree != nil && asked.Sub(last.asked) < age {
		return last.tree, nil
	}
	name, parse := "index.json", readIndex
	if index == indexSums {
		name, parse = "SHA256SUMS", readSums
	}
	resp, err := s.ask(ctx, wire.Request{URL: s.at(name), Header: last.same}, http.StatusNotModified) //nolint:bodyclose // Discard does
	if err != nil {
		return nil, notFile(err)
	}
	defer wire.Discard(resp)
	next := &document{index: index, tree: last.tree, asked: asked, same: last.same}
	if resp.StatusCode != http.StatusNotModified {
		if isPage(resp.Header, name) {
			return nil, errPage
		}
		entries, err := parse(&limited{r: resp.Body, left: maxList})
		if err != nil {
			return nil, err
		}
		next.tree, next.same = providers.NewTree(entries), unless(resp.Header)
	} else if last.tree == nil {
		return nil, fmt.Errorf("%w: 304 to a question without condition", providers.ErrUnavailable)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listed == nil || !s.listed.asked.After(asked) {
		s.listed = next
	}
	return next.tree, nil
}

// notFile makes a directory in the place of a file the absence of the file.
func notFile(err error) error {
	if errors.Is(err, errDirectory) {
		return fmt.Errorf("%w: a directory has its name", iofs.ErrNotExist)
	}
	return err
}

// gone makes the absence of an index that was there the failure it is: the files of
// the site may all be there. Where the index was found by itself, the next question
// looks for another.
func (s *site) gone(err error) error {
	if !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	s.forget()
	return fmt.Errorf("%w: the list of files has gone: %s", providers.ErrUnavailable, err.Error())
}

// unless is the condition under which the server need not send again what it sent
// with header h. A list that was changed less than two seconds before may be changed
// again without another time, and nginx makes its ETag of that too (RFC 9110, 8.8.2.2).
func unless(h http.Header) http.Header {
	etag, changed := etagOf(h), modified(h)
	date, err := http.ParseTime(h.Get("Date"))
	if !changed.IsZero() && (err != nil || date.Sub(changed) < 2*time.Second) {
		return nil
	}
	switch {
	case etag != "":
		return http.Header{"If-None-Match": {etag}}
	case !changed.IsZero():
		return http.Header{"If-Modified-Since": {h.Get("Last-Modified")}}
	}
	return nil
}

// limited is a reader whose limit is an error and not an end.
type limited struct {
	r    io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("%w: it has more than %d bytes", errFormat, maxList)
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.left -= int64(n)
	return n, err
}
