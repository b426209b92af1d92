package signals

import (
	"cmp"
	"strconv"
	"strings"
)

// entra reads the signIn resource of Microsoft Graph, and the same inside the properties of a log
// record as Azure Monitor exports it.
type entra struct {
	where countries
	codes map[int64]entraCode
}

func (n entra) decode(d *document, e *Event) error {
	top := 0
	if inner := d.path("properties"); d.kindOf(inner) == object && d.get(0, "createdDateTime") == absent {
		top = inner
	}
	get := func(names ...string) string { return d.str(d.down(top, names...)) }
	e.SourceID = get("id")
	if err := e.when(cmp.Or(get("createdDateTime"), get("activityDateTime"), get("detectedDateTime"), d.str(d.path("time")))); err != nil {
		return err
	}
	status := d.get(top, "status")
	e.Class, e.Activity, e.Code = ClassAuthentication, Logon, "signIn"
	switch {
	case d.get(top, "riskEventType") != absent:
		e.Activity, e.Code = ActivityOther, "riskDetection"
	case status == absent && d.get(top, "riskLevelDuringSignIn") == absent && d.get(top, "userPrincipalName") == absent:
		e.Class, e.Activity = ClassBase, ActivityOther
		e.Code, e.Message = cmp.Or(get("operationName"), d.str(d.path("operationName")), get("activityDisplayName")), get("resultReason")
		return nil
	}
	e.User = User{ID: get("userId"), Name: get("userDisplayName"), Login: get("userPrincipalName"), Type: get("userType")}
	if alias := get("signInIdentifier"); alias != "" && !strings.EqualFold(alias, e.User.Login) {
		e.User.Aliases = []string{alias}
	}
	if id := get("servicePrincipalId"); e.User.ID == "" && id != "" {
		e.User = User{ID: id, Name: get("servicePrincipalName"), Login: get("servicePrincipalName"), Type: "ServicePrincipal"}
	}
	if e.Activity == Logon && strings.EqualFold(get("isInteractive"), "false") {
		e.Activity = Ticket
	}
	n.outcome(d, e, top, status)
	n.from(d, e, top)
	entraProof(d, e, top)
	entraVerdicts(d, e, top)
	e.Service = Service{ID: cmp.Or(get("appId"), get("resourceId")), Name: cmp.Or(get("appDisplayName"), get("resourceDisplayName"))}
	e.Session = cmp.Or(get("sessionId"), get("correlationId"))
	e.keepOthers(d, top, "", "id", "createddatetime", "status", "risklevelduringsignin", "risklevelaggregated", "riskstate", "riskdetail", "riskeventtypes",
		"riskeventtypes_v2", "userprincipalname", "userid", "userdisplayname", "usertype", "signinidentifier", "serviceprincipalid", "serviceprincipalname",
		"isinteractive", "ipaddress", "location", "devicedetail", "useragent", "clientappused", "appid", "appdisplayname", "resourceid", "resourcedisplayname",
		"sessionid", "correlationid", "autonomoussystemnumber", "authenticationdetails", "authenticationrequirement", "authenticationprotocol",
		"conditionalaccessstatus", "riskeventtype", "risklevel", "activitydatetime", "detecteddatetime", "lastupdateddatetime", "appliedconditionalaccesspolicies", "mfadetail", "flaggedforreview", "signineventtypes")
	return nil
}

// outcome reads errorCode, which is 0 after success, by our table; every code that it does not have is
// a failure.
func (n entra) outcome(d *document, e *Event, top, status int) {
	code := d.str(d.get(status, "errorCode"))
	e.StatusCode = strings.TrimPrefix(code, "AADSTS")
	e.StatusDetail = d.str(d.get(status, "failureReason"))
	e.Message = d.str(d.get(status, "additionalDetails"))
	number, err := strconv.ParseInt(e.StatusCode, 10, 64)
	known, ok := n.codes[number]
	switch {
	case err != nil:
		e.Status = code
	case number == 0:
		e.StatusID, e.StatusDetail = StatusSuccess, ""
	case ok:
		e.StatusID, e.Reason = known.status, known.reason
	default:
		e.StatusID, e.Reason = StatusFailure, FailedOtherwise
	}
	switch ca := d.str(d.get(top, "conditionalAccessStatus")); ca {
	case "success":
		e.Disposition = DispositionAllowed
	case "failure":
		e.Disposition = DispositionBlocked
		if e.StatusID == StatusOther && e.Reason == MFARequired {
			e.Disposition = DispositionChallenge
		}
	case "", "notApplied":
	default:
		e.verdict("conditionalAccessStatus", ca)
	}
	for p := range d.inside(d.get(top, "appliedConditionalAccessPolicies")) {
		if result := d.str(d.get(p, "result")); result == "failure" {
			e.Rule = d.str(d.get(p, "displayName"))
			break
		}
	}
}

