package signals

import (
	"cmp"
	"strings"
)

// okta reads LogEvents of the System Log.
type okta struct{ where countries }

func (o okta) decode(d *document, e *Event) error {
	e.SourceID = d.str(d.path("uuid"))
	e.Code = d.str(d.path("eventType"))
	e.Message = d.str(d.path("displayMessage"))
	if err := e.when(cmp.Or(d.str(d.path("published")), d.str(d.path("p_event_time")))); err != nil {
		return err
	}
	switch strings.ToUpper(d.str(d.path("severity"))) {
	case "INFO", "DEBUG":
		e.Severity = 1
	case "WARN":
		e.Severity = 3
	case "ERROR":
		e.Severity = 4
	}
	e.Class, e.Activity = oktaActivity(e.Code)
	oktaOutcome(d, e)
	oktaPeople(d, e)
	o.from(d, e)
	auth := d.path("authenticationContext")
	e.Session = cmp.Or(d.str(d.get(auth, "externalSessionId")), d.str(d.get(auth, "rootSessionId")))
	oktaProof(d, e, auth)
	oktaVerdicts(d, e)
	e.keepOthers(d, 0, "", "uuid", "eventtype", "displaymessage", "published", "severity", "version", "legacyeventtype", "outcome", "actor", "target",
		"client", "securitycontext", "request", "authenticationcontext", "debugcontext", "device", "transaction", "p_event_time")
	return nil
}

// oktaActivity is what an eventType means. The first prefix that fits wins.
func oktaActivity(eventType string) (Class, Activity) {
	if eventType == "" {
		return ClassBase, ActivityUnknown
	}
	for _, t := range [...]struct {
		prefix   string
		class    Class
		activity Activity
	}{
		{"user.session.start", ClassAuthentication, Logon},
		{"user.session.end", ClassAuthentication, Logoff},
		{"user.session.expire", ClassAuthentication, Logoff},
		{"user.session.clear", ClassAuthentication, Logoff},
		{"user.session.", ClassAuthentication, ActivityOther}, // impersonation, access_admin_app, a changed context
		{"user.authentication.sso", ClassAuthentication, Logon},
		{"user.authentication.slo", ClassAuthentication, Logoff},
		{"user.authentication.", ClassAuthentication, Preauth}, // one step, with its own outcome
		{"policy.evaluate_sign_on", ClassAuthentication, Preauth},
		{"user.mfa.okta_verify.", ClassAuthentication, Preauth}, // deny_push, deny_push_upgrade_needed
		{"user.mfa.attempt_bypass", ClassAuthentication, Preauth},
		{"system.push.send_factor_verify", ClassAuthentication, Preauth}, // a prompt was sent
		{"system.sms.send_factor_verify", ClassAuthentication, Preauth},
		{"system.voice.send_mfa_challenge", ClassAuthentication, Preauth},
		{"system.email.send_factor_verify", ClassAuthentication, Preauth},
		{"app.oauth2.", ClassAuthentication, Ticket},
		{"app.token.reuse", ClassAuthentication, Ticket},
		{"security.threat.detected", ClassAuthentication, ActivityOther},
		{"security.attack.", ClassAuthentication, ActivityOther},
		{"security.breached_credential.detected", ClassAuthentication, ActivityOther},
		{"user.risk.", ClassAuthentication, ActivityOther},
		{"user.mfa.factor.activate", ClassAccountChange, FactorEnable},
		{"user.mfa.factor.unsuspend", ClassAccountChange, FactorEnable},
		{"user.mfa.factor.deactivate", ClassAccountChange, FactorDisable},
		{"user.mfa.factor.reset_all", ClassAccountChange, FactorDisable},
		{"user.mfa.factor.suspend", ClassAccountChange, FactorDisable},
		{"user.mfa.factor.", ClassAccountChange, ActivityOther},
		{"user.account.lock", ClassAccountChange, AccountLock},
		{"user.account.unlock", ClassAccountChange, AccountUnlock},
		{"user.account.update_password", ClassAccountChange, PasswordChange},
		{"user.account.reset_password", ClassAccountChange, PasswordReset},
		{"user.account.expire_password", ClassAccountChange, PasswordReset},
		{"user.account.privilege.grant", ClassUserAccess, PrivilegesAssign},
		{"user.account.privilege.revoke", ClassUserAccess, PrivilegesRevoke},
		{"user.account.", ClassAccountChange, ActivityOther},
		{"user.lifecycle.create", ClassAccountChange, AccountCreate},
		{"user.lifecycle.activate", ClassAccountChange, AccountEnable},
		{"user.lifecycle.reactivate", ClassAccountChange, AccountEnable},
		{"user.lifecycle.unsuspend", ClassAccountChange, AccountEnable},
		{"user.lifecycle.suspend", ClassAccountChange, AccountDisable},
		{"user.lifecycle.deactivate", ClassAccountChange, AccountDisable},
		{"user.lifecycle.delete", ClassAccountChange, AccountDelete},
		{"user.lifecycle.", ClassAccountChange, ActivityOther},
		{"application.user_membership.add", ClassUserAccess, PrivilegesAssign},
		{"application.user_membership.remove", ClassUserAccess, PrivilegesRevoke},
		{"group.user_membership.add", ClassUserAccess, PrivilegesAssign},
		{"group.user_membership.remove", ClassUserAccess, PrivilegesRevoke},
		{"group.privilege.grant", ClassUserAccess, PrivilegesAssign},
		{"group.privilege.revoke", ClassUserAccess, PrivilegesRevoke},
		{"iam.resourceset.bindings.add", ClassUserAccess, PrivilegesAssign},
		{"iam.resourceset.bindings.delete", ClassUserAccess, PrivilegesRevoke},
	} {
		if strings.HasPrefix(eventType, t.prefix) {
			return t.class, t.activity
		}
	}
	return ClassBase, ActivityOther
}

