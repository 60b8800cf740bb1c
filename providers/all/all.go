// Package all lists the kinds of providers that modelfs has. A new one is a line
// here and a package beside this one.
package all

import (
	"modelfs/providers"
	"modelfs/providers/s3"
	"modelfs/providers/transformers"
	"modelfs/providers/web"
	"modelfs/providers/zoo"
)

// Types returns every kind of provider, in the default order of a search: what is
// near and the operator's own before what is public.
func Types() []providers.Type {
	return []providers.Type{
		zoo.Type(),
		s3.Type(),
		transformers.Type(),
		web.Type(),
	}
}
