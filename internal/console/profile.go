package console

import (
	"net/http"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

func (c *Console) profileRoutes() []web.Route {
	member, fresh := web.SignedIn(web.Member), web.SignedIn(web.Member).Fresh()
	// Who must set up one-time codes before anything else may do that, and read the codes that come with it.
	enrolling := web.SignedIn(signin.Enrolling).Fresh()
	return []web.Route{
		{Pattern: "GET /profile", Access: member, Handle: c.profile},

		{Pattern: "GET /profile/passkeys/new", Access: fresh, Handle: c.newPasskey},
		{Pattern: "POST /profile/passkeys/begin", Access: fresh, Handle: c.passkeyBegin},
		{Pattern: "POST /profile/passkeys/finish", Access: fresh, Handle: c.passkeyFinish},
		{Pattern: "GET /profile/passkeys/{passkey}/rename", Access: member, Handle: c.passkeyAction("rename_passkey")},
		{Pattern: "POST /profile/passkeys/{passkey}/rename", Access: member, Handle: c.renamePasskey},
		{Pattern: "GET /profile/passkeys/{passkey}/remove", Access: member, Handle: c.passkeyAction("remove_passkey")},
		{Pattern: "POST /profile/passkeys/{passkey}/remove", Access: fresh, Handle: c.removePasskey},

		{Pattern: "GET /profile/password", Access: fresh, Handle: c.newPassword},
		{Pattern: "POST /profile/password", Access: fresh, Handle: c.setPassword},
		{Pattern: "GET /profile/password/remove", Access: member, Handle: c.plainAction("remove_password")},
		{Pattern: "POST /profile/password/remove", Access: fresh, Handle: c.removePassword},

		{Pattern: "GET /profile/totp/new", Access: enrolling, Handle: c.newTOTP},
		{Pattern: "POST /profile/totp", Access: enrolling, Handle: c.setTOTP},
		{Pattern: "GET /profile/totp/remove", Access: member, Handle: c.plainAction("remove_totp")},
		{Pattern: "POST /profile/totp/remove", Access: fresh, Handle: c.removeTOTP},
		{Pattern: "GET /profile/recovery-codes", Access: member, Handle: c.plainAction("new_codes")},
		{Pattern: "POST /profile/recovery-codes", Access: fresh, Handle: c.newRecoveryCodes},

		{Pattern: "GET /profile/sessions/end-others", Access: member, Handle: c.plainAction("end_others")},
		{Pattern: "POST /profile/sessions/end-others", Access: member, Handle: c.endOthers},
		{Pattern: "GET /profile/sessions/{session}/end", Access: member, Handle: c.sessionAction},
		{Pattern: "POST /profile/sessions/{session}/end", Access: member, Handle: c.endSession},
	}
}

// profilePage is the data of pages/profile.html.
type profilePage struct {
	Groups   []directory.Group
	Methods  signin.Methods
	Policy   signin.Policy
	Sessions []ownSession
	Others   int // sessions besides this one
	Attempts []signin.Attempt
	Slowed   signin.Slowed
}

type ownSession struct {
	signin.Session
	This bool // it is the one that looks at the page
}

// recentAttempts is how many tries to sign in are shown.
const recentAttempts = 10

func (c *Console) profile(w http.ResponseWriter, r *http.Request) error {
	p, ctx := me(r), r.Context()
	var data profilePage
	var err error
	if data.Groups, err = c.Directory.Store.GroupsOf(ctx, p.AccountID, p.UserID); err != nil {
		return err
	}
	if data.Methods, err = c.SignIn.Methods(ctx, p.AccountID, p.UserID); err != nil {
		return err
	}
	if data.Policy, err = c.SignIn.Policy(ctx, p.AccountID); err != nil {
		return err
	}
	sessions, err := c.SignIn.Sessions(ctx, p.AccountID, p.UserID)
	if err != nil {
		return err
	}
	for _, s := range sessions {
		this := s.ID == p.SessionID
		if !this {
			data.Others++
		}
		data.Sessions = append(data.Sessions, ownSession{s, this})
	}
	data.Attempts, err = c.SignIn.Attempts(ctx, signin.AttemptQuery{AccountID: p.AccountID, UserID: p.UserID, Limit: recentAttempts})
	if err != nil {
		return err
	}
	if data.Slowed, err = c.SignIn.Slowed(ctx, p.AccountID, p.UserID); err != nil {
		return err
	}
	return c.render(w, r, page{name: "profile", title: c.tr(r, "nav.profile"), data: data})
}

// profileAction is the data of pages/profile-action.html: one thing to do, on a page of its own.
type profileAction struct {
	Kind      string // the key of its texts, and of its fields
	Action    string // where its form goes
	Danger    bool
	Subject   string // what it is about: the name of a passkey, the browser of a session
	Email     string
	MinLength int
	Has       bool // a password is changed, not set
	Enrol     bool // nothing else can be done before this

	Secret string // of one-time codes, once
	QR     string // the same as a picture: base64 of a PNG, once
	Ticket string
	Codes  []string // recovery codes, once
}

// act shows the page of an action; after a failure with the error.
func (c *Console) act(w http.ResponseWriter, r *http.Request, a profileAction, failed error) error {
	name := "profile-action"
	if a.Enrol {
		name = "gate-enrol" // outside the shell: nothing in its navigation can be opened yet
	}
	p := page{name: name, title: c.tr(r, "profile."+a.Kind+".title", "Name", a.Subject), data: a, form: r.PostForm}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

// plainAction is the page of an action that is about nothing but the person.
func (c *Console) plainAction(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return c.act(w, r, plain(kind), nil) }
}

// plain are the actions of plainAction.
func plain(kind string) profileAction {
	switch kind {
	case "remove_password":
		return profileAction{Kind: kind, Action: "/profile/password/remove", Danger: true}
	case "remove_totp":
		return profileAction{Kind: kind, Action: "/profile/totp/remove", Danger: true}
	case "new_codes":
		return profileAction{Kind: kind, Action: "/profile/recovery-codes"}
	}
	return profileAction{Kind: "end_others", Action: "/profile/sessions/end-others", Danger: true}
}

// by begins the audit entry of what the person does to her own account.
func by(r *http.Request, action audit.Action) audit.Entry {
	return audit.By(r, action, "user:"+me(r).UserID)
}

func (c *Console) newPasskey(w http.ResponseWriter, r *http.Request) error {
	return c.act(w, r, profileAction{Kind: "add_passkey"}, nil)
}

func (c *Console) passkeyBegin(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return c.told(w, r, err)
	}
	asked, ticket, err := c.SignIn.BeginRegister(r.Context(), me(r))
	if err != nil {
		return c.told(w, r, err)
	}
	c.keep(w, passkeyCookie, ticket, makeLife, f.Get("name"))
	return options(w, asked)
}

