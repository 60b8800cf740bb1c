package zoo

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"modelfs/providers"
)

var update = flag.Bool("update", false, "write the sample model's weights")

// sampleWeights are those of testdata/zoo/hello-modelfs: the sum and the
// difference of two numbers, as a safetensors file.
func sampleWeights(t *testing.T) []byte {
	t.Helper()
	var out, data bytes.Buffer
	header := map[string]any{"__metadata__": map[string]string{"format": "pt"}}
	for _, tensor := range []struct {
		name   string
		shape  []int
		values []float32
	}{
		{"linear.weight", []int{2, 2}, []float32{1, 1, 1, -1}},
		{"linear.bias", []int{2}, []float32{0, 0}},
	} {
		begin := data.Len()
		if err := binary.Write(&data, binary.LittleEndian, tensor.values); err != nil {
			t.Fatal(err)
		}
		header[tensor.name] = map[string]any{"dtype": "F32", "shape": tensor.shape, "data_offsets": []int{begin, data.Len()}}
	}
	text, err := json.Marshal(header)
	if err != nil {
		t.Fatal(err)
	}
	for len(text)%8 != 0 { // so that a map of the file has its tensors aligned
		text = append(text, ' ')
	}
	if err := binary.Write(&out, binary.LittleEndian, uint64(len(text))); err != nil {
		t.Fatal(err)
	}
	return slices.Concat(out.Bytes(), text, data.Bytes())
}

func TestSample(t *testing.T) {
	dir, err := filepath.Abs("../../testdata/zoo")
	if err != nil {
		t.Fatal(err)
	}
	want := sampleWeights(t)
	if *update {
		if err := os.WriteFile(filepath.Join(dir, "hello-modelfs/model.safetensors"), want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	z := newZoo(t, dir)
	for _, name := range []string{"hello-modelfs", "examples/hello-modelfs"} {
		m := resolve(t, z, name)
		e, err := providers.Stat(t.Context(), m, "model.safetensors")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := read(t.Context(), m, e); err != nil || got != string(want) {
			t.Errorf("%s: got weights %q, %v; want %q (go test -update writes them)", name, got, err, want)
		}
	}
	if got := list(t, z, ""); !slices.Equal(got, []string{"examples", "hello-modelfs"}) {
		t.Errorf("list: got %q, want examples and hello-modelfs", got)
	}
}
