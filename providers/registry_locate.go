package providers

import (
	"context"
	"errors"
	"fmt"
	iofs "io/fs"
	"strings"
)

// Found is where a target led.
type Found struct {
	Protocol string
	Provider Provider
	Model    Model
	Name     string // that resolved, unescaped
	Ref      string
	Rest     string // path in the model; empty is the model itself
}

// Locate resolves t, element by element, until its provider has a model. What
// follows is a path in it, of which Locate does not ask whether it exists.
func (r *Registry) Locate(ctx context.Context, t Target) (Found, error) {
	if t.Protocol == "" {
		return r.find(ctx, t)
	}
	in, ok := r.Instance(t.Protocol)
	if !ok {
		return Found{}, r.unknown(t.Protocol)
	}
	return in.locate(ctx, t)
}

func (in Instance) locate(ctx context.Context, t Target) (Found, error) {
	elements := strings.Split(t.spelled(), "/")
	var name string
	for i, el := range elements {
		next, ref, err := SplitElement(el)
		if err != nil {
			return Found{}, &Error{Op: "resolve", Protocol: in.Protocol, Name: name, Path: el, Err: err}
		}
		if name != "" {
			next = name + "/" + next
		}
		name = next
		m, err := in.Provider.Resolve(ctx, name, ref)
		switch {
		case err == nil:
			return Found{Protocol: in.Protocol, Provider: in.Provider, Model: m, Name: name, Ref: ref,
				Rest: strings.Join(elements[i+1:], "/")}, nil
		case !errors.Is(err, ErrPartial) || i == len(elements)-1:
			return Found{}, err
		case ref != "":
			return Found{}, &Error{Op: "resolve", Protocol: in.Protocol, Name: name, Path: "@" + ref,
				Err:    fmt.Errorf("%w: a ref follows the end of a name", iofs.ErrNotExist),
				Remedy: "write an @ that belongs to the name as %40"}
		}
	}
	return Found{}, iofs.ErrNotExist // not reached: Split returns an element
}

// Find asks the providers in search order for name, spelled as in a path (org/repo,
// org/repo@v1, perhaps with a path in the model), and returns the first that has
// it. One that fails is skipped, with a warning, only if a later one has the name;
// if none has it, the failures are the error.
func (r *Registry) Find(ctx context.Context, name string) (Found, error) {
	t, err := parseName(name)
	if err != nil {
		return Found{}, err
	}
	return r.find(ctx, t)
}

func (r *Registry) find(ctx context.Context, t Target) (Found, error) {
	var failed []error
	for _, in := range r.instances[:r.searched] {
		f, err := in.has(ctx, t)
		switch {
		case err == nil:
			for _, skipped := range failed {
				r.log.Warn("provider skipped in a search", "name", t.spelled(), "found", in.Protocol, "error", skipped)
			}
			return f, nil
		case ctx.Err() != nil:
			return Found{}, err
		case !errors.Is(err, iofs.ErrNotExist) && !errors.Is(err, ErrPartial):
			failed = append(failed, err)
		}
	}
	if len(failed) > 0 {
		return Found{}, errors.Join(failed...)
	}
	return Found{}, &Error{Op: "find", Protocol: "any", Name: t.spelled(), Err: iofs.ErrNotExist,
		Remedy: "no provider has it; asked: " + protocols(r.instances[:r.searched])}
}

// has is locate, and asks whether the rest exists: org/repo must not be found in a
// zoo that has org but no repo in it.
func (in Instance) has(ctx context.Context, t Target) (Found, error) {
	f, err := in.locate(ctx, t)
	if err == nil && f.Rest != "" {
		_, err = Stat(ctx, f.Model, f.Rest)
	}
	return f, err
}
