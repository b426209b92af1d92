package feed

import (
	"strings"
	"sync"
	"time"

	"holdfast/internal/audit"
)

// code is what the contract calls an action (its section 4.6).
type code struct {
	Action audit.Action // ours
	Code   string       // the contract's
	Object string       // the contract's object type
}

// codes are the actions that readers of the first two generations see. Where the contract has no code of its
// own, it is the closest one: an application is an object of type "sa" (service account), the nearest that
// the contract has for a program with access. docs/events/audit-mapping.md says what is left out and why.
func codes() []code {
	return []code{
		{audit.AccountCreate, "create", "account"},
		{audit.AccountUpdate, "update", "account"},

		{audit.UserAdd, "create", "user"},
		{audit.UserImport, "create", "user"},
		{audit.UserInvite, "create", "invite"},
		{audit.UserSetupLink, "beginr", "user"},
		{audit.UserRemove, "delete", "user"},
		{audit.UserSuspend, "suspend", "user"},
		{audit.UserReactivate, "reactive", "user"}, // spelt so
		{audit.HoldRelease, "update", "user"},

		{audit.GroupCreate, "create", "group"},
		{audit.GroupUpdate, "update", "group"},
		{audit.GroupDelete, "delete", "group"},
		{audit.GroupMemberAdd, "join", "gm"},
		{audit.GroupMemberRemove, "leave", "gm"},

		{audit.AppCreate, "create", "sa"},
		{audit.AppUpdate, "update", "sa"},
		{audit.AppRotateSecret, "update", "sa"},
		{audit.AppRevoke, "delete", "sa"},

		{audit.EventsTokenCreate, "create", "satoken"},
		{audit.EventsTokenRevoke, "trevoke", "satoken"},

		{audit.FirewallAdd, "updatfw", "account"},
		{audit.FirewallUpdate, "updatfw", "account"},
		{audit.FirewallRemove, "updatfw", "account"},
		{audit.FirewallOrder, "updatfw", "account"},

		{audit.VaultCreate, "create", "vault"},
		{audit.VaultUpdate, "update", "vault"},
		{audit.VaultDelete, "delete", "vault"},
		{audit.VaultGrant, "grant", "uva"},
		{audit.VaultUngrant, "revoke", "uva"},

		{audit.ItemCreate, "create", "item"},
		{audit.ItemUpdate, "update", "item"},
		{audit.ItemArchive, "delete", "item"},

		{audit.PasswordSet, "changemp", "user"},
		{audit.PasswordRemove, "update", "user"},
		{audit.PasskeyAdd, "enblmfa", "user"},
		{audit.PasskeyRename, "updatmfa", "user"},
		{audit.PasskeyRemove, "updatmfa", "user"},
		{audit.TOTPSet, "enblmfa", "user"},
		{audit.TOTPRemove, "disblmfa", "user"},
		{audit.RecoveryCodesSet, "updatmfa", "user"},
		{audit.SignInSetUp, "completr", "user"},
		{audit.PolicySet, "updatea", "account"},

		{audit.AuditExport, "export", "report"},
		{audit.KeyRotate, "changeks", "account"},
	}
}

// codeOf is the contract's code of an action; ok is false if it has none.
func codeOf(a audit.Action) (code, bool) {
	c, ok := codesByAction()[a]
	return c, ok
}

// codesByAction is codes for looking up.
var codesByAction = sync.OnceValue(func() map[audit.Action]code {
	byAction := map[audit.Action]code{}
	for _, c := range codes() {
		byAction[c.Action] = c
	}
	return byAction
})

// shown reports whether readers see the entry. What was refused is not shown: the contract has no word for
// that, and a suspension that did not happen must not look like one that did.
func shown(e audit.Entry) bool {
	_, known := codeOf(e.Action)
	return known && e.Outcome == audit.Done
}