func oktaOutcome(d *document, e *Event) {
	outcome := d.path("outcome")
	e.Status = d.str(d.get(outcome, "result"))
	reason := d.str(d.get(outcome, "reason"))
	e.StatusDetail = reason
	if !strings.Contains(reason, " ") { // else it is a sentence
		e.StatusCode = reason
	}
	switch strings.ToUpper(e.Status) {
	case "SUCCESS":
		e.StatusID = StatusSuccess
	case "ALLOW":
		e.StatusID, e.Disposition = StatusSuccess, DispositionAllowed
	case "FAILURE":
		e.StatusID, e.Reason = StatusFailure, oktaReason(reason)
	case "DENY":
		e.StatusID, e.Disposition, e.Reason = StatusFailure, DispositionBlocked, Blocked
		if strings.Contains(strings.ToLower(reason), "too many requests") {
			e.Reason = TooManyRequests
		}
	case "CHALLENGE":
		e.StatusID, e.Disposition, e.Reason = StatusOther, DispositionChallenge, MFARequired
	case "SKIPPED", "ABANDONED", "DEFERRED", "SCHEDULED", "UNANSWERED", "RATE_LIMIT":
		e.StatusID = StatusOther
	}
	switch {
	case strings.HasPrefix(e.Code, "user.mfa.okta_verify.deny_push"):
		e.Reason = MFADenied
		if e.StatusID == StatusSuccess || e.StatusID == StatusUnknown {
			e.StatusID = StatusFailure // the denying succeeded, the sign-in did not
		}
	case e.Class == ClassAuthentication && strings.HasPrefix(e.Code, "system.") && e.StatusID == StatusSuccess:
		e.StatusID, e.Reason = StatusOther, MFARequired // the sending succeeded; the person has not answered yet
	case strings.HasPrefix(e.Code, "security."):
		e.Alert = true
	case e.Code == "user.account.report_suspicious_activity_by_enduser":
		e.Alert = true
	}
}

