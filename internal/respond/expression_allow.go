package respond

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/builtin"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/types"

	"holdfast/internal/detect"
)

const maxPattern = 256 // bytes of a regular expression

// exprConfig is the library's configuration: the names with their types, strictly, and our functions beside
// those of the library that we let through.
func exprConfig() *conf.Config {
	c := conf.CreateNew()
	c.MaxNodes = maxExprNodes
	c.Optimize = false
	env := types.Map{}
	for root, names := range exprTypes() {
		env[root] = names
	}
	c.WithEnv(env)
	for name := range c.Builtins {
		if !slices.Contains(libraryFunctions(), name) {
			delete(c.Builtins, name)
		}
	}
	for _, f := range exprFunctions() {
		c.Functions[f.Name] = f
	}
	return c
}

// libraryFunctions are those of expr-lang that may be called.
func libraryFunctions() []string {
	return []string{"all", "any", "count", "duration", "len", "lower", "none", "one", "trim", "upper"}
}

// functionNames are all that may be called.
func functionNames() []string {
	names := libraryFunctions()
	for _, f := range exprFunctions() {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// exprFunctions are ours.
func exprFunctions() []*builtin.Function {
	return []*builtin.Function{
		{
			Name: "cidr", // cidr(event.ip, "10.0.0.0/8", …): whether the address is in one of the networks
			Func: func(args ...any) (any, error) {
				text, _ := args[0].(string)
				ip, err := netip.ParseAddr(text)
				if err != nil {
					return nil, fmt.Errorf("%s is no IP address", detect.Shown(text))
				}
				for _, arg := range args[1:] {
					text, _ := arg.(string)
					network, err := netip.ParsePrefix(text)
					if err != nil {
						return nil, fmt.Errorf("%s is no network", detect.Shown(text))
					}
					if network.Contains(ip.Unmap().WithZone("")) {
						return true, nil
					}
				}
				return false, nil
			},
			Types: []reflect.Type{reflect.TypeFor[func(string, string, ...string) bool]()},
		},
		{
			Name:  "hour", // hour(event.time, "Europe/Berlin"): 0 to 23
			Func:  inZone(func(t time.Time) any { return t.Hour() }),
			Types: []reflect.Type{reflect.TypeFor[func(time.Time, string) int]()},
		},
		{
			Name:  "weekday", // weekday(event.time, "Europe/Berlin"): "Monday"
			Func:  inZone(func(t time.Time) any { return t.Weekday().String() }),
			Types: []reflect.Type{reflect.TypeFor[func(time.Time, string) string]()},
		},
	}
}

func inZone(get func(time.Time) any) func(args ...any) (any, error) {
	return func(args ...any) (any, error) {
		t, _ := args[0].(time.Time)
		name, _ := args[1].(string)
		zone, err := time.LoadLocation(name)
		if err != nil {
			return nil, err
		}
		return get(t.In(zone)), nil
	}
}

// allow refuses what has no place in a condition: what could take long, what depends on more than the
// environment, and names that there are not. Loops counts the loops around the node.
func (x *expression) allow(n ast.Node, loops int) error {
	switch n := n.(type) {
	case nil:
		return &exprFault{0, "the expression is not complete"}
	case *ast.IdentifierNode:
		return x.lonely(n)
	case *ast.MemberNode:
		return x.allowField(n)
	case *ast.BinaryNode:
		if err := x.allowOperator(n); err != nil {
			return err
		}
	case *ast.CallNode:
		return x.allowCall(n, loops)
	case *ast.BuiltinNode:
		if err := x.allowFunction(n, n.Name, n.Arguments); err != nil {
			return err
		}
	case *ast.PredicateNode:
		if loops++; loops > 1 {
			return x.bad(n, "a loop in a loop; one is enough for a list of groups")
		}
	case *ast.PointerNode:
		if n.Name != "" {
			return x.bad(n, "#%s is not known; # is the entry of the list", n.Name)
		}
	case *ast.NilNode, *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode, *ast.UnaryNode, *ast.ArrayNode, *ast.ConditionalNode:
	default:
		return x.bad(n, "%s has no place here; an expression has names, values, operators and functions", nodeWord(n))
	}
	for _, c := range children(n) {
		if _, ok := c.(*ast.NilNode); ok && !asksNil(n) {
			return x.bad(c, "nil can only be asked for, as in state.known_device == nil")
		}
		if err := x.allow(c, loops); err != nil {
			return err
		}
	}
	return nil
}

// asksNil says whether the node compares a field with nil.
func asksNil(n ast.Node) bool {
	b, ok := n.(*ast.BinaryNode)
	if !ok || b.Operator != "==" && b.Operator != "!=" {
		return false
	}
	_, left := fieldOf(b.Left)
	_, right := fieldOf(b.Right)
	return left || right
}

// lonely is what is wrong about a name that stands alone.
func (x *expression) lonely(n *ast.IdentifierNode) error {
	if slices.Contains(exprRoots(), n.Value) {
		return x.bad(n, "%s is a group of names; write %s.NAME", n.Value, n.Value)
	}
	return x.bad(n, "unknown name %s%s; names begin with event, user, state or finding, and texts stand in quotes", detect.Shown(n.Value), detect.Meant(n.Value, exprRoots()))
}

func (x *expression) allowField(n *ast.MemberNode) error {
	if root, ok := n.Node.(*ast.IdentifierNode); ok && !slices.Contains(exprRoots(), root.Value) {
		return x.lonely(root)
	}
	f, ok := fieldOf(n)
	if !ok {
		return x.bad(n, "only names such as user.state; no ?. (write ?? for what may be unknown), no [ ] and no methods")
	}
	names := exprTypes()[f.root]
	if _, ok := names[f.name]; !ok {
		known := slices.Sorted(maps.Keys(names))
		hint := detect.Meant(f.name, known)
		if hint == "" && len(known) < 30 {
			hint = "; known are " + strings.Join(known, ", ")
		}
		return x.bad(n.Node, "unknown name %s%s", f, hint)
	}
	return nil
}

func (x *expression) allowOperator(n *ast.BinaryNode) error {
	switch n.Operator {
	case "==", "!=", "in":
		f, ok := fieldOf(n.Left)
		if !ok {
			return nil
		}
		written := []ast.Node{n.Right}
		if list, ok := n.Right.(*ast.ArrayNode); ok {
			written = list.Nodes
		}
		for _, w := range written {
			s, ok := w.(*ast.StringNode)
			if words := closed(f); ok && words != nil && !slices.Contains(words, s.Value) {
				return x.bad(w, "%s is never %s; it is one of %s", f, detect.Shown(s.Value), strings.Join(words, ", "))
			}
		}
	case "matches":
		s, ok := n.Right.(*ast.StringNode)
		if !ok {
			return x.bad(n.Right, "behind matches must be a written pattern, so that no text of an event is read as one")
		}
		if len(s.Value) > maxPattern {
			return x.bad(s, "the pattern has %d bytes, %d are allowed", len(s.Value), maxPattern)
		}
		if _, err := regexp.Compile(s.Value); err != nil {
			return x.bad(s, "not a pattern: %v", err)
		}
	case "??":
		l, ok := n.Left.(*ast.BinaryNode)
		if _, isField := fieldOf(n.Left); !isField && (!ok || l.Operator != "??") {
			return x.bad(n.Left, "in front of ?? must be a name, as in state.failures_person_1h ?? 0")
		}
		if isNil(n.Right) {
			return x.bad(n.Right, "behind ?? must be what counts where it is unknown")
		}
	case "<", "<=", ">", ">=", "&&", "and", "||", "or", "+", "-", "*", "/", "%", "contains", "startsWith", "endsWith":
	default:
		return x.bad(n, "the operator %s is not known here", n.Operator)
	}
	return nil
}

func (x *expression) allowCall(n *ast.CallNode, loops int) error {
	name, ok := n.Callee.(*ast.IdentifierNode)
	if !ok {
		return x.bad(n, "no methods; functions are %s", strings.Join(functionNames(), ", "))
	}
	if err := x.allowFunction(n, name.Value, n.Arguments); err != nil {
		return err
	}
	for _, a := range n.Arguments {
		if isNil(a) {
			return x.bad(a, "nil can only be asked for, as in state.known_device == nil")
		}
		if err := x.allow(a, loops); err != nil {
			return err
		}
	}
	return nil
}

// allowFunction refuses unknown functions, and arguments of known ones that would fail at every evaluation.
func (x *expression) allowFunction(n ast.Node, name string, args []ast.Node) error {
	if !slices.Contains(functionNames(), name) {
		return x.bad(n, "unknown function %s%s; functions are %s", detect.Shown(name), detect.Meant(name, functionNames()), strings.Join(functionNames(), ", "))
	}
	var check func(string) error
	what, literal := "", args
	switch name {
	case "cidr":
		what, literal = "a network such as 192.0.2.0/24", args[min(1, len(args)):]
		check = func(s string) error { _, err := netip.ParsePrefix(s); return err }
	case "hour", "weekday":
		what, literal = "a time zone such as Europe/Berlin", args[min(1, len(args)):]
		check = func(s string) error {
			if s == "" || s == "Local" { // which would be the machine's
				return fmt.Errorf("no zone")
			}
			_, err := time.LoadLocation(s)
			return err
		}
	case "duration":
		what = "a time such as 10m or 24h"
		check = func(s string) error { _, err := time.ParseDuration(s); return err }
	default:
		return nil
	}
	for _, a := range literal {
		s, ok := a.(*ast.StringNode)
		if !ok || check(s.Value) != nil {
			return x.bad(a, "this must be %s, in quotes", what)
		}
	}
	return nil
}

// alternatives refuses ?? between different types, which the library lets through as a value of any type.
func (x *expression) alternatives(n ast.Node) error {
	if b, ok := n.(*ast.BinaryNode); ok && b.Operator == "??" && typeWord(b.Left.Type()) != typeWord(b.Right.Type()) {
		return x.bad(b.Right, "in front of ?? is %s, behind it %s; both must be the same", typeWord(b.Left.Type()), typeWord(b.Right.Type()))
	}
	for _, c := range children(n) {
		if err := x.alternatives(c); err != nil {
			return err
		}
	}
	return nil
}

// fieldOf is the name that a node is, if it is one: root.name.
func fieldOf(n ast.Node) (field, bool) {
	m, ok := n.(*ast.MemberNode)
	if !ok || m.Optional || m.Method {
		return field{}, false
	}
	root, isName := m.Node.(*ast.IdentifierNode)
	name, isText := m.Property.(*ast.StringNode)
	if !isName || !isText || !slices.Contains(exprRoots(), root.Value) {
		return field{}, false
	}
	return field{root.Value, name.Value}, true
}

// children are the nodes below, for the kinds that are allowed.
func children(n ast.Node) []ast.Node {
	switch n := n.(type) {
	case *ast.UnaryNode:
		return []ast.Node{n.Node}
	case *ast.BinaryNode:
		return []ast.Node{n.Left, n.Right}
	case *ast.ConditionalNode:
		return []ast.Node{n.Cond, n.Exp1, n.Exp2}
	case *ast.ArrayNode:
		return n.Nodes
	case *ast.BuiltinNode:
		return n.Arguments
	case *ast.CallNode:
		return n.Arguments
	case *ast.PredicateNode:
		return []ast.Node{n.Node}
	default:
		return nil
	}
}

func nodeWord(n ast.Node) string {
	switch n.(type) {
	case *ast.VariableDeclaratorNode:
		return "let"
	case *ast.SequenceNode:
		return "a second expression behind ;"
	case *ast.SliceNode:
		return "a part of a list"
	case *ast.MapNode, *ast.PairNode:
		return "a map"
	case *ast.ChainNode:
		return "?. (write ?? for what may be unknown)"
	case *ast.BytesNode:
		return "a text of bytes"
	default:
		return "this"
	}
}

// typeWord says what a type is in words.
func typeWord(t reflect.Type) string {
	switch {
	case t == nil:
		return "of no type"
	case t == reflect.TypeFor[time.Time]():
		return "a time"
	case t == reflect.TypeFor[time.Duration]():
		return "a duration"
	case t.Kind() == reflect.Slice:
		return "a list of texts"
	default:
		return kindWord(t.Kind())
	}
}

func kindWord(k reflect.Kind) string {
	switch k {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a text"
	case reflect.Int:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	default:
		return "a value of no known type"
	}
}