func (c *Console) passkeyFinish(w http.ResponseWriter, r *http.Request) error {
	body, err := credential(r)
	if err != nil {
		return c.told(w, r, err)
	}
	ticket, name := kept(r, passkeyCookie)
	drop(w, passkeyCookie)
	if _, err := c.SignIn.FinishRegister(r.Context(), me(r), ticket, name, body, by(r, audit.PasskeyAdd)); err != nil {
		return c.told(w, r, err)
	}
	return location(w, "/profile?done=passkey_added")
}

// ownPasskey finds a passkey of the person.
func (c *Console) ownPasskey(r *http.Request) (signin.Passkey, error) {
	p := me(r)
	m, err := c.SignIn.Methods(r.Context(), p.AccountID, p.UserID)
	if err != nil {
		return signin.Passkey{}, err
	}
	for _, k := range m.Passkeys {
		if k.ID == r.PathValue("passkey") {
			return k, nil
		}
	}
	return signin.Passkey{}, problem.New(problem.NotFound, "you have no such passkey")
}

func passkeyPage(kind string, k signin.Passkey) profileAction {
	verb := "/rename"
	if kind == "remove_passkey" {
		verb = "/remove"
	}
	return profileAction{Kind: kind, Action: "/profile/passkeys/" + k.ID + verb, Danger: kind == "remove_passkey", Subject: k.Name}
}

func (c *Console) passkeyAction(kind string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		k, err := c.ownPasskey(r)
		if err != nil {
			return err
		}
		return c.act(w, r, passkeyPage(kind, k), nil)
	}
}

func (c *Console) renamePasskey(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	k, err := c.ownPasskey(r)
	if err != nil {
		return err
	}
	if err := c.SignIn.RenamePasskey(r.Context(), me(r), k.ID, f.Get("name"), by(r, audit.PasskeyRename)); err != nil {
		return c.act(w, r, passkeyPage("rename_passkey", k), err)
	}
	return redirect(w, r, "/profile?done=passkey_renamed")
}

func (c *Console) removePasskey(w http.ResponseWriter, r *http.Request) error {
	k, err := c.ownPasskey(r)
	if err != nil {
		return err
	}
	if err := c.SignIn.RemovePasskey(r.Context(), me(r), k.ID, by(r, audit.PasskeyRemove)); err != nil {
		return c.act(w, r, passkeyPage("remove_passkey", k), err)
	}
	return redirect(w, r, "/profile?done=passkey_removed")
}
