package config

import (
	"encoding"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills structs from the syntax tree. It is ours, and not the library's,
// because it goes on after a problem, gives each its line and key, and never
// repeats a value of a key that may hold a secret.
type decoder struct {
	problems problems
	lines    map[string]int
	roots    []string // every key of the file's own sections, for suggestions
	home     string   // what ~ stands for at the beginning of a path
	getenv   func(string) string
}

func newDecoder(lines map[string]int, env environment) *decoder {
	return &decoder{lines: lines, home: env.getenv("HOME"), getenv: env.getenv}
}

// unmarshaler is the interface of YAML libraries by which a type that can be
// written in several ways reads itself.
type unmarshaler interface {
	UnmarshalYAML(unmarshal func(any) error) error
}

var durationType = reflect.TypeFor[time.Duration]()

// decode fills v from n. A null leaves v as it is.
func (d *decoder) decode(n ast.Node, v reflect.Value, key string) {
	switch n := n.(type) {
	case *ast.NullNode:
		return
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode, *ast.MergeKeyNode:
		d.problems.add(line(n), key, "write the value out", "anchors, aliases, merges and tags are not read here")
		return
	}
	d.lines[key] = line(n)
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(n, v.Elem(), key)
		return
	}
	if d.decodeItself(n, v, key) {
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(n, v, key)
	case reflect.Map:
		d.decodeMap(n, v, key)
	case reflect.Slice:
		d.decodeSlice(n, v, key)
	default:
		d.decodeScalar(n, v, key)
	}
}

// decodeItself lets a type with its own reading do it.
func (d *decoder) decodeItself(n ast.Node, v reflect.Value, key string) bool {
	if !v.CanAddr() {
		return false
	}
	switch u := v.Addr().Interface().(type) {
	case unmarshaler:
		err := u.UnmarshalYAML(func(into any) error {
			sub := decoder{lines: map[string]int{}, home: d.home}
			sub.decode(n, reflect.ValueOf(into), key)
			return sub.problems.in("")
		})
		d.report(err, n, key)
		return true
	case encoding.TextUnmarshaler:
		if text, ok := scalar(n); ok {
			d.report(u.UnmarshalText([]byte(text)), n, key)
		} else {
			d.mismatch(n, "a single value", key)
		}
		return true
	}
	return false
}

func (d *decoder) report(err error, n ast.Node, key string) {
	if err == nil {
		return
	}
	if inner, ok := errors.AsType[*Error](err); ok {
		d.problems = append(d.problems, inner.Problems...)
		return
	}
	text, remedy := explain(err)
	d.problems.add(line(n), key, remedy, "%s", text)
}

func (d *decoder) mismatch(n ast.Node, want, key string) {
	d.problems.add(line(n), key, "write "+want, "is %s", kind(n))
}

func (d *decoder) decodeStruct(n ast.Node, v reflect.Value, key string) {
	pairs, ok := mapping(n)
	if !ok {
		d.mismatch(n, "settings of the form key: value", key)
		return
	}
	fields := fieldsOf(v)
	d.eachKey(pairs, key, func(name string, pair *ast.MappingValueNode) {
		field, ok := fields.find(name)
		if !ok {
			at := line(pair.Key)
			d.problems.add(at, join(key, name), suggest(name, key, fields.names(), d.roots), "unknown key")
			return
		}
		d.decode(pair.Value, field, join(key, name))
	})
}

func (d *decoder) decodeMap(n ast.Node, v reflect.Value, key string) {
	pairs, ok := mapping(n)
	if !ok {
		d.mismatch(n, "names of the form name: value", key)
		return
	}
	if v.IsNil() {
		v.Set(reflect.MakeMap(v.Type()))
	}
	d.eachKey(pairs, key, func(name string, pair *ast.MappingValueNode) {
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(pair.Value, value, join(key, name))
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), value)
	})
}

// eachKey calls f for the first of each key, and reports the others.
func (d *decoder) eachKey(pairs []*ast.MappingValueNode, key string, f func(string, *ast.MappingValueNode)) {
	seen := map[string]int{}
	for _, pair := range pairs {
		name, ok := scalar(pair.Key)
		at := line(pair.Key)
		switch first := seen[name]; {
		case !ok:
			d.problems.add(at, key, "write a plain word", "%s is not a key", kind(pair.Key))
		case first != 0:
			d.problems.add(at, join(key, name), "keep one of the two", "already given in line %d", first)
		default:
			seen[name] = at
			f(name, pair)
		}
	}
}

func (d *decoder) decodeSlice(n ast.Node, v reflect.Value, key string) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.mismatch(n, "a list, such as [one, two]", key)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values))
	for i, item := range seq.Values {
		d.decode(item, list.Index(i), fmt.Sprintf("%s[%d]", key, i))
	}
	v.Set(list)
}

func (d *decoder) decodeScalar(n ast.Node, v reflect.Value, key string) {
	text, ok := scalar(n)
	if !ok {
		d.mismatch(n, "a single value", key)
		return
	}
	if rest, ok := strings.CutPrefix(text, "~/"); ok && isPath(key) && filepath.IsAbs(d.home) {
		text = filepath.Join(d.home, rest)
	}
	d.report(setScalar(v, text, n), n, key)
}

// isPath reports whether the setting at key names a file or directory of ours.
func isPath(key string) bool {
	name := key[strings.LastIndexByte(key, '.')+1:]
	name, _, _ = strings.Cut(name, "[") // an item of a list
	return name == "mountpoint" || name == "dir" || name == "roots" || strings.HasSuffix(name, "_file") || strings.HasSuffix(name, "_dir")
}

// setScalar parses text as v's type. Numbers keep their spelling as strings, so
// that a user name of digits stays what was written.
func setScalar(v reflect.Value, text string, n ast.Node) error {
	switch {
	case v.Type() == durationType:
		t, err := time.ParseDuration(text)
		if err != nil || t < 0 {
			return notA("duration", text, "write a number and a unit, such as 10s, 5m or 1h30m")
		}
		v.SetInt(int64(t))
	case v.Kind() == reflect.String:
		v.SetString(text)
	case v.Kind() == reflect.Bool:
		if _, ok := n.(*ast.BoolNode); !ok {
			return notA("switch", text, "write true or false")
		}
		v.SetBool(strings.EqualFold(text, "true"))
	case v.CanInt():
		i, err := strconv.ParseInt(text, 0, v.Type().Bits())
		if err != nil {
			return notA("whole number", text, "write digits")
		}
		v.SetInt(i)
	case v.CanUint():
		u, err := strconv.ParseUint(text, 0, v.Type().Bits())
		if err != nil {
			return notA("whole number from 0", text, "write digits")
		}
		v.SetUint(u)
	case v.CanFloat():
		f, err := strconv.ParseFloat(text, v.Type().Bits())
		if err != nil {
			return notA("number", text, "write digits")
		}
		v.SetFloat(f)
	case v.Kind() == reflect.Interface && v.NumMethod() == 0:
		v.Set(reflect.ValueOf(text))
	default:
		return fmt.Errorf("a setting of type %s cannot be read", v.Type())
	}
	return nil
}

func join(key, name string) string {
	if key == "" {
		return name
	}
	return key + "." + name
}
