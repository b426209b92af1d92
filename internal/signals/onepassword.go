package signals

import (
	"cmp"
	"strings"
)

// onePassword reads what the Events API gives: sign-in attempts of v1 and v2, item usages, audit
// events of v1, v2 and v3. Holdfast's own feed has the same form.
type onePassword struct{ where countries }

// onePasswordParts are the members of the three kinds of events that more than one place needs.
type onePasswordParts struct {
	category, outcome, action, country, timestamp   string
	target, user, client, location                  int // absent, or a node
	item, vault, actor, object, objectType, session int
}

// decode goes through the members once. The kinds differ in what only they have: a target_user, an
// item_uuid, an action on an object.
func (o onePassword) decode(d *document, e *Event) error {
	p := onePasswordParts{
		target: absent, user: absent, client: absent, location: absent, item: absent, vault: absent,
		actor: absent, object: absent, objectType: absent, session: absent,
	}
	p.read(d, e)
	if err := e.when(cmp.Or(p.timestamp, d.str(d.path("p_event_time")))); err != nil {
		return err
	}
	onePasswordClient(d, p.client, e)
	e.place(o.where, cmp.Or(d.str(d.get(p.location, "country")), p.country), d.str(d.get(p.location, "region")), d.str(d.get(p.location, "city")),
		d.float(d.get(p.location, "latitude")), d.float(d.get(p.location, "longitude")))
	switch {
	case p.target != absent || p.category != "" && p.outcome != "":
		e.Class, e.Activity, e.Code = ClassAuthentication, Logon, "signinattempt"
		e.Service.Name = "1Password"
		onePasswordUser(d, p.target, &e.User)
		onePasswordOutcome(e, p.category, p.outcome)
	case p.item != absent || p.vault != absent:
		e.Class, e.Activity, e.StatusID = ClassEntityManagement, EntityRead, StatusSuccess
		e.Code = strings.TrimSuffix("itemusage."+p.action, ".")
		if p.action == "server-create" || p.action == "server-update" {
			e.Activity = EntityUpdate
		}
		onePasswordUser(d, p.user, &e.User)
		e.Entity = Entity{ID: d.str(p.item), Type: "item"}
		if p.item == absent {
			e.Entity = Entity{ID: d.str(p.vault), Type: "vault"}
		} else {
			e.keep("vault_uuid", d.raw(p.vault))
		}
	case p.action != "" && p.objectType != absent:
		onePasswordAudit(d, e, p)
	default:
		e.Status, e.StatusCode = p.category, p.outcome
		onePasswordUser(d, p.user, &e.User)
	}
	return nil
}

func (p *onePasswordParts) read(d *document, e *Event) {
	for i := range d.inside(0) {
		switch name := d.key(i); name {
		case "uuid":
			e.SourceID = d.str(i)
		case "session_uuid":
			e.Session = d.str(i)
		case "timestamp":
			p.timestamp = d.str(i)
		case "category":
			p.category = d.str(i)
		case "type":
			p.outcome = d.str(i)
		case "action":
			p.action = d.str(i)
		case "country":
			p.country = d.str(i)
		case "details":
			e.Rule = cmp.Or(d.str(d.get(i, "value")), d.str(i))
		case "target_user":
			p.target = i
		case "user":
			p.user = i
		case "client":
			p.client = i
		case "location":
			p.location = i
		case "item_uuid":
			p.item = i
		case "vault_uuid":
			p.vault = i
		case "actor_uuid":
			e.Actor.ID = d.str(i)
		case "actor_details":
			p.actor = i
		case "actor_type":
			e.Actor.Type = d.str(i)
		case "object_type":
			p.objectType = i
		case "object_uuid":
			p.object = i
		case "session":
			p.session = i
		case "object_details", "aux_details", "p_event_time": // asked for by name
		case "account_uuid": // the same in every event; a rule finds it in Raw
		default:
			e.keep(name, d.raw(i))
		}
	}
}

func onePasswordUser(d *document, i int, u *User) {
	for j := range d.inside(i) {
		switch d.key(j) {
		case "uuid":
			u.ID = d.str(j)
		case "name":
			u.Name = d.str(j)
		case "email":
			u.Email = d.str(j)
			u.Login = u.Email
		case "type":
			u.Type = d.str(j)
		}
	}
}

func onePasswordClient(d *document, i int, e *Event) {
	c := &e.Client
	for j := range d.inside(i) {
		switch name := d.key(j); name {
		case "ip_address":
			e.Src.IP = d.str(j)
		case "app_name":
			c.App = d.str(j)
		case "app_version":
			c.AppVersion = d.str(j)
		case "platform_name":
			c.Platform = d.str(j)
		case "platform_version":
			c.PlatformVersion = d.str(j)
		case "os_name":
			c.OS = d.str(j)
		case "os_version":
			c.OSVersion = d.str(j)
		default:
			e.keep("client."+name, d.raw(j))
		}
	}
}

