package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackgroundWaitsForTheMount lets a shell play the background process.
func TestBackgroundWaitsForTheMount(t *testing.T) {
	for _, test := range []struct {
		name, script string
		status       int
		stderr, err  string
	}{
		{"ready", "printf ready >&3; exec 3>&-; sleep 0.1", 0, "", ""},
		{"error", "echo secret detail >&2; printf 'no room' >&3; exit 1", 1, "modelfs: no room\n", ""},
		{"status", "printf 'bad file' >&3; exit 2", 2, "modelfs: bad file\n", ""},
		{"success without a mount", "printf 'odd' >&3", 1, "modelfs: odd\n", ""},
		{"death", "echo goodbye >&2; kill -9 $$", 0, "", "died before the mount answered (signal: killed); its last words are in "},
	} {
		t.Run(test.name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "log")
			var stderr bytes.Buffer
			err := background(exec.CommandContext(t.Context(), "sh", "-c", test.script), &stderr, log)
			var exit *exitError
			switch {
			case test.err != "":
				if err == nil || !strings.Contains(err.Error(), test.err+log) {
					t.Errorf("got error %v, want %q and the log", err, test.err)
				}
			case test.status == 0:
				if err != nil {
					t.Errorf("got error %v, want none", err)
				}
			case !errors.As(err, &exit) || exit.status != test.status:
				t.Errorf("got error %v, want exit status %d", err, test.status)
			}
			if got := stderr.String(); got != test.stderr {
				t.Errorf("got %q on standard error, want %q", got, test.stderr)
			}
			info, err := os.Stat(log)
			if err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("got log %v and error %v, want one that only its owner reads", info, err)
			}
		})
	}
}

func TestParentHearsOneWord(t *testing.T) {
	here, there, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	p := &parent{pipe: there}
	if err := errors.Join(p.tell(readyWord), p.tell("too late")); err != nil {
		t.Errorf("got error %v, want none", err)
	}
	if got, err := io.ReadAll(here); err != nil || string(got) != readyWord {
		t.Errorf("got %q and error %v, want %q", got, err, readyWord)
	}
}

func TestParentThatIsGoneIsNoticed(t *testing.T) {
	here, there, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := here.Close(); err != nil {
		t.Fatal(err)
	}
	if err := (&parent{pipe: there}).tell(readyWord); err == nil {
		t.Errorf("got no error, want one: nobody listens")
	}
}

func TestDefaultLog(t *testing.T) {
	for _, test := range []struct {
		uid         int
		state, home string
		want        string
	}{
		{0, "/s", "/root", "/var/log/modelfs.log"},
		{1000, "/s", "/home/me", "/s/modelfs/modelfs.log"},
		{1000, "relative", "/home/me", "/home/me/.local/state/modelfs/modelfs.log"},
		{1000, "", "", ""},
	} {
		env := map[string]string{"XDG_STATE_HOME": test.state, "HOME": test.home}
		if got := defaultLog(test.uid, func(k string) string { return env[k] }); got != test.want {
			t.Errorf("%+v: got %q, want %q", test, got, test.want)
		}
	}
}