func oktaReason(reason string) Reason {
	r := strings.ToUpper(reason)
	switch {
	case r == "INVALID_CREDENTIALS", r == "VERIFICATION_ERROR", strings.Contains(r, "INVALID PASSWORD"):
		return BadCredentials
	case r == "LOCKED_OUT", strings.Contains(r, "LOCKED"):
		return Locked
	case strings.Contains(r, "FASTPASS DECLINED PHISHING"):
		return PhishingDeclined
	case strings.Contains(r, "PASSWORD_EXPIRED"), strings.Contains(r, "PASSWORD EXPIRED"):
		return PasswordExpired
	case strings.Contains(r, "NOT_FOUND"), strings.Contains(r, "UNKNOWN_USER"), strings.Contains(r, "USER NOT FOUND"):
		return NoSuchUser
	case strings.Contains(r, "SUSPENDED"), strings.Contains(r, "DEACTIVATED"), strings.Contains(r, "USER_STATUS"):
		return Disabled
	case strings.Contains(r, "TIMEOUT"), strings.Contains(r, "TIMED OUT"):
		return MFATimeout
	case strings.Contains(r, "REJECTED"), strings.Contains(r, "DENIED BY USER"), strings.Contains(r, "USER REJECTED"):
		return MFADenied
	case strings.Contains(r, "POLICY"), strings.Contains(r, "NETWORK_ZONE_BLACKLIST"), strings.Contains(r, "DENY"):
		return Blocked
	case strings.Contains(r, "FACTOR"), strings.Contains(r, "MFA"), strings.Contains(r, "PASSCODE"):
		return MFAFailed
	}
	return FailedOtherwise
}

// oktaPeople sorts out whom the event is about. In a sign-in that is the actor; in what
// administrators do to people it is the first target that is a person.
func oktaPeople(d *document, e *Event) {
	actor := oktaUser(d, d.path("actor"))
	var app User // how an application knows somebody; the best there is if there is no actor
	for t := range d.inside(d.path("target")) {
		kind := d.str(d.get(t, "type"))
		switch {
		case strings.EqualFold(kind, "User") || strings.EqualFold(kind, "AppUser"):
			if app.Empty() {
				app = oktaUser(d, t)
			}
			if e.User.Empty() && (e.Class != ClassAuthentication || strings.EqualFold(actor.Type, "SystemPrincipal")) {
				e.User = oktaUser(d, t)
			}
		case strings.EqualFold(kind, "AppInstance") || strings.EqualFold(kind, "PublicClientApp"):
			if e.Service == (Service{}) {
				e.Service = Service{ID: d.str(d.get(t, "id")), Name: d.str(d.get(t, "displayName"))}
			}
		case strings.EqualFold(kind, "Rule") || strings.EqualFold(kind, "PolicyRule") || strings.EqualFold(kind, "PolicyEntity"):
			e.Rule = cmp.Or(e.Rule, d.str(d.get(t, "displayName")))
		case e.Entity == (Entity{}):
			e.Entity = Entity{ID: d.str(d.get(t, "id")), Name: d.str(d.get(t, "displayName")), Type: kind}
		}
	}
	if e.User.Empty() {
		e.User = actor
	}
	if e.User.Empty() {
		e.User = app
	}
	if e.Class == ClassAuthentication && e.Service == (Service{}) {
		e.Service.Name = "Okta"
	}
	if !actor.Empty() && (e.User.ID != actor.ID || e.User.Login != actor.Login) {
		e.Actor = actor
	}
}

func oktaUser(d *document, i int) User {
	kind := d.str(d.get(i, "type"))
	if strings.EqualFold(kind, "IP address") {
		return User{}
	}
	// "unknown" is what Okta writes for a name that belongs to nobody, or that it does not tell.
	return User{
		ID: oktaWord(d.str(d.get(i, "id"))), Login: oktaWord(d.str(d.get(i, "alternateId"))),
		Name: oktaWord(d.str(d.get(i, "displayName"))), Type: kind,
	}
}

