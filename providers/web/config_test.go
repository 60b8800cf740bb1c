package web

import (
	"strings"
	"testing"

	"modelfs/providers"
)

func TestConfigCheck(t *testing.T) {
	for _, c := range []struct {
		name string
		site Site
		want string // in the error; none if empty
	}{
		{"plain", Site{URL: "https://h/models"}, ""},
		{"all", Site{URL: "http://h:8080/m/", Index: "html", Username: "u", PasswordFile: "/p", TokenFile: "/t", HeaderName: "X-Token", CAFile: "/c", Verify: "strict"}, ""},
		{"no url", Site{}, "url: there is none"},
		{"no scheme", Site{URL: "h/models"}, "not an http or https URL"},
		{"another scheme", Site{URL: "ftp://h/m"}, "not an http or https URL"},
		{"no host", Site{URL: "https:///m"}, "not an http or https URL"},
		{"not a URL", Site{URL: "https://u:s3cret@h/%zz"}, "not a URL"},
		{"password", Site{URL: "https://u:s3cret@h/"}, "username and password_file"},
		{"query", Site{URL: "https://h/?token=s3cret"}, "query"},
		{"fragment", Site{URL: "https://h/#s3cret"}, "fragment"},
		{"index", Site{URL: "https://h/", Index: "json"}, `"json" is none of`},
		{"verify", Site{URL: "https://h/", Verify: "no"}, "verify"},
		{"username alone", Site{URL: "https://h/", Username: "u"}, "need each other"},
		{"password_file alone", Site{URL: "https://h/", PasswordFile: "/p"}, "need each other"},
		{"colon", Site{URL: "https://h/", Username: "u:v", PasswordFile: "/p"}, "colon"},
		{"both", Site{URL: "https://h/", Username: "u", PasswordFile: "/p", TokenFile: "/t"}, "exclude each other"},
		{"header alone", Site{URL: "https://h/", HeaderName: "X"}, "header_name needs token_file"},
		{"header", Site{URL: "https://h/", HeaderName: "X: y\r\nZ", TokenFile: "/t"}, "no header's name"},
	} {
		err := Config{Sites: map[string]Site{"m": c.site}}.Check()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got %v, want nil", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "sites.m")):
			t.Errorf("%s: got %v, want %q of sites.m", c.name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "s3cret"):
			t.Errorf("%s: %q tells a secret", c.name, err)
		}
		if _, newErr := New(providers.Env{}, Config{Sites: map[string]Site{"m": c.site}}); c.want != "" && newErr == nil {
			t.Errorf("%s: New accepts it", c.name)
		}
	}
	for _, name := range []string{"", "..", "a/b"} {
		if err := (Config{Sites: map[string]Site{name: {URL: "https://h/"}}}).Check(); err == nil {
			t.Errorf("a site called %q: got nil, want an error", name)
		}
	}
}

// The type makes an instance without sites, and one with them that names its places.
func TestType(t *testing.T) {
	typ := Type()
	if _, err := typ.New(providers.Env{}, typ.Config()); err != nil {
		t.Errorf("without sites: got %v, want an instance", err)
	}
	p, err := New(providers.Env{Strict: true}, Config{Sites: map[string]Site{"b": {URL: "https://h/b"}, "a": {URL: "https://h/a", Verify: "default"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Endpoint(), `"a"=https://h/a/ "b"=https://h/b/`; got != want {
		t.Errorf("endpoint: got %s, want %s", got, want)
	}
	if p.sites["a"].strict || !p.sites["b"].strict {
		t.Errorf("verify: got %v and %v, want the site's own and the mount's", p.sites["a"].strict, p.sites["b"].strict)
	}
	var names []string
	for name, err := range p.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != "a b" {
		t.Errorf("list: got %s, want a b", got)
	}
}
