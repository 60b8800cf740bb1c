package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// readyVariable is set for the background process: on descriptor readyFD its
// parent waits for readyWord or an error. Nothing but a close means death.
const (
	readyVariable = "MODELFS_READY_FD"
	readyFD       = 3
	readyWord     = "ready"
)

// parent is the process that waits for this one's mount to answer; nil if none.
type parent struct {
	pipe *os.File
	told bool
}

// waitingParent takes the descriptor from the environment, once: what this
// process starts must not hold it.
func waitingParent() *parent {
	if os.Getenv(readyVariable) != strconv.Itoa(readyFD) {
		return nil
	}
	unix.CloseOnExec(readyFD)
	if err := os.Unsetenv(readyVariable); err != nil {
		return nil // only an invalid name is an error
	}
	return &parent{pipe: os.NewFile(readyFD, "parent")}
}

// tell says word to the parent; only the first word counts.
func (p *parent) tell(word string) error {
	if p.told {
		return nil
	}
	p.told = true
	_, err := io.WriteString(p.pipe, word)
	return errors.Join(err, p.pipe.Close())
}

// again is this command once more, as a process of its own.
func again(ctx context.Context) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	child := exec.CommandContext(ctx, self, os.Args[1:]...)
	child.Args[0] = os.Args[0]
	return child, nil
}

// background starts child, detached from the terminal, and waits until its mount
// answers or it fails.
func background(child *exec.Cmd, stderr io.Writer, logFile string) error {
	log, err := openLog(logFile)
	if err != nil {
		return err
	}
	defer log.Close()
	here, there, err := os.Pipe()
	if err != nil {
		return err
	}
	defer here.Close()
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%d", readyVariable, readyFD))
	child.Stdout, child.Stderr = log, log
	child.ExtraFiles = []*os.File{there}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = errors.Join(child.Start(), there.Close())
	if err != nil {
		return err
	}
	said, err := io.ReadAll(here)
	if err == nil && string(said) == readyWord {
		return child.Process.Release()
	}
	return failedChild(child, stderr, string(said), log.Name())
}

// failedChild gives the child's error and exit status as this process's own.
func failedChild(child *exec.Cmd, stderr io.Writer, said, log string) error {
	err := child.Wait()
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return err
	}
	if said == "" {
		return fmt.Errorf("the background process died before the mount answered (%s); its last words are in %s", child.ProcessState, log)
	}
	fmt.Fprintf(stderr, "modelfs: %s\n", said)
	return &exitError{max(failed, child.ProcessState.ExitCode())}
}

// openLog opens the file that the background process writes to. It is private:
// the names of models may be.
func openLog(file string) (*os.File, error) {
	if file == "" {
		if file = defaultLog(os.Getuid(), os.Getenv); file == "" {
			return nil, errors.New("no place for the log without $HOME; name one with --log-file")
		}
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return nil, fmt.Errorf("%w; name another log with --log-file", err)
		}
	}
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("%w; name another log with --log-file", err)
	}
	return f, nil
}

// defaultLog is where a user's log goes by the XDG specification, and where
// root's goes by the file hierarchy.
func defaultLog(uid int, getenv func(string) string) string {
	if uid == 0 {
		return "/var/log/modelfs.log"
	}
	state := getenv("XDG_STATE_HOME")
	if !filepath.IsAbs(state) {
		home := getenv("HOME")
		if !filepath.IsAbs(home) {
			return ""
		}
		state = filepath.Join(home, ".local/state")
	}
	return filepath.Join(state, "modelfs", "modelfs.log")
}
