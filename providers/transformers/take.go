package transformers

import (
	"bufio"
	"bytes"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"

	"modelfs/providers"
	"modelfs/providers/wire"
)

// maxSkip is how much of a file is thrown away to reach a range that a server
// ignores; beyond it, each block of a large file would cost the whole of it.
const maxSkip = 1 << 20

// take makes the wanted bytes of an answer with status 200 or 206. On an error
// it has closed the answer.
func take(resp *http.Response, e providers.Entry, s span) (io.ReadCloser, error) {
	body, err := partOf(resp, e, s)
	if err != nil {
		return nil, errors.Join(err, resp.Body.Close())
	}
	return body, nil
}

func partOf(resp *http.Response, e providers.Entry, s span) (io.ReadCloser, error) {
	coding := resp.Header.Get("Content-Encoding")
	if resp.StatusCode == http.StatusPartialContent {
		start, end, total, ok := wire.ParseContentRange(resp.Header.Get("Content-Range"))
		switch {
		case !ok || total < 0 || coding != "" && coding != "identity":
			return nil, fmt.Errorf("%w: the answer does not say which bytes it has", providers.ErrUnavailable)
		case total != e.Size:
			return nil, wrongSize(resp.Body, e, total)
		case start != s.askOff || end != s.askOff+s.askN-1:
			return nil, fmt.Errorf("%w: asked for bytes %d-%d, got %d-%d", providers.ErrUnavailable,
				s.askOff, s.askOff+s.askN-1, start, end)
		case resp.ContentLength >= 0 && resp.ContentLength != s.askN:
			return nil, fmt.Errorf("%w: the answer to a range of %d bytes has %d", providers.ErrCorrupt, s.askN, resp.ContentLength)
		}
		return wire.Exact(resp.Body, s.off-start, s.n, s.off+s.n-1 == end)
	}
	return wholeOf(resp, e, s, coding)
}

// wholeOf takes the wanted part of a whole file: the server ignores ranges.
func wholeOf(resp *http.Response, e providers.Entry, s span, coding string) (io.ReadCloser, error) {
	if s.off+s.n < e.Size && s.off+s.n > maxSkip {
		return nil, fmt.Errorf("%w: %s ignores ranges", providers.ErrWhole, resp.Request.URL.Host)
	}
	if resp.ContentLength >= 0 && coding == "" && resp.ContentLength != e.Size {
		return nil, wrongSize(resp.Body, e, resp.ContentLength)
	}
	body := resp.Body
	switch coding {
	case "", "identity":
	case "gzip":
		// Asked for or not, some servers compress text.
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, fmt.Errorf("%w: compressed answer: %w", providers.ErrUnavailable, wire.Short(err))
		}
		body = &unzipped{z, resp.Body}
	default:
		return nil, fmt.Errorf("%w: the answer is encoded as %q", providers.ErrUnavailable, wire.Clip(coding))
	}
	if resp.ContentLength < 0 {
		// No length betrays a pointer here, so its text has to.
		src := bufio.NewReader(body)
		if begin, _ := src.Peek(len(pointerMagic)); isPointer(begin, e) && e.Size > maxPointer {
			return nil, errPointer
		}
		body = &peeked{src, body}
	}
	return wire.Exact(body, s.off, s.n, s.off+s.n == e.Size)
}

type peeked struct {
	io.Reader
	io.Closer
}

// unzipped decompresses a body. A broken stream is the source's fault.
type unzipped struct {
	z    *gzip.Reader
	body io.Closer
}

func (u *unzipped) Read(p []byte) (int, error) {
	n, err := u.z.Read(p)
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.As(err, new(flate.CorruptInputError)) {
		err = fmt.Errorf("%w: compressed answer: %w", providers.ErrUnavailable, err)
	}
	return n, err
}

// Close closes the body.
func (u *unzipped) Close() error { return errors.Join(u.z.Close(), u.body.Close()) }

// The text that Git LFS leaves in git in place of a file; a mirror that does
// not know LFS serves it as the file.
const (
	pointerMagic = "version https://git-lfs.github.com/spec/v1"
	maxPointer   = 1024
)

var errPointer = fmt.Errorf("%w: the server sends the Git LFS pointer in place of the file", providers.ErrCorrupt)

// isPointer judges by the beginning of a file, of which a short range may show
// only some bytes.
func isPointer(begin []byte, e providers.Entry) bool {
	return e.Digest.Algorithm() != "git" && len(begin) >= len("version ") && bytes.HasPrefix([]byte(pointerMagic), begin)
}

// wrongSize says why a file is not as long as its listing says.
func wrongSize(body io.Reader, e providers.Entry, got int64) error {
	if got <= maxPointer {
		begin := make([]byte, len(pointerMagic))
		// Fewer bytes, for whatever reason, only tell less.
		if n, _ := io.ReadFull(body, begin); isPointer(begin[:n], e) {
			return errPointer
		}
	}
	return fmt.Errorf("%w: the server has %d bytes of a file of %d", providers.ErrStale, got, e.Size)
}
