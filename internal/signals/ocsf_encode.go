package signals

import (
	"bytes"
	"encoding/json"
	"slices"
	"time"
)

// The form of an event in OCSF: what we fill of the class and of the profiles that are named in
// metadata. What OCSF has no place for is in unmapped, under ours.

type ocsfEvent struct {
	ActivityID   Activity `json:"activity_id"`
	ActivityName string   `json:"activity_name,omitempty"`
	CategoryUID  int64    `json:"category_uid"`
	CategoryName string   `json:"category_name,omitempty"`
	ClassUID     Class    `json:"class_uid"`
	ClassName    string   `json:"class_name,omitempty"`
	TypeUID      int64    `json:"type_uid"`
	Time         int64    `json:"time"`              // milliseconds
	TimeDT       string   `json:"time_dt,omitempty"` // the same, exactly
	SeverityID   Severity `json:"severity_id"`
	Severity     string   `json:"severity,omitempty"`
	Message      string   `json:"message,omitempty"`

	StatusID     StatusID `json:"status_id"`
	Status       string   `json:"status,omitempty"`
	StatusCode   string   `json:"status_code,omitempty"`
	StatusDetail string   `json:"status_detail,omitempty"`

	Metadata ocsfMetadata `json:"metadata"`

	Actor       ocsfActor    `json:"actor,omitzero"`
	User        ocsfUser     `json:"user,omitzero"`
	SrcEndpoint ocsfEndpoint `json:"src_endpoint,omitzero"`
	HTTPRequest ocsfHTTP     `json:"http_request,omitzero"`
	Device      *ocsfDevice  `json:"device,omitempty"`
	Session     ocsfSession  `json:"session,omitzero"`
	Service     ocsfService  `json:"service,omitzero"`
	Entity      ocsfEntity   `json:"entity,omitzero"`

	AuthProtocolID int          `json:"auth_protocol_id,omitempty"`
	AuthProtocol   string       `json:"auth_protocol,omitempty"`
	IsMFA          *bool        `json:"is_mfa,omitempty"`
	AuthFactors    []ocsfFactor `json:"auth_factors,omitempty"`

	ActionID      int      `json:"action_id,omitempty"`
	Action        string   `json:"action,omitempty"`
	DispositionID int32    `json:"disposition_id,omitempty"`
	Disposition   string   `json:"disposition,omitempty"`
	FirewallRule  ocsfRule `json:"firewall_rule,omitzero"`
	IsAlert       bool     `json:"is_alert,omitempty"`
	RiskLevelID   *int32   `json:"risk_level_id,omitempty"`
	RiskLevel     string   `json:"risk_level,omitempty"`
	RiskScore     int      `json:"risk_score,omitempty"`
	RiskDetails   string   `json:"risk_details,omitempty"`

	Enrichments []ocsfEnrichment `json:"enrichments,omitempty"`
	RawData     string           `json:"raw_data,omitempty"`
	Unmapped    json.RawMessage  `json:"unmapped,omitempty"`
}

type ocsfMetadata struct {
	Version     string   `json:"version"`
	Product     product  `json:"product"`
	Profiles    []string `json:"profiles,omitempty"`
	UID         string   `json:"uid,omitempty"`
	EventCode   string   `json:"event_code,omitempty"`
	TenantUID   string   `json:"tenant_uid,omitempty"`
	LogProvider string   `json:"log_provider,omitempty"`
	LoggedTime  int64    `json:"logged_time,omitempty"` // milliseconds
	LoggedDT    string   `json:"logged_time_dt,omitempty"`
	Debug       []string `json:"debug,omitempty"`
}

type ocsfActor struct {
	AppName string   `json:"app_name,omitempty"`
	User    ocsfUser `json:"user,omitzero"`
}

type ocsfUser struct {
	UID      string `json:"uid,omitempty"`
	Name     string `json:"name,omitempty"`
	FullName string `json:"full_name,omitempty"`
	Email    string `json:"email_addr,omitempty"`
	Type     string `json:"type,omitempty"`
}

type ocsfEndpoint struct {
	IP       string       `json:"ip,omitempty"`
	Domain   string       `json:"domain,omitempty"`
	Location ocsfLocation `json:"location,omitzero"`
	AS       ocsfAS       `json:"autonomous_system,omitzero"`
}

