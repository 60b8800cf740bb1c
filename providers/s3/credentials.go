package s3

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// credentialError says that there is nothing to sign with. given is false when
// nothing was configured at all.
type credentialError struct {
	given bool
	err   error
}

func (e *credentialError) Error() string { return "no usable S3 credentials: " + e.err.Error() }
func (e *credentialError) Unwrap() error { return e.err }

// transient reports whether the service that makes credentials did not answer,
// or answered that it cannot now.
func (e *credentialError) transient() bool {
	var unsent *smithyhttp.RequestSendError
	r, answered := refused(e.err)
	return e.given && (errors.As(e.err, &unsent) && !answered || r.status >= 500 || r.status == http.StatusTooManyRequests)
}

// remembered is how long a failure to find credentials is believed. The chain
// ends at EC2's metadata service, which costs a timeout anywhere else.
const remembered = time.Minute

// patient gives credentials from the SDK's chain and remembers when it has none.
type patient struct {
	chain aws.CredentialsProvider
	given bool
	now   func() time.Time

	mu     sync.Mutex
	failed time.Time
	err    error
}

// Retrieve implements aws.CredentialsProvider.
func (p *patient) Retrieve(ctx context.Context) (aws.Credentials, error) {
	p.mu.Lock()
	err := p.err
	if p.now().Sub(p.failed) > remembered {
		err = nil
	}
	p.mu.Unlock()
	if err != nil {
		return aws.Credentials{}, err
	}
	c, err := p.chain.Retrieve(ctx)
	if err == nil || ctx.Err() != nil {
		return c, err
	}
	err = &credentialError{given: p.given, err: err}
	if p.given { // a service that fails now may not fail next time
		return aws.Credentials{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err, p.failed = err, p.now()
	return aws.Credentials{}, err
}

// keyFiles are credentials in files.
type keyFiles struct{ id, secret, token watched }

// keyValues is what they hold at one moment.
type keyValues struct{ id, secret, token string }

// read returns the values as they are now.
func (k *keyFiles) read() (keyValues, error) {
	var v keyValues
	for _, f := range []struct {
		file *watched
		to   *string
	}{{&k.id, &v.id}, {&k.secret, &v.secret}, {&k.token, &v.token}} {
		b, err := f.file.read()
		if err != nil {
			return v, &credentialError{given: true, err: err}
		}
		*f.to = strings.TrimSpace(string(b))
	}
	if v.id == "" || v.secret == "" {
		return v, &credentialError{given: true, err: errors.New("a key file is empty")}
	}
	return v, nil
}

// watched is a small file that is read again when it has changed.
type watched struct {
	path string

	mu   sync.Mutex
	info os.FileInfo
	data []byte
}

// maxSecret bounds a secret's file: session tokens are some kilobytes.
const maxSecret = 64 << 10

// read returns the content; a path that is not set has none.
func (w *watched) read() ([]byte, error) {
	if w.path == "" {
		return nil, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	info, err := os.Stat(w.path)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxSecret {
		return nil, fmt.Errorf("%s: %d bytes are too many for a secret", w.path, info.Size())
	}
	if w.info != nil && os.SameFile(info, w.info) && info.Size() == w.info.Size() && info.ModTime().Equal(w.info.ModTime()) {
		return w.data, nil
	}
	data, err := os.ReadFile(w.path)
	if err != nil {
		return nil, err
	}
	w.info, w.data = info, data
	return data, nil
}

// customerKey is the three headers of SSE-C, nil where there is no key.
type customerKey struct{ algorithm, key, sum *string }

// parseCustomerKey takes 32 bytes, raw or in base64.
func parseCustomerKey(data []byte) (customerKey, error) {
	key := data
	if len(key) != 32 {
		var err error
		if key, err = base64.StdEncoding.DecodeString(strings.TrimSpace(string(data))); err != nil || len(key) != 32 {
			return customerKey{}, errors.New("sse_c_key_file does not hold 32 bytes, raw or in base64")
		}
	}
	sum := md5.Sum(key)
	return customerKey{
		algorithm: aws.String("AES256"),
		key:       aws.String(base64.StdEncoding.EncodeToString(key)),
		sum:       aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	}, nil
}
