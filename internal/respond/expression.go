package respond

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	_ "time/tzdata" // which time zones a playbook may name must not depend on the machine

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/checker"
	"github.com/expr-lang/expr/compiler"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/parser"
	"github.com/expr-lang/expr/vm"
)

// Expressions are those of expr-lang, cut down to what can be decided at once: no loops but over a list of the
// environment or a written one, and none in another; no text of an event is read as a pattern.
//
// What is unknown has no value. An expression that needs it cannot be decided, so that nothing unknown ever reads as
// no. The words of logic know three values (&& is false if one side is, whatever the other one): they are evaluated
// here, and what stands between them, an atom, by expr-lang's machine, after a look at whether all that it needs is
// known. `a ?? b` is b where the field a is unknown; `a == nil` and `a != nil` ask whether it is.

// What an expression may be at most.
const (
	maxExpression = 2_048 // bytes
	maxExprNodes  = 300
	maxMemory     = 10_000 // of expr-lang's machine: entries of lists
	maxKey        = 256    // bytes of a dedupe key; a longer one is hashed
)

// Condition is an expression that is true or false. The zero Condition is true.
type Condition struct {
	text string
	root logic
}

// Key is an expression that is a text. The zero Key is empty.
type Key struct {
	text string
	root *atom
}

// Undecided is why an expression has no value.
type Undecided struct {
	Fields []string // what would have to be known, as the expression names it: "state.known_device"
	Why    string   // something else, where Fields is empty
}

// Error is a clause: "cannot be decided: state.known_device is unknown".
func (u *Undecided) Error() string {
	switch len(u.Fields) {
	case 0:
		return "cannot be decided: " + u.Why
	case 1:
		return "cannot be decided: " + u.Fields[0] + " is unknown"
	default:
		last := len(u.Fields) - 1
		return "cannot be decided: " + strings.Join(u.Fields[:last], ", ") + " and " + u.Fields[last] + " are unknown"
	}
}

// exprFault is a fault of an expression at a byte of its text.
type exprFault struct {
	offset int
	text   string
}

func (e *exprFault) Error() string { return e.text }

// String is the text of the condition; empty for the zero Condition.
func (c Condition) String() string { return c.text }

// Holds says whether the condition is true. The error is an [*Undecided].
func (c Condition) Holds(env Env) (bool, error) {
	if c.root == nil {
		return true, nil
	}
	is, why := c.root.value(env)
	if why != nil {
		return false, why
	}
	return is, nil
}

// String is the text of the key's expression; empty for the zero Key.
func (k Key) String() string { return k.text }

// Value is the key. Two that are longer than 256 bytes are the same if their hashes are. The error is an [*Undecided].
func (k Key) Value(env Env) (string, error) {
	if k.root == nil {
		return "", nil
	}
	v, why := k.root.run(env)
	if why != nil {
		return "", why
	}
	s, ok := v.(string)
	if !ok {
		return "", &Undecided{Why: "the key is no text"}
	}
	if len(s) > maxKey {
		sum := sha256.Sum256([]byte(s))
		return hex.EncodeToString(sum[:]), nil
	}
	return s, nil
}

// compileCondition compiles an expression that must be true or false. The error is an exprFault.
func compileCondition(text string) (Condition, error) {
	x, err := compileExpression(text, reflect.Bool)
	if err != nil {
		return Condition{}, err
	}
	root, err := x.logic(x.tree.Node)
	if err != nil {
		return Condition{}, err
	}
	return Condition{text: text, root: root}, nil
}

// compileKey compiles an expression that must be a text. The error is an exprFault.
func compileKey(text string) (Key, error) {
	x, err := compileExpression(text, reflect.String)
	if err != nil {
		return Key{}, err
	}
	root, err := x.atom(x.tree.Node)
	if err != nil {
		return Key{}, err
	}
	return Key{text: text, root: root}, nil
}

// expression is one while it is compiled.
type expression struct {
	text   string
	config *conf.Config
	tree   *parser.Tree
}

