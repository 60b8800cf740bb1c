package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// One run of small steps over a real mount finishes, and leaves nothing behind. It
// says nothing about speed: tests share their machine.
func TestRun(t *testing.T) {
	needFuse(t)
	dir := t.TempDir()
	binary := filepath.Join(dir, "modelfs")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../cmd/modelfs").CombinedOutput(); err != nil {
		t.Fatalf("build modelfs: %v\n%s", err, out)
	}
	o := options{
		modelfs: binary, dir: filepath.Join(dir, "work"), server: "plain", size: minSize, small: 50, runs: 1, json: true,
		steps: regexp.MustCompile("^(sealed|cold|first-byte|list|small)$"),
	}
	var out, told bytes.Buffer
	if err := run(t.Context(), o, &out, &told); err != nil {
		t.Fatalf("%v\n%s", err, told.String())
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if len(r.Rows) < 10 {
		t.Errorf("rows: got %d, want those of five steps:\n%s", len(r.Rows), out.String())
	}
	for _, row := range r.Rows {
		if len(row.Modelfs) == 0 || row.Unit != cpuPerGiB && row.Modelfs[0] <= 0 {
			t.Errorf("%s: got %v, want values above 0", row.What, row.Modelfs)
		}
	}
	left, err := filepath.Glob(filepath.Join(o.dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: got %v, %v; want nothing", left, err)
	}
}
