package signals

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// View asks an event for its fields by name, as rules do. It reads the raw event at the first question
// that needs it, and uses its memory again for the next event: keep one per goroutine.
type View struct {
	Event *Event

	raw    document
	parsed bool
}

// Reset makes v a view of e. What was got from it before stays valid.
func (v *View) Reset(e *Event) { v.Event, v.parsed = e, false }

// vendor is the raw event. It is empty if it is no JSON, which only an event made by hand can be.
func (v *View) vendor() *document {
	if !v.parsed {
		_ = v.raw.parse(v.Event.Raw) // an unreadable one has no fields
		v.parsed = true
	}
	return &v.raw
}

// Getter appends the values of one field to a list: none if the event does not have the field or has
// null in it, several if there are several. A number is written as in JSON, a yes or no as "true" or
// "false", a time as RFC 3339 in UTC.
type Getter func(v *View, to []string) []string

// Field finds the getter for a name, once per rule: of the normalised event if the name is one of
// [FieldNames], else of the raw one.
func Field(name string) Getter {
	if get, ok := OCSFField(name); ok {
		return get
	}
	return VendorField(name)
}

// Field is the values of one field; see [Getter]. Who asks often uses [Field] and a [View].
func (e *Event) Field(name string) []string {
	v := View{Event: e}
	return Field(name)(&v, nil)
}

// VendorField is the getter of what the source wrote under a dotted path, such as
// securityContext.isProxy. Letter case counts only if two names differ in nothing else; a list on the
// way gives the values of all its elements; an object or a list as a value is given as JSON.
func VendorField(path string) Getter {
	return func(v *View, to []string) []string { return v.vendor().collect(0, path, to) }
}

func (d *document) collect(i int, path string, to []string) []string {
	switch d.kindOf(i) {
	case array:
		for j := range d.inside(i) {
			to = d.collect(j, path, to)
		}
	case object:
		if j := d.get(i, path); j != absent { // also a name that has dots in it, as flattened exports have
			return d.leaf(j, to)
		}
		if head, rest, ok := strings.Cut(path, "."); ok {
			return d.collect(d.get(i, head), rest, to)
		}
	}
	return to
}

func (d *document) leaf(i int, to []string) []string {
	switch d.kindOf(i) {
	case null:
	case array:
		for j := range d.inside(i) {
			to = d.leaf(j, to)
		}
	default:
		to = append(to, d.raw(i))
	}
	return to
}

// enrichment is how a rule names a verdict of the source: enrichments.New Country.
const enrichment = "enrichments."

// OCSFField is the getter of a field of the normalised event; false if there is none of that name.
func OCSFField(name string) (Getter, bool) {
	if get, ok := fields()[name]; ok {
		return func(v *View, to []string) []string { return get(v.Event, to) }, true
	}
	if verdict, ok := strings.CutPrefix(name, enrichment); ok && verdict != "" {
		return func(v *View, to []string) []string {
			for _, a := range v.Event.Verdicts {
				if strings.EqualFold(a.Name, verdict) {
					to = append(to, a.Value)
				}
			}
			return to
		}, true
	}
	return nil, false
}

// FieldNames are the names of the fields of a normalised event, sorted. Verdicts of the source are
// fields too, named enrichments.<name>.
func FieldNames() []string { return slices.Sorted(maps.Keys(fields())) }

type getter = func(e *Event, to []string) []string

