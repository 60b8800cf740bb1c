package providers_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

// local is a provider of the files below /srv/zoo.
type local struct{ providers.Provider }

func (local) NameOfPath(abs string) (name, path string, ok bool) {
	rest, ok := strings.CutPrefix(abs, "/srv/zoo/")
	name, path, _ = strings.Cut(rest, "/")
	return name, path, ok
}

func instances() []providers.Instance {
	mem := providertest.NewMemory(providertest.MemoryOptions{})
	return []providers.Instance{
		{Protocol: "zoo", Provider: local{mem}},
		{Protocol: "transformers", Aliases: []string{"hf"}, Provider: mem},
		{Protocol: "mlflow", Aliases: []string{"mflow"}, Provider: mem},
		{Protocol: "mlflow-staging", Type: "mlflow", Provider: mem},
		{Protocol: "git", Provider: mem},
		{Protocol: "s3-minio", Type: "s3", Provider: mem},
		{Protocol: "gdrive", Provider: mem},
		{Protocol: "dvc", Provider: mem},
	}
}

func newRegistry(t testing.TB) *providers.Registry {
	t.Helper()
	r, err := providers.NewRegistry(instances(), providers.RegistryOptions{Mountpoints: []string{"/models", "/mnt/m/"}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestParse(t *testing.T) {
	r := newRegistry(t)
	for s, want := range map[string]string{ // protocol|name|ref|path
		"/models/zoo/group/x/config.json":                  "zoo|group/x/config.json||",
		"/models/transformers/org/repo":                    "transformers|org/repo||",
		"/models/transformers/org/repo@v1/a@b/c%":          "transformers|org/repo|v1|a@b/c%",
		"/models/transformers/org/repo@refs%2Fpr%2F1/f":    "transformers|org/repo|refs/pr/1|f",
		"/models/hf/org/repo/":                             "transformers|org/repo||",
		"/models//hf/./org//repo":                          "transformers|org/repo||",
		"/mnt/m/mlflow/iris@champion/model.pkl":            "mlflow|iris|champion|model.pkl",
		"/models/mlflow/a%2Fb%40c@3":                       "mlflow|a/b@c|3|",
		"/models/mlflow/.runs/abc/art/f":                   "mlflow|.runs/abc/art/f||",
		"/models/any/org/repo@v1/f":                        "|org/repo|v1|f",
		"/models/mlflow-staging/iris":                      "mlflow-staging|iris||",
		"org/repo":                                         "|org/repo||",
		"gpt2@v1":                                          "|gpt2|v1|",
		"name:tag":                                         "|name:tag||",
		"org/repo@refs/pr/1/config.json":                   "|org/repo|refs/pr/1|config.json",
		"model://org/repo":                                 "|org/repo||",
		"any://org/repo":                                   "|org/repo||",
		"zoo://group/x":                                    "zoo|group/x||",
		"hf://org/repo@v1":                                 "transformers|org/repo|v1|",
		"HF://org/repo@v1":                                 "transformers|org/repo|v1|",
		"hf://org/repo@refs/pr/1/config.json":              "transformers|org/repo|refs/pr/1|config.json",
		"hf://org/repo@feature%2Fx":                        "transformers|org/repo|feature/x|",
		"transformers://org/repo":                          "transformers|org/repo||",
		"mlflow://iris@3":                                  "mlflow|iris|3|",
		"mflow://iris":                                     "mlflow|iris||",
		"mlflow-staging://iris@champion":                   "mlflow-staging|iris|champion|",
		"models:/iris@champion":                            "mlflow|iris|champion|",
		"models:/iris/7":                                   "mlflow|iris|7|",
		"models:/iris/7/model.pkl":                         "mlflow|iris|7|model.pkl",
		"models:/iris/latest":                              "mlflow|iris||",
		"models:/my%20model/1":                             "mlflow|my%20model|1|",
		"models:/m-0123456789":                             "mlflow|m-0123456789||",
		"runs:/abc/model/MLmodel":                          "mlflow|.runs/abc/model/MLmodel||",
		"s3://bucket/prefix/model.gguf":                    "s3-minio|bucket/prefix/model.gguf||",
		"s3-minio://bucket/a%40b":                          "s3-minio|bucket/a@b||",
		"gdrive://team/x y":                                "gdrive|team/x y||",
		"dvc://fraud@v2/data/m.bin":                        "dvc|fraud|v2|data/m.bin",
		"git://detector@v1/w.bin":                          "git|detector|v1|w.bin",
		"git://github.com/org/repo.git@v1":                 "git|github.com/org/repo|v1|",
		"git://host:8443/org/repo":                         "git|host:8443/org/repo||",
		"https://github.com/org/repo.git":                  "git|github.com/org/repo||",
		"https://git.example.com/a/b/c.git@v1.2/dir/w.bin": "git|git.example.com/a/b/c|v1.2|dir/w.bin",
		"https://huggingface.co/org/repo.git/sub/x.git/y":  "git|huggingface.co/org/repo/sub/x.git/y||",
		"file:///models/hf/org/repo@v1/f":                  "transformers|org/repo|v1|f",
		"file:///srv/zoo/a@b/100%25/f":                     "zoo|a@b/100%/f||",
		"file:///srv/zoo/group/x@1/f":                      "zoo|group/x|1|f", // in the model, once it is located
		"file://localhost/srv/zoo/x":                       "zoo|x||",
		"hf://org/repo/100%/f":                             "transformers|org/repo/100%/f||",
		"hf://org/repo/%2E%2E/f":                           "transformers|org/repo/../f||", // a name: the provider escapes it
		"https://evil.example/../repo.git@x":               "error",
		"https://user:password@github.com/org/repo.git":    "error",
		"https://token@github.com/org/repo.git":            "error",
		"git://user:password@github.com/org/repo":          "error",
		"git://token@github.com/org/repo":                  "error",
		"https://github.com/org/repo":                      "error",
		"https://github.com/org/repo.git?x=1":              "error",
		"http://github.com/org/repo.git":                   "error",
		"ssh://git@github.com/org/repo.git":                "error",
		"git+ssh://github.com/org/repo.git":                "error",
		"ext::sh -c touch% /tmp/x":                         "|ext::sh -c touch% /tmp/x||error",
		"file:///etc/passwd":                               "error",
		"file:///srv/zoo/../../etc/passwd":                 "error",
		"file:///srv/zoo/%2E%2E/secret":                    "error",
		"file://evil.example/share":                        "error",
		"file:/etc/passwd":                                 "error",
		"/etc/passwd":                                      "error",
		"/srv/zoo/x":                                       "error",
		"/models":                                          "error",
		"/models/hf":                                       "error",
		"/models/nope/x":                                   "error",
		"/models/.modelfs/status.json":                     "error",
		"/models/hf/../zoo/x":                              "error",
		"nope://x":                                         "error",
		"hf://":                                            "error",
		"hf://org//repo":                                   "error",
		"hf://../x":                                        "error",
		"hf://org/repo@":                                   "hf-literal",
		"hf://%zz":                                         "error",
		"hf://a\x00b":                                      "error",
		"models:/":                                         "error",
		"models:iris":                                      "error",
		"models://profile/iris/1":                          "error",
		"models:/@x":                                       "error",
		"":                                                 "error",
		"@v1":                                              "error",
		"a\nb":                                             "error",
		"mlflow://" + strings.Repeat("x", 256):             "error",
	} {
		got, err := r.Parse(s)
		text := fmt.Sprintf("%s|%s|%s|%s", got.Protocol, got.Name, got.Ref, got.Path)
		switch want {
		case "hf-literal": // an empty ref is a name only in the model
			want = "transformers|org/repo@||"
		case "|ext::sh -c touch% /tmp/x||error":
			want = "error"
		}
		if err != nil {
			text = "error"
			if strings.Contains(err.Error(), "password") || strings.Contains(err.Error(), "token") {
				t.Errorf("%q: the error tells the secret: %v", s, err)
			}
		}
		if text != want {
			t.Errorf("%q:\ngot  %s (%v)\nwant %s", s, text, err, want)
		}
	}
}

func TestParsePath(t *testing.T) {
	r := newRegistry(t)
	for s, want := range map[string]string{
		"hf/org/repo@v1/f": "/models/hf/org/repo@v1/f", "/zoo/x/": "/models/zoo/x", "any/org/repo": "org/repo",
	} {
		got, err := r.ParsePath(s)
		if same, _ := r.Parse(want); err != nil || got != same {
			t.Errorf("%q: got %+v, %v; want what Parse makes of %s", s, got, err, want)
		}
	}
	for _, s := range []string{"", "hf", "nope/x", "hf/../x", "hf/a\x00"} {
		if got, err := r.ParsePath(s); !errors.Is(err, iofs.ErrNotExist) || got != (providers.Target{}) {
			t.Errorf("%q: got %+v, %v; want iofs.ErrNotExist", s, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/models/hf/org/repo@v1/f", "hf://org/repo@refs/pr/1/x", "models:/a@b", "runs:/a/b", "https://h/x.git@v/y",
		"git://h/x", "file:///srv/zoo/a", "a%40b@c%2Fd/e", "s3://b//c", "model://x", "::", "@", "%",
	} {
		f.Add(s)
	}
	r := newRegistry(f)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := r.Parse(s)
		if err != nil {
			return
		}
		if got.Name == "" {
			t.Errorf("%q: got an empty name", s)
		}
		if _, known := r.Instance(got.Protocol); got.Protocol != "" && !known {
			t.Errorf("%q: got unknown protocol %q", s, got.Protocol)
		}
		if strings.Contains(got.Protocol, "git") && strings.Contains(got.Name, "://") {
			t.Errorf("%q: got a scheme in the name %q", s, got.Name)
		}
		again, err := r.Parse(got.String())
		if err != nil || again != got {
			t.Errorf("%q is %q, which is read as %+v, %v; want %+v", s, got, again, err, got)
		}
	})
}

func TestRegistryRefuses(t *testing.T) {
	mem := providertest.NewMemory(providertest.MemoryOptions{})
	for name, c := range map[string]struct {
		instances []providers.Instance
		opts      providers.RegistryOptions
		want      []string
	}{
		"two of one protocol": {[]providers.Instance{{Protocol: "a", Type: "x", Provider: mem}, {Protocol: "a", Type: "y", Provider: mem}}, providers.RegistryOptions{}, []string{`type x`, `type y`, `"a"`}},
		"alias is a protocol": {[]providers.Instance{{Protocol: "hf", Type: "s3", Provider: mem}, {Protocol: "transformers", Aliases: []string{"hf"}, Provider: mem}}, providers.RegistryOptions{}, []string{`"hf"`, `"transformers"`}},
		"two of one alias":    {[]providers.Instance{{Protocol: "a", Aliases: []string{"z"}, Provider: mem}, {Protocol: "b", Aliases: []string{"z"}, Provider: mem}}, providers.RegistryOptions{}, []string{`"a"`, `"b"`, `"z"`}},
		"reserved":            {[]providers.Instance{{Protocol: "any", Provider: mem}}, providers.RegistryOptions{}, []string{`"any"`}},
		"no element":          {[]providers.Instance{{Protocol: "a/b", Provider: mem}}, providers.RegistryOptions{}, []string{`"a/b"`}},
		"unknown in search":   {instances(), providers.RegistryOptions{Search: []string{"zoo", "zzo"}}, []string{`"zzo"`, "transformers"}},
		"twice in search":     {instances(), providers.RegistryOptions{Search: []string{"zoo", "hf", "transformers"}}, []string{"twice"}},
		"relative mountpoint": {instances(), providers.RegistryOptions{Mountpoints: []string{"models"}}, []string{`"models"`}},
	} {
		_, err := providers.NewRegistry(c.instances, c.opts)
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want an error that names %s", name, err, want)
			}
		}
	}
}

func TestRegistryOrder(t *testing.T) {
	r, err := providers.NewRegistry(instances(), providers.RegistryOptions{Search: []string{"mflow", "zoo"}})
	if err != nil {
		t.Fatal(err)
	}
	got := r.Protocols()
	want := []string{"mlflow", "zoo", "transformers", "mlflow-staging", "git", "s3-minio", "gdrive", "dvc"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if in, ok := r.Instance("hf"); !ok || in.Protocol != "transformers" {
		t.Errorf("hf: got %q, want transformers", in.Protocol)
	}
	if _, err := r.Provider("nope"); !errors.Is(err, iofs.ErrNotExist) || providers.Remedy(err) == "" {
		t.Errorf("nope: got %v, want iofs.ErrNotExist with a remedy", err)
	}
}

// three is a registry of three memory providers, first to last.
func three(t *testing.T, log *bytes.Buffer) (*providers.Registry, [3]*providertest.Memory) {
	t.Helper()
	var mem [3]*providertest.Memory
	var in []providers.Instance
	for i, name := range []string{"one", "two", "three"} {
		mem[i] = providertest.NewMemory(providertest.MemoryOptions{Protocol: name})
		in = append(in, providers.Instance{Protocol: name, Provider: mem[i]})
	}
	r, err := providers.NewRegistry(in, providers.RegistryOptions{
		Search: []string{"one", "two"}, Mountpoints: []string{"/models"}, Log: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r, mem
}

func TestLocate(t *testing.T) {
	r, mem := three(t, &bytes.Buffer{})
	files := providertest.Text(map[string]string{"a@b/c%": "x"})
	mem[0].Publish("org/repo", "", files)
	mem[0].Publish("org/repo", "refs/pr/1", files)
	mem[0].Publish("flat", "", files)
	mem[0].Publish("a/b@c", "", files)
	for s, want := range map[string]string{ // name|ref|rest
		"/models/one/org/repo":            "org/repo||",
		"/models/one/org/repo/a@b/c%":     "org/repo||a@b/c%",
		"one://org/repo@refs/pr/1/a@b/c%": "org/repo|refs/pr/1|a@b/c%",
		"one://flat/x@y":                  "flat||x@y",
		"/models/one/a%2Fb%40c/d":         "a/b@c||d",
		"org/repo/a@b":                    "org/repo||a@b",
		"one://org":                       "partial",
		"one://org@x/repo":                "absent",
		"one://none":                      "absent",
		"one://org/none/x":                "absent",
		"one://org/repo@none":             "absent",
		"two://org/repo":                  "absent",
		"three://org/repo":                "absent",
	} {
		target, err := r.Parse(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		f, err := r.Locate(t.Context(), target)
		got := f.Name + "|" + f.Ref + "|" + f.Rest
		switch {
		case errors.Is(err, providers.ErrPartial):
			got = "partial"
		case errors.Is(err, iofs.ErrNotExist):
			got = "absent"
		case err != nil:
			got = err.Error()
		case f.Model.Origin().Name != f.Name || f.Protocol != "one":
			t.Errorf("%s: got model %q of %q, want %q of one", s, f.Model.Origin().Name, f.Protocol, f.Name)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", s, got, want)
		}
	}
}

// A local path with the characters of a ref leads to the file, whatever Parse
// could make of it.
func TestLocateLocalPath(t *testing.T) {
	mem := providertest.NewMemory(providertest.MemoryOptions{})
	mem.Publish("a@b", "", nil)
	r, err := providers.NewRegistry([]providers.Instance{{Protocol: "zoo", Provider: local{mem}}}, providers.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	target, err := r.Parse("file:///srv/zoo/a@b/x@1/100%25/%2540")
	if err != nil {
		t.Fatal(err)
	}
	f, err := r.Locate(t.Context(), target)
	if err != nil || f.Name != "a@b" || f.Ref != "" || f.Rest != "x@1/100%/%40" {
		t.Errorf("got name %q, ref %q, rest %q, %v; want a@b and x@1/100%%/%%40", f.Name, f.Ref, f.Rest, err)
	}
}

func TestFind(t *testing.T) {
	var log bytes.Buffer
	r, mem := three(t, &log)
	files := providertest.Text(map[string]string{"f": "x"})
	mem[0].Publish("org", "", files) // a model that begins like the other's name
	mem[1].Publish("org/repo", "", files)
	mem[2].Publish("unsearched", "", files)
	find := func(name string) (string, error) {
		f, err := r.Find(t.Context(), name)
		return f.Protocol, err
	}
	for name, want := range map[string]string{"org/repo": "two", "org/repo/f": "two", "org": "one", "org/f": "one"} {
		if got, err := find(name); got != want || err != nil {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"none", "unsearched", "org/none", "org/repo@none"} {
		if _, err := find(name); !errors.Is(err, iofs.ErrNotExist) {
			t.Errorf("%s: got %v, want iofs.ErrNotExist", name, err)
		}
	}
	if log.Len() != 0 {
		t.Errorf("got a log without failures: %s", &log)
	}
	mem[0].Fail(providers.ErrUnavailable)
	if got, err := find("org/repo"); got != "two" || err != nil {
		t.Errorf("with the first down: got %q, %v; want two", got, err)
	}
	if !strings.Contains(log.String(), "level=WARN") || !strings.Contains(log.String(), "one") {
		t.Errorf("got no warning that one was skipped: %s", &log)
	}
	if _, err := find("none"); !errors.Is(err, providers.ErrUnavailable) || errors.Is(err, iofs.ErrNotExist) {
		t.Errorf("absent, with the first down: got %v, want its failure alone", err)
	}
	mem[1].Fail(iofs.ErrPermission)
	if _, err := find("org/repo"); !errors.Is(err, providers.ErrUnavailable) || !errors.Is(err, iofs.ErrPermission) {
		t.Errorf("with both failing: got %v, want both failures", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := r.Find(ctx, "org"); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
}
