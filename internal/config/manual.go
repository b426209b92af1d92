package config

import (
	"fmt"
	"strings"
)

// Example is a configuration file with every key, its meaning and its default, commented out.
func Example() string {
	var b strings.Builder
	b.WriteString("# Holdfast configuration. Each line shows a default; remove the # to change it.\n")
	b.WriteString("# Each key can also be given as a variable: listen.api is HOLDFAST_LISTEN_API.\n")
	for _, f := range fields(&Config{}) {
		def := f.def
		if def == "" {
			def = `""`
		}
		fmt.Fprintf(&b, "\n%s#%s: %s\n", comment(f.doc), f.key, def)
	}
	return b.String()
}

// comment breaks the text into lines that begin with "# ".
func comment(doc string) string {
	var b strings.Builder
	width := 0
	for word := range strings.FieldsSeq(doc) {
		switch {
		case width == 0:
			b.WriteString("# ")
		case width+len(word) > 98:
			b.WriteString("\n# ")
			width = 0
		default:
			b.WriteString(" ")
		}
		b.WriteString(word)
		width += len(word) + 1
	}
	return b.String() + "\n"
}

// Manual is the table of docs/operations/configuration.md.
func Manual() string {
	var b strings.Builder
	b.WriteString("| key | variable | default | meaning |\n|---|---|---|---|\n")
	for _, f := range fields(&Config{}) {
		def := "–"
		if f.def != "" {
			def = "`" + f.def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", f.key, f.env(), def, f.doc)
	}
	return b.String()
}