type ocsfLocation struct {
	Country   string   `json:"country,omitempty"`
	Continent string   `json:"continent,omitempty"`
	Region    string   `json:"region,omitempty"`
	City      string   `json:"city,omitempty"`
	ISP       string   `json:"isp,omitempty"`
	Lat       *float64 `json:"lat,omitempty"`
	Long      *float64 `json:"long,omitempty"`
}

type ocsfAS struct {
	Number int64  `json:"number,omitempty"`
	Name   string `json:"name,omitempty"`
}

type ocsfHTTP struct {
	UserAgent string `json:"user_agent,omitempty"`
}

type ocsfDevice struct {
	TypeID      int    `json:"type_id"`
	Type        string `json:"type,omitempty"`
	UID         string `json:"uid,omitempty"`
	Name        string `json:"name,omitempty"`
	IsManaged   *bool  `json:"is_managed,omitempty"`
	IsCompliant *bool  `json:"is_compliant,omitempty"`
	OS          ocsfOS `json:"os,omitzero"`
}

type ocsfOS struct {
	TypeID  int    `json:"type_id"`
	Name    string `json:"name,omitempty"`
	Version string `json:"version,omitempty"`
}

type ocsfSession struct {
	UID string `json:"uid,omitempty"`
}

type ocsfService struct {
	UID  string `json:"uid,omitempty"`
	Name string `json:"name,omitempty"`
}

type ocsfEntity struct {
	UID  string `json:"uid,omitempty"`
	Name string `json:"name,omitempty"`
	Type string `json:"type,omitempty"`
}

type ocsfFactor struct {
	ID   FactorID `json:"factor_type_id"`
	Name string   `json:"factor_type,omitempty"`
}

type ocsfRule struct {
	Name string `json:"name,omitempty"`
}

type ocsfEnrichment struct {
	Name  string   `json:"name"`
	Value string   `json:"value"`
	Data  struct{} `json:"data"` // required there, and everything is said above
}

// ours is the member of unmapped that holds what OCSF has no attribute for.
const ours = "holdfast"

type ocsfOurs struct {
	Reason       Reason   `json:"reason,omitempty"`
	Status       string   `json:"status,omitempty"` // the source's word; OCSF wants its own
	AppVersion   string   `json:"app_version,omitempty"`
	Platform     string   `json:"platform,omitempty"`
	PlatformV    string   `json:"platform_version,omitempty"`
	Trust        string   `json:"device_trust,omitempty"`
	Radius       int      `json:"radius_km,omitempty"`
	Proxy        *bool    `json:"is_proxy,omitempty"`
	Anonymous    *bool    `json:"is_anonymous,omitempty"`
	Aliases      []string `json:"user_aliases,omitempty"`
	ActorAliases []string `json:"actor_aliases,omitempty"`
	NoTime       bool     `json:"no_time,omitempty"` // time is when it was received
}

