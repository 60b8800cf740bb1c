package config

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"os"
	"path/filepath"
	"reflect"

	"github.com/goccy/go-yaml/ast"

	"modelfs/providers"
)

// Load returns the effective configuration: of the file it finds, else the
// defaults. What is wrong with it is an [*Error].
func Load(opts Options) (*Config, error) {
	env := newEnvironment(opts.Getenv)
	file, data, err := find(opts.File, env)
	if err != nil {
		return nil, err
	}
	return load(file, data, opts.Types, env)
}

// load reads data, which is the content of file; no file is empty data.
func load(file string, data []byte, types []providers.Type, env environment) (*Config, error) {
	c := defaults(env)
	c.File = file
	root, err := parse(data)
	if err != nil {
		return nil, problems{syntaxProblem(err)}.in(file)
	}
	d := newDecoder(c.lines, env)
	d.roots = settings()
	instances := d.decodeRoot(root, c)
	c.Providers, c.off = d.instances(instances, types)
	if len(d.problems) == 0 {
		c.clean()
		c.check(&d.problems, aliasesOf(types))
	}
	if err := d.problems.in(file); err != nil {
		return nil, err
	}
	return c, nil
}

// decodeRoot fills the sections of c and returns the entries of providers, which
// need their types to be read.
func (d *decoder) decodeRoot(root ast.Node, c *Config) (instances []*ast.MappingValueNode) {
	if root == nil {
		return nil
	}
	pairs, ok := mapping(root)
	if !ok {
		if _, null := root.(*ast.NullNode); !null {
			d.mismatch(root, "settings of the form key: value", "")
		}
		return nil
	}
	sections := fieldsOf(reflect.ValueOf(c).Elem())
	d.eachKey(pairs, "", func(name string, pair *ast.MappingValueNode) {
		section, known := sections.find(name)
		switch {
		case known:
			d.decode(pair.Value, section, name)
		case name != "providers":
			names := append(sections.names(), "providers")
			d.problems.add(line(pair.Key), name, suggest(name, "", names, d.roots), "unknown key")
		default:
			var ok bool
			if instances, ok = mapping(pair.Value); !ok && !isNull(pair.Value) {
				d.mismatch(pair.Value, "instances of the form protocol: {…}", name)
			}
		}
	})
	return instances
}

func isNull(n ast.Node) bool {
	_, ok := n.(*ast.NullNode)
	return ok
}

// find returns the path and content of the file to read. A file that was asked
// for by name has to be there; the others may be absent, but not unreadable.
func find(flag string, env environment) (string, []byte, error) {
	for _, asked := range []struct{ by, file string }{
		{"--config", flag},
		{"$MODELFS_CONFIG", env.getenv("MODELFS_CONFIG")},
	} {
		if asked.file == "" {
			continue
		}
		data, err := read(asked.file)
		if err != nil {
			remedy := fmt.Sprintf("correct %s, or write one with: modelfs config init %s", asked.by, asked.file)
			return "", nil, &Error{File: asked.file, Problems: []Problem{{Text: cause(err), Remedy: remedy}}}
		}
		return asked.file, data, nil
	}
	for _, file := range Places(env.getenv) {
		data, err := read(file)
		if errors.Is(err, iofs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, &Error{File: file, Problems: []Problem{{Text: cause(err), Remedy: "make it readable, or name another file with --config"}}}
		}
		return file, data, nil
	}
	return "", nil, nil
}

// Places returns where a configuration file is looked for when none is named,
// first match first. A nil getenv is os.Getenv.
func Places(getenv func(string) string) []string {
	var places []string
	if user := newEnvironment(getenv).xdg("XDG_CONFIG_HOME", ".config", "config.yaml"); user != "" {
		places = append(places, user)
	}
	return append(places, "/etc/modelfs/config.yaml")
}

// read refuses what has no end and what is too large before it is in memory.
func read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > maxFile:
		return nil, fmt.Errorf("larger than %d bytes; this is not a configuration file", maxFile)
	}
	return os.ReadFile(file)
}

// cause drops the path from err: the problem names the file already.
func cause(err error) string {
	var pe *iofs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}

// clean spells the paths of c in the shortest way, so that they can be compared.
func (c *Config) clean() {
	for _, p := range []*string{&c.Mountpoint, &c.Cache.Dir} {
		if *p != "" {
			*p = filepath.Clean(*p)
		}
	}
}
