package main

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"modelfs/providers/all"
)

// TestSourcePagesNameEverySetting holds docs/sources to the Config structs.
func TestSourcePagesNameEverySetting(t *testing.T) {
	for _, kind := range all.Types() {
		page, err := os.ReadFile(filepath.Join("../../docs/sources", kind.Name+".md"))
		if err != nil {
			t.Errorf("got error %v, want a page for every source", err)
			continue
		}
		for _, key := range keysOf(reflect.TypeOf(kind.Config())) {
			if !strings.Contains(string(page), "`"+key+"`") {
				t.Errorf("got no `%s` in docs/sources/%s.md, want it", key, kind.Name)
			}
		}
	}
}

// keysOf returns the yaml keys of t and of the structs in it.
func keysOf(t reflect.Type) (keys []string) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return keysOf(t.Elem())
	case reflect.Struct:
		for i := range t.NumField() {
			key, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
			if key == "-" {
				continue
			}
			if key != "" {
				keys = append(keys, key)
			}
			keys = append(keys, keysOf(t.Field(i).Type)...)
		}
	}
	return keys
}
