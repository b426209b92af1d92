package console

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

//go:embed templates
var templates embed.FS

// view is what a template gets.
type view struct {
	Lang        string
	Page        string // name of the template, by which the navigation marks where we are
	Title       string
	Path        string // of the request, with its query
	Me          web.Principal
	Flash       string // what has just been done, in words
	Form        url.Values
	Errors      map[string]string // by field, in words; "" is about the form as a whole
	Tour        *tourView         // nil: no tour
	TourSkipped bool              // there is one, and it is put away
	Data        any
	Broken      bool // the audit log was changed

	Version, Host, RequestID string
}

// Value is what was typed into a field.
func (v view) Value(field string) string { return v.Form.Get(field) }

// Role is the highest role of who looks, for the account menu.
func (v view) Role() web.Role {
	for _, role := range []web.Role{web.Owner, web.People, web.Integrations} {
		if v.Me.Has(role) {
			return role
		}
	}
	return web.Member
}

// Checked reports whether a box of that name and value was ticked.
func (v view) Checked(field, value string) bool {
	return slices.Contains(v.Form[field], value)
}

// FirstError is the field that gets the focus: the first in the order of the form's fields given.
func (v view) FirstError(fields ...string) string {
	for _, f := range fields {
		if v.Errors[f] != "" {
			return f
		}
	}
	return ""
}

// parse makes the templates of every page, for each language: the layout, the parts, and the page.
// A page whose file begins with "gate-" stands outside the shell, for who is not signed in.
func (c *Console) parse() (map[string]map[string]*template.Template, error) {
	files, err := fs.Glob(templates, "templates/pages/*.html")
	if err != nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	all := map[string]map[string]*template.Template{}
	for _, tag := range languages {
		lang := tag.String()
		all[lang] = map[string]*template.Template{}
		base, err := template.New("base").Funcs(c.functions(lang)).Option("missingkey=error").ParseFS(templates, "templates/*.html")
		if err != nil {
			return nil, fmt.Errorf("parse templates: %w", err)
		}
		for _, file := range files {
			t, err := base.Clone()
			if err == nil {
				t, err = t.ParseFS(templates, file)
			}
			if err != nil {
				return nil, fmt.Errorf("parse %s: %w", file, err)
			}
			all[lang][strings.TrimSuffix(path.Base(file), ".html")] = t
		}
	}
	return all, nil
}

// Content-Security-Policy of pages: files of this server, and nothing inline. img-src data: is for the
// picture of a one-time code's secret, which must not be at an address of its own.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// page is an answer to be rendered.
type page struct {
	name   string // of the template: pages/<name>.html
	title  string // in words
	status int    // 0: 200
	data   any
	form   url.Values
	errors map[string]string
	secret bool // its address is one: no request may say that it comes from there
}

// render answers with the page.
func (c *Console) render(w http.ResponseWriter, r *http.Request, p page) error {
	lang := c.catalogue.languageOf(r)
	t := c.pages[lang][p.name]
	if t == nil {
		return fmt.Errorf("no template for the page %q", p.name)
	}
	rec := web.RecordOf(r.Context())
	v := view{
		Lang: lang, Page: p.name, Title: p.title, Path: r.URL.RequestURI(), Me: rec.Principal, Form: p.form, Errors: p.errors, Data: p.data,
		Version: c.Version, Host: hostOf(c.Origin), RequestID: rec.RequestID,
	}
	if done := r.URL.Query().Get("done"); done != "" {
		if text, known := c.catalogue.lookup(lang, "done."+done); known {
			v.Flash = text
		}
	}
	if !strings.HasPrefix(p.name, "gate-") {
		var err error
		if v.Broken, err = c.chainBroken(r); err != nil {
			return err
		}
		if v.Tour, err = c.tourOf(r); err != nil {
			return err
		}
		v.TourSkipped = v.Tour == nil && c.tourOffered(r)
	}
	var buf bytes.Buffer
	if err := t.ExecuteTemplate(&buf, layoutOf(p.name), v); err != nil {
		return fmt.Errorf("render %s: %w", p.name, err)
	}
	if p.status == 0 {
		p.status = http.StatusOK
	}
	pageHeaders(w.Header())
	if p.secret {
		w.Header().Set("Referrer-Policy", "strict-origin") // without a referrer, browsers would not name the origin of a form either
	}
	w.Header().Set("Content-Language", lang)
	return web.Bytes(w, p.status, "text/html; charset=utf-8", buf.Bytes())
}

func pageHeaders(h http.Header) {
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Referrer-Policy", "same-origin") // resume.go returns to the page that a form was on
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	h.Set("Vary", "Accept-Language, Cookie")
	// Browsers that have given up telling their version in User-Agent tell it so, and which Windows it is; for
	// sign-in events (https://wicg.github.io/ua-client-hints).
	h.Set("Accept-CH", "Sec-CH-UA-Full-Version-List, Sec-CH-UA-Platform-Version")
}

func layoutOf(name string) string {
	if strings.HasPrefix(name, "gate-") {
		return "gate"
	}
	return "shell"
}

func hostOf(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	return host
}

// tr is a text in the language of the request.
func (c *Console) tr(r *http.Request, key string, pairs ...any) string {
	return c.catalogue.text(c.catalogue.languageOf(r), key, pairs...)
}

// form reads a posted form. Unlike [web.Form] it lets fields repeat: a group of boxes does.
func form(r *http.Request) (url.Values, error) {
	if r.PostForm == nil {
		if err := r.ParseForm(); err != nil {
			return nil, problem.New(problem.Invalid, "the form cannot be read; go back and send it again").WithCause(err)
		}
	}
	return r.PostForm, nil
}