type auditView struct {
	UUID      string       `json:"uuid"`
	Timestamp time.Time    `json:"timestamp"`
	Actor     string       `json:"actor_uuid"`
	ActorMore *partyView   `json:"actor_details,omitempty"`
	Action    string       `json:"action"`
	Object    string       `json:"object_type"`
	ObjectID  string       `json:"object_uuid"`
	Details   *partyView   `json:"object_details,omitempty"`
	AuxInfo   string       `json:"aux_info,omitempty"`
	Session   *sessionView `json:"session,omitempty"`

	ActorType    string `json:"actor_type,omitempty"`
	ActorAccount string `json:"actor_account_uuid,omitempty"`
	Account      string `json:"account_uuid,omitempty"`
}

type sessionView struct {
	Address string `json:"ip,omitempty"`
}

// auditViewV3 is an audit event of the third generation, in which an action is named by what it is done to.
type auditViewV3 struct {
	UUID    string       `json:"uuid"`
	Action  audit.Action `json:"action"`
	At      time.Time    `json:"event_time"`
	Stored  time.Time    `json:"insert_time"`
	Actor   partyV3      `json:"actor"`
	Objects []partyV3    `json:"entities"`
	Context contextV3    `json:"context"`
}

type partyV3 struct {
	Type  string `json:"type"`
	UUID  string `json:"uuid,omitempty"`
	Name  string `json:"name,omitempty"`
	Email string `json:"email,omitempty"`
}

type contextV3 struct {
	Account struct {
		UUID string `json:"uuid"`
	} `json:"account"`
	Client *struct {
		Address string `json:"ip_address"`
	} `json:"client,omitempty"`
}

func renderAudited(a Audited, accountID string, g generation) any {
	if g == v3 {
		return renderV3(a, accountID)
	}
	c, _ := codeOf(a.Entry.Action)
	v := auditView{
		UUID: a.ID, Timestamp: a.At, Actor: a.Actor.ID, ActorMore: known(a.Actor), Action: c.Code, Object: c.Object,
		ObjectID: a.Target.ID, Details: known(a.Target), AuxInfo: reason(a.Entry),
	}
	if a.Target.ID == "" {
		v.ObjectID = accountID
	}
	if a.Entry.Address != "" {
		v.Session = &sessionView{Address: a.Entry.Address}
	}
	if g == v2 {
		v.ActorType, v.ActorAccount, v.Account = actorType(a.Entry.Actor), accountID, accountID
	}
	return v
}

// reason is why something was done. What stands in its place for vaults and items are their names, which are
// not for everybody who may read the audit log.
func reason(e audit.Entry) string {
	switch kind, _, _ := strings.Cut(string(e.Action), "."); kind {
	case "vault", "item":
		return ""
	}
	return e.Reason
}

// known is a party of which more is known than its ID.
func known(p Party) *partyView {
	if p.Name == "" && p.Email == "" {
		return nil
	}
	v := partyOf(p)
	return &v
}

// actorType says what did it. The contract has user; a program and the server itself are ours.
func actorType(actor string) string {
	switch kind, _, _ := strings.Cut(actor, ":"); kind {
	case "user":
		return "user"
	case "client", "events_token":
		return "application"
	}
	return "system"
}

func renderV3(a Audited, accountID string) auditViewV3 {
	v := auditViewV3{
		UUID: a.ID, Action: a.Entry.Action, At: a.At, Stored: a.At,
		Actor: partyV3{Type: actorType(a.Entry.Actor), UUID: a.Actor.ID, Name: a.Actor.Name, Email: a.Actor.Email},
	}
	kind, _, ok := strings.Cut(a.Entry.Target, ":")
	if !ok {
		kind = "account"
	}
	object := partyV3{Type: kind, UUID: a.Target.ID, Name: a.Target.Name, Email: a.Target.Email}
	if kind == "client" {
		object.Type = "application"
	}
	if object.UUID == "" {
		object.UUID = accountID
	}
	v.Objects, v.Context.Account.UUID = []partyV3{object}, accountID
	if a.Entry.Address != "" {
		v.Context.Client = &struct {
			Address string `json:"ip_address"`
		}{a.Entry.Address}
	}
	return v
}
