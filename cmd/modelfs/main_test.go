package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"modelfs": main, "emptymount": emptyMount})
}

// TestScripts runs the stories in testdata/script against this very program.
func TestScripts(t *testing.T) { runScripts(t, "testdata/script") }

// TestMountedScripts runs those that mount.
func TestMountedScripts(t *testing.T) {
	needFUSE(t)
	runScripts(t, "testdata/script/mounted")
}

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir: dir,
		Setup: func(e *testscript.Env) error {
			e.Defer(func() { detachBelow(t, e.WorkDir) })
			e.Setenv("HOME", e.WorkDir+"/home")
			// Else every command of a race build sleeps a second at its end.
			e.Setenv("GORACE", "atexit_sleep_ms=0")
			return os.Mkdir(e.WorkDir+"/home", 0o755)
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

func TestHelpFitsAScreen(t *testing.T) {
	var out, errOut bytes.Buffer
	if status := run([]string{"help"}, &out, &errOut); status != 0 || errOut.Len() != 0 {
		t.Errorf("got status %d and %q on standard error, want 0 and nothing", status, errOut.String())
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	if len(lines) > 23 { // and a prompt
		t.Errorf("got %d lines, want at most 23", len(lines))
	}
	for _, l := range lines {
		if len(l) > 80 {
			t.Errorf("got %d columns, want at most 80: %s", len(l), l)
		}
	}
	for _, c := range newRoot().Commands() {
		if !strings.Contains(out.String(), "modelfs "+c.Name()) {
			t.Errorf("got no %s in the overview, want every command", c.Name())
		}
	}
}

// TestManualNamesEveryFlag holds doc.go to the program.
func TestManualNamesEveryFlag(t *testing.T) {
	manual, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		check := func(f *pflag.Flag) {
			if !strings.Contains(string(manual), "--"+f.Name) {
				t.Errorf("got no --%s of %q in doc.go, want it", f.Name, c.CommandPath())
			}
		}
		c.Flags().VisitAll(check)
		c.PersistentFlags().VisitAll(check)
		for _, sub := range c.Commands() {
			if !strings.Contains(string(manual), sub.Name()) {
				t.Errorf("got no %q in doc.go, want it", sub.CommandPath())
			}
			visit(sub)
		}
	}
	visit(newRoot())
}
