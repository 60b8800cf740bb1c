// Bench measures modelfs against what it is measured by, in one run on one
// machine, and prints ratios.
//
// # Idea
//
// Absolute speeds say more about a machine and its neighbours than about a
// program, so that each step measures two things in turn, several times: what
// modelfs does through a mount, and a reference that does the same work without
// it. For a sealed file that is the plain file on the same disk; for a first read
// it is a parallel ranged downloader; for a small request a bare one. The result
// of a step is the ratio of the two medians.
//
// The source is an object server in a process of its own, with its objects in
// memory, over loopback, and the same server shaped as an object store behaves:
// latency before each answer, a limit per connection, and one for all. -server
// versitygw takes a real S3 server instead, whose own work then fills the two
// cores that all share; see docs/performance.md for how the two compare.
//
// # Promises
//
// Every step that reads compares what it has read with what was sent: a few words
// of each MiB while the clock runs, and every byte through the same handle after
// it has stopped. A wrong byte fails the run. A cold step has a new daemon and a
// new cache directory. Nothing outside the working directory is changed, but root
// has the page cache of the whole machine dropped.
//
// # Terms
//
// step: one kind of work, done -runs times. row: one line of the table, of which a
// step makes one or more. reference: the same work without modelfs. hot, dropped:
// the page cache holds the bytes, or was emptied. shaped: slowed down like an
// object store.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// options are what the command line says.
type options struct {
	modelfs string
	dir     string
	server  string
	size    byteSize
	small   int
	runs    int
	steps   *regexp.Regexp
	json    bool
	keep    bool
}

func main() {
	if ran, err := playRole(os.Stdin, os.Stdout); ran {
		exit(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := parse(os.Args[1:], os.Stderr)
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		os.Exit(2) // flag has said why
	}
	exit(run(ctx, o, os.Stdout, os.Stderr))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func parse(args []string, stderr io.Writer) (options, error) {
	o := options{size: 3 << 30, steps: regexp.MustCompile("")}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "Measures modelfs against the native disk and a parallel downloader.\n\nSteps:\n")
		for _, s := range steps {
			fmt.Fprintf(stderr, "  %-14s %s\n", s.name, s.about)
		}
		fmt.Fprintf(stderr, "\nFlags:\n")
		fs.PrintDefaults()
	}
	fs.StringVar(&o.modelfs, "modelfs", "", "measure this `binary` instead of building bin/modelfs")
	fs.StringVar(&o.dir, "dir", filepath.Join(".cache", "bench"), "work in `DIR`: it is on the disk that is measured")
	fs.StringVar(&o.server, "server", "plain", "the source: plain, or versitygw, a real S3 server")
	fs.Var(&o.size, "size", "`bytes` of the big object; K, M and G are powers of 1024")
	fs.IntVar(&o.small, "small", 2000, "`number` of small files")
	fs.IntVar(&o.runs, "runs", 3, "do each step this often")
	fs.Func("steps", "do the steps whose names match this `regexp`", func(s string) (err error) {
		o.steps, err = regexp.Compile(s)
		return err
	})
	fs.BoolVar(&o.json, "json", false, "print JSON with every measured value")
	fs.BoolVar(&o.keep, "keep", false, "leave the working directory behind")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	for _, bad := range []struct {
		is   bool
		what string
	}{
		{fs.NArg() > 0, "there are no arguments, only flags"},
		{o.runs < 1, "-runs is at least 1"},
		{o.small < 1, "-small is at least 1"},
		{o.size < minSize, fmt.Sprintf("-size is at least %d MiB", minSize>>20)},
		{o.server != "plain" && o.server != "versitygw", "-server is plain or versitygw"},
	} {
		if bad.is {
			fmt.Fprintln(stderr, "bench:", bad.what)
			return o, errors.New(bad.what)
		}
	}
	return o, nil
}

// run measures, and prints what was measured even if a step failed.
func run(ctx context.Context, o options, stdout, stderr io.Writer) (err error) {
	b, err := prepare(ctx, o, stderr)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	var failed error
	for _, s := range steps {
		if !o.steps.MatchString(s.name) {
			continue
		}
		b.say("%s: %s", s.name, s.about)
		if err := s.do(ctx, b); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.name, err))
			if ctx.Err() != nil {
				break
			}
			b.say("%s: %v", s.name, err)
		}
	}
	if o.json {
		return errors.Join(failed, b.report.writeJSON(stdout))
	}
	return errors.Join(failed, b.report.write(stdout))
}

// byteSize is a number of bytes on the command line.
type byteSize int64

// String implements flag.Value.
func (s *byteSize) String() string {
	switch n := int64(*s); {
	case n >= 1<<30 && n%(1<<30) == 0:
		return fmt.Sprintf("%dG", n>>30)
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%dM", n>>20)
	default:
		return strconv.FormatInt(n, 10)
	}
}

// Set implements flag.Value.
func (s *byteSize) Set(text string) error {
	shift := 0
	if text != "" {
		if i := strings.IndexByte("KMG", text[len(text)-1]); i >= 0 {
			shift, text = 10*(i+1), text[:len(text)-1]
		}
	}
	n, err := strconv.ParseUint(text, 10, 40)
	if err != nil {
		return errors.New("want a number of bytes, with K, M or G")
	}
	if n > 1<<50>>shift {
		return errors.New("too large")
	}
	*s = byteSize(n << shift)
	return nil
}
