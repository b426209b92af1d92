package console

import (
	"cmp"
	"maps"
	"net/http"
	"net/url"
	"slices"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// What is kept besides the fields; no form has fields of these names.
const (
	parkedAction = "holdfast.action" // where the form is sent
	parkedLost   = "holdfast.lost"   // a field that was not kept, since it is secret
)

// park keeps what was posted, and returns where it is found again. Where nothing can be kept (nobody knows
// whose session it was, or the form is too large) that is the page that the form was on.
func (c *Console) park(r *http.Request) string {
	from := from(r)
	values, err := form(r)
	who := me(r)
	if err != nil || who.UserID == "" {
		return from
	}
	kept := url.Values{}
	maps.Copy(kept, values)
	for _, name := range signin.NotParked() {
		if values.Get(name) != "" {
			kept.Set(parkedLost, name)
		}
	}
	kept.Set(parkedAction, r.URL.RequestURI())
	ticket, err := c.SignIn.Park(r.Context(), who, from, kept)
	if err != nil {
		return from
	}
	return "/resume/" + url.PathEscape(string(ticket))
}

// from is the page of ours that a request was made on, as far as the browser says.
func from(r *http.Request) string {
	if u, err := url.Parse(r.Referer()); err == nil && u.Host == r.Host {
		return local(u.RequestURI(), "/")
	}
	return "/"
}

// resumed is the data of pages/resume.html.
type resumed struct {
	Action string
	From   string
	Fields []resumedField
	Lost   bool // something secret was typed, too, and was not kept
}

// resumedField is a field that was typed. Label is empty for what the form itself had put in.
type resumedField struct{ Name, Label, Value string }

// resume shows what was parked, and offers to send it. It is shown once, to the person who typed it.
func (c *Console) resume(w http.ResponseWriter, r *http.Request) error {
	from, kept, err := c.SignIn.Unpark(r.Context(), me(r), signin.Ticket(r.PathValue("ticket")))
	if problem.Is(err, problem.NotFound) {
		return redirect(w, r, "/")
	}
	if err != nil {
		return err
	}
	data := resumed{Action: local(kept.Get(parkedAction), "/"), From: local(from, "/"), Lost: kept.Has(parkedLost)}
	for name, vs := range kept {
		if name == parkedAction || name == parkedLost {
			continue
		}
		for _, v := range vs {
			label, _ := c.catalogue.lookup(c.catalogue.languageOf(r), "resume.field."+name)
			if label == "resume.field."+name {
				label = ""
			}
			data.Fields = append(data.Fields, resumedField{name, label, v})
		}
	}
	slices.SortStableFunc(data.Fields, func(a, b resumedField) int { return cmp.Compare(a.Name, b.Name) })
	web.RecordOf(r.Context()).Target = "resume"
	return c.render(w, r, page{name: "resume", title: c.tr(r, "resume.title"), data: data})
}
