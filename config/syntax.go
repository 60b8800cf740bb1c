package config

import (
	"errors"
	"fmt"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// maxFile is larger than any configuration, and small enough for a parser whose
// time grows with the square of the nesting.
const maxFile = 256 << 10

// parse returns the one document in data, or nil if there is nothing in it.
func parse(data []byte) (root ast.Node, err error) {
	// The parser has panicked on broken input before (goccy/go-yaml#478 and
	// others); a typing error in a file must not look like a crash.
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("this is not YAML; the parser gave up without naming a line")
		}
	}()
	if len(data) > maxFile {
		return nil, fmt.Errorf("larger than %d bytes; this is not a configuration file", maxFile)
	}
	file, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, err
	}
	for _, doc := range file.Docs {
		if doc.Body == nil {
			continue
		}
		if root != nil {
			return nil, errors.New("more than one YAML document; keep what is above the second ---")
		}
		root = doc.Body
	}
	return root, nil
}

// syntaxProblem takes the position and the message of err, never the lines of
// the source that the library would print: they may hold a secret.
func syntaxProblem(err error) Problem {
	var e yaml.Error
	if errors.As(err, &e) {
		p := Problem{Text: e.GetMessage(), Remedy: "check the indentation and the quotes around here"}
		if t := e.GetToken(); t != nil && t.Position != nil {
			p.Line = t.Position.Line
		}
		return p
	}
	return Problem{Text: err.Error()}
}

func line(n ast.Node) int {
	if n == nil || n.GetToken() == nil || n.GetToken().Position == nil {
		return 0
	}
	return n.GetToken().Position.Line
}

// mapping returns the pairs of a mapping, which the parser writes in two ways.
func mapping(n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	}
	return nil, false
}

// scalar returns the text of a single value as it was written.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

// kind names what n is, for a person who expected something else.
func kind(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a group of keys"
	case *ast.SequenceNode:
		return "a list"
	case *ast.NullNode:
		return "nothing"
	}
	if _, ok := scalar(n); ok {
		return "a single value"
	}
	return "something else"
}
