// Package providers is the contract between modelfs and the sources that
// models come from.
//
// A [Provider] turns a name into a [Model]; a Model is pinned to one revision,
// lists its entries, says whether it is still what its ref means, and hands out
// byte ranges. That is all a source has to do: caching, sharing of requests,
// verification, freshness rules and the file system itself live elsewhere and
// are the same for every source.
//
// # Adding a source
//
// Write a package providers/<protocol> with a Config struct and a constructor,
// implement [Provider] and [Model], add one line to providers/all, and run the
// suite in providers/providertest over it. What a source can do better than the
// plain contract it offers through the optional interfaces of this package:
// [Stater], [Walker], [Opener], [Lister], [Digester], [Describer], [Endpointer].
//
// # Terms
//
// protocol: first path element below the mount, picks a provider instance.
// name: what a provider resolves, slash separated, unescaped.
// ref: mutable (branch, tag, alias). revision: immutable (commit, version).
// entry: file, directory or symbolic link of a model. digest: hash of content.
// validator: opaque proof that content is still the same.
//
// # Errors
//
// Methods return errors that wrap one of the sentinels: [iofs.ErrNotExist] only
// when the source itself said so, [iofs.ErrPermission] for missing or refused
// credentials, [ErrUnavailable] for a source that does not answer or throttles,
// [ErrChanged], [ErrStale], [ErrCorrupt], [ErrPartial], [ErrWhole] as described at each, and
// [errors.ErrUnsupported] for what a source cannot do. An [*Error] adds what
// was asked and the remedy. A provider translates the errors of its SDK at its
// own edge, by type or status code and never by message text.
//
// # Concurrency
//
// Every method may be called from many goroutines at once. The context bounds
// the call: when it ends, the method returns soon. No method keeps a context.
package providers

import (
	"context"
	"io"
	iofs "io/fs"
	"iter"
	"log/slog"
	"os"
	"time"
)

// A Provider resolves the names of one source. It is safe for concurrent use.
type Provider interface {
	// Resolve returns the model that name means at ref; an empty ref is the
	// source's default (branch head, latest version, present listing). A ref
	// may also be a revision.
	//
	// How many path elements make a name is the provider's business. Resolve
	// answers [ErrPartial] for a name that is not a model but the beginning
	// of longer names (an organisation), and iofs.ErrNotExist when the source
	// says that there is no such name, or hides it from callers without
	// credentials.
	//
	// Resolve asks the source; it should cost one round trip and leave
	// listings to ReadDir.
	Resolve(ctx context.Context, name, ref string) (Model, error)
}

// A Model is one model at one revision. It is safe for concurrent use, needs no
// closing, and stays usable after its ref has moved on.
type Model interface {
	// Origin tells what was asked and what it meant. It never changes.
	Origin() Origin

	// ReadDir yields the entries directly in dir ("" is the root) in any order,
	// as the source streams them. Of a file and a directory of one name both may
	// be yielded: the directory wins. Entries whose names cannot be file names are
	// yielded as they are: the caller hides, counts and reports them. An error
	// ends the sequence. A dir that does not exist is iofs.ErrNotExist.
	ReadDir(ctx context.Context, dir string) iter.Seq2[Entry, error]

	// Check asks the source whether e is still what the model's ref means.
	// It returns nil if so, and [ErrChanged] if the ref has moved or the entry
	// is different or gone. Where Origin has a Revision the answer speaks for
	// the whole model, and e is merely a file that may be asked about;
	// where it has none, for e alone. Anything else is a failure to learn it.
	Check(ctx context.Context, e Entry) error

	// ReadRange returns the n bytes of e that start at off. The range lies
	// within e.Size and n > 0. The bytes must be those of the pinned content:
	// if the source now has other content under this path, or none, ReadRange fails
	// with [ErrStale] and never returns a byte of it. The reader yields exactly
	// n bytes or an error, which for a failed checksum may come with the last
	// byte; reads end soon after ctx does. The caller closes it.
	//
	// Where a file can be had only from its beginning to its end, ReadRange
	// answers [ErrWhole] to every other range, at once if that is known: the
	// caller then asks for all of it, once, and keeps what comes.
	ReadRange(ctx context.Context, e Entry, off, n int64) (io.ReadCloser, error)
}

