package signals

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ocsf reads events of OCSF, of the versions from 1.0 on: what we read has not changed its name or its
// meaning since. Other classes than that of sign-ins are kept with their numbers.
type ocsf struct{ where countries }

// maxOCSF bounds what DecodeOCSF reads: an event of the greatest length, escaped, and what is around it.
const maxOCSF = 4 * maxEvent

// DecodeOCSF gives back the event that [EncodeOCSF] wrote. Time and ReceivedAt come back to the
// nanosecond. It is not for events of others: for these there is the decoder "ocsf".
func DecodeOCSF(text []byte) (Event, error) { return new(OCSFReader).Decode(text) }

// OCSFReader reads many events, one after the other, as DecodeOCSF does. Its memory is used again by the next.
type OCSFReader struct{ d document }

// Decode reads an event that is kept in OCSF form.
func (r *OCSFReader) Decode(text []byte) (Event, error) {
	d := &r.d
	if err := d.parseUpTo(string(text), maxOCSF); err != nil {
		return Event{}, err
	}
	if err := d.isObject(); err != nil {
		return Event{}, err
	}
	e := Event{
		AccountID: d.str(d.path("metadata", "tenant_uid")), Source: d.str(d.path("metadata", "log_provider")),
		Raw: d.raw(d.path("raw_data")),
	}
	if s := d.str(d.path("metadata", "logged_time_dt")); s != "" {
		t, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			return Event{}, fmt.Errorf("logged_time_dt: %w", err)
		}
		e.ReceivedAt = t.UTC()
	}
	if err := (ocsf{countries{}}).decode(d, &e); err != nil {
		return Event{}, err
	}
	e.Client.Address = e.Src.IP
	return e, nil
}

func (o ocsf) decode(d *document, e *Event) error {
	e.SourceID = d.first([]string{"metadata", "uid"}, []string{"metadata", "original_event_uid"})
	our := d.path("unmapped", ours)
	if d.tri(d.get(our, "no_time")) != Yes {
		if err := e.when(d.first([]string{"time_dt"}, []string{"time"})); err != nil {
			return err
		}
	}
	e.Class, e.Activity = Class(d.small("class_uid")), Activity(d.small("activity_id"))
	e.Code = d.str(d.path("metadata", "event_code"))
	e.Message = d.str(d.path("message"))
	e.Severity = Severity(d.small("severity_id"))
	e.Notes = append(e.Notes, d.strs(d.path("metadata", "debug"))...)
	ocsfOutcome(d, e, our)

	e.User = ocsfUserIn(d, d.path("user"), d.strs(d.get(our, "user_aliases")))
	e.Actor = ocsfUserIn(d, d.path("actor", "user"), d.strs(d.get(our, "actor_aliases")))
	switch { // OCSF wants an actor even if it is the user; ours is somebody else
	case our != absent:
	case e.User.Empty():
		e.User, e.Actor = e.Actor, User{}
	case e.Actor.ID == e.User.ID && e.Actor.Login == e.User.Login && e.Actor.Email == e.User.Email:
		e.Actor = User{}
	}
	o.from(d, e, our)

	c := &e.Client
	c.UserAgent = d.str(d.path("http_request", "user_agent"))
	c.App, c.AppVersion = d.str(d.path("actor", "app_name")), d.str(d.get(our, "app_version"))
	c.Platform, c.PlatformVersion = d.str(d.get(our, "platform")), d.str(d.get(our, "platform_version"))
	c.OS, c.OSVersion = d.str(d.path("device", "os", "name")), d.str(d.path("device", "os", "version"))
	e.Device = Device{
		ID: d.str(d.path("device", "uid")), Name: d.first([]string{"device", "name"}, []string{"device", "hostname"}), Type: d.str(d.path("device", "type")),
		Managed: d.tri(d.path("device", "is_managed")), Compliant: d.tri(d.path("device", "is_compliant")), Trust: d.str(d.get(our, "device_trust")),
	}
	e.Session = d.str(d.path("session", "uid"))
	e.Service = Service{ID: d.str(d.path("service", "uid")), Name: d.first([]string{"service", "name"}, []string{"dst_endpoint", "svc_name"}, []string{"dst_endpoint", "hostname"})}
	e.Entity = Entity{ID: d.str(d.path("entity", "uid")), Name: d.str(d.path("entity", "name")), Type: d.str(d.path("entity", "type"))}
	ocsfProof(d, e)
	ocsfVerdicts(d, e)
	for i := range d.inside(d.path("unmapped")) {
		if i != our {
			e.keep(d.key(i), d.raw(i))
		}
	}
	return nil
}

// small is a number of a member at the top, if it can be the number of a class or the like.
func (d *document) small(name string) int32 {
	n := d.integer(d.path(name))
	if n < 0 || n > 1<<24 {
		return 0
	}
	return int32(n)
}

// strs are the texts in a list.
func (d *document) strs(i int) (out []string) {
	for j := range d.inside(i) {
		if s := d.str(j); s != "" && len(out) < 32 {
			out = append(out, s)
		}
	}
	return out
}

