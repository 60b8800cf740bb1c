package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"modelfs/providers"
)

// cheapSkip is how much of an object is thrown away to reach a range of a server
// that sends whole objects only. Beyond it every read would cost the object again.
const cheapSkip = 1 << 20

// ReadRange asks for the range of the pinned content, and believes the answer
// only as far as it proves itself.
func (m *model) ReadRange(ctx context.Context, e providers.Entry, off, n int64) (io.ReadCloser, error) {
	fail := func(err error) (io.ReadCloser, error) { return nil, m.wrap(ctx, "read", e.Path, err) }
	pinned, err := parsePin(e.Validator)
	if err == nil {
		err = providers.ValidPath(e.Path)
	}
	if err != nil {
		return fail(quote(providers.ErrStale, err))
	}
	if n <= 0 { // an empty object has no range to ask for
		return http.NoBody, nil
	}
	want := span{off: off, n: n, size: e.Size}
	bodyCtx, cancel := context.WithCancel(ctx)
	out, err := m.get(bodyCtx, e.Path, pinned, want)
	if err != nil {
		defer cancel()
		return fail(m.gone(ctx, err))
	}
	b, err := m.accept(out, pinned, want)
	if err != nil {
		defer cancel()
		if cerr := out.Body.Close(); cerr != nil {
			err = errors.Join(err, cerr)
		}
		return fail(err)
	}
	b.cancel = cancel
	b.wrap = func(err error) error { return m.wrap(ctx, "read", e.Path, err) }
	b.stall = m.bucket.p.stall
	b.watch = time.AfterFunc(b.stall, b.stalled)
	b.watch.Stop()
	if b.skip > 0 {
		if err := b.discard(); err != nil {
			return nil, errors.Join(err, b.Close())
		}
	}
	return b, nil
}

// gone makes absence of a pinned object what it means to its reader.
func (m *model) gone(ctx context.Context, err error) error {
	if _, kind := classify(ctx, err); errors.Is(kind, providers.ErrStale) || errors.Is(kind, iofs.ErrNotExist) {
		return quote(providers.ErrStale, kind)
	}
	return err
}

// locate returns the key of a path and the version that its content is known
// to have, if any.
func (m *model) locate(path string, pinned pin) (key, version string) {
	if pinned.version != "" {
		return m.key(strings.TrimSuffix(path, "@"+pinned.version), false), pinned.version
	}
	key = m.key(path, false)
	if m.bucket.noVersions.Load() || pinned.weak {
		return key, ""
	}
	return key, m.bucket.versions.get(key, pinned.etag)
}

// get sends the request. A version that was only remembered is a help, not a
// condition: reading versions may not be allowed where reading is.
func (m *model) get(ctx context.Context, path string, pinned pin, want span) (*s3.GetObjectOutput, error) {
	key, version := m.locate(path, pinned)
	out, err := m.getVersion(ctx, key, version, pinned, want)
	switch {
	case err == nil || pinned.version != "":
		return out, err
	case version == "":
		// Replaced, and nobody here remembers its version: a restart, or memory
		// was full.
		if version = m.findVersion(ctx, key, pinned, err); version == "" {
			return nil, err
		}
		return m.getVersion(ctx, key, version, pinned, want)
	}
	forbidden := denied(ctx, err)
	if !forbidden && !absent(ctx, err) {
		return nil, err
	}
	out, err = m.getVersion(ctx, key, "", pinned, want)
	if err == nil && forbidden {
		m.bucket.noVersions.Store(true)
	}
	return out, err
}

