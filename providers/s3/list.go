package s3

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"iter"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"modelfs/providers"
)

// model is a bucket below a prefix.
type model struct {
	bucket *bucket
	name   string
	prefix string // "" or without a trailing slash
}

var (
	_ providers.Model    = (*model)(nil)
	_ providers.Stater   = (*model)(nil)
	_ providers.Walker   = (*model)(nil)
	_ providers.Digester = (*model)(nil)
)

// Origin has no revision: every file is held to its own validator.
func (m *model) Origin() providers.Origin {
	p := m.bucket.p
	return providers.Origin{Protocol: p.env.Protocol, Name: m.name, Source: m.bucket.source(m.prefix), Verify: p.strict}
}

// key is the key of a path; for a directory it ends in a slash.
func (m *model) key(path string, dir bool) string {
	k := strings.TrimPrefix(m.prefix+"/"+path, "/")
	if k = strings.TrimSuffix(k, "/"); dir && k != "" {
		k += "/"
	}
	return k
}

func (m *model) wrap(ctx context.Context, op, path string, err error) error {
	return m.bucket.p.wrap(ctx, op, m.name, path, false, err)
}

// ReadDir yields one directory, page by page.
func (m *model) ReadDir(ctx context.Context, dir string) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		if dir != "" && providers.ValidPath(dir) != nil {
			yield(providers.Entry{}, m.wrap(ctx, "list", dir, iofs.ErrNotExist))
			return
		}
		prefix, found := m.key(dir, true), false
		for page, err := range m.bucket.pages(ctx, prefix, "/") {
			if err != nil {
				yield(providers.Entry{}, m.wrap(ctx, "list", dir, err))
				return
			}
			found = found || len(page.dirs)+len(page.objects) > 0
			if !m.yieldPage(page, prefix, dir, yield) {
				return
			}
		}
		if !found && prefix != "" {
			yield(providers.Entry{}, m.wrap(ctx, "list", dir, iofs.ErrNotExist))
		}
	}
}

// yieldPage yields directories first, as they win over files of their name.
func (m *model) yieldPage(page page, prefix, dir string, yield func(providers.Entry, error) bool) bool {
	at := ""
	if dir != "" {
		at = dir + "/"
	}
	for _, d := range page.dirs {
		name := strings.TrimSuffix(strings.TrimPrefix(d, prefix), "/")
		if !yield(providers.Entry{Path: at + name, Mode: iofs.ModeDir}, nil) {
			return false
		}
	}
	for _, o := range page.objects {
		if m.bucket.marker(o) {
			continue
		}
		if !yield(o.entry(at+strings.TrimPrefix(o.key, prefix)), nil) {
			return false
		}
	}
	return true
}

// Walk yields all files below the model's root in one flat listing.
func (m *model) Walk(ctx context.Context) iter.Seq2[providers.Entry, error] {
	return func(yield func(providers.Entry, error) bool) {
		prefix := m.key("", true)
		for page, err := range m.bucket.pages(ctx, prefix, "") {
			if err != nil {
				yield(providers.Entry{}, m.wrap(ctx, "list", "", err))
				return
			}
			for _, o := range page.objects {
				if !m.bucket.marker(o) && !yield(o.entry(strings.TrimPrefix(o.key, prefix)), nil) {
					return
				}
			}
		}
	}
}

// object is one key of a listing.
type object struct {
	key  string
	size int64
	pin  pin
	from types.Object
}

func (o object) entry(path string) providers.Entry {
	e := providers.Entry{Path: path, Size: o.size, Validator: o.pin.String()}
	if o.from.LastModified != nil {
		e.ModTime = o.from.LastModified.Truncate(1e9).UTC()
	}
	return e
}

// marker reports whether o only stands for a directory. One that has content
// cannot be reached by any path; that is worth a line.
func (b *bucket) marker(o object) bool {
	if strings.HasSuffix(o.key, "/") {
		if o.size > 0 {
			b.noteOnce("an object whose key ends in a slash has content and is hidden", "key", o.key)
		}
		return true
	}
	return o.size == 0 && strings.HasSuffix(o.key, folderMarker)
}

const folderMarker = "_$folder$" // written by Hadoop

// page is one answer of ListObjectsV2, decoded.
type page struct {
	dirs    []string // common prefixes, with their slash
	objects []object
}

