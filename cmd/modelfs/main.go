package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"modelfs/config"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is the program without the process: it returns the exit status.
func run(args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return report(stderr, root.Execute())
}

// Exit statuses.
const (
	failed = 1
	misuse = 2
)

// report tells err to a person and returns the exit status that it means.
func report(stderr io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var known *exitError
	if errors.As(err, &known) {
		return known.status // whoever made it has spoken already
	}
	var wrong *config.Error
	if errors.As(err, &wrong) {
		// One line for each problem, each beginning with the file: editors
		// and grep know what to do with those.
		fmt.Fprintln(stderr, wrong)
		return misuse
	}
	fmt.Fprintf(stderr, "modelfs: %s\n", strings.TrimRight(err.Error(), "\n"))
	var u *usageError
	if errors.As(err, &u) {
		fmt.Fprintf(stderr, "Try: %s --help\n", u.command)
		return misuse
	}
	return failed
}

// usageError is a command that was called in a wrong way.
type usageError struct {
	command string
	err     error
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// exitError ends the program with a status and no further word.
type exitError struct{ status int }

func (e *exitError) Error() string { return fmt.Sprintf("exit status %d", e.status) }
