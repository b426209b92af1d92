package vault

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// What is sealed, for Keys. Each is bound to account, vault, item and version as well.
const (
	sealFields   = "vault item fields"
	sealSubtitle = "vault item subtitle"
)

// sealedFields is the text that is sealed. Its form is in people's databases: add to it only.
type sealedFields struct {
	Fields []sealedField `json:"fields"`
}

type sealedField struct {
	Name      string `json:"name"`
	Label     string `json:"label,omitempty"`
	Value     string `json:"value"`
	Concealed bool   `json:"concealed,omitempty"`
}

func identity(account, vaultID, itemID string, version int) []string {
	return []string{account, vaultID, itemID, strconv.Itoa(version)}
}

// seal makes of an item what is kept of it.
func (s *Service) seal(i Item) (SealedItem, error) {
	var plain sealedFields
	for _, f := range i.Fields {
		plain.Fields = append(plain.Fields, sealedField(f))
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return SealedItem{}, fmt.Errorf("encode item %q: %w", i.ID, err)
	}
	kept, id := SealedItem{Item: i}, identity(i.AccountID, i.VaultID, i.ID, i.Version)
	kept.Fields = nil
	if kept.Sealed, err = s.Keys.Seal(text, sealFields, id...); err != nil {
		return SealedItem{}, fmt.Errorf("item %q: %w", i.ID, err)
	}
	if sub := subtitle(i); sub != "" {
		if kept.Subtitled, err = s.Keys.Seal([]byte(sub), sealSubtitle, id...); err != nil {
			return SealedItem{}, fmt.Errorf("item %q: %w", i.ID, err)
		}
	}
	return kept, nil
}

// open is the item with all its values.
func (s *Service) open(kept SealedItem) (Item, error) {
	i := kept.Item
	text, err := s.Keys.Open(kept.Sealed, sealFields, identity(i.AccountID, i.VaultID, i.ID, i.Version)...)
	if err != nil {
		return Item{}, fmt.Errorf("item %q, version %d: %w", i.ID, i.Version, err)
	}
	var plain sealedFields
	if err := json.Unmarshal(text, &plain); err != nil { // the error would quote from the text
		return Item{}, fmt.Errorf("item %q, version %d: its fields are not of a form that this version knows", i.ID, i.Version)
	}
	i.Fields = make([]Field, len(plain.Fields))
	for n, f := range plain.Fields {
		i.Fields[n] = Field(f)
	}
	return i, nil
}

func (s *Service) summary(account, vaultID string, kept SealedSummary) (Summary, error) {
	if kept.Subtitled != nil {
		sub, err := s.Keys.Open(kept.Subtitled, sealSubtitle, identity(account, vaultID, kept.ID, kept.Version)...)
		if err != nil {
			return Summary{}, fmt.Errorf("item %q, version %d: %w", kept.ID, kept.Version, err)
		}
		kept.Subtitle = string(sub)
	}
	return kept.Summary, nil
}

// subtitle is what tells an item from others of the same title in a list.
func subtitle(i Item) string {
	for _, name := range []string{"username", "client_id"} {
		if f, ok := i.Field(name); ok && !f.Concealed {
			line, _, _ := strings.Cut(f.Value, "\n")
			return bounded(line)
		}
	}
	return ""
}

// bounded cuts a text that comes from outside and is only shown.
func bounded(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s[:min(len(s), 300)], "\x00", ""), "")
}

// concealed is the item without the values that are not shown.
func (i Item) concealed() Item {
	i.Fields = slices.Clone(i.Fields)
	for n := range i.Fields {
		if i.Fields[n].Concealed {
			i.Fields[n].Value = ""
		}
	}
	return i
}

// merged are the fields as they shall be, with the values that are kept.
func (c Change) merged(old Item) []Field {
	fields := make([]Field, len(c.Fields))
	for n, f := range c.Fields {
		fields[n] = f.Field
		if was, ok := old.Field(f.Name); ok && f.Keep && f.Value == "" {
			fields[n].Value = was.Value
			fields[n].Concealed = f.Concealed || was.Concealed // or it would be shown, and nobody would know
		}
	}
	return fields
}

// changes names what is not the same in the next version: "title", and the fields.
func changes(old, next Item) []string {
	var names []string
	if old.Title != next.Title {
		names = append(names, "title")
	}
	for _, f := range next.Fields {
		if was, ok := old.Field(f.Name); !ok || was != f {
			names = append(names, f.Name)
		}
	}
	for _, f := range old.Fields {
		if _, ok := next.Field(f.Name); !ok {
			names = append(names, f.Name)
		}
	}
	return names
}
