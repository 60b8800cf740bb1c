package s3

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// defaultRegion signs requests where nobody names a region: compatible servers
// take any, and AWS answers with the right one.
const defaultRegion = "us-east-1"

// bucket is one bucket, with what has been learned of it. All its models share it.
type bucket struct {
	p     *Provider
	set   Bucket
	named bool // the configuration calls it by name
	key   watched

	versions   versions
	noVersions atomic.Bool // versions may not be read with these credentials
	noted      sync.Map    // what has been logged once

	mu     sync.Mutex
	region string // "" until the server has named one
}

// target says how b is asked now.
func (b *bucket) target(a *account) target {
	b.mu.Lock()
	defer b.mu.Unlock()
	return target{
		bucket:    b.set.Bucket,
		region:    cmp.Or(b.region, b.set.Region, a.cfg.Region, defaultRegion),
		endpoint:  cmp.Or(b.set.Endpoint, b.p.cfg.Endpoint),
		pathStyle: cmp.Or(b.set.PathStyle, b.p.cfg.PathStyle),
	}
}

func (b *bucket) anonymous() bool { return b.set.Anonymous || b.p.cfg.Anonymous }

// do makes one call, and makes it once more when the bucket turns out to be in
// another region, or the credentials to have expired.
func (b *bucket) do(ctx context.Context, call func(*s3.Client) error) error {
	var moved, renewed bool
	for {
		a, err := b.p.account(ctx, b.anonymous())
		if err != nil {
			return err
		}
		t := b.target(a)
		err = call(a.client(t, b.p.maxBackoff))
		switch {
		case err == nil:
			return nil
		case !moved && b.moveTo(regionIn(err), t.region):
			moved = true
		case !renewed && !b.anonymous() && b.p.renew(a, b.p.doubt(err)):
			renewed = true
		default:
			return err
		}
	}
}

// moveTo remembers the region that the server named, if it is news.
func (b *bucket) moveTo(region, asked string) bool {
	if region == asked || !regionForm.MatchString(region) {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.region = region
	return true
}

// regionIn returns the region that a refusal names. AWS sends it with 301 and
// 307 (asked elsewhere), 400 (signed for elsewhere) and 403.
func regionIn(err error) string {
	r, _ := refused(err)
	switch r.status {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusForbidden:
		return r.header.Get("X-Amz-Bucket-Region")
	}
	return ""
}

// customerKey returns the SSE-C headers of b.
func (b *bucket) customerKey() (customerKey, error) {
	if b.key.path == "" {
		return customerKey{}, nil
	}
	data, err := b.key.read()
	if err != nil {
		return customerKey{}, &credentialError{given: true, err: err}
	}
	k, err := parseCustomerKey(data)
	if err != nil {
		return customerKey{}, &credentialError{given: true, err: err}
	}
	return k, nil
}

func (b *bucket) payer() types.RequestPayer {
	if b.set.RequestPayer || b.p.cfg.RequestPayer {
		return types.RequestPayerRequester
	}
	return ""
}

// head asks for one object; ask may add to the question.
func (b *bucket) head(ctx context.Context, key string, ask func(*s3.HeadObjectInput)) (*s3.HeadObjectOutput, error) {
	k, err := b.customerKey()
	if err != nil {
		return nil, err
	}
	in := &s3.HeadObjectInput{
		Bucket: aws.String(b.set.Bucket), Key: aws.String(key), RequestPayer: b.payer(),
		SSECustomerAlgorithm: k.algorithm, SSECustomerKey: k.key, SSECustomerKeyMD5: k.sum,
	}
	if ask != nil {
		ask(in)
	}
	var out *s3.HeadObjectOutput
	err = b.do(ctx, func(c *s3.Client) (err error) {
		out, err = c.HeadObject(ctx, in)
		return err
	})
	return out, err
}

// noteOnce logs what people should know once of this bucket.
func (b *bucket) noteOnce(what string, args ...any) {
	if _, seen := b.noted.LoadOrStore(what, true); !seen {
		b.p.env.Log.Warn(what, append([]any{"bucket", b.set.Bucket}, args...)...)
	}
}

// source is the bucket's address for people, with the path of prefix.
func (b *bucket) source(prefix string) string {
	return fmt.Sprintf("s3://%s", strings.TrimSuffix(b.set.Bucket+"/"+prefix, "/"))
}
