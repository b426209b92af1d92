package console

import (
	"net/http"
	"net/url"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

func (c *Console) signinRoutes() []web.Route {
	guest := web.Guest("who wants in is not in yet")
	member := web.SignedIn(signin.Enrolling)
	return []web.Route{
		{Pattern: "GET /sign-in", Access: guest, Handle: c.signIn},
		{Pattern: "POST /sign-in", Access: guest, Handle: c.signInPassword},
		{Pattern: "GET /sign-in/code", Access: guest, Handle: c.signInCode},
		{Pattern: "POST /sign-in/code", Access: guest, Handle: c.signInWithCode},
		{Pattern: "POST /sign-in/passkey/begin", Access: guest, Handle: c.metered(c.signInPasskeyBegin)},
		{Pattern: "POST /sign-in/passkey/finish", Access: guest, Handle: c.metered(c.signInPasskeyFinish)},
		{Pattern: "GET /sign-in/sso", Access: guest, Handle: c.metered(c.signInSSO)},
		{Pattern: "GET " + signin.SSOPath, Access: guest, Handle: c.metered(c.signInSSOBack)},
		{Pattern: "POST /sign-out", Access: web.Guest("also who is not signed in any more wants to be out"), Handle: c.signOut},

		{Pattern: "GET /setup", Access: guest, Handle: c.setup},
		{Pattern: "POST /setup", Access: guest, Handle: c.metered(c.setupChoice)},
		{Pattern: "POST /setup/password", Access: guest, Handle: c.metered(c.setupPassword)},
		{Pattern: "POST /setup/passkey/begin", Access: guest, Handle: c.metered(c.setupPasskeyBegin)},
		{Pattern: "POST /setup/passkey/finish", Access: guest, Handle: c.metered(c.setupPasskeyFinish)},
		{Pattern: "GET /setup/done", Access: member, Handle: c.setupDone},

		{Pattern: "GET /confirm", Access: member, Handle: c.confirm},
		{Pattern: "POST /confirm", Access: member, Handle: c.confirmPassword},
		{Pattern: "POST /confirm/passkey/begin", Access: member, Handle: c.confirmPasskeyBegin},
		{Pattern: "POST /confirm/passkey/finish", Access: member, Handle: c.confirmPasskeyFinish},
		{Pattern: "GET /confirm/sso", Access: member, Handle: c.confirmSSO},
	}
}

// The cookies that carry a ticket from one step to the next. Each kind of step has its own, so that the
// offer of passkeys in one tab takes nothing away from the code that is awaited in another.
const (
	codeCookie    = "__Host-holdfast-step"
	passkeyCookie = "__Host-holdfast-step-passkey"
	ssoCookie     = "__Host-holdfast-step-sso"
)

// How long the cookies live: as long as the tickets in them.
const (
	stepLife  = 5 * time.Minute
	makeLife  = 15 * time.Minute // to make a passkey
	trip      = 10 * time.Minute // to an OpenID provider and back
	enrolPage = "/profile/totp/new?enrol=1"
)

// keep puts a ticket into the browser, beside what else the step needs.
func (c *Console) keep(w http.ResponseWriter, name string, ticket signin.Ticket, life time.Duration, beside ...string) {
	parts := []string{string(ticket)}
	for _, s := range beside {
		parts = append(parts, url.PathEscape(s))
	}
	http.SetCookie(w, web.Cookie(name, strings.Join(parts, "."), c.Now().Add(life)))
}

// drop removes a cookie.
func drop(w http.ResponseWriter, name string) {
	cookie := web.Cookie(name, "", time.Unix(1, 0))
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
}

// kept is the ticket that the browser brings back, and what was beside it; the empty ticket if it brings
// none, or several.
func kept(r *http.Request, name string) (ticket signin.Ticket, beside string) {
	cookies := r.CookiesNamed(name)
	if len(cookies) != 1 {
		return "", ""
	}
	text, rest := cutTicket(cookies[0].Value)
	return signin.Ticket(text), rest
}

// signInPage is the data of pages/gate-sign-in.html.
type signInPage struct {
	Next string // where to go after it; empty for the overview
	SSO  []signin.SSOChoice
}

// signIn is the page for who is not signed in. Who is goes on.
func (c *Console) signIn(w http.ResponseWriter, r *http.Request) error {
	next := nextOf(r.URL.Query())
	if p := me(r); p.SessionID != "" {
		return redirect(w, r, onwards(p, next))
	}
	return c.showSignIn(w, r, next, nil, nil)
}

// nextOf is where somebody wants to go, within this console.
func nextOf(v url.Values) string { return local(v.Get("next"), "/") }

// onwards is where to go: who must set up one-time codes goes nowhere else.
func onwards(p web.Principal, next string) string {
	if !p.Has(web.Member) {
		return enrolPage
	}
	return next
}

// showSignIn shows the page, after a failure with what was typed.
func (c *Console) showSignIn(w http.ResponseWriter, r *http.Request, next string, typed url.Values, failed error) error {
	choices, err := c.SignIn.SSOChoices(r.Context())
	if err != nil {
		return err
	}
	data := signInPage{SSO: choices}
	if next != "/" {
		data.Next = next
	}
	p := page{name: "gate-sign-in", title: c.tr(r, "signin.title"), data: data, form: url.Values{"email": typed["email"]}}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) signInPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	next := nextOf(f)
	in, ticket, err := c.SignIn.Password(r.Context(), c.client(r), f.Get("email"), f.Get("password"))
	if err != nil {
		return c.showSignIn(w, r, next, f, err)
	}
	if ticket != "" {
		c.keep(w, codeCookie, ticket, stepLife)
		return redirect(w, r, withNext("/sign-in/code", next))
	}
	to, err := c.letIn(w, r, in, next)
	if err != nil {
		return err
	}
	return redirect(w, r, to)
}

