package s3test

import (
	"context"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Required reports whether a missing tool fails a test instead of skipping it.
func Required() bool { return os.Getenv("CI") == "true" || os.Getenv("MODELFS_REQUIRE_ALL") != "" }

// Start runs a server for the length of a test.
func Start(tb testing.TB) *Server {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if _, err := Binary(ctx); err != nil {
		if Required() {
			tb.Fatal(err)
		}
		tb.Skipf("no S3 server to test against: %v", err)
	}
	s, err := Run(ctx, tb.TempDir())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("stop versitygw: %v", err)
		}
	})
	return s
}

// Bucket makes a bucket, with versions if versioned.
func (s *Server) Bucket(tb testing.TB, name string, versioned bool) {
	tb.Helper()
	if _, err := s.client.CreateBucket(tb.Context(), &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		tb.Fatalf("make bucket %s: %v", name, err)
	}
	if !versioned {
		return
	}
	if _, err := s.client.PutBucketVersioning(tb.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  aws.String(name),
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}); err != nil {
		tb.Fatalf("version bucket %s: %v", name, err)
	}
}

// Put stores an object and returns its version id, if the bucket keeps them.
func (s *Server) Put(tb testing.TB, bucket, key, content string) string {
	tb.Helper()
	return s.PutWith(tb, &s3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String(key), Body: strings.NewReader(content)})
}

// PutWith stores an object with everything that a request can say.
func (s *Server) PutWith(tb testing.TB, in *s3.PutObjectInput) string {
	tb.Helper()
	out, err := s.client.PutObject(tb.Context(), in)
	if err != nil {
		tb.Fatalf("put %s: %v", aws.ToString(in.Key), err)
	}
	return aws.ToString(out.VersionId)
}

// Delete removes an object; a versioned bucket keeps its versions.
func (s *Server) Delete(tb testing.TB, bucket, key string) {
	tb.Helper()
	if _, err := s.client.DeleteObject(tb.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)}); err != nil {
		tb.Fatalf("delete %s: %v", key, err)
	}
}

// StartProxy runs a proxy before target for the length of a test.
func StartProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	p, err := NewProxy(target)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Close(); err != nil {
			tb.Errorf("stop proxy: %v", err)
		}
	})
	return p
}

// ReadAll reads r to its end and closes it.
func ReadAll(r io.ReadCloser) ([]byte, error) {
	b, err := io.ReadAll(r)
	if cerr := r.Close(); err == nil {
		err = cerr
	}
	return b, err
}
