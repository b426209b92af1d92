package console

import (
	"errors"
	"net/http"
	"net/url"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

func (c *Console) settingsRoutes() []web.Route {
	may := web.SignedIn(web.People)
	routes := []web.Route{{Pattern: "GET /settings", Access: may, Handle: c.settings}}
	for _, s := range settingsSections() {
		routes = append(routes,
			web.Route{Pattern: "GET /settings/" + s.name, Access: may, Handle: c.backToSettings},
			web.Route{Pattern: "POST /settings/" + s.name, Access: may.Fresh(), Handle: c.saveSettings(s)},
		)
	}
	return routes
}

// settingsSection is a part of the settings that is saved by itself.
type settingsSection struct {
	name string // in its address
	done string // key of what is said when it was saved

	// change changes the policy to what the form says. It is nil for the section of the account.
	change func(*signin.Policy, url.Values) error
	// fields are names of fields of other sections, and the field of this section that is as good.
	fields map[string]string
}

func settingsSections() []settingsSection {
	return []settingsSection{
		{name: "account", done: "account_saved", fields: map[string]string{"name": "account_name"}},
		{name: "sign-in", done: "sign_in_saved", change: changeWays},
		{name: "sessions", done: "sessions_saved", change: changeSessions},
		{name: "sso", done: "sso_saved", change: changeSSO, fields: map[string]string{"passkeys": "sso"}},
	}
}

// settingsPage is the data of pages/settings.html.
type settingsPage struct {
	Account  directory.Account
	Policy   signin.Policy
	Section  string // that was not saved; empty: none
	Values   url.Values
	APIURL   string
	Redirect string // what the OpenID provider must be told
	Units    []string
}

// Value is what stands in a field, and Ticked whether a box is.
func (p settingsPage) Value(field string) string { return p.Values.Get(field) }

// Ticked reports whether the box of the name is ticked.
func (p settingsPage) Ticked(field string) bool { return p.Values.Get(field) != "" }

func (c *Console) settings(w http.ResponseWriter, r *http.Request) error {
	p, err := c.settingsView(r, "", nil)
	if err != nil {
		return err
	}
	return c.render(w, r, p)
}

// settingsView is the page with what is stored, and for one section with what was typed.
func (c *Console) settingsView(r *http.Request, section string, typed url.Values) (page, error) {
	account, err := c.Directory.Store.Account(r.Context(), me(r).AccountID)
	if err != nil {
		return page{}, err
	}
	policy, err := c.SignIn.Policy(r.Context(), account.ID)
	if err != nil {
		return page{}, err
	}
	data := settingsPage{
		Account: account, Policy: policy, Section: section, Values: stored(account, policy),
		APIURL: c.APIURL, Redirect: c.Origin + signin.SSOPath, Units: unitNames(),
	}
	for _, field := range sectionFields(section) {
		data.Values.Set(field, typed.Get(field))
	}
	return page{name: "settings", title: c.tr(r, "nav.settings"), data: data, form: typed}, nil
}

// stored are the fields of all sections, as they are in the database.
func stored(account directory.Account, p signin.Policy) url.Values {
	v := url.Values{}
	v.Set("account_name", account.Name)
	for field, on := range map[string]bool{"passkeys": p.Passkeys, "passwords": p.Passwords, "require_code": p.RequireCode, "sso": p.SingleSignOn} {
		if on {
			v.Set(field, "on")
		}
	}
	number, unit := lengthOf(p.Idle)
	v.Set("idle", number)
	v.Set("idle_unit", unit)
	number, unit = lengthOf(p.Absolute)
	v.Set("absolute", number)
	v.Set("absolute_unit", unit)
	v.Set("issuer", p.Issuer)
	v.Set("client_id", p.ClientID)
	return v
}

// sectionFields are those that are shown again as they were typed. The client secret is not.
func sectionFields(section string) []string {
	switch section {
	case "account":
		return []string{"account_name"}
	case "sign-in":
		return []string{"passkeys", "passwords", "require_code"}
	case "sessions":
		return []string{"idle", "idle_unit", "absolute", "absolute_unit"}
	case "sso":
		return []string{"sso", "issuer", "client_id"}
	}
	return nil
}

// backToSettings is what is at the address of a form that was posted, when it is opened as a page.
func (c *Console) backToSettings(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, "/settings")
}

func (c *Console) saveSettings(s settingsSection) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		f, err := form(r)
		if err != nil {
			return err
		}
		err = c.change(r, s, f)
		if err == nil {
			return redirect(w, r, "/settings?done="+s.done)
		}
		if p, ok := errors.AsType[*problem.Error](err); ok && s.fields[p.Field] != "" {
			named := *p
			named.Field = s.fields[p.Field]
			err = &named
		}
		shown, failed := c.settingsView(r, s.name, f)
		if failed != nil {
			return failed
		}
		return c.again(w, r, shown, err)
	}
}

func (c *Console) change(r *http.Request, s settingsSection, f url.Values) error {
	account := me(r).AccountID
	if s.change == nil {
		return c.Directory.RenameAccount(r.Context(), account, f.Get("account_name"), audit.By(r, audit.AccountUpdate, ""))
	}
	policy, err := c.SignIn.Policy(r.Context(), account)
	if err != nil {
		return err
	}
	if err := s.change(&policy, f); err != nil {
		return err
	}
	secret := ""
	if s.name == "sso" {
		secret = f.Get("client_secret")
	}
	return c.SignIn.SetPolicy(r.Context(), account, policy, secret, audit.By(r, audit.PolicySet, ""))
}

func changeWays(p *signin.Policy, f url.Values) error {
	p.Passkeys, p.Passwords, p.RequireCode = f.Get("passkeys") != "", f.Get("passwords") != "", f.Get("require_code") != ""
	return nil
}

func changeSessions(p *signin.Policy, f url.Values) (err error) {
	if p.Idle, err = length("idle", f); err != nil {
		return err
	}
	p.Absolute, err = length("absolute", f)
	return err
}

func changeSSO(p *signin.Policy, f url.Values) error {
	p.SingleSignOn, p.Issuer, p.ClientID = f.Get("sso") != "", f.Get("issuer"), f.Get("client_id")
	return nil
}