// withNext is the path with where to go after it.
func withNext(path, next string) string {
	if next == "/" || next == "" {
		return path
	}
	return path + "?next=" + url.QueryEscape(next)
}

// letIn gives the browser its new session, and returns where to go. The session that it had is ended: nobody
// can have left one there for the person to go on with.
func (c *Console) letIn(w http.ResponseWriter, r *http.Request, in signin.SignedIn, next string) (string, error) {
	if before := me(r); before.SessionID != "" {
		err := c.SignIn.SignOut(r.Context(), before, audit.By(r, audit.SessionEnd, "session:"+before.SessionID))
		if err != nil && !problem.Is(err, problem.NotFound) {
			return "", err
		}
	}
	rec := web.RecordOf(r.Context())
	rec.Target = in.Person.Actor()
	for _, name := range []string{codeCookie, passkeyCookie, ssoCookie} {
		if len(r.CookiesNamed(name)) > 0 {
			drop(w, name)
		}
	}
	http.SetCookie(w, web.Cookie(web.SessionCookie, in.Token.Reveal(), in.Session.ExpiresAt))
	if in.Enrol {
		return enrolPage, nil
	}
	return next, nil
}

// signInCodePage is the data of pages/gate-code.html.
type signInCodePage struct{ Next string }

func (c *Console) signInCode(w http.ResponseWriter, r *http.Request) error {
	next := nextOf(r.URL.Query())
	if ticket, _ := kept(r, codeCookie); ticket == "" {
		return redirect(w, r, withNext("/sign-in", next))
	}
	return c.render(w, r, c.codePage(r, next))
}

func (c *Console) codePage(r *http.Request, next string) page {
	return page{name: "gate-code", title: c.tr(r, "signin.code_title"), data: signInCodePage{Next: next}}
}

func (c *Console) signInWithCode(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	next := nextOf(f)
	ticket, _ := kept(r, codeCookie)
	in, err := c.SignIn.Code(r.Context(), c.client(r), ticket, f.Get("code"))
	if isOver(err) {
		drop(w, codeCookie)
		return c.showSignIn(w, r, next, nil, err)
	}
	if err != nil {
		return c.again(w, r, c.codePage(r, next), err)
	}
	to, err := c.letIn(w, r, in, next)
	if err != nil {
		return err
	}
	return redirect(w, r, to)
}

// isOver reports whether a ticket cannot be used any more.
func isOver(err error) bool {
	return err != nil && problem.Public(err).Code == signin.ErrOver().Code
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request) error {
	if p := me(r); p.SessionID != "" {
		err := c.SignIn.SignOut(r.Context(), p, audit.By(r, audit.SessionEnd, "session:"+p.SessionID))
		if err != nil && !problem.Is(err, problem.NotFound) {
			return err
		}
	}
	drop(w, web.SessionCookie)
	// Not "cookies": that would forget the language, too.
	w.Header().Set("Clear-Site-Data", `"cache", "storage"`)
	return redirect(w, r, "/sign-in?done=signed_out")
}

// metered bounds how often one address may do what writes to the database before anybody is known: 120
// times at once, and once more each second. Passwords and codes have their own brake, in signin.
func (c *Console) metered(handle web.Handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if wait, within := c.strangers.Fail(web.AddressKey(web.RecordOf(r.Context()).Address)); !within {
			return signin.ErrSlowed(wait)
		}
		return handle(w, r)
	}
}