func compileExpression(text string, want reflect.Kind) (*expression, error) {
	switch {
	case strings.TrimSpace(text) == "":
		return nil, &exprFault{0, "the expression is empty"}
	case len(text) > maxExpression:
		return nil, &exprFault{0, fmt.Sprintf("the expression has %d bytes, %d are allowed; make two playbooks of it", len(text), maxExpression)}
	}
	x := &expression{text: text, config: exprConfig()}
	tree, err := parser.ParseWithConfig(text, x.config)
	if err != nil {
		return nil, x.fault(err)
	}
	x.tree = tree
	if err := x.allow(tree.Node, 0); err != nil {
		return nil, err
	}
	if _, err := checker.Check(tree, x.config); err != nil {
		return nil, x.fault(err)
	}
	if err := x.alternatives(tree.Node); err != nil {
		return nil, err
	}
	if is := tree.Node.Type().Kind(); is != want {
		return nil, &exprFault{0, fmt.Sprintf("the expression is %s; it must be %s", typeWord(tree.Node.Type()), kindWord(want))}
	}
	return x, nil
}

// fault is an error of the library as one of ours.
func (x *expression) fault(err error) error {
	if e, ok := errors.AsType[*file.Error](err); ok {
		return &exprFault{x.offset(e.From), strings.TrimPrefix(e.Message, "compilation failed: ")}
	}
	return &exprFault{0, err.Error()}
}

// bad is a fault at a node.
func (x *expression) bad(n ast.Node, format string, args ...any) error {
	if m, ok := n.(*ast.MemberNode); ok {
		if _, ok := fieldOf(m); ok { // the library means the name behind the dot
			n = m.Node
		}
	}
	return &exprFault{x.offset(n.Location().From), fmt.Sprintf(format, args...)}
}

// offset is the byte at which the character is.
func (x *expression) offset(character int) int {
	for i := range x.text {
		if character == 0 {
			return i
		}
		character--
	}
	return len(x.text)
}

// logic is a condition, or a part of one that the words of logic put together.
type logic interface {
	// value says whether it is true, or why that cannot be decided.
	value(env Env) (bool, *Undecided)
}

// logic takes a checked tree apart into what is evaluated here and what the library evaluates.
func (x *expression) logic(n ast.Node) (logic, error) {
	switch n := n.(type) {
	case *ast.UnaryNode:
		if n.Operator == "!" || n.Operator == "not" {
			of, err := x.logic(n.Node)
			return not{of}, err
		}
	case *ast.BinaryNode:
		and := n.Operator == "&&" || n.Operator == "and"
		if !and && n.Operator != "||" && n.Operator != "or" {
			break
		}
		left, err := x.logic(n.Left)
		if err != nil {
			return nil, err
		}
		right, err := x.logic(n.Right)
		return both{left, right, !and}, err
	case *ast.ConditionalNode:
		var parts [3]logic
		for i, part := range []ast.Node{n.Cond, n.Exp1, n.Exp2} {
			var err error
			if parts[i], err = x.logic(part); err != nil {
				return nil, err
			}
		}
		return choice{parts[0], parts[1], parts[2]}, nil
	}
	return x.atom(n)
}

type not struct{ of logic }

func (n not) value(env Env) (bool, *Undecided) {
	is, why := n.of.value(env)
	return !is, why
}

// both is left && right, where false decides; or left || right, where true does.
type both struct {
	left, right logic
	decides     bool
}

func (b both) value(env Env) (bool, *Undecided) {
	left, whyLeft := b.left.value(env)
	if whyLeft == nil && left == b.decides {
		return left, nil
	}
	right, whyRight := b.right.value(env)
	switch {
	case whyRight == nil && right == b.decides:
		return right, nil
	case whyLeft != nil && whyRight != nil:
		return false, whyLeft.and(whyRight)
	case whyLeft != nil:
		return false, whyLeft
	case whyRight != nil:
		return false, whyRight
	default:
		return !b.decides, nil
	}
}