// findVersion looks for the version that has the pinned content, after why said that
// the present object has not; "" if there is none, or if versions may not be listed.
func (m *model) findVersion(ctx context.Context, key string, pinned pin, why error) string {
	_, kind := classify(ctx, why)
	replaced := errors.Is(kind, providers.ErrStale) || errors.Is(kind, iofs.ErrNotExist)
	if !replaced || pinned.ifMatch() == "" || m.bucket.noVersions.Load() {
		return ""
	}
	in := &s3.ListObjectVersionsInput{Bucket: aws.String(m.bucket.set.Bucket), Prefix: aws.String(key), RequestPayer: m.bucket.payer()}
	for range maxVersionPages {
		var out *s3.ListObjectVersionsOutput
		err := m.bucket.do(ctx, func(c *s3.Client) (err error) {
			out, err = c.ListObjectVersions(ctx, in)
			return err
		})
		if err != nil {
			if denied(ctx, err) {
				m.bucket.noVersions.Store(true)
			}
			return ""
		}
		for _, v := range out.Versions {
			if aws.ToString(v.Key) == key && newPin(aws.ToString(v.ETag), time.Time{}).etag == pinned.etag {
				m.bucket.versions.put(key, pinned.etag, aws.ToString(v.VersionId))
				return m.bucket.versions.get(key, pinned.etag) // which "null" is not
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return ""
		}
		in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
	}
	return ""
}

// maxVersionPages bounds the search for a version, a thousand of them each.
const maxVersionPages = 5

func (m *model) getVersion(ctx context.Context, key, version string, pinned pin, want span) (*s3.GetObjectOutput, error) {
	k, err := m.bucket.customerKey()
	if err != nil {
		return nil, err
	}
	in := &s3.GetObjectInput{
		Bucket: aws.String(m.bucket.set.Bucket), Key: aws.String(key), RequestPayer: m.bucket.payer(),
		Range:                aws.String(fmt.Sprintf("bytes=%d-%d", want.off, want.off+want.n-1)),
		SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.sum,
	}
	if match := pinned.ifMatch(); match != "" {
		in.IfMatch = aws.String(match)
	}
	if version != "" {
		in.VersionId = aws.String(version)
	}
	var out *s3.GetObjectOutput
	err = m.bucket.do(ctx, func(c *s3.Client) (err error) {
		out, err = c.GetObject(ctx, in)
		return err
	})
	if err == nil && version == "" {
		m.bucket.versions.put(key, newPin(aws.ToString(out.ETag), time.Time{}).etag, aws.ToString(out.VersionId))
	}
	return out, err
}

// span is a range of an object of a known size.
type span struct{ off, n, size int64 }

// accept judges the header of an answer: that it is of the pinned content, and
// which bytes of it follow.
func (m *model) accept(out *s3.GetObjectOutput, pinned pin, want span) (*body, error) {
	if err := pinned.match(aws.ToString(out.ETag), aws.ToTime(out.LastModified)); err != nil {
		return nil, unproven(err)
	}
	if got := aws.ToString(out.VersionId); pinned.version != "" && got != "" && got != pinned.version {
		return nil, providers.ErrStale
	}
	status := 0
	if r, ok := awsmiddleware.GetRawResponse(out.ResultMetadata).(*smithyhttp.Response); ok {
		status = r.StatusCode
	}
	length, known := int64(-1), out.ContentLength != nil && *out.ContentLength >= 0
	if known {
		length = *out.ContentLength
	} else if aws.ToString(out.ContentEncoding) != "" {
		return nil, unproven(errors.New("a proxy seems to compress the bodies of this server"))
	}
	b := &body{from: out.Body, left: want.n}
	switch status {
	case http.StatusPartialContent:
		if err := want.check(aws.ToString(out.ContentRange)); err != nil {
			return nil, err
		}
		b.exact = true
		if known && length != want.n {
			return nil, unproven(fmt.Errorf("%d bytes announced for a range of %d", length, want.n))
		}
	case http.StatusOK:
		if known && length != want.size {
			return nil, providers.ErrStale
		}
		m.bucket.noteOnce("the server ignores ranges: objects come as a whole")
		b.skip, b.exact = want.off, want.off+want.n == want.size
		if !b.exact && want.off+want.n > cheapSkip {
			return nil, fmt.Errorf("%w: the server ignores ranges", providers.ErrWhole)
		}
	default:
		return nil, unproven(fmt.Errorf("HTTP %d in answer to a range", status))
	}
	return b, nil
}

func unproven(err error) error {
	if errors.Is(err, providers.ErrStale) {
		return err
	}
	return quote(providers.ErrUnavailable, err)
}

// check compares a Content-Range with the span that was asked for.
func (s span) check(header string) error {
	first, last, total, err := parseContentRange(header)
	switch {
	case err != nil:
		return unproven(err)
	case total >= 0 && total != s.size:
		return providers.ErrStale
	case first != s.off || last != s.off+s.n-1:
		return unproven(fmt.Errorf("bytes %d-%d came for %d-%d", first, last, s.off, s.off+s.n-1))
	}
	return nil
}

// parseContentRange reads "bytes a-b/total"; a total of "*" is -1.
func parseContentRange(s string) (first, last, total int64, err error) {
	bad := fmt.Errorf("Content-Range %q is none", clean(s))
	rest, ok := strings.CutPrefix(s, "bytes ")
	span, size, ok2 := strings.Cut(rest, "/")
	a, b, ok3 := strings.Cut(span, "-")
	if !ok || !ok2 || !ok3 {
		return 0, 0, 0, bad
	}
	nums := []*int64{&first, &last, &total}
	for i, text := range []string{a, b, size} {
		if i == 2 && text == "*" {
			total = -1
			break
		}
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			return 0, 0, 0, bad
		}
		*nums[i] = int64(n)
	}
	if last < first || total >= 0 && last >= total {
		return 0, 0, 0, bad
	}
	return first, last, total, nil
}
