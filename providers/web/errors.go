package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// refused is an answer that says no. Err is the contract's word for it.
type refused struct {
	status int
	host   string
	err    error
}

func (r *refused) Error() string { return fmt.Sprintf("%v: %s answers %d", r.err, r.host, r.status) }

func (r *refused) Unwrap() error { return r.err }

// refusal says what an answer means that is no success, and closes it.
func refusal(resp *http.Response) error {
	wire.Discard(resp)
	r := &refused{status: resp.StatusCode, host: resp.Request.URL.Host, err: providers.ErrUnavailable}
	switch resp.StatusCode {
	case http.StatusNotFound, http.StatusGone:
		r.err = iofs.ErrNotExist
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusUnavailableForLegalReasons:
		// The configuration calls the site by name: it does not hide.
		r.err = iofs.ErrPermission
	case http.StatusPreconditionFailed, http.StatusRequestedRangeNotSatisfiable:
		r.err = providers.ErrStale
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if after := wire.RetryAfter(resp.Header); after > 0 {
			return &providers.Throttled{After: after, Err: r}
		}
	}
	return r
}

// status is that of the refusal behind err; 0 if there is none.
func status(err error) int {
	if r := (*refused)(nil); errors.As(err, &r) {
		return r.status
	}
	return 0
}

// errPage says that a page came in place of what was asked for.
var errPage = fmt.Errorf("%w: the server sends a page in place of the file", providers.ErrUnavailable)

// errUnlisted says that a site shows no list of its files.
var errUnlisted = fmt.Errorf("%w: the site shows no list of its files", errors.ErrUnsupported)

// fail adds to err what was asked, and what a person can do.
func (s *site) fail(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &providers.Error{Op: op, Protocol: s.protocol, Name: s.name, Path: path, Remedy: s.remedy(err), Err: err}
}

func (s *site) remedy(err error) string {
	var unknown x509.UnknownAuthorityError
	var cert *tls.CertificateVerificationError
	var addr *wire.RefusedAddr
	at := "sites." + s.name
	switch {
	case errors.As(err, &unknown):
		return "set ca_file of " + at + " to the certificate that signs " + s.base.Host
	case errors.As(err, &cert):
		return "check the host name in url of " + at + ", and the clock"
	case errors.As(err, &addr):
		return "set url of " + at + " to the server that keeps the files"
	case errors.Is(err, errPage):
		return "check url of " + at + ", and whether the server wants a user to sign in"
	case errors.Is(err, errFormat):
		return "publish the list anew, or set index of " + at
	case errors.Is(err, errUnlisted):
		return "publish an index.json or SHA256SUMS, or name files by their whole path"
	case errors.Is(err, errLength):
		return "have the server send Content-Length"
	case errors.Is(err, errUnproven):
		return "have the server send ETag or Last-Modified, or publish a SHA256SUMS"
	case errors.Is(err, errSecret):
		return "check the password_file or token_file of " + at
	case errors.Is(err, iofs.ErrPermission) && s.secret():
		return "the credentials of " + at + " are refused: renew them, or have them let read this"
	case errors.Is(err, iofs.ErrPermission):
		return "set username and password_file, or token_file, of " + at
	case errors.Is(err, providers.ErrUnavailable):
		return "check that " + s.base.Host + " (url of " + at + ") answers"
	}
	return ""
}