func (u *Undecided) and(other *Undecided) *Undecided {
	fields := slices.Concat(u.Fields, other.Fields)
	slices.Sort(fields)
	return &Undecided{Fields: slices.Compact(fields), Why: cmp.Or(u.Why, other.Why)}
}

type choice struct{ condition, yes, no logic }

func (c choice) value(env Env) (bool, *Undecided) {
	is, why := c.condition.value(env)
	switch {
	case why != nil:
		return false, why
	case is:
		return c.yes.value(env)
	default:
		return c.no.value(env)
	}
}

// atom is what the library evaluates.
type atom struct {
	program *vm.Program
	needs   need
}

func (x *expression) atom(n ast.Node) (*atom, error) {
	program, err := compiler.Compile(&parser.Tree{Node: n, Source: x.tree.Source}, x.config)
	if err != nil {
		return nil, x.fault(err)
	}
	return &atom{program, needsOf(n)}, nil
}

func (a *atom) value(env Env) (bool, *Undecided) {
	v, why := a.run(env)
	if why != nil {
		return false, why
	}
	is, ok := v.(bool)
	if !ok {
		return false, &Undecided{Why: "the result is neither true nor false"}
	}
	return is, nil
}

func (a *atom) run(env Env) (any, *Undecided) {
	if missing := a.needs.missing(env); len(missing) > 0 {
		slices.Sort(missing)
		return nil, &Undecided{Fields: slices.Compact(missing)}
	}
	// The machine turns a panic of its own, such as a division by zero, into an error.
	machine := vm.VM{MemoryBudget: maxMemory}
	v, err := machine.Run(a.program, env.roots())
	if err != nil {
		if e, ok := errors.AsType[*file.Error](err); ok {
			return nil, &Undecided{Why: strings.TrimPrefix(e.Message, "runtime error: ")}
		}
		return nil, &Undecided{Why: err.Error()}
	}
	return v, nil
}

// need is what an atom must know: all of the fields, and of each list of alternatives one.
type need struct {
	fields       []field
	alternatives []alternatives
}

// alternatives are `a ?? b ?? …`: fields of which the first that is known counts, and what counts if none is.
type alternatives struct {
	fields []field
	last   need
}

func (n need) missing(env Env) (names []string) {
	for _, f := range n.fields {
		if env.of(f) == nil {
			names = append(names, f.String())
		}
	}
	for _, a := range n.alternatives {
		if !slices.ContainsFunc(a.fields, func(f field) bool { return env.of(f) != nil }) {
			names = append(names, a.last.missing(env)...)
		}
	}
	return names
}

func needsOf(n ast.Node) (all need) {
	switch n := n.(type) {
	case *ast.MemberNode:
		if f, ok := fieldOf(n); ok {
			all.fields = append(all.fields, f)
			return all
		}
	case *ast.BinaryNode:
		switch {
		case n.Operator == "??":
			fields, last := alternativesOf(n)
			all.alternatives = append(all.alternatives, alternatives{fields, needsOf(last)})
			return all
		case (n.Operator == "==" || n.Operator == "!=") && (isNil(n.Left) || isNil(n.Right)):
			return all // that is a question about a field itself
		}
	}
	for _, c := range children(n) {
		of := needsOf(c)
		all.fields = append(all.fields, of.fields...)
		all.alternatives = append(all.alternatives, of.alternatives...)
	}
	return all
}

// alternativesOf takes `a ?? b ?? c` apart: the fields a and b, and c.
func alternativesOf(n *ast.BinaryNode) (fields []field, last ast.Node) {
	left := []ast.Node{n.Left}
	for {
		b, ok := left[0].(*ast.BinaryNode)
		if !ok || b.Operator != "??" {
			break
		}
		left = append([]ast.Node{b.Left, b.Right}, left[1:]...)
	}
	for _, l := range left {
		if f, ok := fieldOf(l); ok {
			fields = append(fields, f)
		}
	}
	return fields, n.Right
}

func isNil(n ast.Node) bool {
	_, ok := n.(*ast.NilNode)
	return ok
}