// EncodeOCSF writes an event as JSON of OCSF, version [SchemaVersion], its class being that of the
// event. [DecodeOCSF] gives the event back.
func EncodeOCSF(e *Event) ([]byte, error) {
	action, actionName := actionOf(e.Disposition)
	o := ocsfEvent{
		ActivityID: e.Activity, ActivityName: activityName(e),
		CategoryUID: categoryOf(e.Class), CategoryName: categoryName(e.Class),
		ClassUID: e.Class, ClassName: className(e.Class), TypeUID: typeOf(e),
		Time: millis(e.When()), TimeDT: exact(e.Time), SeverityID: e.Severity, Severity: severityName(e.Severity), Message: e.Message,
		StatusID: e.StatusID, Status: statusName(e), StatusCode: e.StatusCode, StatusDetail: e.StatusDetail,
		Metadata: ocsfMetadata{
			Version: SchemaVersion, Product: productOf(e.Source), Profiles: []string{"datetime", "host", "security_control"},
			UID: e.SourceID, EventCode: e.Code, TenantUID: e.AccountID, LogProvider: e.Source,
			LoggedTime: millis(e.ReceivedAt), LoggedDT: exact(e.ReceivedAt), Debug: e.Notes,
		},
		Actor: ocsfActor{AppName: e.Client.App, User: ocsfUserOf(e.Actor)}, User: ocsfUserOf(e.User),
		SrcEndpoint: ocsfEndpointOf(e.Src), HTTPRequest: ocsfHTTP{e.Client.UserAgent}, Device: ocsfDeviceOf(e),
		Session: ocsfSession{e.Session}, Service: ocsfService{e.Service.ID, e.Service.Name},
		Entity:         ocsfEntity{e.Entity.ID, e.Entity.Name, e.Entity.Type},
		AuthProtocolID: protocolID(e.Protocol), AuthProtocol: e.Protocol, IsMFA: boolOf(e.MFA),
		DispositionID: int32(e.Disposition), FirewallRule: ocsfRule{e.Rule}, IsAlert: e.Alert,
		RiskScore: e.RiskScore, RiskDetails: e.RiskDetail, RawData: e.Raw,
	}
	for _, f := range e.Factors {
		o.AuthFactors = append(o.AuthFactors, ocsfFactor{f.ID, f.name()})
	}
	for _, v := range e.Verdicts {
		o.Enrichments = append(o.Enrichments, ocsfEnrichment{Name: v.Name, Value: v.Value})
	}
	if e.Disposition != DispositionUnknown {
		o.ActionID, o.Action, o.Disposition = action, actionName, dispositionName(e.Disposition)
	}
	if e.Risk != RiskUnknown {
		id := int32(e.Risk) - 1
		o.RiskLevelID, o.RiskLevel = &id, riskName(e.Risk)
	}
	var err error
	if o.Unmapped, err = unmappedOf(e); err != nil {
		return nil, err
	}
	return marshal(o)
}

// marshal writes < > & as they are: nothing of it is put into a page, and raw events grow otherwise.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// unmappedOf is an object of the source's values by name, in their order, with our member last.
func unmappedOf(e *Event) (json.RawMessage, error) {
	o := ocsfOurs{
		Reason: e.Reason, Status: e.Status, AppVersion: e.Client.AppVersion, Platform: e.Client.Platform, PlatformV: e.Client.PlatformVersion,
		Trust: e.Device.Trust, Radius: e.Src.Location.Radius, Proxy: boolOf(e.Src.Proxy), Anonymous: boolOf(anonymous(e)),
		Aliases: e.User.Aliases, ActorAliases: e.Actor.Aliases, NoTime: e.Time.IsZero(),
	}
	b := []byte("{")
	add := func(name string, value any) error {
		k, err := marshal(name)
		if err != nil {
			return err
		}
		v, err := marshal(value)
		if err != nil {
			return err
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(b, k...), ':'), v...)
		return nil
	}
	for _, a := range e.Unmapped {
		if err := add(a.Name, a.Value); err != nil {
			return nil, err
		}
	}
	if err := add(ours, o); err != nil {
		return nil, err
	}
	return append(b, '}'), nil
}

func ocsfUserOf(u User) ocsfUser {
	return ocsfUser{UID: u.ID, Name: u.Login, FullName: u.Name, Email: u.Email, Type: u.Type}
}

func ocsfEndpointOf(p Endpoint) ocsfEndpoint {
	l := p.Location
	o := ocsfEndpoint{
		IP: p.IP, Domain: p.Domain, AS: ocsfAS{l.ASN, l.Network},
		Location: ocsfLocation{Country: l.Country, Continent: l.Continent, Region: l.Region, City: l.City, ISP: p.ISP},
	}
	if l.HasPoint() {
		o.Location.Lat, o.Location.Long = &l.Latitude, &l.Longitude
	}
	return o
}

func ocsfDeviceOf(e *Event) *ocsfDevice {
	v := e.Device
	o := ocsfDevice{
		Type: v.Type, UID: v.ID, Name: v.Name, IsManaged: boolOf(v.Managed), IsCompliant: boolOf(v.Compliant),
		OS: ocsfOS{Name: e.Client.OS, Version: e.Client.OSVersion},
	}
	if o == (ocsfDevice{}) {
		return nil
	}
	return &o
}

func boolOf(t Tri) *bool {
	if t == Unknown {
		return nil
	}
	b := t == Yes
	return &b
}

func protocolID(name string) int {
	if name == "" {
		return 0
	}
	if i := slices.Index(protocols(), name); i > 0 {
		return i
	}
	return 99
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

func exact(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
