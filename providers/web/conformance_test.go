package web

import (
	"testing"

	"modelfs/providers"
	"modelfs/providers/providertest"
)

// TestConformance runs the suite over the servers that people have, and over each
// list that a folder may offer.
func TestConformance(t *testing.T) {
	for name, c := range counterparts {
		t.Run(name, func(t *testing.T) {
			providertest.Run(t, providertest.Options{New: func(t *testing.T) providertest.Fixture {
				f := newFolder(t, c.index)
				server := c.start(t, f.dir)
				return providertest.Fixture{
					Provider: newProvider(t, server.url), Protocol: "web", Name: "models", Known: true,
					Files: f.readable(), Hidden: hidden,
					Rewrite: f.put,
					Remove:  f.remove,
					Down:    func(*testing.T) { server.stop() },
					Reopen:  func(t *testing.T) providers.Provider { return newProvider(t, server.url) },
				}
			}})
		})
	}
}
