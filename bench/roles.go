package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"modelfs/providers/s3/s3test"
)

// A role is work for another process of this program, so that its time is not
// taken from the one that measures: a reader blocked in the kernel keeps Go's
// scheduler from the goroutines of a server. The variable holds the role and its
// argument.
const roleVariable = "MODELFS_BENCH_ROLE"

// playRole does what the process was started for, if that is a role: it says when
// it is ready in one line, and ends with its standard input.
func playRole(in io.Reader, out io.Writer) (played bool, err error) {
	role, argument, _ := strings.Cut(os.Getenv(roleVariable), " ")
	switch role {
	case "":
		return false, nil
	case "store":
		return true, serveStore(argument, in, out)
	case "proxy":
		return true, serveProxy(argument, in, out)
	case "read":
		return true, readAndTell(argument, out)
	}
	return true, fmt.Errorf("%s: no role %q", roleVariable, role)
}

// process is a role being played.
type process struct {
	cmd  *exec.Cmd
	in   io.Closer
	said string // its first line
}

// start plays a role in a process of its own.
func start(ctx context.Context, role, argument string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	// It ends with its input; a context that kills it would only race with that.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), self)
	cmd.Env = append(os.Environ(), roleVariable+"="+role+" "+argument)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is for the one that measures
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &process{cmd: cmd, in: in}
	if p.said, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", role, err), p.close())
	}
	p.said = strings.TrimSpace(p.said)
	return p, nil
}

// close ends the process and waits for it.
func (p *process) close() error { return errors.Join(p.in.Close(), p.cmd.Wait()) }

// serveStore serves the folder as it is and shaped, and says both addresses.
func serveStore(root string, in io.Reader, out io.Writer) error {
	s, err := newStore(root)
	if err != nil {
		return err
	}
	fast, err := serve(s)
	if err != nil {
		return err
	}
	defer fast.Close()
	slow, err := serve(shaped(s, objectStore))
	if err != nil {
		return err
	}
	defer slow.Close()
	fmt.Fprintf(out, "%s %s\n", fast.Addr, slow.Addr)
	_, err = io.Copy(io.Discard, in)
	return err
}

// serve starts a server on a free port, and puts that into its Addr.
func serve(h http.Handler) (*http.Server, error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{
		Addr: "http://" + l.Addr().String(), Handler: h, ReadHeaderTimeout: time.Minute,
		ConnContext: func(ctx context.Context, _ net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, new(s3test.Pacer))
		},
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "bench: server:", err)
		}
	}()
	return server, nil
}

// serveProxy shapes another server, and says its address.
func serveProxy(target string, in io.Reader, out io.Writer) error {
	p, err := s3test.NewProxy(target)
	if err != nil {
		return err
	}
	p.Shape(s3test.Shape{Latency: objectStore.latency, PerConn: objectStore.perConn, Total: objectStore.total})
	fmt.Fprintln(out, p.URL)
	_, err = io.Copy(io.Discard, in)
	return errors.Join(err, p.Close())
}

// readAndTell reads a file once, without the pages that the kernel has of it, and
// says how many bytes it had.
func readAndTell(path string, out io.Writer) error {
	if err := forget(path); err != nil {
		return err
	}
	r, err := readWhole(path)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, r.n)
	return r.f.Close()
}
