package s3

import (
	"fmt"
	"testing"

	"modelfs/providers/providertest"
	"modelfs/providers/s3/s3test"
)

// TestContract runs the suite that all providers share, over a bucket without
// and one with versions.
func TestContract(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "versioned"}[versioned]
		t.Run(name, func(t *testing.T) {
			isolate(t)
			s := s3test.Start(t)
			made := 0
			providertest.Run(t, providertest.Options{New: func(t *testing.T) providertest.Fixture {
				made++
				return fixture(t, s, fmt.Sprintf("%s-%d", name, made), versioned)
			}})
		})
	}
}

func fixture(t *testing.T, s *s3test.Server, bucket string, versioned bool) providertest.Fixture {
	t.Helper()
	files := map[string]string{
		"config.json":            "{}",
		"weights/a.safetensors":  rising(70_000),
		"weights/deep/b.bin":     rising(1_000),
		"empty":                  "",
		"name with spaces & +%.": "odd",
		"ünï/ç":                  "odd too",
	}
	s.Bucket(t, bucket, versioned)
	for key, content := range files {
		s.Put(t, bucket, key, content)
	}
	s.Put(t, bucket, "marked/", "")
	proxy := s3test.StartProxy(t, s.Endpoint)
	p, _ := open(t, keyed(t, s, proxy.URL))
	return providertest.Fixture{
		Provider: p, Protocol: "s3", Name: bucket, Files: files,
		Rewrite: func(t *testing.T, path, content string) { s.Put(t, bucket, path, content) },
		Remove:  func(t *testing.T, path string) { s.Delete(t, bucket, path) },
		Down: func(t *testing.T) {
			if err := proxy.Close(); err != nil {
				t.Fatal(err)
			}
		},
	}
}