func (n entra) from(d *document, e *Event, top int) {
	e.Src.IP = d.str(d.get(top, "ipAddress"))
	e.Src.Location.ASN = max(0, d.integer(d.get(top, "autonomousSystemNumber")))
	where := d.get(top, "location")
	point := d.get(where, "geoCoordinates")
	if d.kindOf(where) == object {
		e.place(n.where, d.str(d.get(where, "countryOrRegion")), d.str(d.get(where, "state")), d.str(d.get(where, "city")),
			d.float(d.get(point, "latitude")), d.float(d.get(point, "longitude")))
	} else {
		e.place(n.where, d.str(where), "", "", 0, 0)
	}
	device := d.get(top, "deviceDetail")
	e.Device = Device{
		ID: d.str(d.get(device, "deviceId")), Name: d.str(d.get(device, "displayName")), Trust: d.str(d.get(device, "trustType")),
		Managed: d.tri(d.get(device, "isManaged")), Compliant: d.tri(d.get(device, "isCompliant")),
	}
	c := &e.Client
	c.UserAgent = d.str(d.get(top, "userAgent"))
	c.App = d.str(d.get(top, "clientAppUsed"))
	c.Platform, c.PlatformVersion = splitVersion(d.str(d.get(device, "browser")))
	c.OS, c.OSVersion = splitVersion(d.str(d.get(device, "operatingSystem")))
}

// splitVersion takes the version off a name such as "Chrome 129.0.0".
func splitVersion(s string) (name, version string) {
	i := strings.LastIndexByte(s, ' ')
	if i <= 0 || i+1 == len(s) || s[i+1] < '0' || s[i+1] > '9' {
		return s, ""
	}
	return s[:i], s[i+1:]
}

func entraProof(d *document, e *Event, top int) {
	switch p := d.str(d.get(top, "authenticationProtocol")); p {
	case "", "none", "unknownFutureValue":
	case "oAuth2", "deviceCode", "authenticationTransfer", "ropc":
		e.Protocol = "OAUTH 2.0"
		if p != "oAuth2" {
			e.verdict("authenticationProtocol", p)
		}
	case "saml20":
		e.Protocol = "SAML"
	case "wsFederation":
		e.Protocol = "WS-Federation"
	default:
		e.Protocol = p
	}
	switch d.str(d.get(top, "authenticationRequirement")) {
	case "multiFactorAuthentication":
		e.MFA = Yes
	case "singleFactorAuthentication":
		e.MFA = No
	}
	for step := range d.inside(d.get(top, "authenticationDetails")) {
		method := d.str(d.get(step, "authenticationMethod"))
		if method != "" {
			e.factor(entraFactor(method), method)
		}
		if detail := strings.ToLower(d.str(d.get(step, "authenticationStepResultDetail"))); e.Reason == MFAFailed {
			e.Reason = entraDenied(detail, e.Reason)
		}
	}
	if method := d.str(d.down(d.get(top, "mfaDetail"), "authMethod")); method != "" && len(e.Factors) == 0 {
		e.factor(entraFactor(method), method)
		e.MFA = Yes
	}
	if e.Reason == MFAFailed {
		e.Reason = entraDenied(strings.ToLower(e.Message), e.Reason)
	}
}

// entraDenied finds what the code for a failed second factor does not tell, only the sentence.
func entraDenied(detail string, otherwise Reason) Reason {
	has := func(s string) bool { return strings.Contains(detail, s) }
	switch { // "MFA denied" begins all of them, also that of a wrong code
	case has("did not respond"), has("timed out"), has("timeout"), has("no response"):
		return MFATimeout
	case has("declined"), has("rejected"), has("fraud"), has("user denied"):
		return MFADenied
	}
	return otherwise
}

