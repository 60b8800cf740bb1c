package transformers

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// Check asks whether the ref still means the model's commit. It asks the
// resolve route about a file, whose quota is six times that of the API, and
// needs no hop: the commit stands on the first answer.
func (m *model) Check(ctx context.Context, e providers.Entry) error {
	if m.origin.Immutable {
		return nil
	}
	sha, err := m.checks.do(ctx, "", func(ctx context.Context) (string, error) { return m.present(ctx, e) })
	switch {
	case errors.Is(err, iofs.ErrNotExist):
		// The ref is gone, or the repository: it means nothing now.
		err = fmt.Errorf("%w: %s", providers.ErrChanged, err.Error())
	case err == nil && sha != m.origin.Revision:
		err = fmt.Errorf("%w: the ref has moved to %s", providers.ErrChanged, sha)
	}
	return m.fail("check", e.Path, err)
}

// present is the commit that the ref means now.
func (m *model) present(ctx context.Context, e providers.Entry) (string, error) {
	ref := m.origin.Ref
	if ref == "" {
		ref = defaultRef
	}
	h := m.p.hub
	if !e.IsDir() && providers.ValidPath(e.Path) == nil {
		told := func(header http.Header) bool { return isSHA(header.Get("X-Repo-Commit")) }
		u := h.fileURL(m.repo, ref, e.Path)
		a, err := h.query(ctx, question{method: http.MethodHead, url: u, enough: told}, h.pace)
		if err != nil {
			return "", err
		}
		switch {
		case told(a.Header) && (a.StatusCode < 400 || a.StatusCode == http.StatusNotFound):
			// A file that is not there has told the commit that lacks it.
			wire.Discard(a.Response)
			return a.Header.Get("X-Repo-Commit"), nil
		case a.StatusCode == http.StatusUnauthorized, a.StatusCode == http.StatusForbidden:
			return "", h.refusal(u, a.Response)
		}
		wire.Discard(a.Response)
	}
	// A mirror that does not tell the commit on the route, or knows no HEAD.
	in, err := h.info(ctx, m.repo, m.origin.Ref)
	return in.SHA, err
}
