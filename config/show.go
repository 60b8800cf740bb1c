package config

import (
	"encoding"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
)

// mask stands where a secret was.
const mask = "****"

// Show writes the effective configuration as YAML that Load reads again, except
// that secrets are masked.
func (c *Config) Show() ([]byte, error) {
	return yaml.MarshalWithOptions(c.tree(), yaml.Indent(2), yaml.IndentSequence(true))
}

// ShowJSON writes the same as JSON.
func (c *Config) ShowJSON() ([]byte, error) {
	return json.MarshalIndent(object(c.tree()), "", "  ")
}

// tree is the configuration as plain maps and values, in the order of Config.
func (c *Config) tree() yaml.MapSlice {
	root := treeOf(reflect.ValueOf(c).Elem())
	var list yaml.MapSlice
	for _, p := range c.Providers {
		entry := yaml.MapSlice{}
		if p.Type != p.Protocol {
			entry = append(entry, yaml.MapItem{Key: "type", Value: p.Type})
		}
		entry = append(entry, treeOf(reflect.ValueOf(p.Config).Elem())...)
		list = append(list, yaml.MapItem{Key: p.Protocol, Value: entry})
	}
	for _, protocol := range c.off {
		list = append(list, yaml.MapItem{Key: protocol, Value: nil})
	}
	return append(root, yaml.MapItem{Key: "providers", Value: list})
}

func treeOf(v reflect.Value) yaml.MapSlice {
	tree := yaml.MapSlice{}
	for _, f := range fieldsOf(v) {
		if value := plain(f.name, f.value); value != nil {
			tree = append(tree, yaml.MapItem{Key: f.name, Value: value})
		}
	}
	return tree
}

// plain turns the value of key into what a YAML encoder writes without knowing
// our types. What is not set is nil.
func plain(key string, v reflect.Value) any {
	if v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		return plain(key, v.Elem())
	}
	if isText(v) {
		return text(v)
	}
	if m, ok := v.Interface().(marshaler); ok {
		return written(key, m)
	}
	switch {
	case v.Type() == durationType:
		return duration(time.Duration(v.Int()))
	case v.Kind() == reflect.Struct:
		return treeOf(v)
	case v.Kind() == reflect.String:
		return masked(key, v.String())
	case v.Kind() == reflect.Slice:
		return plainList(key, v)
	case v.Kind() == reflect.Map:
		return plainMap(v)
	}
	return v.Interface()
}

// marshaler is the interface of YAML libraries by which a type that can be
// written in several ways writes itself.
type marshaler interface{ MarshalYAML() (any, error) }

// written is what m says it is, which is not m itself again.
func written(key string, m marshaler) any {
	v, err := m.MarshalYAML()
	if err != nil {
		return fmt.Sprintf("%v", err)
	}
	if v == nil {
		return nil
	}
	return plain(key, reflect.ValueOf(v))
}

func plainList(key string, v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	list := make([]any, v.Len())
	for i := range list {
		list[i] = plain(key, v.Index(i))
	}
	return list
}

func plainMap(v reflect.Value) any {
	if v.IsNil() {
		return nil
	}
	tree := yaml.MapSlice{}
	keys := v.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	for _, k := range keys {
		tree = append(tree, yaml.MapItem{Key: k.String(), Value: plain(k.String(), v.MapIndex(k))})
	}
	return tree
}

// duration drops the zeros of 1h0m0s.
func duration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = s[:len(s)-len("0s")]
	}
	if strings.HasSuffix(s, "h0m") {
		s = s[:len(s)-len("0m")]
	}
	return s
}

func isText(v reflect.Value) bool {
	_, ok := v.Interface().(encoding.TextMarshaler)
	return ok
}

func text(v reflect.Value) any {
	b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		return fmt.Sprintf("%v", err)
	}
	return string(b)
}

// userinfo finds what stands between the scheme and the host of a URL. It is
// read as text: a value that is no URL for net/url may still hold a password.
var userinfo = regexp.MustCompile(`^([a-zA-Z][a-zA-Z0-9+.-]*://)([^/?#]*)@`)

// masked hides a value that is a secret by its key's name, and the secrets
// inside a URL. A user name alone is a token on some git hosts, and hidden too,
// except where ssh makes it part of every address.
func masked(key, value string) string {
	if value != "" && secretKey(key) {
		return mask
	}
	m := userinfo.FindStringSubmatch(value)
	if m != nil && (strings.Contains(m[2], ":") || !strings.HasSuffix(m[1], "ssh://")) {
		value = m[1] + mask + value[len(m[1])+len(m[2]):]
	}
	head, query, ok := strings.Cut(value, "?")
	if !ok {
		return value
	}
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		if name, _, ok := strings.Cut(pair, "="); ok && secretKey(name) {
			pairs[i] = name + "=" + mask
		}
	}
	return head + "?" + strings.Join(pairs, "&")
}

func secretKey(key string) bool {
	key = strings.ToLower(strings.ReplaceAll(key, "-", "_"))
	for _, end := range []string{"token", "password", "passwd", "secret", "key", "signature", "credential"} {
		if strings.HasSuffix(key, end) {
			return true
		}
	}
	return false
}

// object turns an ordered tree into what encoding/json writes; the order of its
// keys is then json's own.
func object(v any) any {
	switch v := v.(type) {
	case yaml.MapSlice:
		m := make(map[string]any, len(v))
		for _, item := range v {
			m[item.Key.(string)] = object(item.Value)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = object(item)
		}
		return list
	}
	return v
}
