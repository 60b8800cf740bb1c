package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	iofs "io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"modelfs/providers"
)

var (
	errArchived = errors.New("the object is archived and has to be restored before it can be read")
	errRefused  = errors.New("the server does not accept the request")
)

const (
	remedyNone     = "set access_key_id_file and secret_access_key_file or a profile, or anonymous: true if the bucket is public"
	remedyGiven    = "check the keys or the profile of this source"
	remedyDenied   = "let these credentials s3:GetObject and s3:ListBucket, or set request_payer: true if readers pay for the bucket"
	remedyRequest  = "check region: and endpoint:, and sse_c_key_file: if the object is encrypted with a customer key"
	remedyArchive  = "restore it with the tools of its owner; modelfs never does"
	remedyEndpoint = "check endpoint: and the network"
	remedyTrust    = "name the certificate of the server's authority in ca_file:"
	remedyClock    = "set this machine's clock"
)

// doubt says how old credentials must be for err to mean that they may have been
// replaced since they were loaded. AWS refuses old ones with 400 as well as 403.
func (p *Provider) doubt(err error) time.Duration {
	var cred *credentialError
	if errors.As(err, &cred) {
		return remembered // somebody may have written a profile since
	}
	switch code(err) {
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch", "RequestExpired":
		return p.renewAfter
	}
	// HEAD has no body to say why it was refused: seldom for this reason.
	if r, ok := refused(err); ok && r.method == http.MethodHead &&
		(r.status == http.StatusForbidden || r.status == http.StatusBadRequest) {
		return 12 * p.renewAfter
	}
	return never
}

// never is longer than any account lives.
const never = time.Duration(1<<63 - 1)

