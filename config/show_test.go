package config

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestShowIsReadAsTheSame(t *testing.T) {
	c := mustLoad(t, "access: {file_mode: 0440}\nproviders: {zoo: null, m: {type: s3, buckets: ['a b']}, gdrive: {folders: {team: 0AbC}}}\n")
	shown, err := c.Show()
	if err != nil {
		t.Fatal(err)
	}
	again, err := load("c.yaml", shown, testTypes(), testEnv("/elsewhere"))
	if err != nil {
		t.Fatalf("got error %v, want none for\n%s", err, shown)
	}
	for _, d := range []*Config{c, again} {
		d.File, d.env, d.lines = "", environment{}, nil
		for i := range d.Providers {
			d.Providers[i].Line, d.Providers[i].Explicit = 0, true
		}
	}
	equal(t, again, c)
}

func TestShowMasksSecrets(t *testing.T) {
	c := mustLoad(t, `
providers:
  s3: {secret_key: PLANTED, endpoint: "https://me:PLANTED@s3.example/?X-Amz-Signature=PLANTED&x=1"}
  transformers: {endpoint: "https://PLANTED@hub.example", token_file: /run/secrets/hf}
  gdrive: {folders: {pub: {id: 1XyZ, resource_key: PLANTED}}}
  zoo: {roots: ["ssh://git@host/x", "https://me:%zzPLANTED@host"]}
`)
	for name, show := range map[string]func() ([]byte, error){"YAML": c.Show, "JSON": c.ShowJSON} {
		out, err := show()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out), "PLANTED") {
			t.Errorf("%s: got a secret in\n%s\nwant none", name, out)
		}
		for _, want := range []string{"https://****@s3.example/?X-Amz-Signature=****", "/run/secrets/hf", "ssh://git@host/x", "1XyZ"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: got\n%s\nwant %s in it", name, out, want)
			}
		}
		if name == "JSON" && !json.Valid(out) {
			t.Errorf("got %s, want JSON", out)
		}
	}
}

func TestStarterChangesNothing(t *testing.T) {
	plain, err := mustLoad(t, "").Show()
	if err != nil {
		t.Fatal(err)
	}
	asWritten, err := mustLoad(t, string(Starter)).Show()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, string(asWritten), string(plain))
}

// TestStarterNamesEverySetting uncomments the starter file, which then has to be
// right, and to differ from the defaults only where they depend on the process.
func TestStarterNamesEverySetting(t *testing.T) {
	all := regexp.MustCompile(`(?m)^#(\S| )(.*)$`).ReplaceAllStringFunc(string(Starter), func(l string) string {
		if strings.HasPrefix(l, "# ") && !strings.HasPrefix(l, "#  ") {
			return l
		}
		return l[1:]
	})
	c := mustLoad(t, all)
	for _, key := range settings() {
		if key != "mountpoint" && c.lines[key] == 0 {
			t.Errorf("got no %s in the starter file, want it", key)
		}
	}
	want := defaults(testEnv("/home/me"))
	want.Cache.Dir, want.Access.UID, want.Access.GID = "/var/cache/modelfs", 0, 0
	want.Mountpoint, want.Search = "/models", []string{"zoo", "s3", "transformers"}
	got := *c
	got.Providers, got.File, got.env, got.lines = nil, "", environment{}, nil
	want.env, want.lines = environment{}, nil
	equal(t, got, *want)
}

func TestInitNeverWritesOver(t *testing.T) {
	home := t.TempDir()
	env := func(k string) string { return map[string]string{"HOME": home}[k] }
	file, err := Init("", env)
	if want := filepath.Join(home, ".config/modelfs/config.yaml"); err != nil || file != want {
		t.Fatalf("got %q and error %v, want %q", file, err, want)
	}
	if _, err := Load(Options{File: file, Types: testTypes(), Getenv: env}); err != nil {
		t.Errorf("got error %v, want what Init writes to be right", err)
	}
	if err := os.WriteFile(file, []byte("verify: strict\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(file, env); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("got error %v, want: is there already", err)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "verify: strict\n" {
		t.Errorf("got %q and error %v, want the file untouched", got, err)
	}
}
