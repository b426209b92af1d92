package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// problemPage is the data of pages/gate-problem.html.
type problemPage struct {
	Kind   string // status as the key of its texts: 403, 404, 429, 500, …
	Detail string // in words, where it helps
	Status int
}

// Problem shows a problem to a person. Whoever is not signed in goes to the sign-in page and comes back;
// so does, by way of confirming, who has to show again who she is.
func (c *Console) Problem(w http.ResponseWriter, r *http.Request, p *problem.Error) {
	switch p.Code {
	case web.SignInNeeded:
		c.detour(w, r, "/sign-in")
		return
	case web.ConfirmNeeded:
		c.detour(w, r, "/confirm")
		return
	}
	if who := me(r); who.SessionID != "" && p.Kind == problem.Forbidden && !who.Has(web.Member) {
		http.Redirect(w, r, enrolPage, http.StatusSeeOther) // she may set up one-time codes, and nothing else
		return
	}
	lang := c.catalogue.languageOf(r)
	data := problemPage{Kind: kindOf(p), Detail: c.words(lang, p), Status: p.Kind.Status()}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(p.RetryAfter))
	}
	if p.Allow != "" {
		w.Header().Set("Allow", p.Allow)
	}
	if wantsJSON(r) {
		answerJSON(w, data.Status, map[string]string{"error": data.Detail})
		return
	}
	err := c.render(w, r, page{name: "gate-problem", title: c.catalogue.text(lang, "problem."+data.Kind+".title"), status: data.Status, data: data})
	if err != nil { // the page itself is broken; the log has p, the person must hear something
		problem.Detailed.Write(w, p)
	}
}

// kindOf is the key of a problem's texts.
func kindOf(p *problem.Error) string {
	switch p.Kind {
	case problem.Invalid, problem.Unsupported, problem.TooLarge:
		return "400"
	case problem.Forbidden, problem.Unauthenticated:
		return "403"
	case problem.NotFound, problem.MethodNotAllowed:
		return "404"
	case problem.Conflict:
		return "409"
	case problem.TooMany:
		return "429"
	case problem.Unavailable:
		return "503"
	}
	return "500"
}

// words says what was wrong in the language: by the problem's code, else by its field, else, in English, in
// its own words.
func (c *Console) words(lang string, p *problem.Error) string {
	if p.Code != "" {
		if s, ok := c.catalogue.lookup(lang, "error.code."+p.Code); ok {
			return s
		}
	}
	if lang != languages[0].String() {
		if p.Field != "" {
			if s, ok := c.catalogue.lookup(lang, "error.field."+p.Field); ok {
				return s
			}
		}
		return c.catalogue.text(lang, "problem."+kindOf(p)+".text")
	}
	if p.Kind == problem.Internal || p.Detail == "" {
		return c.catalogue.text(lang, "problem."+kindOf(p)+".text")
	}
	return sentence(p.Detail)
}

// sentence begins with a capital and ends with a full stop.
func sentence(s string) string {
	first, n := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[n:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// again shows a form again, with what was typed and what was wrong with it, if the error is one that the
// person can mend; any other error goes on.
func (c *Console) again(w http.ResponseWriter, r *http.Request, p page, err error) error {
	pr, ok := errors.AsType[*problem.Error](err)
	if !ok || pr.Kind != problem.Invalid && pr.Kind != problem.Conflict && pr.Kind != problem.Forbidden && pr.Kind != problem.TooMany && pr.Kind != problem.Unauthenticated {
		return err
	}
	p.status = pr.Kind.Status()
	if pr.Kind == problem.Invalid {
		p.status = http.StatusUnprocessableEntity
	}
	if pr.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(pr.RetryAfter))
	}
	p.errors = map[string]string{pr.Field: c.words(c.catalogue.languageOf(r), pr)}
	web.RecordOf(r.Context()).Outcome = outcome(pr)
	return c.render(w, r, p)
}

func outcome(p *problem.Error) string {
	if p.Code != "" {
		return p.Code
	}
	return p.Kind.String()
}

// wantsJSON reports whether a script of ours asks.
func wantsJSON(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "application/json") && !strings.Contains(r.Header.Get("Accept"), "text/html")
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		body = []byte("{}")
	}
	_ = web.Bytes(w, status, "application/json", append(body, '\n')) // never fails
}

// detour sends the browser to sign in or to confirm, and then back to what it wanted.
func (c *Console) detour(w http.ResponseWriter, r *http.Request, to string) {
	next := r.URL.RequestURI()
	if wantsJSON(r) {
		next = from(r) // a script does its part again when the page is back
	} else if r.Method != http.MethodGet && r.Method != http.MethodHead {
		next = c.park(r)
	} else if u, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil && u.Path != "" {
		next = local(u.RequestURI(), "/") // a part of a page was asked for: the person comes back to the page
	}
	if next != "/" {
		to += "?next=" + url.QueryEscape(next)
	}
	switch {
	case wantsJSON(r):
		answerJSON(w, http.StatusForbidden, map[string]string{"location": to})
	case r.Header.Get("HX-Request") != "":
		w.Header().Set("HX-Redirect", to)
		w.WriteHeader(http.StatusOK)
	default:
		http.Redirect(w, r, to, http.StatusSeeOther)
	}
}