func code(err error) string {
	var api smithy.APIError
	if errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// refusal is what an error of the SDK says of the answer it came with.
type refusal struct {
	status int
	method string
	header http.Header
	err    error
}

// refused finds the answer behind err; false if none arrived.
func refused(err error) (refusal, bool) {
	var r *smithyhttp.ResponseError
	if !errors.As(err, &r) || r.Response == nil || r.Response.Response == nil || r.Response.StatusCode == 0 {
		return refusal{}, false // the SDK makes an empty response of a request that got none
	}
	to := refusal{status: r.Response.StatusCode, header: r.Response.Header, err: err}
	if r.Response.Request != nil {
		to.method = r.Response.Request.Method
	}
	return to, true
}

// classify turns an error of the SDK into one that wraps a sentinel, with what a
// person can do. The SDK's own error is only quoted, so that nothing of it (an
// inner timeout that calls itself DeadlineExceeded) is taken for ours.
func classify(ctx context.Context, err error) (remedy string, kind error) {
	if e := ctx.Err(); e != nil {
		return "", e
	}
	var ours *providers.Error
	if errors.As(err, &ours) {
		return ours.Remedy, ours.Err
	}
	var cred *credentialError
	switch {
	case !errors.As(err, &cred):
	case cred.transient():
		return remedyGiven, quote(providers.ErrUnavailable, cred)
	case cred.given:
		return remedyGiven, quote(iofs.ErrPermission, cred)
	default:
		return remedyNone, quote(iofs.ErrPermission, cred)
	}
	if r, ok := refused(err); ok {
		return r.classify()
	}
	for _, own := range []error{iofs.ErrNotExist, iofs.ErrPermission, providers.ErrStale, providers.ErrWhole, providers.ErrUnavailable} {
		if errors.Is(err, own) {
			return "", err
		}
	}
	var cert *tls.CertificateVerificationError
	if errors.As(err, &cert) {
		return remedyTrust, quote(providers.ErrUnavailable, cert)
	}
	return remedyEndpoint, quote(providers.ErrUnavailable, err)
}

// classify judges by the error code of S3, then by status.
func (r refusal) classify() (remedy string, kind error) {
	switch c := code(r.err); c {
	case "InvalidObjectState":
		return remedyArchive, errArchived
	case "ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "InvalidToken", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		return remedyGiven, quote(iofs.ErrPermission, r.say())
	case "RequestTimeTooSkewed":
		return remedyClock, quote(providers.ErrUnavailable, r.say())
	case "SlowDown", "Throttling", "ThrottlingException", "RequestLimitExceeded", "TooManyRequests":
		return "", r.throttled()
	case "InvalidBucketName", "KeyTooLongError", "MethodNotAllowed":
		// 405 is a delete marker's answer to its own version id.
		return "", quote(iofs.ErrNotExist, r.say())
	}
	switch s := r.status; {
	case s == http.StatusNotFound && r.fromS3():
		return "", quote(iofs.ErrNotExist, r.say())
	case s == http.StatusMethodNotAllowed:
		return "", quote(iofs.ErrNotExist, r.say())
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		return remedyDenied, quote(iofs.ErrPermission, r.say())
	case s == http.StatusPreconditionFailed || s == http.StatusRequestedRangeNotSatisfiable:
		return "", quote(providers.ErrStale, r.say())
	case s == http.StatusTooManyRequests || s == http.StatusServiceUnavailable:
		return "", r.throttled()
	case s >= 500 || s == http.StatusRequestTimeout || s == http.StatusNotFound || s < 300:
		return remedyEndpoint, quote(providers.ErrUnavailable, r.say())
	}
	return remedyRequest, quote(errRefused, r.say())
}

// fromS3 keeps a web server that is not S3 from making people believe that
// their models are gone. HEAD has no body that could tell.
func (r refusal) fromS3() bool {
	c := code(r.err)
	return strings.HasPrefix(c, "NoSuch") || c == "NotFound" && r.method == http.MethodHead
}

func (r refusal) throttled() error {
	e := r.say()
	after, aerr := strconv.Atoi(r.header.Get("Retry-After"))
	if aerr != nil || after < 0 || after > 3600 {
		return quote(providers.ErrUnavailable, e)
	}
	return &providers.Throttled{After: time.Duration(after) * time.Second, Err: e}
}

// say tells what the server answered, without trusting its text.
func (r refusal) say() error {
	text := fmt.Sprintf("HTTP %d", r.status)
	var api smithy.APIError
	if errors.As(r.err, &api) {
		if c := clean(api.ErrorCode()); c != "" {
			text += " " + c
		}
		if m := clean(api.ErrorMessage()); m != "" && m != clean(api.ErrorCode()) {
			text += ": " + m
		}
	}
	return errors.New(text)
}

// quote makes an error that wraps sentinel and only quotes cause.
func quote(sentinel, cause error) error { return fmt.Errorf("%w: %s", sentinel, clean(cause.Error())) }

// clean makes one short line of a server's words.
func clean(s string) string {
	const longest = 300
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > longest {
		s = strings.ToValidUTF8(s[:longest], "") + "..."
	}
	return s
}

// wrap makes the error that leaves the package. An unknown name that anonymous
// callers are refused is not there, as sources hide what is private; anything
// that is refused to given credentials, or that the configuration names, is
// refused.
func (p *Provider) wrap(ctx context.Context, op, name, path string, hide bool, err error) error {
	if err == nil {
		return nil
	}
	remedy, kind := classify(ctx, err)
	if hide && errors.Is(kind, iofs.ErrPermission) {
		p.hides.Do(func() {
			p.env.Log.Warn("a bucket that was asked for is shown as absent: there are no credentials to read it with",
				"name", name, "remedy", remedy, "error", kind)
		})
		kind = quote(iofs.ErrNotExist, kind)
	}
	return &providers.Error{Op: op, Protocol: p.env.Protocol, Name: name, Path: path, Remedy: remedy, Err: kind}
}

// unsigned reports whether err came to a caller without credentials.
func (b *bucket) unsigned(err error) bool {
	var cred *credentialError
	return b.anonymous() || errors.As(err, &cred) && !cred.given
}
