// Package s3test runs a real S3 server for tests, acceptance runs and
// measurements, and a proxy before it that misbehaves on demand.
//
// The server is versitygw over a folder, at a pinned version, on a free loopback
// port. It is taken from PATH or Go's bin folders, or else built once into the
// user's cache. It checks signatures, conditions and ranges as AWS does, and
// keeps versions of buckets that ask for it.
package s3test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"
)

// Module and Version are what is built where versitygw is not installed.
const (
	Module  = "github.com/versity/versitygw/cmd/versitygw"
	Version = "v1.8.0"
)

// Region is where the server says that it is.
const Region = "us-east-1"

// Server is a running S3 server.
type Server struct {
	Endpoint  string // http://127.0.0.1:port
	AccessKey string
	SecretKey string
	Root      string // the folder that holds the buckets

	cmd    *exec.Cmd
	log    *logBuffer
	exited chan struct{}
	client *s3.Client
}

// Run starts a server that keeps its data in dir. The caller closes it; it also
// ends with this process.
func Run(ctx context.Context, dir string) (*Server, error) {
	bin, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	// The server refuses folders whose path begins with the root's as a string.
	root, vers, side := filepath.Join(dir, "root"), filepath.Join(dir, "versions"), filepath.Join(dir, "sidecar")
	for _, d := range []string{root, vers, side} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, err
		}
	}
	backend := []string{"posix", "--versioning-dir", vers}
	if !xattrs(root) {
		backend = append(backend, "--sidecar", side)
	}
	var last error
	for range 3 { // a free port may be taken by another before the server has it
		s, err := start(ctx, bin, root, append(backend, root))
		if err == nil {
			return s, nil
		}
		if last = err; ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

// start runs the server on a free port and waits until it answers.
func start(ctx context.Context, bin, root string, backend []string) (*Server, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	s := &Server{Endpoint: "http://" + port, AccessKey: "modelfstest", SecretKey: "modelfstest-secret", Root: root, log: &logBuffer{}, exited: make(chan struct{})}
	args := append([]string{"--port", port, "--region", Region, "--health", "/.health", "--quiet", "--keep-alive", "--disable-strict-bucket-names"}, backend...)
	// The server outlives the call that starts it.
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), bin, args...)
	s.cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+s.AccessKey, "ROOT_SECRET_KEY="+s.SecretKey)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(s.exited)
		if err := s.cmd.Wait(); err != nil {
			fmt.Fprintln(s.log, err)
		}
	}()
	if err := s.ready(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.client = s.connect()
	return s, nil
}

// ready waits for the health page.
func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/.health", nil)
		if err != nil {
			return err
		}
		if resp, err := client.Do(req); err == nil {
			ok := resp.StatusCode == http.StatusOK
			if err := resp.Body.Close(); err != nil {
				return err
			}
			if ok {
				return nil
			}
		}
		select {
		case <-s.exited:
			return fmt.Errorf("versitygw ended: %s", s.log)
		case <-ctx.Done():
			return fmt.Errorf("versitygw does not answer: %w: %s", ctx.Err(), s.log)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Close ends the server and waits for its end.
func (s *Server) Close() error {
	err := s.cmd.Process.Kill()
	<-s.exited
	if s.client != nil {
		s.client.Options().HTTPClient.(*http.Client).CloseIdleConnections()
	}
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Client is a client with the server's root credentials, for preparing data.
func (s *Server) Client() *s3.Client { return s.client }

func (s *Server) connect() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(s.Endpoint),
		Region:       Region,
		UsePathStyle: true,
		Credentials:  credentials.NewStaticCredentialsProvider(s.AccessKey, s.SecretKey, ""),
		HTTPClient:   &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 16}},
		// The one checksum that always covers the whole object is asked for
		// by tests that want it.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// WriteKeys writes the credentials into two files of dir, for key-file settings.
func (s *Server) WriteKeys(dir string) (id, secret string, err error) {
	id, secret = filepath.Join(dir, "access_key_id"), filepath.Join(dir, "secret_access_key")
	if err := os.WriteFile(id, []byte(s.AccessKey+"\n"), 0o600); err != nil {
		return "", "", err
	}
	return id, secret, os.WriteFile(secret, []byte(s.SecretKey+"\n"), 0o600)
}

func freePort(ctx context.Context) (string, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// xattrs reports whether dir's file system keeps the server's metadata.
func xattrs(dir string) bool {
	const name = "user.modelfs.test"
	if unix.Setxattr(dir, name, []byte("1"), 0) != nil {
		return false
	}
	return unix.Removexattr(dir, name) == nil
}

// logBuffer holds the beginning of what the server says.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buf.Len() < 64<<10 {
		l.buf.Write(p)
	}
	return len(p), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.TrimSpace(l.buf.String())
}