// An Entry is one file, directory or symbolic link of a model.
type Entry struct {
	// Path is slash separated, relative to the model's root, unescaped.
	Path string `json:"path"`
	// Mode holds the type (regular, iofs.ModeDir or iofs.ModeSymlink) and the
	// executable bits; other permission bits are the mount's business.
	Mode iofs.FileMode `json:"mode,omitempty"`
	// Size is in bytes; [SizeUnknown] in a listing means: ask [Stat].
	Size int64 `json:"size"`
	// ModTime may be zero.
	ModTime time.Time `json:"mtime,omitzero"`
	// Digest is the hash of the whole content that the source states, if any.
	// It names the content: equal digests are equal bytes, from any source.
	Digest Digest `json:"digest,omitempty"`
	// Validator proves that content is the same where Digest does not: an etag,
	// a version id, mtime and size. Only the provider reads it; it must be
	// stable across processes and hold all that ReadRange needs to pin.
	Validator string `json:"validator,omitempty"`
	// Target is what a symbolic link says.
	Target string `json:"target,omitempty"`
}

// SizeUnknown marks an entry whose size the listing does not tell.
const SizeUnknown int64 = -1

// IsDir reports whether e is a directory.
func (e Entry) IsDir() bool { return e.Mode.IsDir() }

// IsSymlink reports whether e is a symbolic link.
func (e Entry) IsSymlink() bool { return e.Mode&iofs.ModeSymlink != 0 }

// Identity names the content of a file: the digest where the source states one,
// else the validator and the size. Equal identities at one path are the same bytes.
func (e Entry) Identity() string {
	if e.Digest != "" {
		return string(e.Digest)
	}
	return "v:" + e.Validator + ":" + itoa(e.Size)
}

// Origin records where a model came from.
type Origin struct {
	// Protocol is the provider instance that resolved it.
	Protocol string `json:"protocol"`
	// Name is the name as the source spells it (a renamed repository's new name).
	Name string `json:"name"`
	// Ref is what was asked; empty is the source's default.
	Ref string `json:"ref,omitempty"`
	// Revision is the immutable revision that Ref meant. It is empty for sources
	// without revisions, whose files are held to their own validators.
	Revision string `json:"revision,omitempty"`
	// Immutable is set when Ref is itself a revision: never ask again.
	Immutable bool `json:"immutable,omitempty"`
	// Source is an address for people, without secrets.
	Source string `json:"source,omitempty"`
	// ModTime is when the revision was made, if the source tells.
	ModTime time.Time `json:"mtime,omitzero"`
	// Verify says that files of this model wait for their whole digest before
	// their first byte is served (the configuration's verify: strict).
	Verify bool `json:"verify,omitempty"`
}

// A Stater finds one entry without listing its directory.
type Stater interface {
	// Stat returns the entry at path as the source has it now (for a model
	// with a revision: at that revision). The root is the path "".
	Stat(ctx context.Context, path string) (Entry, error)
}

// A Walker lists a whole model more cheaply than directory by directory. A model
// without a revision may be as large as a bucket, and is never walked unasked.
type Walker interface {
	// Walk yields every file and link of the model; directories may be left
	// out, as they follow from the paths.
	Walk(ctx context.Context) iter.Seq2[Entry, error]
}

// An Opener has its files on a local disk already: they are served as they are
// and never copied into the cache.
type Opener interface {
	// Open opens the content of e for reading, or fails with [ErrStale] when
	// the file is no longer the one that e describes, or with
	// errors.ErrUnsupported when this file is not on a local disk.
	Open(ctx context.Context, e Entry) (*os.File, error)
}

