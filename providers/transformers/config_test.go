package transformers

import (
	"errors"
	iofs "io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"modelfs/providers"
)

func mustEndpoint(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := parseEndpoint(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   string // part of the error
	}{
		{Config{}, ""},
		{Config{Endpoint: "https://hub.example/hf/", Verify: "strict"}, ""},
		{Config{Verify: "default"}, ""},
		{Config{Verify: "lax"}, "verify"},
		{Config{Endpoint: "hub.example"}, "endpoint"},
		{Config{Endpoint: "ftp://hub.example"}, "endpoint"},
		{Config{Endpoint: "https://user:pass@hub.example"}, "token_file"},
		{Config{Endpoint: "https://hub.example?x=y"}, "query"},
		{Config{Endpoint: "https://user:pass@hub.example:port"}, "not a URL"},
	} {
		err := c.config.Check()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: got error %v, want %q", c.config, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "pass@") {
			t.Errorf("got a password in %v", err)
		}
	}
}

func TestNewFromType(t *testing.T) {
	if Type().Name != "transformers" || len(Type().Aliases) != 1 || Type().Aliases[0] != "hf" {
		t.Errorf("got type %q with aliases %q, want transformers, hf", Type().Name, Type().Aliases)
	}
	env := providers.Env{Protocol: "corp", Getenv: func(string) string { return "" }}
	p, err := Type().New(env, Type().Config())
	if err != nil {
		t.Fatal(err)
	}
	if got := p.(*Provider).hub.endpoint.String(); got != publicHub {
		t.Errorf("got endpoint %q, want %q", got, publicHub)
	}
	_, err = p.Resolve(t.Context(), "..", "")
	var e *providers.Error
	if !errors.As(err, &e) || e.Protocol != "corp" {
		t.Errorf("got error %v, want it to name the instance", err)
	}
	for _, c := range []Config{{CAFile: "/absent"}, {Verify: "lax"}, {ReuseHubCache: true}} {
		if _, err := New(env, c); err == nil {
			t.Errorf("%+v: got no error, want one", c)
		}
	}
	env.Getenv = func(k string) string { return map[string]string{"HF_ENDPOINT": "nonsense"}[k] }
	if _, err := New(env, Config{}); err == nil || !strings.Contains(err.Error(), "HF_ENDPOINT") {
		t.Errorf("got error %v, want one that names HF_ENDPOINT", err)
	}
	garbage := filepath.Join(t.TempDir(), "ca")
	if err := os.WriteFile(garbage, []byte("none"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := New(providers.Env{}, Config{CAFile: garbage}); err == nil {
		t.Error("got no error of a ca_file without certificates, want one")
	}
}

func TestTokenOrder(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	conf := file("conf", "from_conf\r\n")
	path := file("path", " from_path ")
	file("home/token", "from_home\n")
	file("xdg/huggingface/token", "from_xdg")
	file("user/.cache/huggingface/token", "from_user")
	empty := file("empty", "\n")
	broken := file("broken", "two words")
	f := start(t, Config{})
	f.Push("org/name", "main", small)
	for _, c := range []struct {
		name   string
		config string
		env    map[string]string
		want   string
	}{
		{"configured", conf, map[string]string{"HF_TOKEN": "from_env"}, "from_conf"},
		{"environment", "", map[string]string{"HF_TOKEN": " from_env\n", "HUGGING_FACE_HUB_TOKEN": "from_old"}, "from_env"},
		{"old environment", "", map[string]string{"HF_TOKEN": " ", "HUGGING_FACE_HUB_TOKEN": "from_old", "HF_TOKEN_PATH": path}, "from_old"},
		{"path", "", map[string]string{"HF_TOKEN_PATH": path, "HF_HOME": dir + "/home"}, "from_path"},
		{"HF_HOME", "", map[string]string{"HF_HOME": dir + "/home", "XDG_CACHE_HOME": dir + "/xdg"}, "from_home"},
		{"XDG", "", map[string]string{"XDG_CACHE_HOME": dir + "/xdg", "HOME": dir + "/user"}, "from_xdg"},
		{"HOME", "", map[string]string{"HOME": dir + "/user"}, "from_user"},
		{"none", "", map[string]string{"HOME": dir}, ""},
		{"empty", "", map[string]string{"HF_TOKEN_PATH": empty}, ""},
		{"broken default", "", map[string]string{"HF_TOKEN_PATH": broken}, ""},
		{"not implicit", "", map[string]string{"HF_TOKEN": "from_env", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "true"}, ""},
		{"explicit", conf, map[string]string{"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"}, "from_conf"},
	} {
		f.env = c.env
		f.env["HF_ENDPOINT"] = f.URL
		p := f.provider(t, Config{TokenFile: c.config})
		got, err := p.hub.tokens.token()
		if got != c.want || err != nil {
			t.Errorf("%s: got %q, error %v, want %q", c.name, got, err, c.want)
		}
	}
	f.env = map[string]string{"HF_ENDPOINT": f.URL}
	for _, bad := range []string{empty, broken, "/absent"} {
		_, err := f.provider(t, Config{TokenFile: bad}).Resolve(t.Context(), "org/name", "")
		wantErr(t, err, iofs.ErrPermission)
		wantRemedy(t, err, "token_file")
	}
	f.env["HF_TOKEN"] = "two words"
	_, err := f.provider(t, Config{}).Resolve(t.Context(), "org/name", "")
	wantErr(t, err, iofs.ErrPermission)
	if strings.Contains(err.Error(), "two words") {
		t.Errorf("got the token in %v", err)
	}
}

func TestTokenIsReadAgain(t *testing.T) {
	f := start(t, Config{})
	f.Push("org/private", "main", small)
	f.SetPrivate("org/private", true)
	f.Allow("hf_new_token", "org/private")
	path := filepath.Join(t.TempDir(), "token")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("hf_old_token")
	p := f.provider(t, Config{TokenFile: path})
	_, err := p.Resolve(t.Context(), "org/private", "")
	wantErr(t, err, iofs.ErrPermission)
	write("hf_new_token")
	resolve(t, p, "org/private", "")
}
