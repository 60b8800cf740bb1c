package config

import (
	"reflect"
	"slices"
	"strings"
)

// field is one setting of a struct.
type field struct {
	name  string
	value reflect.Value
}

// fields are the settings of a struct, in the order it declares them.
type fields []field

// fieldsOf finds the fields of v that carry a yaml tag; those of a field tagged
// ",inline" count as v's own. A field without a tag is not a setting.
func fieldsOf(v reflect.Value) fields {
	var fs fields
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline" && f.Type.Kind() == reflect.Struct:
			fs = append(fs, fieldsOf(v.Field(i))...)
		case name != "" && name != "-" && f.IsExported():
			fs = append(fs, field{name, v.Field(i)})
		}
	}
	return fs
}

func (fs fields) find(name string) (reflect.Value, bool) {
	i := slices.IndexFunc(fs, func(f field) bool { return f.name == name })
	if i < 0 {
		return reflect.Value{}, false
	}
	return fs[i].value, true
}

func (fs fields) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = f.name
	}
	return names
}

// paths returns the keys of every setting below v, such as cache.max_size.
func paths(v reflect.Value, prefix string) []string {
	var all []string
	for _, f := range fieldsOf(v) {
		p := join(prefix, f.name)
		all = append(all, p)
		if f.value.Kind() == reflect.Struct && !isText(f.value) {
			all = append(all, paths(f.value, p)...)
		}
	}
	return all
}

// settings returns the keys of every setting outside providers.
func settings() []string { return paths(reflect.ValueOf(Config{}), "") }
