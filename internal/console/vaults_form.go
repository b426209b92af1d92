package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
)

// itemForm is the data of pages/item-form.html.
type itemForm struct {
	Vault    vault.Vault
	Item     vault.Item // without an ID for a new one
	Category vault.Category
	Action   string
	Back     string
	Version  int // that the form changes

	Fields []formField // those that have a name of their own
	Plain  []formField // somebody's own, and empty ones to be filled in
	Secret []formField // the same, concealed

	Conflict  bool // somebody else has changed the item meanwhile
	ChangedBy string
	ChangedAt time.Time
	Changed   []string // what, in words
	TitleNow  string   // the title that is stored, if it is another one
}

// formField is a row of the form. A concealed value is never put into it: it is kept if none is typed.
//
// The names of the form's fields are those by which [signin.NotParked] knows what is secret. So all
// concealed values of somebody's own fields have one name, and belong to their rows by their order.
type formField struct {
	Name    string // of the item's field; empty for a new one
	Row     int    // among those of its kind
	Control string // name of the form's field for the value
	ID      string // of the element
	Label   string
	Fixed   bool // the label is not the person's to change
	Value   string
	Stored  bool // there is a concealed value
	Lines   bool // the value has, or may have, more than one line
	Removed bool // the box to remove it is ticked
	Differs bool // after a conflict: Now is what is stored
	Now     string
}

// Number is what the row is called.
func (f formField) Number() int { return f.Row + 1 }

// categoryFields are the fields that an item of the category usually has.
func categoryFields(c vault.Category) []string {
	if c == vault.Login {
		return []string{"username", "password", "url", "notes"}
	}
	return []string{"client_id", "client_secret", "account_id", "token_url", "base_url", "scopes", "notes"}
}

// alwaysSecret reports whether the field is concealed whatever a form says.
func alwaysSecret(name string) bool {
	return slices.Contains([]string{"client_secret", "token", "password"}, name)
}

// spareRows are how many empty rows there are at least for further fields.
const (
	spareRows   = 2
	mostRows    = 30 // as many fields as an item can have
	secretValue = "secret"
)

// newItemForm is the form for the item as it is stored, with what was typed if it was sent before.
func (c *Console) newItemForm(r *http.Request, v vault.Vault, i vault.Item, typed url.Values) itemForm {
	d := itemForm{Vault: v, Item: i, Category: i.Category, Version: i.Version, Action: "/vaults/" + v.ID + "/items", Back: "/vaults/" + v.ID}
	if i.ID != "" {
		d.Back = itemPath(v.ID, i.ID)
		d.Action = d.Back + "/edit"
	}
	names := categoryFields(i.Category)
	for _, f := range i.Fields {
		if slices.Contains(vault.Names(), f.Name) && !slices.Contains(names, f.Name) && (!f.Concealed || alwaysSecret(f.Name)) {
			names = append(names, f.Name)
		}
	}
	for _, name := range names {
		stored, has := i.Field(name)
		if has && stored.Concealed && !alwaysSecret(name) {
			continue // it is among the concealed ones
		}
		stored.Name = name
		f := formField{Name: name, Control: name, ID: "v-" + name, Label: c.fieldLabel(r, stored), Fixed: true, Lines: name == "notes"}
		if alwaysSecret(name) {
			f.Stored, f.Removed = has, slices.Contains(typed["remove"], name)
		} else {
			f.hold(stored, typed)
		}
		d.Fields = append(d.Fields, f)
	}
	d.Plain, d.Secret = ownRows(i, typed), secretRows(i, typed)
	for n := range d.Secret {
		if f := &d.Secret[n]; f.Fixed {
			f.Label = c.fieldLabel(r, vault.Field{Name: f.Name, Label: f.Label})
		}
	}
	return d
}

