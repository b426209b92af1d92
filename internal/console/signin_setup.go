package console

import (
	"net/http"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// minPassword is what the hint beside a new password says, in characters; signin.CheckPassword decides.
const minPassword = 12

// setupPage is the data of pages/gate-setup.html. Without a person it asks for the link: that is behind the
// # of the address, which browsers keep to themselves, so a script posts it, or the person pastes it.
type setupPage struct {
	Link      string
	Person    *signin.Person
	Passkeys  bool // the account allows them
	Passwords bool
	MinLength int
}

func (c *Console) setup(w http.ResponseWriter, r *http.Request) error {
	return c.render(w, r, page{name: "gate-setup", title: c.tr(r, "signin.setup_title"), data: setupPage{}})
}

// linkIn finds the link in what was pasted: the whole address, or what is behind its #.
func linkIn(text string) string {
	text = strings.TrimSpace(text)
	if _, link, ok := strings.Cut(text, "#"); ok {
		return strings.TrimSpace(link)
	}
	return text
}

// setupChoice shows whose link it is, and which ways in there are. It uses nothing up.
func (c *Console) setupChoice(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	return c.showSetup(w, r, linkIn(f.Get("link")), nil)
}

func (c *Console) showSetup(w http.ResponseWriter, r *http.Request, link string, failed error) error {
	p := page{name: "gate-setup", title: c.tr(r, "signin.setup_title")}
	person, policy, err := c.SignIn.SetupPerson(r.Context(), link)
	if isLinkOver(err) || isLinkOver(failed) {
		p.data = setupPage{}
		over := problem.Public(signin.ErrLink())
		return c.again(w, r, p, problem.Coded(problem.Conflict, over.Code, "%s", over.Detail))
	}
	if err != nil {
		return err
	}
	p.data = setupPage{Link: link, Person: &person, Passkeys: policy.Passkeys, Passwords: policy.Passwords, MinLength: minPassword}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func isLinkOver(err error) bool {
	return err != nil && problem.Public(err).Code == signin.ErrLink().Code
}

func (c *Console) setupPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	link := f.Get("link")
	in, err := c.SignIn.SetupPassword(r.Context(), c.client(r), link, f.Get("password"))
	if err != nil {
		return c.showSetup(w, r, link, err)
	}
	to, err := c.letIn(w, r, in, "/setup/done")
	if err != nil {
		return err
	}
	return redirect(w, r, to)
}

func (c *Console) setupPasskeyBegin(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return c.told(w, r, err)
	}
	link := f.Get("link")
	asked, ticket, err := c.SignIn.BeginSetupPasskey(r.Context(), link)
	if err != nil {
		return c.told(w, r, err)
	}
	c.keep(w, passkeyCookie, ticket, makeLife, link)
	return options(w, asked)
}

func (c *Console) setupPasskeyFinish(w http.ResponseWriter, r *http.Request) error {
	body, err := credential(r)
	if err != nil {
		return c.told(w, r, err)
	}
	ticket, link := kept(r, passkeyCookie)
	drop(w, passkeyCookie)
	in, err := c.SignIn.FinishSetupPasskey(r.Context(), c.client(r), link, ticket, body)
	if err != nil {
		return c.told(w, r, err)
	}
	to, err := c.letIn(w, r, in, "/setup/done")
	if err != nil {
		return err
	}
	return location(w, to)
}

// setupDonePage is the data of pages/gate-setup-done.html.
type setupDonePage struct {
	Passkeys int
	Password bool
	Codes    bool
	Allowed  signin.Policy
}

// setupDone says what to do next, so that nobody is left with one way in only.
func (c *Console) setupDone(w http.ResponseWriter, r *http.Request) error {
	p := me(r)
	m, err := c.SignIn.Methods(r.Context(), p.AccountID, p.UserID)
	if err != nil {
		return err
	}
	policy, err := c.SignIn.Policy(r.Context(), p.AccountID)
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "gate-setup-done", title: c.tr(r, "signin.done_title"), data: setupDonePage{
		Passkeys: len(m.Passkeys), Password: m.PasswordHash != "", Codes: m.TOTP != nil, Allowed: policy,
	}})
}
