package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"modelfs/providers/s3/s3test"
)

// origin is the source that modelfs and the references read from: one server, met
// directly and shaped.
type origin struct {
	dir        string // of the objects
	fast, slow string // endpoints
	settings   string // of modelfs's s3 instance, beside the endpoint

	server *s3test.Server // nil for the plain store
	side   *process       // the store, or the proxy before the server
}

// startOrigin starts the server over a folder of objects below dir.
func startOrigin(ctx context.Context, kind, dir string, fill func(root string) error) (*origin, error) {
	o := &origin{dir: dir}
	var err error
	if kind == "versitygw" {
		err = o.startGateway(ctx, fill)
	} else {
		err = o.startStore(ctx, fill)
	}
	if err != nil {
		return nil, errors.Join(err, o.close())
	}
	return o, nil
}

func (o *origin) startStore(ctx context.Context, fill func(root string) error) (err error) {
	root := filepath.Join(o.dir, bucket)
	if err := fill(root); err != nil {
		return err
	}
	if o.side, err = start(ctx, "store", root); err != nil {
		return err
	}
	o.settings = "anonymous: true"
	var ok bool
	if o.fast, o.slow, ok = strings.Cut(o.side.said, " "); !ok {
		return fmt.Errorf("the store said %q, not two addresses", o.side.said)
	}
	return nil
}

func (o *origin) startGateway(ctx context.Context, fill func(root string) error) (err error) {
	if o.server, err = s3test.Run(ctx, o.dir); err != nil {
		return err
	}
	if _, err := o.server.Client().CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		return err
	}
	if err := fill(filepath.Join(o.server.Root, bucket)); err != nil {
		return err
	}
	if o.side, err = start(ctx, "proxy", o.server.Endpoint); err != nil {
		return err
	}
	o.fast, o.slow = o.server.Endpoint, o.side.said
	id, secret, err := o.server.WriteKeys(o.dir)
	o.settings = fmt.Sprintf("region: %s, access_key_id_file: %q, secret_access_key_file: %q", s3test.Region, id, secret)
	return err
}

// url is where a plain GET finds an object, signed if the server wants that.
func (o *origin) url(ctx context.Context, endpoint, key string) (string, error) {
	if o.server == nil {
		return endpoint + "/" + bucket + "/" + key, nil
	}
	signer := s3.NewPresignClient(o.server.Client(), func(p *s3.PresignOptions) { p.Expires = time.Hour },
		s3.WithPresignClientFromClientOptions(func(so *s3.Options) { so.BaseEndpoint = aws.String(endpoint) }))
	r, err := signer.PresignGetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucket), Key: aws.String(key)})
	if err != nil {
		return "", err
	}
	return r.URL, nil
}

func (o *origin) close() (err error) {
	if o.side != nil {
		err = o.side.close()
	}
	if o.server != nil {
		err = errors.Join(err, o.server.Close())
	}
	return errors.Join(err, os.RemoveAll(o.dir))
}