// hold puts in what was typed, else what is stored.
func (f *formField) hold(stored vault.Field, typed url.Values) {
	f.Value = stored.Value
	if typed.Has(f.Control) {
		f.Value = lines(typed.Get(f.Control))
		f.Differs, f.Now = f.Value != stored.Value, stored.Value
	}
	f.Lines = f.Lines || isLong(f.Value)
}

// isLong reports whether one line is not enough to show the text.
func isLong(s string) bool { return len(s) > 200 || slices.Contains([]byte(s), '\n') }

// ownRows are the rows of somebody's own fields that are not concealed.
func ownRows(i vault.Item, typed url.Values) []formField {
	var rows []formField
	add := func(f formField) {
		f.Row = len(rows)
		f.Control, f.ID = fmt.Sprintf("value_%d", f.Row), fmt.Sprintf("v-%d", f.Row)
		f.Lines = isLong(f.Value)
		rows = append(rows, f)
	}
	shown := map[string]bool{}
	for n := range typedRows(typed, "label_") {
		at := strconv.Itoa(n)
		f := formField{Name: ownName(i, typed.Get("name_"+at), false), Label: typed.Get("label_" + at), Value: lines(typed.Get("value_" + at))}
		if stored, ok := i.Field(f.Name); ok {
			f.Differs, f.Now = f.Value != stored.Value, stored.Value
		}
		shown[f.Name] = true
		add(f)
	}
	for _, f := range i.Fields {
		if !f.Concealed && !slices.Contains(vault.Names(), f.Name) && !shown[f.Name] {
			add(formField{Name: f.Name, Label: f.Label, Value: f.Value})
		}
	}
	spare := 0
	for _, f := range rows {
		if f.Name+f.Label+f.Value == "" {
			spare++
		}
	}
	for ; spare < spareRows; spare++ {
		add(formField{})
	}
	return rows
}

// secretRows are the rows of concealed fields but client_secret and password.
func secretRows(i vault.Item, typed url.Values) []formField {
	var rows []formField
	add := func(f formField) {
		f.Row = len(rows)
		f.Control, f.ID = secretValue, fmt.Sprintf("s-%d", f.Row)
		rows = append(rows, f)
	}
	labels := map[string]string{}
	var fresh []string
	for n := range typedRows(typed, "secret_label_") {
		label := typed.Get("secret_label_" + strconv.Itoa(n))
		if name := ownName(i, typed.Get("secret_name_"+strconv.Itoa(n)), true); name != "" {
			labels[name] = label
		} else if label != "" {
			fresh = append(fresh, label)
		}
	}
	for _, f := range i.Fields {
		if !f.Concealed || alwaysSecret(f.Name) {
			continue
		}
		row := formField{Name: f.Name, Label: f.Label, Stored: true, Removed: slices.Contains(typed["remove"], f.Name), Fixed: slices.Contains(vault.Names(), f.Name)}
		if label, ok := labels[f.Name]; ok && !row.Fixed {
			row.Label = label
		}
		add(row)
	}
	for _, label := range fresh {
		add(formField{Label: label})
	}
	add(formField{})
	return rows
}

// typedRows is how many rows were sent, of which each has a label.
func typedRows(typed url.Values, label string) int {
	for n := range mostRows {
		if !typed.Has(label + strconv.Itoa(n)) {
			return n
		}
	}
	return mostRows
}

// ownName is the name that a row says it has, if it is the name of such a field of the item.
func ownName(i vault.Item, name string, concealed bool) string {
	f, ok := i.Field(name)
	if !ok || f.Concealed != concealed || alwaysSecret(name) || !concealed && slices.Contains(vault.Names(), name) {
		return ""
	}
	return name
}

