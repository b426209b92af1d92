package vault_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/problem"
	"holdfast/internal/vault"
)

func TestAccess(t *testing.T) {
	for _, a := range []vault.Access{vault.View, vault.Edit, vault.Manage} {
		got, err := vault.ParseAccess(a.String())
		if got != a || err != nil {
			t.Errorf("%s is read as %s: %v", a, got, err)
		}
	}
	for _, text := range []string{"", "none", "VIEW", "admin", "view "} {
		got, err := vault.ParseAccess(text)
		if p := problem.Public(err); got != vault.None || p.Kind != problem.Invalid || p.Field != "access" {
			t.Errorf("%q is read as %s: %v", text, got, err)
		}
	}
	if vault.None >= vault.View || vault.View >= vault.Edit || vault.Edit >= vault.Manage {
		t.Error("more access is not more")
	}
}

func TestNewItemCheck(t *testing.T) {
	const link = "client:6b0f7c52-83de-4e1a-9c47-2a5d91e0f3b8"
	long := func(n int) string { return strings.Repeat("x", n) }
	many := make([]vault.Field, 31)
	for i := range many {
		many[i] = vault.Field{Label: "A", Value: "v"}
	}
	value := func(name, v string) []vault.Field { return []vault.Field{{Name: name, Label: "A", Value: v}} }
	for _, tt := range []struct {
		name  string
		item  vault.NewItem
		field string // that is refused; empty: none
	}{
		{"good", vault.NewItem{Category: vault.Login, Title: " Root ", Fields: value("password", "p"), Link: link}, ""},
		{"longest", vault.NewItem{Category: vault.Login, Title: long(200), Fields: value("notes", long(8192))}, ""},
		{"lines", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("notes", "a\r\n\tb")}, ""},
		{"most fields", vault.NewItem{Category: vault.Login, Title: "Root", Fields: many[:30]}, ""},
		{"no category", vault.NewItem{Title: "Root", Fields: value("url", "v")}, "category"},
		{"unknown category", vault.NewItem{Category: "Secure Note", Title: "Root", Fields: value("url", "v")}, "category"},
		{"no title", vault.NewItem{Category: vault.Login, Title: " ", Fields: value("url", "v")}, "title"},
		{"long title", vault.NewItem{Category: vault.Login, Title: long(201), Fields: value("url", "v")}, "title"},
		{"title of two lines", vault.NewItem{Category: vault.Login, Title: "a\nb", Fields: value("url", "v")}, "title"},
		{"title of direction marks", vault.NewItem{Category: vault.Login, Title: "a\u202eb", Fields: value("url", "v")}, "title"},
		{"no fields", vault.NewItem{Category: vault.Login, Title: "Root"}, "fields"},
		{"no values", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "")}, "fields"},
		{"too many fields", vault.NewItem{Category: vault.Login, Title: "Root", Fields: many}, "fields"},
		{"long value", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", long(8193))}, "url"},
		{"value with NUL", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "a\x00b")}, "url"},
		{"value of other bytes", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "\xff")}, "url"},
		{"name in capitals", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("URL", "v")}, "fields"},
		{"name with a space", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("a b", "v")}, "fields"},
		{"two of a name", vault.NewItem{Category: vault.Login, Title: "Root", Fields: append(value("url", "a"), value("url", "b")...)}, "url"},
		{"own field without a label", vault.NewItem{Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "pin", Value: "1"}}}, "pin"},
		{"label with a tab", vault.NewItem{Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "pin", Label: "a\tb", Value: "1"}}}, "pin"},
		{"long label", vault.NewItem{Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "pin", Label: long(101), Value: "1"}}}, "pin"},
		{"link to a page", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "v"), Link: "https://a.example"}, "link"},
		{"link to an events token", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "v"), Link: "events_token:ABCDEFGHIJKLMNOPQRSTUVWXYZ"}, ""},
		{"link to half an events token", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "v"), Link: "events_token:ABCDEF"}, "link"},
		{"link to nothing", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "v"), Link: "client:"}, "link"},
		{"link in another form", vault.NewItem{Category: vault.Login, Title: "Root", Fields: value("url", "v"), Link: "client:{6b0f7c52-83de-4e1a-9c47-2a5d91e0f3b8}"}, "link"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			fields := tt.item.Fields
			given := slices.Clone(fields)
			err := tt.item.Check()
			if got := problem.Public(err); (err != nil) != (tt.field != "") || err != nil && (got.Kind != problem.Invalid || got.Field != tt.field) {
				t.Errorf("error is %v, want one in field %q", err, tt.field)
			}
			if diff := cmp.Diff(given, fields); diff != "" {
				t.Errorf("the caller's fields were changed (-given +now):\n%s", diff)
			}
		})
	}
}

// TestRefusalIsQuiet: what may be a secret typed into the wrong place is not repeated.
func TestRefusalIsQuiet(t *testing.T) {
	const secret = "correct horse"
	for name, n := range map[string]vault.NewItem{
		"value": {Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "password", Value: secret + "\x00"}}},
		"label": {Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "password", Label: secret + "\x00", Value: "v"}}},
		"title": {Category: vault.Login, Title: secret + "\x00", Fields: []vault.Field{{Name: "password", Value: "v"}}},
	} {
		if err := n.Check(); err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewItemFields(t *testing.T) {
	n := vault.NewItem{Category: vault.Login, Title: "Root", Fields: []vault.Field{
		{Label: " PIN ", Value: "1", Concealed: true}, {Name: "password", Value: "p"}, {Name: "notes"}, {Name: "custom_1", Label: "Mine", Value: "2"},
		{Name: "client_secret", Value: "s"}, {Label: "Other", Value: "3"},
	}}
	if err := n.Check(); err != nil {
		t.Fatal(err)
	}
	want := []vault.Field{
		{Name: "custom_2", Label: "PIN", Value: "1", Concealed: true}, {Name: "password", Value: "p", Concealed: true},
		{Name: "custom_1", Label: "Mine", Value: "2"}, {Name: "client_secret", Value: "s", Concealed: true}, {Name: "custom_3", Label: "Other", Value: "3"},
	}
	if diff := cmp.Diff(want, n.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}