func (o okta) from(d *document, e *Event) {
	client, security, device := d.path("client"), d.path("securityContext"), d.path("device")
	e.Src.IP = d.str(d.get(client, "ipAddress"))
	if e.Src.IP == "" && strings.EqualFold(d.str(d.path("actor", "type")), "IP address") {
		e.Src.IP = d.str(d.path("actor", "id"))
	}
	for hop := range d.inside(d.path("request", "ipChain")) {
		e.Src.IP = cmp.Or(e.Src.IP, d.str(d.get(hop, "ip")))
	}
	e.Src.ISP, e.Src.Domain = d.str(d.get(security, "isp")), d.str(d.get(security, "domain"))
	e.Src.Proxy = d.tri(d.get(security, "isProxy"))
	e.Src.Location.ASN = max(0, d.integer(d.get(security, "asNumber")))
	e.Src.Location.Network = d.str(d.get(security, "asOrg"))
	where := d.get(client, "geographicalContext")
	point := d.get(where, "geolocation")
	e.place(o.where, d.str(d.get(where, "country")), d.str(d.get(where, "state")), d.str(d.get(where, "city")),
		d.float(d.get(point, "lat")), d.float(d.get(point, "lon")))

	agent := d.get(client, "userAgent")
	e.Client.UserAgent = d.str(d.get(agent, "rawUserAgent"))
	e.Client.Platform, e.Client.OS = oktaWord(d.str(d.get(agent, "browser"))), oktaWord(d.str(d.get(agent, "os")))
	e.Device = Device{
		ID: d.str(d.get(device, "id")), Name: d.str(d.get(device, "name")), Type: oktaWord(d.str(d.get(client, "device"))),
		Managed: d.tri(d.get(device, "managed")),
	}
	if zone := d.str(d.get(client, "zone")); zone != "" && zone != "null" {
		e.verdict("zone", zone)
	}
}

// oktaWord drops the words that stand for nothing.
func oktaWord(s string) string {
	if strings.EqualFold(s, "unknown") || s == "null" {
		return ""
	}
	return s
}

// oktaProof reads how the user proved who they are.
func oktaProof(d *document, e *Event, auth int) {
	credential := oktaWord(d.str(d.get(auth, "credentialType")))
	debug := d.down(d.path("debugContext"), "debugData")
	factor := oktaWord(cmp.Or(d.str(d.get(debug, "factor")), credential))
	if channel, ok := strings.CutPrefix(e.Code, "system."); ok && factor == "" && e.Class == ClassAuthentication {
		factor, _, _ = strings.Cut(channel, ".") // push, sms, voice, email
	}
	switch f := strings.ToUpper(factor); {
	case f == "":
	case strings.Contains(f, "PUSH"):
		e.factor(FactorPush, factor)
	case strings.Contains(f, "SMS"):
		e.factor(FactorSMS, factor)
	case strings.Contains(f, "CALL"), strings.Contains(f, "VOICE"):
		e.factor(FactorCall, factor)
	case strings.Contains(f, "EMAIL"):
		e.factor(FactorEmail, factor)
	case strings.Contains(f, "QUESTION"):
		e.factor(FactorQuestion, factor)
	case strings.Contains(f, "WEBAUTHN"), strings.Contains(f, "FIDO"):
		e.factor(FactorWebAuthn, factor)
	case strings.Contains(f, "U2F"):
		e.factor(FactorU2F, factor)
	case strings.Contains(f, "OTP"), strings.Contains(f, "TOKEN"):
		e.factor(FactorOTP, factor)
	case strings.Contains(f, "PASSWORD"):
		e.factor(FactorPassword, factor)
	case strings.Contains(f, "ASSERTION"):
		e.Protocol = "SAML"
	default:
		e.factor(FactorOther, factor)
	}
	switch {
	case e.Class != ClassAuthentication:
	case e.Code == "user.authentication.auth_via_mfa", strings.HasPrefix(e.Code, "user.mfa."), strings.HasPrefix(e.Code, "system."):
		e.MFA = Yes
	}
	switch p := strings.ToUpper(d.str(d.get(debug, "signOnMode"))); {
	case strings.Contains(p, "SAML"):
		e.Protocol = "SAML"
	case strings.Contains(p, "OPENID"):
		e.Protocol = "OpenID"
	}
}

