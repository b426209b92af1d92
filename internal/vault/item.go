package vault

import (
	"fmt"
	"holdfast/internal/origin"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Category says what an item is for.
type Category string

// The categories.
const (
	APICredential Category = "API Credential"
	Login         Category = "Login"
)

// Field is one value of an item.
type Field struct {
	Name      string // stable and unique in the item: one of Names, or of somebody's own such as custom_1
	Label     string // what people call it; may be empty for one of Names
	Value     string // empty for a concealed field unless revealed
	Concealed bool
}

// Names lists the fields that have a meaning of their own.
func Names() []string {
	return []string{
		"client_id", "client_secret", "account_id", "token_url", "base_url", "scopes", "token", "features", "expires",
		"username", "password", "url", "notes",
	}
}

// Item is an item at one version.
type Item struct {
	AccountID string
	VaultID   string
	ID        string
	Category  Category
	Title     string
	Fields    []Field
	Link      string // "client:<uuid>" of the application whose credentials it holds, "events_token:<id>", or empty
	Version   int    // from 1
	CreatedAt time.Time
	UpdatedAt time.Time
	CreatedBy string // "user:<id>"
	UpdatedBy string // "user:<id>"
}

// Field returns the field of the name.
func (i Item) Field(name string) (Field, bool) {
	n := slices.IndexFunc(i.Fields, func(f Field) bool { return f.Name == name })
	if n < 0 {
		return Field{}, false
	}
	return i.Fields[n], true
}

// Summary is an item in a list.
type Summary struct {
	ID        string
	Title     string
	Subtitle  string // its client ID or username; empty if it has none, or conceals it
	Category  Category
	Link      string
	UpdatedAt time.Time
	UpdatedBy string // "user:<id>"
}

// Linked is an item that holds the credentials of an application, with its vault.
type Linked struct {
	Vault Vault // without the number of items
	Item  Summary
}

// Version is a change of an item.
type Version struct {
	Version int
	At      time.Time
	By      string   // "user:<id>"
	ByName  string   // of the person
	Changed []string // names of the fields that were added, changed or taken away; "title" if the title was
}

// NewItem is an item to save. A field without a value is not kept.
type NewItem struct {
	Category Category
	Title    string
	Fields   []Field
	Link     string
	Client   Client
}

// FieldChange is a field as it shall be.
type FieldChange struct {
	Field
	Keep bool // without a value: keep the one that the field has, which the form did not show
}

// Change is what an item shall be. A field that is not in it is taken away.
type Change struct {
	Version int // that was changed
	Title   string
	Fields  []FieldChange
	Client  Client
}

// Client is what is known about the program with which somebody uses an item.
type Client struct {
	origin.Client        // without an address: that of the audit entry
	SessionID     string // may be empty
}

// The limits of an item; texts in bytes.
const (
	maxTitle     = 200
	maxFields    = 30
	maxFieldName = 50
	maxLabel     = 100
	maxValue     = 8 << 10
)

// Check trims the texts, names fields that have no name, drops fields without a value, and refuses what
// could not be stored or shown, naming the field.
func (n *NewItem) Check() error {
	n.Title = strings.TrimSpace(n.Title)
	if n.Category != APICredential && n.Category != Login {
		return problem.InField("category", "%q is no category; there are %s and %s", n.Category, APICredential, Login)
	}
	if err := checkTitle(n.Title); err != nil {
		return err
	}
	if err := checkLink(n.Link); err != nil {
		return err
	}
	fields, err := checkFields(n.Fields)
	n.Fields = fields
	return err
}

func checkTitle(title string) error {
	if title == "" {
		return problem.InField("title", "the item needs a title")
	}
	return checkLine("title", "title", title, maxTitle)
}

func checkLink(link string) error {
	kind, id, _ := strings.Cut(link, ":")
	switch {
	case link == "":
	case kind == "client" && uuid.Validate(id) == nil && len(id) == len(uuid.Nil.String()):
	case kind == "events_token" && seal.ValidID(id):
	default:
		return problem.InField("link", "%q is no link to an application, such as client:%s, or to an events token, such as events_token:%s", link, uuid.Nil, strings.Repeat("A", 26))
	}
	return nil
}

var fieldName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// checkFields returns the fields that are kept. The slice is the caller's, and stays as it is.
func checkFields(given []Field) ([]Field, error) {
	if len(given) > maxFields {
		return nil, problem.InField("fields", "the item has %d fields; at most %d are possible", len(given), maxFields)
	}
	var kept []Field
	taken := map[string]bool{}
	for _, f := range given {
		taken[f.Name] = true
	}
	seen := map[string]bool{}
	for _, f := range given {
		f.Label = strings.TrimSpace(f.Label)
		if f.Value == "" {
			continue
		}
		if f.Name == "" {
			f.Name = freeName(taken)
		}
		if err := f.check(); err != nil {
			return nil, err
		}
		if seen[f.Name] {
			return nil, problem.InField(f.Name, "the item has two fields %q; each needs its own name", f.Name)
		}
		taken[f.Name], seen[f.Name] = true, true
		// Whatever a form says, these two are never shown without being asked for.
		f.Concealed = f.Concealed || f.Name == "client_secret" || f.Name == "password"
		kept = append(kept, f)
	}
	if len(kept) == 0 {
		return nil, problem.InField("fields", "the item needs at least one field with a value")
	}
	return kept, nil
}

// freeName is a name for a field that came without one.
func freeName(taken map[string]bool) string {
	for n := 1; ; n++ {
		if name := fmt.Sprintf("custom_%d", n); !taken[name] {
			return name
		}
	}
}

func (f Field) check() error {
	if len(f.Name) > maxFieldName || !fieldName.MatchString(f.Name) {
		return problem.InField("fields", "%q is no name of a field; use at most %d small letters, digits and _", f.Name, maxFieldName)
	}
	if f.Label == "" && !slices.Contains(Names(), f.Name) {
		return problem.InField(f.Name, "the field needs a label")
	}
	if err := checkLine(f.Name, "label", f.Label, maxLabel); err != nil {
		return err
	}
	return checkLines(f.Name, "value", f.Value, maxValue)
}

// checkLine refuses what does not fit on one line that can be read. The text is not repeated: it may
// have been typed into the wrong field.
func checkLine(field, what, s string, most int) error {
	if err := checkLines(field, what, s, most); err != nil {
		return err
	}
	if strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return problem.InField(field, "the %s holds characters that cannot be shown", what)
	}
	return nil
}

// checkLines refuses a text that is too long or holds control characters other than of new lines and tabs.
func checkLines(field, what, s string, most int) error {
	if len(s) > most {
		return problem.InField(field, "the %s has %d bytes; at most %d are possible", what, len(s), most)
	}
	bad := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return problem.InField(field, "the %s holds characters that cannot be shown", what)
	}
	return nil
}

// Key is by what names and titles are sorted and searched: normalised to NFC and case-folded.
func Key(s string) string { return norm.NFC.String(cases.Fold().String(norm.NFC.String(s))) }
