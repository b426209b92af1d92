package console

import (
	"net/http"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// confirmPage is the data of pages/gate-confirm.html: the ways in that the person has.
type confirmPage struct {
	Next     string
	Passkey  bool
	Password bool
	Code     bool // a one-time code goes with the password
	SSO      bool
}

func (c *Console) confirm(w http.ResponseWriter, r *http.Request) error {
	next := nextOf(r.URL.Query())
	if me(r).Fresh {
		return redirect(w, r, next)
	}
	return c.showConfirm(w, r, next, nil)
}

// showConfirm shows the page, after a failure with the error.
func (c *Console) showConfirm(w http.ResponseWriter, r *http.Request, next string, failed error) error {
	if hasEnded(failed) {
		return redirect(w, r, withNext("/sign-in", next))
	}
	p := me(r)
	m, err := c.SignIn.Methods(r.Context(), p.AccountID, p.UserID)
	if err != nil {
		return err
	}
	policy, err := c.SignIn.Policy(r.Context(), p.AccountID)
	if err != nil {
		return err
	}
	shown := page{name: "gate-confirm", title: c.tr(r, "signin.confirm_title"), data: confirmPage{
		Next:     next,
		Passkey:  policy.Passkeys && len(m.Passkeys) > 0,
		Password: policy.Passwords && m.PasswordHash != "",
		Code:     m.TOTP != nil,
		SSO:      policy.SingleSignOn && m.SSO,
	}}
	if failed != nil {
		return c.again(w, r, shown, failed)
	}
	return c.render(w, r, shown)
}

// hasEnded reports whether a session ended while its person confirmed it.
func hasEnded(err error) bool {
	return err != nil && problem.Public(err).Code == signin.ErrSessionEnded().Code
}

func (c *Console) confirmPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	next := nextOf(f)
	if err := c.SignIn.ConfirmPassword(r.Context(), c.client(r), me(r), f.Get("password"), f.Get("code")); err != nil {
		return c.showConfirm(w, r, next, err)
	}
	return redirect(w, r, next)
}

func (c *Console) confirmPasskeyBegin(w http.ResponseWriter, r *http.Request) error {
	asked, ticket, err := c.SignIn.BeginConfirmPasskey(r.Context(), me(r))
	if err != nil {
		return c.told(w, r, err)
	}
	c.keep(w, passkeyCookie, ticket, stepLife)
	return options(w, asked)
}

func (c *Console) confirmPasskeyFinish(w http.ResponseWriter, r *http.Request) error {
	body, err := credential(r)
	if err != nil {
		return c.told(w, r, err)
	}
	next := nextOf(r.URL.Query())
	ticket, _ := kept(r, passkeyCookie)
	drop(w, passkeyCookie)
	err = c.SignIn.FinishConfirmPasskey(r.Context(), c.client(r), me(r), ticket, body)
	if hasEnded(err) {
		return location(w, withNext("/sign-in", next))
	}
	if err != nil {
		return c.told(w, r, err)
	}
	return location(w, next)
}

func (c *Console) confirmSSO(w http.ResponseWriter, r *http.Request) error {
	next := nextOf(r.URL.Query())
	to, ticket, err := c.SignIn.BeginConfirmSSO(r.Context(), me(r), next)
	if err != nil {
		return c.showConfirm(w, r, next, shown(err))
	}
	c.keep(w, ssoCookie, ticket, trip)
	return away(w, to)
}