// oktaVerdicts keeps what Okta thinks: behaviours that are new for the user, the risk, a suspected
// threat. They come as objects, or as text of the form {New IP=POSITIVE, Velocity=NEGATIVE}.
func oktaVerdicts(d *document, e *Event) {
	debug := d.path("debugContext", "debugData")
	if debug == absent {
		return
	}
	only := d.get(debug, "logOnlySecurityData")
	var inner document
	if d.kindOf(only) == text { // JSON as text
		if inner.parse(d.raw(only)) == nil {
			oktaBehaviors(&inner, inner.path("behaviors"), e)
			oktaRisk(e, inner.str(inner.path("risk", "level")), inner.str(inner.path("risk", "reasons")))
		}
	} else {
		oktaBehaviors(d, d.get(only, "behaviors"), e)
		oktaRisk(e, d.str(d.down(only, "risk", "level")), d.str(d.down(only, "risk", "reasons")))
	}
	oktaBehaviors(d, d.get(debug, "behaviors"), e)
	if r := d.get(debug, "risk"); d.kindOf(r) == object {
		oktaRisk(e, d.str(d.get(r, "level")), d.str(d.get(r, "reasons")))
	} else {
		pairs := oktaPairs(d.raw(r))
		for name, value := range pairs {
			switch name {
			case "level":
				oktaRisk(e, value, "")
			case "reasons":
				e.RiskDetail = value
			}
		}
	}
	oktaRisk(e, d.str(d.get(debug, "riskLevel")), d.str(d.get(debug, "riskReasons")))
	if s := d.str(d.get(debug, "threatSuspected")); s != "" {
		e.verdict("threatSuspected", s)
		e.Alert = e.Alert || strings.EqualFold(s, "true")
	}
	if s := d.str(d.get(debug, "threatDetections")); s != "" {
		e.verdict("threatDetections", s)
	}
}

func oktaBehaviors(d *document, i int, e *Event) {
	if d.kindOf(i) == text {
		for name, value := range oktaPairs(d.raw(i)) {
			e.verdict(name, value)
		}
		return
	}
	for j := range d.inside(i) {
		e.verdict(clean(d.key(j)), d.str(j))
	}
}

// oktaPairs goes through text of the form {New IP=POSITIVE, Velocity=NEGATIVE}.
func oktaPairs(s string) func(yield func(name, value string) bool) {
	return func(yield func(string, string) bool) {
		s, ok := strings.CutPrefix(s, "{")
		if !ok {
			return
		}
		for pair := range strings.SplitSeq(strings.TrimSuffix(s, "}"), ", ") {
			name, value, ok := strings.Cut(pair, "=")
			if ok && !yield(clean(name), clean(value)) {
				return
			}
		}
	}
}

func oktaRisk(e *Event, level, reasons string) {
	if r := riskOf(level); r != RiskUnknown {
		e.Risk = r
	}
	e.RiskDetail = cmp.Or(reasons, e.RiskDetail)
}

// riskOf is the risk that a word means.
func riskOf(level string) Risk {
	switch strings.ToLower(level) {
	case "none", "info":
		return RiskNone
	case "low":
		return RiskLow
	case "medium", "moderate":
		return RiskMedium
	case "high":
		return RiskHigh
	case "critical":
		return RiskCritical
	}
	return RiskUnknown
}
