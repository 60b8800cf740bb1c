package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	iofs "io/fs"
	"net/http"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modelfs/providers"
)

// maxKey is the longest key that S3 has, in bytes.
const maxKey = 1024

// probe asks whether anything is below the model's root.
func (m *model) probe(ctx context.Context) (bool, error) { return m.bucket.holds(ctx, m.key("", true)) }

// holds reports whether the bucket has a key that begins with prefix.
func (b *bucket) holds(ctx context.Context, prefix string) (bool, error) {
	out, err := b.list(ctx, &s3.ListObjectsV2Input{Prefix: aws.String(prefix), MaxKeys: aws.Int32(1)})
	for guard := (pageGuard{}); err == nil; {
		if pg := decodePage(out, prefix); len(pg.objects)+len(pg.dirs) > 0 {
			return true, nil
		}
		if !aws.ToBool(out.IsTruncated) {
			return false, nil
		}
		if err = guard.next(aws.ToString(out.NextContinuationToken), 0); err == nil {
			out, err = b.list(ctx, &s3.ListObjectsV2Input{Prefix: aws.String(prefix), MaxKeys: aws.Int32(1), ContinuationToken: out.NextContinuationToken})
		}
	}
	return false, err
}

// Stat asks at once for the object and for anything below it; a directory wins.
func (m *model) Stat(ctx context.Context, path string) (providers.Entry, error) {
	if path == "" {
		return providers.Entry{Mode: iofs.ModeDir}, nil
	}
	if providers.ValidPath(path) != nil || len(m.key(path, true)) > maxKey {
		return providers.Entry{}, m.wrap(ctx, "stat", path, iofs.ErrNotExist)
	}
	var (
		file             providers.Entry
		dir              bool
		fileErr, listErr error
		both             sync.WaitGroup
	)
	both.Go(func() { file, fileErr = m.statFile(ctx, path) })
	both.Go(func() { dir, listErr = m.bucket.holds(ctx, m.key(path, true)) })
	both.Wait()
	if dir {
		return providers.Entry{Path: path, Mode: iofs.ModeDir}, nil
	}
	if err := m.judge(ctx, listErr, fileErr); err != nil {
		return providers.Entry{}, m.wrapStat(ctx, path, err)
	}
	if fileErr == nil {
		return file, nil
	}
	if denied(ctx, fileErr) {
		// The listing is allowed and the object is not: whether it exists is
		// what the listing says.
		if e, err := m.statListed(ctx, path); err == nil || !errors.Is(err, iofs.ErrNotExist) {
			return e, m.wrapStat(ctx, path, err)
		}
	}
	e, err := m.statVersion(ctx, path)
	return e, m.wrapStat(ctx, path, err)
}

// judge returns the error that keeps Stat from knowing, if one does. A refused
// listing hides directories, but not an object that was found.
func (m *model) judge(ctx context.Context, listErr, fileErr error) error {
	switch {
	case fileErr != nil && !denied(ctx, fileErr) && !absent(ctx, fileErr):
		return fileErr
	case listErr == nil || absent(ctx, listErr): // the bucket itself is gone
		return nil
	case denied(ctx, listErr) && fileErr == nil:
		return nil
	}
	return listErr
}

// wrapStat hides from anonymous callers what they may not see: S3 answers 403
// for absent keys where listing is not allowed.
func (m *model) wrapStat(ctx context.Context, path string, err error) error {
	return m.bucket.p.wrap(ctx, "stat", m.name, path, m.bucket.unsigned(err), err)
}

func denied(ctx context.Context, err error) bool { return means(ctx, err, iofs.ErrPermission) }
func absent(ctx context.Context, err error) bool { return means(ctx, err, iofs.ErrNotExist) }

func means(ctx context.Context, err, sentinel error) bool {
	if err == nil {
		return false
	}
	_, kind := classify(ctx, err)
	return errors.Is(kind, sentinel)
}

// statFile asks for the object at path.
func (m *model) statFile(ctx context.Context, path string) (providers.Entry, error) {
	if providers.ValidPath(path) != nil {
		return providers.Entry{}, iofs.ErrNotExist
	}
	key := m.key(path, false)
	out, err := m.bucket.head(ctx, key, nil)
	if err != nil {
		return providers.Entry{}, err
	}
	e, err := headEntry(path, out, "")
	if err != nil {
		return providers.Entry{}, err
	}
	if m.bucket.marker(object{key: key, size: e.Size}) {
		return providers.Entry{}, iofs.ErrNotExist
	}
	m.bucket.versions.put(key, newPin(aws.ToString(out.ETag), e.ModTime).etag, aws.ToString(out.VersionId))
	return e, nil
}

// statVersion asks for "key@version".
func (m *model) statVersion(ctx context.Context, path string) (providers.Entry, error) {
	name, version, err := splitVersion(path)
	if err != nil {
		return providers.Entry{}, err
	}
	out, err := m.bucket.head(ctx, m.key(name, false), func(in *s3.HeadObjectInput) { in.VersionId = aws.String(version) })
	if r, ok := refused(err); ok && r.status == http.StatusBadRequest {
		return providers.Entry{}, quote(iofs.ErrNotExist, errors.New("no version has this form of id"))
	}
	if err != nil {
		return providers.Entry{}, err
	}
	if got := aws.ToString(out.VersionId); got != version {
		// A server without versions ignores the parameter.
		return providers.Entry{}, quote(iofs.ErrNotExist, errors.New("the bucket has no versions"))
	}
	return headEntry(path, out, version)
}

