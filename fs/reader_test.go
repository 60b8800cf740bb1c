package fs_test

import (
	"io"
	"os"
	"os/exec"
	"testing"
)

// The test binary is its own reader process, so that readers can be killed.
func TestMain(m *testing.M) {
	if p := os.Getenv("MODELFS_TEST_READ"); p != "" {
		f, err := os.Open(p)
		if err == nil {
			_, err = io.Copy(io.Discard, f)
		}
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func startReader(t *testing.T, path string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "MODELFS_TEST_READ="+path)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}
