package seal

import (
	"crypto/subtle"
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that only Reveal shows.
type Secret struct{ text string }

const hidden = "[secret]"

// NewSecret wraps the text.
func NewSecret(text string) Secret { return Secret{text} }

// Reveal is the text itself. Whoever calls it answers for where it goes.
func (s Secret) Reveal() string { return s.text }

// Equal compares in a time that depends on the lengths only.
func (s Secret) Equal(o Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.text), []byte(o.text)) == 1
}

// IsZero reports whether there is no text.
func (s Secret) IsZero() bool { return s.text == "" }

// String hides the text.
func (Secret) String() string { return hidden }

// GoString hides the text from %#v, which would otherwise print the field.
func (Secret) GoString() string { return hidden }

// Format hides the text from every verb, %x and %q among them.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, hidden) }

// LogValue hides the text from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the text from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// MarshalJSON hides the text from encoding/json.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + hidden + `"`), nil }
