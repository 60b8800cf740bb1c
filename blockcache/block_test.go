package blockcache

import (
	"bytes"
	"testing"
)

func FuzzRecord(f *testing.F) {
	r := record{ID: hashID("x"), Gen: 7, Size: 5, Digest: "sha256:00", Source: "s3://b/k"}
	f.Add(r.marshal())
	f.Fuzz(func(t *testing.T, p []byte) {
		var r record
		if r.unmarshal(p) != nil {
			return
		}
		var again record
		if err := again.unmarshal(r.marshal()); err != nil || again != r {
			t.Fatalf("record does not survive: %v", err)
		}
	})
}

func FuzzGroup(f *testing.F) {
	g := group{ID: hashID("x"), Gen: 7, Index: 3}
	g.Have[0], g.CRC[0] = 1, 99
	f.Add(g.marshal())
	f.Fuzz(func(t *testing.T, p []byte) {
		var g group
		if g.unmarshal(p) != nil {
			return
		}
		if !bytes.Equal(g.marshal(), p) {
			t.Fatal("group does not survive")
		}
	})
}
