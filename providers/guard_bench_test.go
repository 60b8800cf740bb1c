package providers_test

import (
	"bytes"
	"io"
	"testing"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

// What the guard adds to reading a range that has no fault.
func BenchmarkGuardRead(b *testing.B) {
	mem := providertest.NewMemory(providertest.MemoryOptions{})
	mem.Publish("m", "", providertest.Files{"f": {Data: bytes.Repeat([]byte("x"), 8<<20)}})
	for name, p := range map[string]providers.Provider{"plain": mem, "guarded": providers.Guard(mem, providers.GuardOptions{})} {
		b.Run(name, func(b *testing.B) {
			m, err := p.Resolve(b.Context(), "m", "")
			if err != nil {
				b.Fatal(err)
			}
			e, err := providers.Stat(b.Context(), m, "f")
			if err != nil {
				b.Fatal(err)
			}
			buf := make([]byte, 256<<10)
			b.SetBytes(e.Size)
			for b.Loop() {
				rc, err := m.ReadRange(b.Context(), e, 0, e.Size)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, rc, buf); err != nil {
					b.Fatal(err)
				}
				rc.Close()
			}
		})
	}
}