// fields is the table of what rules can read, by the names of OCSF. The few that OCSF has no name for
// are reason, notes, and the client.* of programs.
func fields() map[string]getter {
	m := map[string]getter{
		"class_uid":     num(func(e *Event) int64 { return int64(e.Class) }),
		"class_name":    str(func(e *Event) string { return className(e.Class) }),
		"category_uid":  num(func(e *Event) int64 { return categoryOf(e.Class) }),
		"activity_id":   num(func(e *Event) int64 { return int64(e.Activity) }),
		"activity_name": str(activityName),
		"type_uid":      num(func(e *Event) int64 { return typeOf(e) }),
		"time": str(func(e *Event) string {
			if e.When().IsZero() {
				return ""
			}
			return e.When().UTC().Format(time.RFC3339Nano)
		}),
		"message": str(func(e *Event) string { return e.Message }),

		"status_id":     num(func(e *Event) int64 { return int64(e.StatusID) }),
		"status":        str(statusName),
		"status_code":   str(func(e *Event) string { return e.StatusCode }),
		"status_detail": str(func(e *Event) string { return e.StatusDetail }),
		"reason":        str(func(e *Event) string { return string(e.Reason) }),
		"severity_id":   num(func(e *Event) int64 { return int64(e.Severity) }),
		"severity":      str(func(e *Event) string { return severityName(e.Severity) }),

		"metadata.uid":                 str(func(e *Event) string { return e.SourceID }),
		"metadata.event_code":          str(func(e *Event) string { return e.Code }),
		"metadata.tenant_uid":          str(func(e *Event) string { return e.AccountID }),
		"metadata.log_provider":        str(func(e *Event) string { return e.Source }),
		"metadata.product.name":        str(func(e *Event) string { return productOf(e.Source).Name }),
		"metadata.product.vendor_name": str(func(e *Event) string { return productOf(e.Source).VendorName }),
		"notes":                        func(e *Event, to []string) []string { return append(to, e.Notes...) },

		"src_endpoint.ip":                       str(func(e *Event) string { return e.Src.IP }),
		"src_endpoint.domain":                   str(func(e *Event) string { return e.Src.Domain }),
		"src_endpoint.is_proxy":                 yes(func(e *Event) Tri { return e.Src.Proxy }),
		"src_endpoint.is_anonymous":             yes(anonymous),
		"src_endpoint.location.country":         str(func(e *Event) string { return e.Src.Location.Country }),
		"src_endpoint.location.continent":       str(func(e *Event) string { return e.Src.Location.Continent }),
		"src_endpoint.location.region":          str(func(e *Event) string { return e.Src.Location.Region }),
		"src_endpoint.location.city":            str(func(e *Event) string { return e.Src.Location.City }),
		"src_endpoint.location.isp":             str(func(e *Event) string { return e.Src.ISP }),
		"src_endpoint.location.lat":             point(func(e *Event) float64 { return e.Src.Location.Latitude }),
		"src_endpoint.location.long":            point(func(e *Event) float64 { return e.Src.Location.Longitude }),
		"src_endpoint.autonomous_system.number": some(func(e *Event) int64 { return e.Src.Location.ASN }),
		"src_endpoint.autonomous_system.name":   str(func(e *Event) string { return e.Src.Location.Network }),

		"http_request.user_agent": str(func(e *Event) string { return e.Client.UserAgent }),
		"actor.app_name":          str(func(e *Event) string { return e.Client.App }),
		"client.app_version":      str(func(e *Event) string { return e.Client.AppVersion }),
		"client.platform":         str(func(e *Event) string { return e.Client.Platform }),
		"client.platform_version": str(func(e *Event) string { return e.Client.PlatformVersion }),
		"device.os.name":          str(func(e *Event) string { return e.Client.OS }),
		"device.os.version":       str(func(e *Event) string { return e.Client.OSVersion }),
		"device.uid":              str(func(e *Event) string { return e.Device.ID }),
		"device.name":             str(func(e *Event) string { return e.Device.Name }),
		"device.type":             str(func(e *Event) string { return e.Device.Type }),
		"device.is_managed":       yes(func(e *Event) Tri { return e.Device.Managed }),
		"device.is_compliant":     yes(func(e *Event) Tri { return e.Device.Compliant }),
		"device.trust":            str(func(e *Event) string { return e.Device.Trust }),

		"auth_protocol": str(func(e *Event) string { return e.Protocol }),
		"is_mfa":        yes(func(e *Event) Tri { return e.MFA }),
		"auth_factors.factor_type": func(e *Event, to []string) []string {
			for _, f := range e.Factors {
				to = append(to, f.name())
			}
			return to
		},
		"session.uid":  str(func(e *Event) string { return e.Session }),
		"service.uid":  str(func(e *Event) string { return e.Service.ID }),
		"service.name": str(func(e *Event) string { return e.Service.Name }),

		"entity.uid":  str(func(e *Event) string { return e.Entity.ID }),
		"entity.name": str(func(e *Event) string { return e.Entity.Name }),
		"entity.type": str(func(e *Event) string { return e.Entity.Type }),

		"disposition_id":     num(func(e *Event) int64 { return int64(e.Disposition) }),
		"disposition":        str(disposition),
		"firewall_rule.name": str(func(e *Event) string { return e.Rule }),
		"is_alert":           yes(func(e *Event) Tri { return triOf(e.Alert) }),
		"risk_level_id":      risk(func(r Risk) string { return strconv.Itoa(int(r) - 1) }),
		"risk_level":         risk(riskName),
		"risk_score":         some(func(e *Event) int64 { return int64(e.RiskScore) }),
		"risk_details":       str(func(e *Event) string { return e.RiskDetail }),
	}
	userFields(m, "user.", func(e *Event) *User { return &e.User })
	userFields(m, "actor.user.", func(e *Event) *User { return &e.Actor })
	return m
}

func userFields(m map[string]getter, prefix string, of func(*Event) *User) {
	m[prefix+"uid"] = str(func(e *Event) string { return of(e).ID })
	m[prefix+"name"] = str(func(e *Event) string { return of(e).Login })
	m[prefix+"full_name"] = str(func(e *Event) string { return of(e).Name })
	m[prefix+"email_addr"] = str(func(e *Event) string { return of(e).Email })
	m[prefix+"type"] = str(func(e *Event) string { return of(e).Type })
	m[prefix+"aliases"] = func(e *Event, to []string) []string { return append(to, of(e).Aliases...) }
}

func str(of func(*Event) string) getter {
	return func(e *Event, to []string) []string {
		if s := of(e); s != "" {
			return append(to, s)
		}
		return to
	}
}

func num(of func(*Event) int64) getter {
	return func(e *Event, to []string) []string { return append(to, strconv.FormatInt(of(e), 10)) }
}

// some is num where 0 means unknown.
func some(of func(*Event) int64) getter {
	return func(e *Event, to []string) []string {
		if n := of(e); n != 0 {
			return append(to, strconv.FormatInt(n, 10))
		}
		return to
	}
}

func yes(of func(*Event) Tri) getter {
	return func(e *Event, to []string) []string {
		switch of(e) {
		case Yes:
			return append(to, "true")
		case No:
			return append(to, "false")
		}
		return to
	}
}

func point(of func(*Event) float64) getter {
	return func(e *Event, to []string) []string {
		if !e.Src.Location.HasPoint() {
			return to
		}
		return append(to, strconv.FormatFloat(of(e), 'f', -1, 64))
	}
}

func risk(of func(Risk) string) getter {
	return func(e *Event, to []string) []string {
		if e.Risk == RiskUnknown {
			return to
		}
		return append(to, of(e.Risk))
	}
}

func triOf(b bool) Tri {
	if b {
		return Yes
	}
	return No
}

func anonymous(e *Event) Tri {
	if !e.Src.Location.AnonymousKnown {
		return Unknown
	}
	return triOf(e.Src.Location.Anonymous)
}

func disposition(e *Event) string {
	if e.Disposition == DispositionUnknown {
		return ""
	}
	return dispositionName(e.Disposition)
}
