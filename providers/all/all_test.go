package all_test

import (
	"testing"

	"modelfs/providers"
	"modelfs/providers/all"
)

// Default instances of all types fit into one registry, and are made without
// network, home or configuration.
func TestTypes(t *testing.T) {
	var instances []providers.Instance
	for _, typ := range all.Types() {
		env := providers.Env{Protocol: typ.Name, Getenv: func(string) string { return "" }}
		p, err := typ.New(env, typ.Config())
		if err != nil {
			t.Errorf("%s: %v", typ.Name, err)
			continue
		}
		instances = append(instances, providers.Instance{Protocol: typ.Name, Aliases: typ.Aliases, Provider: p})
	}
	r, err := providers.NewRegistry(instances, providers.RegistryOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if in, ok := r.Instance("hf"); !ok || in.Protocol != "transformers" {
		t.Errorf("hf: got %q, want transformers", in.Protocol)
	}
}
