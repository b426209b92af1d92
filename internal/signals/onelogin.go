package signals

import (
	"cmp"
	"strconv"
)

// decodeOneLogin reads events of OneLogin's Events API. What they mean is a number.
func decodeOneLogin(d *document, e *Event) error {
	get := func(name string) string { return d.str(d.get(0, name)) }
	e.SourceID = get("id")
	e.Code = get("event_type_id")
	e.Message = cmp.Or(get("notes"), get("custom_message"))
	e.StatusDetail = get("error_description")
	if err := e.when(cmp.Or(get("created_at"), get("event_timestamp"), get("p_event_time"))); err != nil {
		return err
	}
	e.User = User{ID: get("user_id"), Name: get("user_name"), Login: get("login_name")}
	if actor := (User{ID: get("actor_user_id"), Name: get("actor_user_name")}); actor.ID != e.User.ID {
		e.Actor = actor
		if e.User.Empty() {
			e.User, e.Actor = actor, User{}
		}
	}
	if system := get("actor_system"); system != "" && e.Actor.Empty() {
		e.Actor = User{Name: system, Type: "System"}
	}
	e.Src.IP = cmp.Or(get("ipaddr"), get("ip"))
	e.Service = Service{ID: get("app_id"), Name: get("app_name")}
	e.Device = Device{ID: get("otp_device_id"), Name: get("otp_device_name")}
	e.Rule = get("policy_name")
	if factor := cmp.Or(get("authentication_factor_description"), get("otp_device_name")); factor != "" {
		e.factor(FactorOther, factor)
	}
	n, err := strconv.Atoi(e.Code)
	if err != nil {
		n = 0
	}
	oneLoginType(e, n)
	if e.Class == ClassAuthentication && e.Service == (Service{}) {
		e.Service.Name = "OneLogin"
	}
	if score := d.integer(d.get(0, "risk_score")); score > 0 && score <= 100 {
		e.RiskScore = int(score)
		e.Risk = oneLoginRisk(score)
		e.RiskDetail = get("risk_reasons")
	}
	e.keepOthers(d, 0, "", "id", "event_type_id", "notes", "custom_message", "error_description", "created_at", "event_timestamp", "p_event_time",
		"user_id", "user_name", "login_name", "actor_user_id", "actor_user_name", "actor_system", "ipaddr", "ip", "app_id", "app_name",
		"otp_device_id", "otp_device_name", "policy_name", "authentication_factor_description", "risk_score", "risk_reasons", "account_id")
	return nil
}

func oneLoginType(e *Event, n int) {
	set := func(c Class, a Activity, s StatusID, r Reason) {
		e.Class, e.Activity, e.StatusID, e.Reason = c, a, s, r
	}
	switch n {
	case 5: // signed in to the portal
		set(ClassAuthentication, Logon, StatusSuccess, "")
	case 6:
		set(ClassAuthentication, Logon, StatusFailure, BadCredentials)
	case 8: // from the portal into an application
		set(ClassAuthentication, Logon, StatusSuccess, "")
	case 90:
		set(ClassAuthentication, Logon, StatusFailure, Blocked)
	case 7:
		set(ClassAuthentication, Logoff, StatusSuccess, "")
	case 3, 240: // acts as somebody else; saw a password
		set(ClassAuthentication, ActivityOther, StatusSuccess, "")
	case 11, 211:
		set(ClassAccountChange, PasswordChange, StatusSuccess, "")
	case 13:
		set(ClassAccountChange, AccountCreate, StatusSuccess, "")
	case 15, 551:
		set(ClassAccountChange, AccountDisable, StatusSuccess, "")
	case 16:
		set(ClassAccountChange, AccountEnable, StatusSuccess, "")
	case 17:
		set(ClassAccountChange, AccountDelete, StatusSuccess, "")
	case 531, 532, 553:
		set(ClassAccountChange, AccountLock, StatusSuccess, "")
	case 24, 172:
		set(ClassAccountChange, FactorDisable, StatusSuccess, "")
	default:
		set(ClassBase, ActivityOther, StatusUnknown, "")
	}
}

// oneLoginRisk cuts the score of 1 to 100 into thirds; where OneLogin itself cuts is not published.
func oneLoginRisk(score int64) Risk {
	switch {
	case score > 66:
		return RiskHigh
	case score > 33:
		return RiskMedium
	}
	return RiskLow
}