func entraFactor(method string) FactorID {
	m := strings.ToLower(method)
	switch {
	case strings.Contains(m, "password") && !strings.Contains(m, "passwordless"):
		return FactorPassword
	case strings.Contains(m, "fido"), strings.Contains(m, "passkey"), strings.Contains(m, "windows hello"):
		return FactorWebAuthn
	case strings.Contains(m, "text message"), strings.Contains(m, "sms"):
		return FactorSMS
	case strings.Contains(m, "phone call"), strings.Contains(m, "call"):
		return FactorCall
	case strings.Contains(m, "mobile app notification"), strings.Contains(m, "notification"), strings.Contains(m, "phone sign-in"):
		return FactorPush
	case strings.Contains(m, "verification code"), strings.Contains(m, "oath"), strings.Contains(m, "otp"):
		return FactorOTP
	case strings.Contains(m, "email"):
		return FactorEmail
	}
	return FactorOther
}

// entraVerdicts keeps what Entra ID Protection thinks. It says hidden to tenants without the licence.
func entraVerdicts(d *document, e *Event, top int) {
	level := d.str(d.get(top, "riskLevelDuringSignIn"))
	e.Risk = riskOf(level)
	if e.Risk == RiskUnknown {
		e.Risk = riskOf(cmp.Or(d.str(d.get(top, "riskLevelAggregated")), d.str(d.get(top, "riskLevel"))))
	}
	if v := d.str(d.get(top, "riskEventType")); v != "" {
		e.verdict(clean("risk:"+v), "true")
	}
	for _, name := range [...]string{"riskState", "riskLevelAggregated"} {
		switch v := d.str(d.get(top, name)); v {
		case "", "none", "hidden", "unknownFutureValue":
		default:
			e.verdict(name, v)
		}
	}
	if v := d.str(d.get(top, "riskDetail")); v != "none" && v != "hidden" {
		e.RiskDetail = v
	}
	types := d.get(top, "riskEventTypes_v2")
	if types == absent {
		types = d.get(top, "riskEventTypes")
	}
	if d.kindOf(types) == text { // Azure Monitor writes the list as text
		var inner document
		if inner.parse(d.raw(types)) == nil {
			for j := range inner.inside(0) {
				e.verdict(clean("risk:"+inner.str(j)), "true")
			}
		}
	}
	for j := range d.inside(types) {
		e.verdict(clean("risk:"+d.str(j)), "true")
	}
	state := d.str(d.get(top, "riskState"))
	e.Alert = e.Code == "riskDetection" || state == "atRisk" || state == "confirmedCompromised" || d.tri(d.get(top, "flaggedForReview")) == Yes
}

// entraCode is what an error code comes down to.
type entraCode struct {
	status StatusID
	reason Reason
}

// entraCodes are the AADSTS codes that occur in sign-in logs. Those of status other are not failures:
// the person was shown one more page, and the same sign-in goes on in another record.
func entraCodes() map[int64]entraCode {
	m := map[int64]entraCode{}
	for _, group := range [...]struct {
		status StatusID
		reason Reason
		codes  []int64
	}{
		{StatusFailure, BadCredentials, []int64{50126, 50056, 50064, 120000}},
		{StatusFailure, NoSuchUser, []int64{50034, 50020, 90072, 51004}},
		{StatusFailure, Locked, []int64{50053}},
		{StatusFailure, Disabled, []int64{50057}},
		{StatusFailure, PasswordExpired, []int64{50055, 50144}},
		{StatusFailure, MFAFailed, []int64{500121, 50088, 50078}},
		{StatusFailure, Blocked, []int64{53000, 53001, 53002, 53003, 53004, 53009, 53010, 530031, 530032, 530034, 50131, 50005, 50105}},
		{StatusFailure, SessionExpired, []int64{50132, 50133, 50173, 70008, 70043, 700082, 700084, 500133, 50089, 50196}},
		{StatusFailure, ConsentMissing, []int64{65004, 90094, 900144, 700016, 50011}},
		{StatusFailure, BadClient, []int64{7000215, 7000222, 700027, 7000112, 7000218}},
		{StatusFailure, SSOFailed, []int64{50008, 50012, 75011, 81001, 81004, 81005, 81006, 81007, 81009, 81010, 51000}},
		{StatusFailure, TooManyRequests, []int64{90055, 50180}},
		{StatusOther, MFARequired, []int64{50074, 50076, 50079, 50072, 50158, 50203}},
		{StatusOther, Interrupted, []int64{50058, 50059, 50097, 50125, 50127, 50129, 50140, 50143, 50199, 16000, 16001, 16003, 51006, 81012, 81014, 9002341}},
		{StatusOther, ConsentMissing, []int64{65001, 90095}},
		{StatusOther, SessionExpired, []int64{70044}},
	} {
		for _, c := range group.codes {
			m[c] = entraCode{group.status, group.reason}
		}
	}
	return m
}