// onePasswordOutcome reads category and type of a sign-in attempt.
func onePasswordOutcome(e *Event, category, outcome string) {
	e.Status, e.StatusDetail, e.StatusCode = category, category, outcome
	switch category {
	case "success":
		e.StatusID = StatusSuccess
	case "firewall_reported_success":
		e.StatusID, e.Disposition, e.Alert = StatusSuccess, DispositionLogged, true
	case "firewall_failed":
		e.StatusID, e.Disposition, e.Alert, e.Reason = StatusFailure, DispositionBlocked, true, Blocked
	case "credentials_failed":
		e.StatusID, e.Reason = StatusFailure, BadCredentials
	case "mfa_failed":
		e.StatusID, e.Reason = StatusFailure, MFAFailed
	case "sso_failed":
		e.StatusID, e.Reason = StatusFailure, SSOFailed
	case "modern_version_failed":
		e.StatusID, e.Reason = StatusFailure, ClientOutdated
	}
	if e.Alert {
		e.verdict("firewall", outcome)
	}
	switch outcome {
	case "mfa_missing":
		e.MFA, e.Reason = Yes, MFARequired
	case "mfa_ok":
		e.MFA = Yes
	case "credentials_ok":
		if e.StatusID == StatusSuccess {
			e.MFA = No
		}
	}
	method, what, _ := strings.Cut(outcome, "_")
	switch method {
	case "totp":
		e.factor(FactorOTP, method)
	case "u2f":
		e.factor(FactorU2F, method)
	case "duo":
		e.factor(FactorPush, method)
	case "code":
		e.factor(FactorOther, method)
	case "platform": // platform_secret_*: the key that an SSO device has
		return
	default:
		return
	}
	e.MFA = Yes
	if what == "timeout" || what == "timout" { // the second one is how the API spells it for u2f
		e.Reason = MFATimeout
	}
}

// factor adds a factor by the source's word, or else that of OCSF.
func (e *Event) factor(id FactorID, name string) {
	const most = 16
	if len(e.Factors) < most {
		e.Factors = append(e.Factors, Factor{id, cmp.Or(name, Factor{ID: id}.name())})
	}
}

// onePasswordAudit reads an audit event. Those about people change an account; the others are of no
// class here and keep their names.
func onePasswordAudit(d *document, e *Event, p onePasswordParts) {
	objectType := d.str(p.objectType)
	e.Code, e.StatusID, e.Activity = "auditevent."+objectType+"."+p.action, StatusSuccess, ActivityOther
	onePasswordUser(d, p.actor, &e.Actor)
	e.Session = cmp.Or(e.Session, d.str(d.get(p.session, "uuid")))
	e.Src.IP = cmp.Or(e.Src.IP, d.str(d.get(p.session, "ip")))
	e.Device.ID = d.str(d.get(p.session, "device_uuid"))
	switch objectType {
	case "user":
		e.User.ID = d.str(p.object)
		onePasswordUser(d, d.path("object_details"), &e.User)
	case "gm", "uva", "gva": // somebody in a group, or with access to a vault: the person is the other party
		e.Entity = Entity{ID: d.str(p.object), Type: objectType}
		e.User.ID = d.str(d.path("aux_uuid"))
		onePasswordUser(d, d.path("aux_details"), &e.User)
	default:
		e.Entity = Entity{ID: d.str(p.object), Type: objectType}
	}
	if c, a := onePasswordAction(objectType, p.action); c != ClassBase {
		e.Class, e.Activity = c, a
	}
}

func onePasswordAction(objectType, action string) (Class, Activity) {
	switch objectType {
	case "gm", "uva", "gva":
		switch action {
		case "join", "grant", "create", "role":
			return ClassUserAccess, PrivilegesAssign
		case "leave", "revoke", "delete":
			return ClassUserAccess, PrivilegesRevoke
		}
	case "user":
		switch action {
		case "suspend":
			return ClassAccountChange, AccountDisable
		case "reactive", "activate":
			return ClassAccountChange, AccountEnable
		case "create", "provsn":
			return ClassAccountChange, AccountCreate
		case "delete":
			return ClassAccountChange, AccountDelete
		case "enblmfa":
			return ClassAccountChange, FactorEnable
		case "disblmfa":
			return ClassAccountChange, FactorDisable
		case "changemp":
			return ClassAccountChange, PasswordChange
		case "beginr", "completr":
			return ClassAccountChange, PasswordReset
		}
	}
	return ClassBase, ActivityUnknown
}
