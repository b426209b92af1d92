package console

import (
	"encoding/base64"
	"net/http"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// passwordAction is the page on which a password is set or changed.
func (c *Console) passwordAction(r *http.Request) (profileAction, error) {
	p := me(r)
	m, err := c.SignIn.Methods(r.Context(), p.AccountID, p.UserID)
	a := profileAction{Kind: "set_password", Action: "/profile/password", Email: p.Email, MinLength: minPassword}
	if m.PasswordHash != "" {
		a.Kind, a.Has = "change_password", true
	}
	return a, err
}

func (c *Console) newPassword(w http.ResponseWriter, r *http.Request) error {
	a, err := c.passwordAction(r)
	if err != nil {
		return err
	}
	return c.act(w, r, a, nil)
}

func (c *Console) setPassword(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	a, err := c.passwordAction(r)
	if err != nil {
		return err
	}
	if err := c.SignIn.SetPassword(r.Context(), me(r), f.Get("password"), by(r, audit.PasswordSet)); err != nil {
		return c.act(w, r, a, err)
	}
	return redirect(w, r, "/profile?done=password_set")
}

func (c *Console) removePassword(w http.ResponseWriter, r *http.Request) error {
	if err := c.SignIn.RemovePassword(r.Context(), me(r), by(r, audit.PasswordRemove)); err != nil {
		return c.act(w, r, plain("remove_password"), err)
	}
	return redirect(w, r, "/profile?done=password_removed")
}

// totpAction is the page on which one-time codes are set up.
func totpAction(r *http.Request) profileAction {
	return profileAction{Kind: "set_totp", Action: "/profile/totp", Enrol: !me(r).Has(web.Member)}
}

// newTOTP shows a new secret. Nothing changes before a code shows that it arrived.
func (c *Console) newTOTP(w http.ResponseWriter, r *http.Request) error {
	a := totpAction(r)
	s, err := c.SignIn.BeginTOTP(r.Context(), me(r))
	if err != nil {
		return c.act(w, r, a, err)
	}
	a.Secret, a.QR, a.Ticket = s.Secret.Reveal(), base64.StdEncoding.EncodeToString(s.QR), string(s.Ticket)
	return c.act(w, r, a, nil)
}

// setTOTP sets up one-time codes and shows the recovery codes that come with them: in this answer, and in
// no other.
func (c *Console) setTOTP(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	a := totpAction(r)
	codes, err := c.SignIn.FinishTOTP(r.Context(), me(r), signin.Ticket(f.Get("ticket")), f.Get("code"), by(r, audit.TOTPSet))
	if isOver(err) {
		return c.act(w, r, a, problem.New(problem.Conflict, "%s", c.tr(r, "profile.set_totp.over")))
	}
	if err != nil {
		a.Ticket = f.Get("ticket") // the secret that was scanned stays good
		return c.act(w, r, a, err)
	}
	a.Kind = "codes"
	for _, code := range codes {
		a.Codes = append(a.Codes, code.Reveal())
	}
	return c.act(w, r, a, nil)
}

func (c *Console) removeTOTP(w http.ResponseWriter, r *http.Request) error {
	if err := c.SignIn.RemoveTOTP(r.Context(), me(r), by(r, audit.TOTPRemove)); err != nil {
		return c.act(w, r, plain("remove_totp"), err)
	}
	return redirect(w, r, "/profile?done=totp_removed")
}

func (c *Console) newRecoveryCodes(w http.ResponseWriter, r *http.Request) error {
	a := plain("new_codes")
	codes, err := c.SignIn.NewRecoveryCodes(r.Context(), me(r), by(r, audit.RecoveryCodesSet))
	if err != nil {
		return c.act(w, r, a, err)
	}
	a.Kind = "codes"
	for _, code := range codes {
		a.Codes = append(a.Codes, code.Reveal())
	}
	return c.act(w, r, a, nil)
}

// ownSession finds a live session of the person.
func (c *Console) ownSession(r *http.Request) (profileAction, error) {
	p := me(r)
	sessions, err := c.SignIn.Sessions(r.Context(), p.AccountID, p.UserID)
	if err != nil {
		return profileAction{}, err
	}
	for _, s := range sessions {
		if s.ID == r.PathValue("session") {
			a := profileAction{Kind: "end_session", Action: "/profile/sessions/" + s.ID + "/end", Danger: true, Subject: browserOf(s.UserAgent)}
			if s.ID == p.SessionID {
				a.Kind = "end_this"
			}
			return a, nil
		}
	}
	return profileAction{}, problem.New(problem.NotFound, "you have no such session; it may have ended already")
}

func (c *Console) sessionAction(w http.ResponseWriter, r *http.Request) error {
	a, err := c.ownSession(r)
	if err != nil {
		return err
	}
	return c.act(w, r, a, nil)
}

// endSession ends one. That of the page itself is signing out.
func (c *Console) endSession(w http.ResponseWriter, r *http.Request) error {
	p, id := me(r), r.PathValue("session")
	if id == p.SessionID {
		return c.signOut(w, r)
	}
	if _, err := c.ownSession(r); err != nil {
		return err
	}
	if err := c.SignIn.EndSession(r.Context(), p.AccountID, p.UserID, id, audit.By(r, audit.SessionEnd, "session:"+id)); err != nil {
		return err
	}
	return redirect(w, r, "/profile?done=session_ended")
}

func (c *Console) endOthers(w http.ResponseWriter, r *http.Request) error {
	if _, err := c.SignIn.EndOtherSessions(r.Context(), me(r), by(r, audit.SessionEnd)); err != nil {
		return err
	}
	return redirect(w, r, "/profile?done=sessions_ended")
}
