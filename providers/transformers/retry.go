package transformers

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"syscall"
	"time"

	"modelfs/providers"
)

// pace is how often and how long a question is asked again. The figures are
// huggingface_hub's (utils/_http.py, http_backoff), but for the total, which is
// what a reader who waits in a system call can bear, and the number of tries: the
// guard around every provider asks again by itself.
type pace struct {
	tries       int
	first, last time.Duration // the delay doubles from one to the other
	total       time.Duration // of one call, first try to last
	sleep       func(context.Context, time.Duration) error
}

var defaultPace = pace{tries: 2, first: time.Second, last: 8 * time.Second, total: 30 * time.Second, sleep: sleep}

// once is the pace of a question whose answer is not worth waiting for.
func (p pace) once() pace {
	p.tries, p.total = 1, 0
	return p
}

// query asks q until the endpoint answers with anything but "later". The
// answer may be a refusal: the caller judges its status.
func (h *hub) query(ctx context.Context, q question, p pace) (*answer, error) {
	began := h.now()
	delay := p.first
	for try := 1; ; try++ {
		if err := h.pass(ctx, q, p, began); err != nil {
			return nil, err
		}
		a, err := h.ask(ctx, q)
		later := err != nil && transient(err) || err == nil && busy(a.StatusCode)
		if !later {
			return a, err
		}
		if err == nil {
			err = h.refusal(q.url, a.Response)
		}
		wait := delay/2 + rand.N(delay/2+1)
		if try >= p.tries || h.now().Sub(began)+wait > p.total {
			return nil, err
		}
		if h.limits.wait(q.url, h.now()) == 0 { // else pass knows better how long
			if err := p.sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
		delay = min(2*delay, p.last)
	}
}

// pass waits until the bucket of q is open, or fails at once if that takes
// longer than the call may.
func (h *hub) pass(ctx context.Context, q question, p pace, began time.Time) error {
	now := h.now()
	wait := h.limits.wait(q.url, now)
	switch {
	case wait == 0 || h.offline != "":
		return nil
	case now.Sub(began)+wait > p.total:
		return &providers.Throttled{After: wait, Err: errors.New("the Hub's rate limit is used up")}
	}
	return p.sleep(ctx, wait)
}

// busy are the answers that may be another when asked again.
func busy(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// transient reports whether a failure of the transport may pass: a timeout or a
// cut connection, but not a refused one, a name that is not there or a
// certificate that does not fit.
func transient(err error) bool {
	var cert *tls.CertificateVerificationError
	var dns *net.DNSError
	var t interface{ Timeout() bool }
	switch {
	case !errors.Is(err, providers.ErrUnavailable), errors.As(err, &cert):
		return false
	case errors.As(err, &dns) && dns.IsNotFound:
		return false
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return true
	}
	return errors.As(err, &t) && t.Timeout()
}
