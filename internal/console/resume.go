package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// park keeps what was posted, and returns where it is found again. Where nothing can be kept (nobody knows
// whose session it was, or the form is too large) that is the page that the form was on.
func (c *Console) park(r *http.Request) string {
	from := "/"
	if u, err := url.Parse(r.Referer()); err == nil && u.Scheme+"://"+u.Host == c.Origin {
		from = local(u.RequestURI(), "/")
	}
	values, err := form(r)
	who := me(r)
	if err != nil || who.UserID == "" {
		return from
	}
	kept := url.Values{"action": {r.URL.RequestURI()}, "from": {from}}
	for name, vs := range values {
		kept["v:"+name] = vs
	}
	ticket, err := c.SignIn.Park(r.Context(), who, from, kept)
	if err != nil {
		return from
	}
	return "/resume/" + url.PathEscape(string(ticket))
}

// resumed is the data of pages/resume.html.
type resumed struct {
	Action string
	From   string
	Fields []resumedField
	Lost   bool // something secret was typed, too, and was not kept
}

type resumedField struct{ Name, Value string }

// resume shows what was parked, and offers to send it. It is shown once, to the person who typed it.
func (c *Console) resume(w http.ResponseWriter, r *http.Request) error {
	_, kept, err := c.SignIn.Unpark(r.Context(), me(r), signin.Ticket(r.PathValue("ticket")))
	if problem.KindOf(err) == problem.NotFound && err != nil {
		return redirect(w, r, "/")
	}
	if err != nil {
		return err
	}
	data := resumed{Action: local(kept.Get("action"), "/"), From: local(kept.Get("from"), "/"), Lost: kept.Get("lost") != ""}
	for name, vs := range kept {
		if len(name) > 2 && name[:2] == "v:" {
			for _, v := range vs {
				data.Fields = append(data.Fields, resumedField{name[2:], v})
			}
		}
	}
	slices.SortStableFunc(data.Fields, func(a, b resumedField) int { return cmp.Compare(a.Name, b.Name) })
	web.RecordOf(r.Context()).Target = "resume"
	return c.render(w, r, page{name: "resume", title: c.tr(r, "resume.title"), data: data})
}
