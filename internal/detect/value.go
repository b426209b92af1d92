package detect

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what a Value holds.
type Kind uint8

// The kinds. None is a field that the event does not have, Null one that it has without a value.
const (
	None Kind = iota
	Null
	Text
	Int
	Float
	Bool
	List
)

// Value is what an event has in a field. The zero Value is an absent field.
type Value struct {
	kind Kind
	text string
	bits uint64
	list []Value
}

// TextValue is a text; it must be valid UTF-8.
func TextValue(s string) Value { return Value{kind: Text, text: s} }

// IntValue is a whole number.
func IntValue(i int64) Value { return Value{kind: Int, bits: uint64(i)} }

// FloatValue is a number.
func FloatValue(f float64) Value { return Value{kind: Float, bits: math.Float64bits(f)} }

// BoolValue is true or false.
func BoolValue(b bool) Value {
	v := Value{kind: Bool}
	if b {
		v.bits = 1
	}
	return v
}

// NullValue is a field that is there without a value.
func NullValue() Value { return Value{kind: Null} }

// ListValue is several values in one field; a predicate holds if it holds for one of them.
func ListValue(vs ...Value) Value { return Value{kind: List, list: vs} }

// TextsValue is several texts in one field.
func TextsValue(texts ...string) Value {
	vs := make([]Value, len(texts))
	for i, s := range texts {
		vs[i] = TextValue(s)
	}
	return ListValue(vs...)
}

// ValueOf takes what encoding/json makes of a JSON value: string, float64, json.Number, bool, nil, or
// []any of these. An object is Null: it has no value of its own, its fields have.
func ValueOf(x any) Value {
	switch x := x.(type) {
	case string:
		return TextValue(strings.ToValidUTF8(x, "\uFFFD"))
	case bool:
		return BoolValue(x)
	case int:
		return IntValue(int64(x))
	case int64:
		return IntValue(x)
	case float64:
		return FloatValue(x)
	case json.Number:
		if i, err := x.Int64(); err == nil {
			return IntValue(i)
		}
		if f, err := x.Float64(); err == nil {
			return FloatValue(f)
		}
		return TextValue(x.String())
	case []any:
		vs := make([]Value, len(x))
		for i, e := range x {
			vs[i] = ValueOf(e)
		}
		return ListValue(vs...)
	default:
		return NullValue()
	}
}

// Kind is what the value holds.
func (v Value) Kind() Kind { return v.kind }

// Scalar is a single value as Go has it: string, int64, float64 or bool; nil for anything else.
func (v Value) Scalar() any {
	switch v.kind {
	case Text:
		return v.text
	case Int:
		return int64(v.bits)
	case Float:
		return math.Float64frombits(v.bits)
	case Bool:
		return v.bits == 1
	default:
		return nil
	}
}

// Texts are the single values in the form in which rules compare them: texts as they are, numbers in
// decimal without needless zeros, true and false. Null and lists in lists have none.
func (v Value) Texts() []string { return v.appendTexts(nil) }

func (v Value) appendTexts(dst []string) []string {
	if v.kind != List {
		if s, ok := v.scalar(); ok {
			dst = append(dst, s)
		}
		return dst
	}
	for _, e := range v.list {
		if s, ok := e.scalar(); ok {
			dst = append(dst, s)
		}
	}
	return dst
}

func (v Value) scalar() (string, bool) {
	switch v.kind {
	case Text:
		return v.text, true
	case Int:
		return strconv.FormatInt(int64(v.bits), 10), true
	case Float:
		return floatText(math.Float64frombits(v.bits)), true
	case Bool:
		return strconv.FormatBool(v.bits == 1), true
	default:
		return "", false
	}
}

// floatText is the shortest decimal that reads back as f: 3, not 3.0, so that 3 in a rule finds it.
func floatText(f float64) string {
	if math.Abs(f) >= 1e21 {
		return strconv.FormatFloat(f, 'g', -1, 64)
	}
	if f == 0 { // -0 is written as 0
		return "0"
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// number is the value for lt, lte, gt and gte: a number, or a text that is one in decimal.
func (v Value) number() (float64, bool) {
	switch v.kind {
	case Int:
		return float64(int64(v.bits)), true
	case Float:
		f := math.Float64frombits(v.bits)
		return f, !math.IsNaN(f)
	case Text:
		if v.text == "" || strings.ContainsAny(v.text, "xXnN_pPiI") { // hexadecimal, NaN, infinity, 1_000
			return 0, false
		}
		f, err := strconv.ParseFloat(v.text, 64)
		return f, err == nil
	default:
		return 0, false
	}
}

// fold is the form in which texts that differ only in case are the same: each character stands for all
// that simple case folding of Unicode takes for it. It has as many characters as s, and is s itself
// where nothing changes.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return foldFrom(s, i)
		}
	}
	return s
}

func foldFrom(s string, start int) string {
	b := make([]byte, start, len(s)+8)
	copy(b, s)
	for i := start; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			b = append(b, c)
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b = utf8.AppendRune(b, foldRune(r))
		i += size
	}
	return string(b)
}

// foldRune is the least character of those that fold to each other, in lower case where that is ASCII.
func foldRune(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}