// statListed finds the object at path in the listing: of all keys that begin
// with it, it is the first.
func (m *model) statListed(ctx context.Context, path string) (providers.Entry, error) {
	key := m.key(path, false)
	out, err := m.bucket.list(ctx, &s3.ListObjectsV2Input{Prefix: aws.String(key), MaxKeys: aws.Int32(1)})
	if err != nil {
		return providers.Entry{}, err
	}
	for _, o := range decodePage(out, key).objects {
		if o.key == key && !m.bucket.marker(o) {
			return o.entry(path), nil
		}
	}
	return providers.Entry{}, iofs.ErrNotExist
}

// headEntry makes the same entry of an answer as a listing would.
func headEntry(path string, out *s3.HeadObjectOutput, version string) (providers.Entry, error) {
	if out.ContentLength == nil || *out.ContentLength < 0 {
		return providers.Entry{}, quote(providers.ErrUnavailable, errors.New("the answer does not tell the object's size"))
	}
	p := newPin(aws.ToString(out.ETag), aws.ToTime(out.LastModified))
	if p == (pin{}) || p.etag == "" && p.mtime == 0 {
		return providers.Entry{}, quote(providers.ErrUnavailable, errUnproven)
	}
	p.version = version
	e := providers.Entry{Path: path, Size: *out.ContentLength, Validator: p.String()}
	if out.LastModified != nil {
		e.ModTime = out.LastModified.Truncate(1e9).UTC()
	}
	return e, nil
}

// Check asks for the object again. A pinned version is never asked about.
func (m *model) Check(ctx context.Context, e providers.Entry) error {
	if e.IsDir() {
		there, err := m.bucket.holds(ctx, m.key(e.Path, true))
		if err == nil && !there && e.Path != "" {
			err = providers.ErrChanged
		}
		return m.wrapCheck(ctx, e, err)
	}
	pinned, err := parsePin(e.Validator)
	if err != nil {
		return m.wrapCheck(ctx, e, providers.ErrChanged)
	}
	if pinned.version != "" {
		return nil
	}
	now, err := m.statFile(ctx, e.Path)
	if denied(ctx, err) {
		if listed, lerr := m.statListed(ctx, e.Path); lerr == nil || absent(ctx, lerr) {
			now, err = listed, lerr
		}
	}
	if absent(ctx, err) || err == nil && now.Identity() != e.Identity() {
		err = providers.ErrChanged
	}
	return m.wrapCheck(ctx, e, err)
}

func (m *model) wrapCheck(ctx context.Context, e providers.Entry, err error) error {
	if errors.Is(err, providers.ErrChanged) && ctx.Err() == nil {
		return &providers.Error{Op: "check", Protocol: m.bucket.p.env.Protocol, Name: m.name, Path: e.Path, Err: providers.ErrChanged}
	}
	return m.wrap(ctx, "check", e.Path, err)
}

// Digest asks for the checksum that S3 keeps of the whole object: SHA-256, or
// CRC64NVME, which always covers the whole. The etag is not one: it is an md5
// only for some ways of uploading and encrypting.
func (m *model) Digest(ctx context.Context, e providers.Entry) (providers.Digest, error) {
	pinned, err := parsePin(e.Validator)
	if err != nil {
		return "", m.wrap(ctx, "stat", e.Path, quote(providers.ErrStale, err))
	}
	key, version := m.locate(e.Path, pinned)
	out, err := m.bucket.head(ctx, key, func(in *s3.HeadObjectInput) {
		in.ChecksumMode = types.ChecksumModeEnabled
		if version != "" {
			in.VersionId = aws.String(version)
		}
	})
	if err == nil {
		err = pinned.match(aws.ToString(out.ETag), aws.ToTime(out.LastModified))
	}
	if err == nil && aws.ToInt64(out.ContentLength) != e.Size || absent(ctx, err) {
		err = providers.ErrStale
	}
	if err != nil {
		return "", m.wrap(ctx, "stat", e.Path, err)
	}
	return wholeDigest(out), nil
}

// wholeDigest picks a checksum of the whole object. Composite ones are of the
// parts' checksums, and end in -N where the type is not told.
func wholeDigest(out *s3.HeadObjectOutput) providers.Digest {
	if out.ChecksumType != types.ChecksumTypeComposite && !strings.Contains(aws.ToString(out.ChecksumSHA256), "-") {
		if d := digestOf("sha256", out.ChecksumSHA256); d != "" {
			return d
		}
	}
	return digestOf("crc64nvme", out.ChecksumCRC64NVME)
}

func digestOf(algorithm string, sum *string) providers.Digest {
	raw, err := base64.StdEncoding.DecodeString(aws.ToString(sum))
	if err != nil {
		return ""
	}
	return providers.NewDigest(algorithm, hex.EncodeToString(raw))
}