var errNoListing = errors.New("the answer is not a listing of this bucket")

// pages yields the pages below prefix, which is held in memory one at a time.
func (b *bucket) pages(ctx context.Context, prefix, delimiter string) iter.Seq2[page, error] {
	return func(yield func(page, error) bool) {
		in := &s3.ListObjectsV2Input{Prefix: aws.String(prefix)}
		if delimiter != "" {
			in.Delimiter = aws.String(delimiter)
		}
		guard, total := pageGuard{}, 0
		for {
			out, err := b.list(ctx, in)
			if err != nil {
				yield(page{}, err)
				return
			}
			pg := decodePage(out, prefix)
			if total += len(pg.dirs) + len(pg.objects); total > b.p.maxEntries {
				yield(page{}, &providers.Error{Err: fmt.Errorf("more than %d entries", b.p.maxEntries), Remedy: "use an alias with a prefix: that is the model alone"})
				return
			}
			if !yield(pg, nil) || !aws.ToBool(out.IsTruncated) {
				return
			}
			in.ContinuationToken = out.NextContinuationToken
			if err := guard.next(aws.ToString(out.NextContinuationToken), len(out.Contents)+len(out.CommonPrefixes)); err != nil {
				yield(page{}, err)
				return
			}
		}
	}
}

// list asks for one page.
func (b *bucket) list(ctx context.Context, in *s3.ListObjectsV2Input) (*s3.ListObjectsV2Output, error) {
	// XML cannot carry every byte a key may have.
	in.Bucket, in.RequestPayer, in.EncodingType = aws.String(b.set.Bucket), b.payer(), types.EncodingTypeUrl
	var out *s3.ListObjectsV2Output
	err := b.do(ctx, func(c *s3.Client) (err error) {
		out, err = c.ListObjectsV2(ctx, in)
		return err
	})
	if err == nil && out.Name == nil && out.KeyCount == nil && out.MaxKeys == nil && out.Prefix == nil {
		// A portal's or proxy's page parses as a listing without entries, and
		// would be believed as absence.
		err = quote(providers.ErrUnavailable, errNoListing)
	}
	return out, err
}

// decodePage undoes the encoding that the answer says it has: some servers
// ignore the wish. A key outside prefix is no answer to the question.
func decodePage(out *s3.ListObjectsV2Output, prefix string) page {
	decode := func(s *string) string { return decodeKey(aws.ToString(s), out.EncodingType == types.EncodingTypeUrl) }
	var pg page
	for _, d := range out.CommonPrefixes {
		if k := decode(d.Prefix); strings.HasPrefix(k, prefix) && k != prefix {
			pg.dirs = append(pg.dirs, k)
		}
	}
	for _, o := range out.Contents {
		k := decode(o.Key)
		if !strings.HasPrefix(k, prefix) || k == "" {
			continue
		}
		size := providers.SizeUnknown
		if o.Size != nil && *o.Size >= 0 {
			size = *o.Size
		}
		pg.objects = append(pg.objects, object{key: k, size: size, pin: newPin(aws.ToString(o.ETag), aws.ToTime(o.LastModified)), from: o})
	}
	return pg
}

// decodeKey undoes encoding-type=url, where a plus is a space. What does not
// decode was not encoded.
func decodeKey(s string, encoded bool) string {
	if !encoded {
		return s
	}
	if k, err := url.QueryUnescape(s); err == nil {
		return k
	}
	return s
}

// pageGuard ends listings that would never end by themselves.
type pageGuard struct {
	seen  map[string]bool
	empty int
}

// maxEmpty bounds pages without entries in a row; real ones come after mass deletions.
const maxEmpty = 1000

// next is told of the token of the next page and the entries of this one.
func (g *pageGuard) next(token string, entries int) error {
	if g.empty++; entries > 0 {
		g.empty = 0
	}
	switch {
	case token == "":
		return quote(providers.ErrUnavailable, errors.New("the listing says that it goes on, but not where"))
	case g.seen[token]:
		return quote(providers.ErrUnavailable, errors.New("the listing goes round in a circle"))
	case g.empty > maxEmpty:
		return quote(providers.ErrUnavailable, errors.New("the listing has only empty pages"))
	}
	if g.seen == nil {
		g.seen = map[string]bool{}
	}
	g.seen[token] = true
	return nil
}