// typedFields are the fields as they shall be, and the form's field of each by its name.
func typedFields(i vault.Item, typed url.Values) ([]vault.FieldChange, map[string]string, error) {
	var fields []vault.FieldChange
	controls, taken := map[string]string{}, map[string]bool{}
	for _, f := range i.Fields {
		taken[f.Name] = true
	}
	add := func(control string, f vault.Field) {
		if f.Name == "" {
			f.Name = spareName(taken)
		}
		taken[f.Name], controls[f.Name] = true, control
		fields = append(fields, vault.FieldChange{Field: f, Keep: f.Concealed && !slices.Contains(typed["remove"], f.Name)})
	}
	for _, name := range vault.Names() {
		was, has := i.Field(name)
		// A secret that was not sent (it was left out while the person signed in again) stays as it is.
		if typed.Has(name) || has && alwaysSecret(name) {
			if has && was.Concealed && !alwaysSecret(name) {
				continue // it is among the concealed rows
			}
			add(name, vault.Field{Name: name, Label: was.Label, Value: lines(typed.Get(name)), Concealed: alwaysSecret(name)})
		}
	}
	for n := range typedRows(typed, "label_") {
		at := strconv.Itoa(n)
		f := vault.Field{Name: ownName(i, typed.Get("name_"+at), false), Label: typed.Get("label_" + at), Value: lines(typed.Get("value_" + at))}
		if err := checkRow("label_"+at, "value_"+at, f, controls); err != nil {
			return nil, controls, err
		}
		if f.Value != "" {
			add("value_"+at, f)
		}
	}
	for n := range typedRows(typed, "secret_label_") {
		at := strconv.Itoa(n)
		f := vault.Field{Name: ownName(i, typed.Get("secret_name_"+at), true), Label: typed.Get("secret_label_" + at), Concealed: true}
		if n < len(typed[secretValue]) {
			f.Value = typed[secretValue][n]
		}
		if was, ok := i.Field(f.Name); ok && slices.Contains(vault.Names(), f.Name) {
			f.Label = was.Label
		} else if err := checkRow("secret_label_"+at, "secret_"+at, f, controls); err != nil {
			return nil, controls, err
		}
		if f.Value != "" || f.Name != "" {
			add("secret_"+at, f)
		}
	}
	return fields, controls, nil
}

// checkRow refuses half a row; a field of the item that has lost its value is taken away.
func checkRow(label, value string, f vault.Field, controls map[string]string) error {
	controls[label], controls[value] = label, value
	if f.Value != "" && f.Label == "" {
		return problem.InField(label, "this field has a value and no label; say what it is, or leave both empty")
	}
	if f.Value == "" && f.Label != "" && f.Name == "" {
		return problem.InField(value, "this field has a label and no value; enter it, or leave both empty")
	}
	return nil
}

func spareName(taken map[string]bool) string {
	for n := 1; ; n++ {
		if name := fmt.Sprintf("custom_%d", n); !taken[name] {
			return name
		}
	}
}

func (c *Console) newItem(w http.ResponseWriter, r *http.Request) error {
	v, err := c.vaultFor(r, vault.Edit)
	if err != nil {
		return err
	}
	i := vault.Item{Category: categoryOf(r.URL.Query().Get("category"))}
	return c.render(w, r, page{name: "item-form", title: c.tr(r, "item_form.new_title"), form: url.Values{}, data: c.newItemForm(r, v, i, nil)})
}

// categoryOf reads a category; an API credential is what most items are.
func categoryOf(s string) vault.Category {
	if vault.Category(s) == vault.Login {
		return vault.Login
	}
	return vault.APICredential
}

func (c *Console) createItem(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.vaultFor(r, vault.View) // with too little access the attempt is recorded by the store
	if err != nil {
		return err
	}
	n := vault.NewItem{Category: categoryOf(f.Get("category")), Title: f.Get("title"), Client: c.usedFrom(r)}
	changes, controls, err := typedFields(vault.Item{}, f)
	for _, change := range changes {
		n.Fields = append(n.Fields, change.Field)
	}
	var made vault.Item
	if err == nil {
		made, err = c.Vaults.Save(r.Context(), viewer(r), v.ID, n, audit.By(r, audit.ItemCreate, ""))
	}
	if err != nil {
		d := c.newItemForm(r, v, vault.Item{Category: n.Category}, f)
		return c.itemAgain(w, r, page{name: "item-form", title: c.tr(r, "item_form.new_title"), form: f, data: d}, controls, err)
	}
	return redirect(w, r, itemPath(v.ID, made.ID)+"?done=item_created")
}