// A Digester can tell a checksum of a whole file that its listing did not. It is
// asked once, when the file is complete, and is not part of its identity.
type Digester interface {
	// Digest returns an empty digest if the source has none for e.
	Digest(ctx context.Context, e Entry) (Digest, error)
}

// A Lister can list its names cheaply. A provider that would have to search the
// world for them is none.
type Lister interface {
	// List yields the next path element of every name below prefix
	// ("" for all): "org" and "gpt2" below "", "repo" below "org".
	List(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// A Describer tells facts about a model that people ask for: flavours, versions,
// what is missing of it. Machines are told by files.
type Describer interface {
	// Describe may ask the source. Keys are lower case words with dots.
	Describe(ctx context.Context) ([]Fact, error)
}

// A Fact is one line of what is known about a model; never a secret.
type Fact struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// An Endpointer tells which place it asks. What was learned under a protocol name
// from one place is not believed of another, if the configuration changes.
type Endpointer interface {
	// Endpoint names the place, without secrets: a base URL, or all of them.
	Endpoint() string
}

// A Type is a kind of provider, as the configuration's type: key names it.
type Type struct {
	// Name is the type, and the protocol of its default instance.
	Name string
	// Aliases are further protocol names of the default instance.
	Aliases []string
	// Config returns a pointer to a new Config struct with its defaults. Its
	// fields carry yaml tags; inline structs, UnmarshalYAML(func(any) error) and
	// encoding.TextUnmarshaler are honoured. It may have a method Check() error,
	// and be an [Ambient].
	Config func() any
	// New makes an instance from what Config returned. It must not use the
	// network: a source that is down at mount time is only down.
	New func(env Env, config any) (Provider, error)
}

// An Ambient is a Config of a type that has an instance without being configured
// only where the environment asks for one.
type Ambient interface {
	Ambient(getenv func(string) string) bool
}

// Define makes a Type whose constructor takes its own Config struct.
func Define[C any](name string, defaults C, new func(Env, C) (Provider, error)) Type {
	return Type{
		Name:   name,
		Config: func() any { c := defaults; return &c },
		New:    func(env Env, c any) (Provider, error) { return new(env, *c.(*C)) },
	}
}

// WithAliases returns t with further protocol names.
func (t Type) WithAliases(names ...string) Type {
	t.Aliases = append(t.Aliases[:len(t.Aliases):len(t.Aliases)], names...)
	return t
}

// Env is what an instance gets from outside. Its zero value works: the process's
// own environment, no log, no other providers.
type Env struct {
	// Protocol is the instance's name: the Protocol of its origins and errors.
	Protocol string
	// Log receives what a person should know; never a secret. It names the protocol
	// already.
	Log *slog.Logger
	// Getenv reads the environment; os.Getenv if nil.
	Getenv func(string) string
	// Open finds another instance, for sources whose bytes live elsewhere.
	// It works once all instances are made, and not in a constructor.
	Open func(protocol string) (Provider, error)
	// Make makes a further instance of a type for the caller's own use, from
	// settings as its configuration has them: a repository that only dvc's
	// configuration names is read by a git instance of dvc's own. It has no
	// [Guard], as calls pass through that of its owner.
	Make func(typ string, settings map[string]any) (Provider, error)
	// Now is the clock; time.Now if nil.
	Now func() time.Time
	// Strict is the mount's verify: strict; an instance's own key overrides it.
	Strict bool
}

// Fill returns env with its zero fields replaced by what they stand for.
func (env Env) Fill() Env {
	if env.Log == nil {
		env.Log = slog.New(slog.DiscardHandler)
	}
	if env.Getenv == nil {
		env.Getenv = os.Getenv
	}
	if env.Now == nil {
		env.Now = time.Now
	}
	return env
}
