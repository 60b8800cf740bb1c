package transformers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"testing"

	"modelfs/providers"
	testhub "modelfs/testdata/hub"
)

// python finds an interpreter that has the official client: $MODELFS_PYTHON, or
// the first python3 on the path.
func python(t *testing.T) string {
	t.Helper()
	name := os.Getenv("MODELFS_PYTHON")
	if name == "" {
		name = "python3"
	}
	if out, err := exec.Command(name, "-c", "import huggingface_hub").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" || os.Getenv("MODELFS_REQUIRE_ALL") != "" {
			t.Fatalf("%s cannot import huggingface_hub, and nothing may be skipped: %v\n%s", name, err, out)
		}
		t.Skipf("%s cannot import huggingface_hub; set MODELFS_PYTHON to one that can", name)
	}
	return name
}

// verdict is what referee.py prints.
type verdict struct {
	Version, SHA, ID, Folder, Single string
	Files                            map[string]string
	Tree                             map[string]struct {
		Size     int64
		Git, LFS string
	}
	Siblings        map[string]int64
	Branches, Pulls map[string]string
	Paths           []string
	Refused         []bool
}

func referee(t *testing.T, python, endpoint, repo, revision, cache string) verdict {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), python, "../../testdata/hub/referee.py", endpoint, repo, revision, cache)
	cmd.Env = append(os.Environ(), "HF_HOME="+t.TempDir(), "HF_TOKEN=", "HF_HUB_OFFLINE=", "NO_PROXY=127.0.0.1")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("referee: %v\n%s", err, stderr.Bytes())
	}
	var v verdict
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("referee: %v in %s", err, out)
	}
	return v
}

// TestReferee compares the provider with the official client on one server: on
// main and on a pinned commit, before and after a push.
func TestReferee(t *testing.T) {
	py := python(t)
	f := start(t, Config{})
	f.Set(func(s *testhub.Settings) { s.PageSize = 3 })
	cache := t.TempDir()
	content := map[string]testhub.File{
		"config.json":           testhub.Text(`{"model_type":"bert"}`),
		"empty.txt":             testhub.Text(""),
		"model.safetensors":     testhub.Synthetic(1, 3<<20+17),
		"onnx/model.onnx":       testhub.Synthetic(2, 70_000),
		"onnx/a b#c%d?.txt":     testhub.Text("odd"),
		"deep/er/and/deep.json": testhub.Text("{}"),
		"ünïcode.txt":           testhub.Text("é"),
	}
	first := f.Push("org/name", "main", content)
	f.PushRef("org/name", "refs/pr/1", content)
	compare(t, f, referee(t, py, f.URL, "org/name", "main", cache), "", first)
	compare(t, f, referee(t, py, f.URL, "org/name", first, cache), first, first)

	content["config.json"] = testhub.Text(`{"model_type":"gpt2"}`)
	content["model.safetensors"] = testhub.Synthetic(3, 2<<20)
	delete(content, "onnx/model.onnx")
	second := f.Push("org/name", "main", content)
	compare(t, f, referee(t, py, f.URL, "org/name", "main", cache), "", second)
	compare(t, f, referee(t, py, f.URL, "org/name", first, t.TempDir()), first, first)

	reuseOf(t, f, cache, second)
}

// compare holds what the provider gets of a ref to the referee's verdict.
func compare(t *testing.T, f *fixture, v verdict, ref, sha string) {
	t.Helper()
	if v.SHA != sha || v.Folder != sha || v.ID != "org/name" || v.Branches["main"] == "" || v.Pulls["refs/pr/1"] == "" {
		t.Errorf("got verdict %s %s %s %v %v, want commit %s", v.ID, v.SHA, v.Folder, v.Branches, v.Pulls, sha)
	}
	if !slices.Equal(v.Refused, []bool{true, true, true}) || len(v.Paths) != 1 {
		t.Errorf("got refusals %v and paths %q, want all refused and one path", v.Refused, v.Paths)
	}
	m := resolve(t, f.Provider, "org/name", ref)
	if got := m.Origin().Revision; got != sha {
		t.Errorf("got revision %s, want %s", got, sha)
	}
	entries := walk(t, m)
	if len(entries) != len(v.Files) || len(entries) != len(v.Tree) || len(entries) != len(v.Siblings) {
		t.Errorf("got %d files, want those of the referee: %d, %d listed", len(entries), len(v.Files), len(v.Tree))
	}
	for path, e := range entries {
		row := v.Tree[path]
		want := providers.NewDigest("git", row.Git)
		if row.LFS != "" {
			want = providers.NewDigest("sha256", row.LFS)
		}
		if e.Size != row.Size || e.Digest != want {
			t.Errorf("%s: got %d bytes, %s, want %d, %s", path, e.Size, e.Digest, row.Size, want)
		}
		if got := contentSum(t, m, e); got != v.Files[path] {
			t.Errorf("%s: got sha256 %s, want %s", path, got, v.Files[path])
		}
	}
}

func contentSum(t *testing.T, m providers.Model, e providers.Entry) string {
	t.Helper()
	h := sha256.New()
	const block = 1 << 20
	for off := int64(0); off < e.Size; off += block {
		b, err := read(t.Context(), m, e, off, min(block, e.Size-off))
		if err != nil {
			t.Fatal(err)
		}
		h.Write(b)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// reuseOf serves from the cache that the referee has filled, without the Hub.
func reuseOf(t *testing.T, f *fixture, cache, sha string) {
	t.Helper()
	f.env["HF_HUB_CACHE"], f.env["HF_HUB_OFFLINE"] = cache, "1"
	m := resolve(t, f.provider(t, Config{ReuseHubCache: true}), "org/name", "")
	if got := m.Origin().Revision; got != sha {
		t.Errorf("got revision %s from the cache, want %s", got, sha)
	}
	online := resolve(t, f.Provider, "org/name", "")
	for path, e := range walk(t, m) {
		got, err := openEntry(t.Context(), m, e)
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(got))
		if want := contentSum(t, online, e); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s: got other content from the cache than from the Hub", path)
		}
	}
}