func (c *Console) editItem(w http.ResponseWriter, r *http.Request) error {
	v, i, err := c.editable(r)
	if err != nil {
		return err
	}
	return c.render(w, r, page{
		name: "item-form", title: c.tr(r, "item_form.edit_title", "Name", i.Title), form: url.Values{"title": {i.Title}}, data: c.newItemForm(r, v, i, nil),
	})
}

func (c *Console) updateItem(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	v, err := c.vaultFor(r, vault.View) // as with createItem
	if err != nil {
		return err
	}
	i, err := c.Vaults.Item(r.Context(), viewer(r), v.ID, r.PathValue("item"))
	if err != nil {
		return err
	}
	seen, _ := strconv.Atoi(f.Get("version")) // what is no number is no version
	change := vault.Change{Version: seen, Title: f.Get("title"), Client: c.usedFrom(r)}
	var controls map[string]string
	if change.Fields, controls, err = typedFields(i, f); err == nil {
		_, err = c.Vaults.UpdateItem(r.Context(), viewer(r), v.ID, i.ID, change, audit.By(r, audit.ItemUpdate, "item:"+i.ID))
	}
	if err == nil {
		return redirect(w, r, itemPath(v.ID, i.ID)+"?done=item_changed")
	}
	// What somebody else stored while this was sent is shown, too.
	now, errNow := c.Vaults.Item(r.Context(), viewer(r), v.ID, i.ID)
	if errNow != nil {
		return errNow
	}
	d := c.newItemForm(r, v, now, f)
	if problem.Is(err, problem.Conflict) {
		if err := c.showConflict(r, &d, seen, f); err != nil {
			return err
		}
	} else {
		d.Version = seen
	}
	return c.itemAgain(w, r, page{name: "item-form", title: c.tr(r, "item_form.edit_title", "Name", now.Title), form: f, data: d}, controls, err)
}

// showConflict says who has changed what since the version that was seen. Sent again, the form changes
// the current version: the person has seen what is stored now.
func (c *Console) showConflict(r *http.Request, d *itemForm, seen int, typed url.Values) error {
	d.Conflict = true
	if d.Item.Title != typed.Get("title") {
		d.TitleNow = d.Item.Title
	}
	versions, err := c.Vaults.History(r.Context(), viewer(r), d.Vault.ID, d.Item.ID)
	if err != nil {
		return err
	}
	var names []string
	for _, x := range versions {
		if x.Version <= seen {
			break
		}
		for _, name := range x.Changed {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	d.Changed, d.ChangedAt = c.fieldLabels(r, d.Item, names), d.Item.UpdatedAt
	d.ChangedBy, err = c.actors(r).of(r.Context(), d.Item.UpdatedBy)
	return err
}

// itemAgain shows the form again. The problem names a field of the item; its words go beside the form's.
func (c *Console) itemAgain(w http.ResponseWriter, r *http.Request, p page, controls map[string]string, err error) error {
	pr, ok := errors.AsType[*problem.Error](err)
	if !ok || pr.Kind != problem.Invalid || pr.Field == "title" {
		return c.again(w, r, p, err)
	}
	for _, secret := range signin.NotParked() {
		p.form.Del(secret) // not even by mistake
	}
	control := controls[pr.Field] // none for what is about the item as a whole
	said := *pr
	if said.Field = "item_value"; control == "" {
		said.Field = "item"
	}
	p.status = http.StatusUnprocessableEntity
	p.errors = map[string]string{control: c.words(c.catalogue.languageOf(r), &said)}
	return c.render(w, r, p)
}
