// Hubserver runs the test Hub of modelfs/testdata/hub over a directory, for
// tests that are shell scripts.
//
//	hubserver -dir DIR [-addr 127.0.0.1:0] [-cdn-addr 127.0.0.1:0]
//	          [-token T] [-private org/repo,...] [-gated org/repo,...]
//	          [-latency 20ms] [-total-rate N] [-conn-rate N]
//
// Every DIR/<org>/<repo> is pushed as the main branch of a model. The token, if
// one is given, may read the private and gated ones. Standard output is two
// lines, the addresses of the Hub and of its content network.
// After a change in a folder,
//
//	curl -fsS -X POST "$HUB/-/push?repo=<org>/<repo>"
//
// pushes it again as a new commit and answers {"sha": "..."}. Files must not
// change between a push and the reads of it. $HUB/-/requests lists every request
// so far, $HUB/-/violations those that gave a secret to the content network, and
// POST $HUB/-/expire ends every signed link. SIGINT and SIGTERM end the server.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"modelfs/testdata/hub"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address of the Hub")
	cdnAddr := flag.String("cdn-addr", "127.0.0.1:0", "address of the content network")
	dir := flag.String("dir", "", "directory of <org>/<repo>/<files>")
	token := flag.String("token", "", "token that may read everything")
	private := flag.String("private", "", "repositories that are hidden without the token, by commas")
	gated := flag.String("gated", "", "repositories that list but do not hand out files without the token, by commas")
	var shape hub.Shape
	flag.DurationVar(&shape.Latency, "latency", 0, "wait before each answer")
	flag.Int64Var(&shape.Total, "total-rate", 0, "bytes per second of all connections; 0 is no limit")
	flag.Int64Var(&shape.PerConn, "conn-rate", 0, "bytes per second of one connection; 0 is no limit")
	flag.Parse()
	if *dir == "" || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	access := access{*token, names(*private), names(*gated)}
	if err := run(*addr, *cdnAddr, *dir, access, shape); err != nil {
		fmt.Fprintln(os.Stderr, "hubserver:", err)
		os.Exit(1)
	}
}

// access says who may read what.
type access struct {
	token          string
	private, gated []string
}

func names(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}

func (a access) apply(s *hub.Server) {
	for _, name := range a.private {
		s.SetPrivate(name, true)
	}
	for _, name := range a.gated {
		s.SetGated(name, true)
	}
	if a.token != "" {
		s.Allow(a.token, append(a.private, a.gated...)...)
	}
}

func run(addr, cdnAddr, dir string, who access, shape hub.Shape) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	s, err := hub.Listen(addr, cdnAddr)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := s.LoadDir(dir); err != nil {
		return err
	}
	who.apply(s)
	s.Limit(shape)
	if _, err := fmt.Fprintf(os.Stdout, "%s\n%s\n", s.URL, s.CDNURL); err != nil {
		return err
	}
	<-ctx.Done()
	return nil
}
