package web

import (
	"context"
	"errors"
	iofs "io/fs"
	"net/http"
	"time"

	"modelfs/providers/wire"
)

// rediscover is how long it is believed which list a site has. Until then one request
// tells that the site is there; finding out takes up to three.
const rediscover = 10 * time.Minute

// find returns how the site is listed, and asks it in any case: an error says that the
// site is not there, or not to be had.
func (s *site) find(ctx context.Context) (string, error) {
	if index := s.known(); index != "" {
		err := s.probe(ctx, index)
		switch {
		case err == nil || s.configured() == indexAuto && !passable(err):
			return index, err
		case s.configured() == indexPage:
			return "", err
		case s.configured() != indexAuto:
			return "", s.gone(err)
		}
		s.forget()
	}
	for _, index := range []string{indexJSON, indexSums, indexPage} {
		err := s.probe(ctx, index)
		switch {
		case err == nil:
			s.remember(index)
			return index, nil
		case !passable(err), index == indexPage && errors.Is(err, iofs.ErrNotExist):
			return "", err
		case errors.Is(err, errFormat):
			s.log.Warn("passed over a list of files that cannot be read", "site", s.name, "list", index, "error", err)
		}
	}
	// The folder answered, if only that it shows no list.
	s.remember(indexNone)
	return indexNone, nil
}

// listing returns how the site is listed, and asks only if that is not known.
func (s *site) listing(ctx context.Context) (string, error) {
	if index := s.known(); index != "" {
		return index, nil
	}
	return s.find(ctx)
}

// passable reports whether err means that the site has no list of the kind that was
// asked for, and may have another: there is no such file, it is something else that
// has the same name, or not for everybody.
func passable(err error) bool {
	return errors.Is(err, iofs.ErrNotExist) || errors.Is(err, errFormat) || errors.Is(err, errPage) ||
		errors.Is(err, errUnlisted) || status(err) == http.StatusForbidden
}

// probe asks for the list of the site.
func (s *site) probe(ctx context.Context, index string) error {
	switch index {
	case indexJSON, indexSums:
		_, err := s.document(ctx, index, 0)
		return err
	case indexPage:
		_, err := s.page(ctx, "")
		return err
	}
	return s.answers(ctx)
}

// answers asks the folder of a site without list. Such a folder is often forbidden or
// absent by itself, and what is in it is not.
func (s *site) answers(ctx context.Context) error {
	resp, err := s.ask(ctx, wire.Request{Method: http.MethodHead, URL: s.at("")}, //nolint:bodyclose // Discard does
		http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented)
	if err == nil {
		wire.Discard(resp)
	}
	return err
}

func (s *site) configured() string {
	if s.conf.Index == "" {
		return indexAuto
	}
	return s.conf.Index
}

func (s *site) known() string {
	if index := s.configured(); index != indexAuto {
		return index
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now().Sub(s.found) > rediscover {
		return ""
	}
	return s.index
}

func (s *site) remember(index string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.index, s.found = index, s.now()
}

func (s *site) forget() { s.remember("") }
