package transformers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"
	"net/url"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// refused is an answer that says no. Err is the contract's word for it.
type refused struct {
	status  int
	code    string // X-Error-Code
	message string // X-Error-Message, without secrets
	token   bool   // the question carried a token
	err     error
}

func (r *refused) Error() string {
	s := fmt.Sprintf("%v: the Hub answers %d", r.err, r.status)
	if r.code != "" {
		s += fmt.Sprintf(" %q", r.code)
	}
	if r.message != "" {
		s += fmt.Sprintf(" (%q)", r.message)
	}
	return s
}

func (r *refused) Unwrap() error { return r.err }

// Header values of the Hub's errors (huggingface_hub, utils/_http.py,
// hf_raise_for_status). The messages are part of the protocol: there is no code
// for them.
const (
	codeEntry    = "EntryNotFound"
	codeRevision = "RevisionNotFound"
	codeRepo     = "RepoNotFound"
	codeGated    = "GatedRepo"

	messageDisabled = "Access to this resource is disabled."
	messageToken    = "Invalid credentials in Authorization header"
)

// refusal closes an answer to a question about u, and says what it means.
func (h *hub) refusal(u *url.URL, resp *http.Response) error {
	wire.Discard(resp)
	r := &refused{
		status:  resp.StatusCode,
		code:    h.redact(wire.Clip(resp.Header.Get("X-Error-Code"))),
		message: h.redact(wire.Clip(resp.Header.Get("X-Error-Message"))),
		token:   resp.Request.Header.Get("Authorization") != "",
	}
	r.err = r.meaning()
	if r.status == http.StatusTooManyRequests {
		return &providers.Throttled{After: h.limits.wait(u, h.now()), Err: r}
	}
	return r
}

// meaning maps an answer to the contract's errors. A source hides what is
// private, so without a token every refusal is absence; with one it is a
// refusal of the token.
func (r *refused) meaning() error {
	switch {
	case r.code == codeGated, r.message == messageDisabled, r.message == messageToken,
		r.status == http.StatusUnavailableForLegalReasons:
		return iofs.ErrPermission
	case r.status == http.StatusUnauthorized || r.status == http.StatusForbidden:
		if r.token {
			return iofs.ErrPermission
		}
		return iofs.ErrNotExist
	case r.status == http.StatusNotFound || r.status == http.StatusGone:
		return iofs.ErrNotExist
	case r.status == http.StatusRequestedRangeNotSatisfiable:
		return providers.ErrStale
	}
	return providers.ErrUnavailable
}

// pinned turns absence into staleness: the revision was there when it was
// resolved, so it has been deleted, squashed away or hidden since.
func pinned(err error) error {
	if !errors.Is(err, iofs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: %s", providers.ErrStale, err.Error())
}

// code is the X-Error-Code of a refusal, if err is one.
func code(err error) string {
	var r *refused
	if errors.As(err, &r) {
		return r.code
	}
	return ""
}

// remedy is what a person can do about err.
func (p *Provider) remedy(name string, err error) string {
	var off *offlineError
	var no *refused
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var addr *wire.RefusedAddr
	var throttled *providers.Throttled
	switch {
	case errors.As(err, &off):
		return "unset " + off.variable + " to use the network"
	case errors.As(err, &unknown):
		return "set ca_file to the certificate that signs " + p.hub.endpoint.Host
	case errors.As(err, &cert):
		return "check the host name in endpoint and the clock"
	case errors.As(err, &addr):
		return "set endpoint to a mirror that serves the files itself"
	case errors.As(err, &throttled):
		return "set token_file or HF_TOKEN: accounts have higher rate limits"
	case errors.As(err, &no):
		return p.remedyRefused(name, no)
	case errors.Is(err, iofs.ErrPermission):
		return "check token_file, or HF_TOKEN"
	case errors.Is(err, providers.ErrUnavailable):
		return "check that " + p.hub.endpoint.Host + " (endpoint or HF_ENDPOINT) answers"
	}
	return ""
}

func (p *Provider) remedyRefused(name string, no *refused) string {
	page := p.hub.endpoint.String() + "/" + name
	switch {
	case no.code == codeGated && !no.token:
		return "ask for access at " + page + " and set token_file or HF_TOKEN"
	case no.code == codeGated:
		return "ask for access at " + page
	case no.message == messageDisabled || no.status == http.StatusUnavailableForLegalReasons:
		return "the Hub has closed this repository, see " + page
	case errors.Is(no, iofs.ErrPermission):
		return "the token is refused: renew it in token_file or HF_TOKEN, with the right to read " + name
	case errors.Is(no, iofs.ErrNotExist) && !no.token:
		return "if it is private, set token_file or HF_TOKEN"
	}
	return ""
}
