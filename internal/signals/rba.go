package signals

import "strings"

// rba reads the rows of the Login Data Set for Risk-Based Authentication (Wiefling, Jørgensen, Thunem,
// Lo Iacono: Pump Up Password Security!, 2022), each as an object of the column names.
//
// The columns that hold the truth, "Is Attack IP" and "Is Account Takeover", become no part of the
// normalised event, so that no rule can cheat; [Truth] reads them.
type rba struct{ where countries }

// The columns of the truth.
const (
	rbaAttackIP = "Is Attack IP"
	rbaTakeover = "Is Account Takeover"
)

func (r rba) decode(d *document, e *Event) error {
	get := func(name string) string {
		s := d.str(d.get(0, name))
		if s == "-" { // no place is known
			return ""
		}
		return s
	}
	if err := e.when(get("Login Timestamp")); err != nil {
		return err
	}
	e.Class, e.Activity, e.Code = ClassAuthentication, Logon, "login"
	switch ok := get("Login Successful"); d.tri(d.get(0, "Login Successful")) {
	case Yes:
		e.StatusID = StatusSuccess
	case No:
		e.StatusID, e.Reason = StatusFailure, FailedOtherwise
	default:
		e.Status = ok
	}
	if index := get("index"); index != "" {
		e.SourceID = "row:" + index
	}
	e.User = User{ID: get("User ID"), Login: get("User ID")}
	e.Src.IP = get("IP Address")
	e.Src.Location.ASN = max(0, d.integer(d.get(0, "ASN")))
	e.place(r.where, get("Country"), get("Region"), get("City"), 0, 0)
	e.Client.UserAgent = get("User Agent String")
	e.Client.Platform, e.Client.PlatformVersion = splitVersion(get("Browser Name and Version"))
	e.Client.OS, e.Client.OSVersion = splitVersion(get("OS Name and Version"))
	e.Device.Type = oktaWord(get("Device Type"))
	for i := range d.inside(0) {
		if name := d.key(i); strings.HasPrefix(name, "Round-Trip Time") && d.str(i) != "" {
			e.verdict("round_trip_ms", d.str(i))
		}
	}
	e.keepOthers(d, 0, "", "", "index", "login timestamp", "login successful", "user id", "ip address", "country", "region", "city", "asn", "user agent string",
		"browser name and version", "os name and version", "device type", "round-trip time [ms]", "round-trip time (rtt) [ms]", strings.ToLower(rbaAttackIP), strings.ToLower(rbaTakeover))
	return nil
}

// rbaColumns are the columns without which a file is not this data set.
func rbaColumns() []string {
	return []string{"Login Timestamp", "User ID", "IP Address", "Login Successful"}
}

// Truth is what a labelled event says about itself: whether the address was known to attack, and
// whether the sign-in took an account over. Both are Unknown in events without labels.
func Truth(e *Event) (attackIP, takeover Tri) {
	var d document
	if e.Source != RBA || d.parse(e.Raw) != nil {
		return Unknown, Unknown
	}
	return d.tri(d.get(0, rbaAttackIP)), d.tri(d.get(0, rbaTakeover))
}
