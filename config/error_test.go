package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func equal(t *testing.T, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestProblems reads the cases of testdata/problems.txt: a file, a line of
// dashes, and what Load says about it.
func TestProblems(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("testdata", "problems.txt"))
	if err != nil {
		t.Fatal(err)
	}
	cases := strings.Split(string(data), "\n====\n")
	if len(cases) < 30 {
		t.Fatalf("got %d cases, want all of them", len(cases))
	}
	for _, c := range cases {
		yaml, want, ok := strings.Cut(c, "\n----\n")
		if !ok {
			t.Fatalf("case without ----:\n%s", c)
		}
		_, err := load("c.yaml", []byte(yaml), testTypes(), testEnv("/home/me"))
		if err == nil {
			t.Errorf("%s\ngot no error, want\n%s", yaml, want)
		} else if got := err.Error(); got != strings.TrimSpace(want) {
			t.Errorf("%s\ngot\n%s\nwant\n%s", yaml, got, want)
		}
	}
}

func TestNoProblemRepeatsASecret(t *testing.T) {
	const secret = "hf_SECRETSECRETSECRET"
	for _, yaml := range []string{
		"providers:\n  transformers:\n    token: " + secret + "\n",
		"providers:\n  transformers:\n    token: \"" + secret + "\n",
		"providers:\n  transformers:\n    token_file: [" + secret + "]\n",
		"providers:\n  s3: {secret_key: {a: " + secret + "}}\n",
		"providers:\n  s3:\n  secret_key: " + secret + "\n x: y\n",
		"a: b\n" + secret + "\n",
		"providers:\n  s3: " + secret + "\n",
		secret,
	} {
		_, err := load("c.yaml", []byte(yaml), testTypes(), testEnv("/home/me"))
		if err == nil {
			t.Errorf("%s\ngot no error, want one", yaml)
		} else if strings.Contains(err.Error(), secret) {
			t.Errorf("%s\ngot the secret in: %v\nwant none", yaml, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add(Starter)
	f.Add([]byte("cache: {max_size: 5%}\nproviders: {s3: {endpoint: x}}\n"))
	f.Add([]byte("a: &x [*x]\n? {b: c}\n: d\n--- |\n e"))
	types := testTypes()
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4096 {
			return // the parser's time grows with the square of the nesting
		}
		c, err := load("c.yaml", data, types, testEnv("/home/me"))
		if err != nil {
			return
		}
		shown, err := c.Show()
		if err != nil {
			t.Fatalf("Show: got error %v, want none", err)
		}
		again, err := load("shown.yaml", shown, types, testEnv("/home/me"))
		if err != nil {
			t.Fatalf("got error %v\nfor what Show wrote, want none:\n%s", err, shown)
		}
		if twice, err := again.Show(); err != nil || string(twice) != string(shown) {
			t.Fatalf("got another configuration (error %v)\n%s\nwant\n%s", err, twice, shown)
		}
	})
}