func ocsfOutcome(d *document, e *Event, our int) {
	e.StatusCode, e.StatusDetail = d.str(d.path("status_code")), d.str(d.path("status_detail"))
	word := d.str(d.path("status"))
	e.Status = d.str(d.get(our, "status"))
	if d.path("status_id") != absent {
		e.StatusID = StatusID(d.small("status_id"))
	} else {
		switch strings.ToLower(word) {
		case "success":
			e.StatusID = StatusSuccess
		case "failure":
			e.StatusID = StatusFailure
		}
	}
	if our == absent && word != statusName(e) {
		e.Status = word
	}
	switch {
	case our != absent:
		e.Reason = Reason(d.str(d.get(our, "reason")))
	case e.StatusID == StatusFailure:
		e.Reason = ocsfReason(cmp.Or(e.StatusDetail, e.StatusCode))
	}
}

// ocsfReason reads the examples that the schema itself gives.
func ocsfReason(detail string) Reason {
	switch strings.ToUpper(detail) {
	case "INVALID_CREDENTIALS":
		return BadCredentials
	case "USER_DOES_NOT_EXIST":
		return NoSuchUser
	case "ACCOUNT_DISABLED":
		return Disabled
	case "ACCOUNT_LOCKED_OUT":
		return Locked
	case "PASSWORD_EXPIRED":
		return PasswordExpired
	}
	return FailedOtherwise
}

func ocsfUserIn(d *document, i int, aliases []string) User {
	u := User{
		ID: d.str(d.get(i, "uid")), Login: d.str(d.get(i, "name")), Name: d.str(d.get(i, "full_name")),
		Email: d.str(d.get(i, "email_addr")), Type: d.str(d.get(i, "type")), Aliases: aliases,
	}
	if alt := d.str(d.get(i, "uid_alt")); alt != "" && !slices.Contains(aliases, alt) {
		u.Aliases = append(u.Aliases, alt)
	}
	return u
}

func (o ocsf) from(d *document, e *Event, our int) {
	src := d.path("src_endpoint")
	where := d.get(src, "location")
	e.Src = Endpoint{
		IP: d.str(d.get(src, "ip")), Domain: d.str(d.get(src, "domain")), Proxy: d.tri(d.get(our, "is_proxy")),
		ISP: cmp.Or(d.str(d.get(src, "isp")), d.str(d.get(where, "isp"))),
	}
	lat, long := d.float(d.get(where, "lat")), d.float(d.get(where, "long"))
	known := d.get(where, "lat") != absent && d.get(where, "long") != absent
	if pair := d.get(where, "coordinates"); !known && pair != absent {
		var both []float64
		for j := range d.inside(pair) {
			both = append(both, d.float(j))
		}
		if len(both) == 2 {
			long, lat = both[0], both[1]
		}
	}
	e.place(o.where, d.str(d.get(where, "country")), d.str(d.get(where, "region")), d.str(d.get(where, "city")), lat, long)
	l := &e.Src.Location
	l.Continent = d.str(d.get(where, "continent"))
	if r := d.integer(d.get(our, "radius_km")); r > 0 && r < 30000 && known {
		l.Latitude, l.Longitude, l.Radius = lat, long, int(r)
	}
	l.ASN = max(0, d.integer(d.down(src, "autonomous_system", "number")))
	l.Network = d.str(d.down(src, "autonomous_system", "name"))
	if a := d.tri(d.get(our, "is_anonymous")); a != Unknown {
		l.AnonymousKnown, l.Anonymous = true, a == Yes
	}
}

func ocsfProof(d *document, e *Event) {
	e.Protocol = d.str(d.path("auth_protocol"))
	if id := d.small("auth_protocol_id"); e.Protocol == "" && id > 0 && int(id) < len(protocols()) {
		e.Protocol = protocols()[id]
	}
	e.MFA = d.tri(d.path("is_mfa"))
	for i := range d.inside(d.path("auth_factors")) {
		id := d.integer(d.get(i, "factor_type_id"))
		if id < 0 || id > 99 {
			id = 0
		}
		e.factor(FactorID(id), d.str(d.get(i, "factor_type")))
	}
}

func ocsfVerdicts(d *document, e *Event) {
	e.Disposition = Disposition(d.small("disposition_id"))
	e.Rule = d.first([]string{"firewall_rule", "name"}, []string{"policy", "name"})
	e.Alert = d.tri(d.path("is_alert")) == Yes
	if i := d.path("risk_level_id"); i != absent {
		if n := d.integer(i); n >= 0 && n <= 4 {
			e.Risk = Risk(n + 1)
		}
	} else {
		e.Risk = riskOf(d.str(d.path("risk_level")))
	}
	e.RiskScore = int(d.small("risk_score"))
	e.RiskDetail = d.str(d.path("risk_details"))
	for i := range d.inside(d.path("enrichments")) {
		e.verdict(d.str(d.get(i, "name")), d.str(d.get(i, "value")))
	}
}
