package transformers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"net/url"
	"time"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// defaultRef is the branch that the Hub itself takes where none is named.
const defaultRef = "main"

// Resolve asks what a repository is at ref. A name is "name", "org/name", or
// either after "datasets/" or "spaces/".
func (p *Provider) Resolve(ctx context.Context, name, ref string) (providers.Model, error) {
	m, err := p.resolve(ctx, name, ref)
	if err != nil {
		return nil, p.fail("resolve", name, "", err)
	}
	if p.reuse != nil {
		return reusingModel{m}, nil
	}
	return m, nil
}

func (p *Provider) resolve(ctx context.Context, name, ref string) (*model, error) {
	r, err := parseRepo(name)
	if err != nil {
		return nil, err
	}
	if ref != "" && !validRef(ref) {
		return nil, fmt.Errorf("%w: no revision can be called so", iofs.ErrNotExist)
	}
	var m *model
	if r.single() && ref == "" {
		m, err = p.resolveSingle(ctx, r)
	} else {
		m, err = p.resolveRepo(ctx, r, ref)
	}
	if p.reuse != nil && p.hub.offline != "" && err != nil {
		return p.resolveCached(r, ref, err)
	}
	return m, err
}

// resolveSingle resolves a name of one part, which may be a repository of old
// or the author of others. Both questions go out together, so that neither
// case costs two round trips.
func (p *Provider) resolveSingle(ctx context.Context, r repo) (*model, error) {
	ctx, cancel := context.WithCancel(ctx)
	known := make(chan bool, 1)
	go func() { known <- p.mayBeAuthor(ctx, r) }()
	m, err := p.resolveRepo(ctx, r, "")
	// A revision that is not there is the absence of no repository.
	if !errors.Is(err, iofs.ErrNotExist) || code(err) == codeRevision {
		cancel()
		<-known
		return m, err
	}
	author := <-known
	cancel()
	if author {
		return nil, fmt.Errorf("%w: no repository, but perhaps the author of some", providers.ErrPartial)
	}
	return nil, err
}

// mayBeAuthor reports whether names below r may exist: it says no only if the
// Hub does. Mirrors often have no answer.
func (p *Provider) mayBeAuthor(ctx context.Context, r repo) bool {
	u := p.hub.at("/api/" + r.kind.api)
	u.RawQuery = url.Values{"author": {r.id}, "limit": {"1"}}.Encode()
	a, err := p.hub.query(ctx, question{method: http.MethodGet, url: u}, p.hub.pace.once())
	if err != nil {
		return true
	}
	defer wire.Discard(a.Response)
	var found []json.RawMessage
	if a.StatusCode != http.StatusOK || decode(a.Body, &found) != nil {
		return true
	}
	return len(found) > 0
}

// info is what the Hub tells of a repository at a revision.
type info struct {
	ID           string `json:"id"`
	SHA          string `json:"sha"`
	LastModified string `json:"lastModified"`
}

// modTime is zero where a mirror tells no time or writes it in a way of its own.
func (in info) modTime() time.Time {
	t, err := time.Parse(time.RFC3339, in.LastModified)
	if err != nil {
		return time.Time{}
	}
	return t
}

func (p *Provider) resolveRepo(ctx context.Context, asked repo, ref string) (*model, error) {
	in, err := p.hub.info(ctx, asked, ref)
	if err != nil {
		return nil, err
	}
	r := asked
	if validID(in.ID) {
		r.id = in.ID
	}
	return p.model(r, ref, in), nil
}

// info asks for a revision. Only the fields needed are asked for: the answer
// would otherwise list every file of the repository.
func (h *hub) info(ctx context.Context, r repo, ref string) (info, error) {
	if ref == "" {
		ref = defaultRef
	}
	u := h.apiURL(r, "revision", ref)
	u.RawQuery = "expand=sha&expand=lastModified"
	a, err := h.query(ctx, question{method: http.MethodGet, url: u}, h.pace)
	if err != nil {
		return info{}, err
	}
	if err := h.ok(u, a); err != nil {
		return info{}, err
	}
	defer wire.Discard(a.Response)
	var in info
	if err := decode(a.Body, &in); err != nil {
		return info{}, err
	}
	if !isSHA(in.SHA) {
		return info{}, fmt.Errorf("%w: the Hub's answer has no commit in it", providers.ErrUnavailable)
	}
	return in, nil
}

// ok closes every answer but 200, and says what it means.
func (h *hub) ok(u *url.URL, a *answer) error {
	switch {
	case a.away != nil:
		wire.Discard(a.Response)
		return fmt.Errorf("%w: the Hub redirects to another host, %q", providers.ErrUnavailable, a.away.Host)
	case a.StatusCode != http.StatusOK:
		return h.refusal(u, a.Response)
	}
	return nil
}

// maxAnswer bounds one JSON answer. The largest honest one is the info of a
// repository of 100,000 files from a mirror that does not know expand.
const maxAnswer = 64 << 20

// decode reads one JSON value. Its errors are of the source, which sent what it
// should not.
func decode(body io.Reader, v any) error {
	limited := &io.LimitedReader{R: body, N: maxAnswer}
	if err := json.NewDecoder(limited).Decode(v); err != nil {
		return broken(err, limited)
	}
	return nil
}

// broken words an answer that cannot be read, and keeps the errors of the
// transport and of the context as they are.
func broken(err error, limited *io.LimitedReader) error {
	switch {
	case limited.N <= 0:
		return fmt.Errorf("%w: the answer is longer than %d bytes", providers.ErrUnavailable, maxAnswer)
	case errors.Is(err, providers.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: the answer is not the JSON expected: %w", providers.ErrUnavailable, err)
}

func (p *Provider) model(r repo, ref string, in info) *model {
	commit := p.seen.get(r.String() + "@" + in.SHA)
	return &model{p: p, repo: r, commit: commit, origin: providers.Origin{
		Protocol:  p.env.Protocol,
		Name:      r.String(),
		Ref:       ref,
		Revision:  in.SHA,
		Immutable: ref == in.SHA,
		Source:    p.source(r),
		ModTime:   in.modTime(),
		Verify:    p.strict,
	}}
}
