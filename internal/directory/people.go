package directory

import (
	"net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
)

// Account is the tenant, the unit of isolation.
type Account struct {
	ID        string
	Name      string
	CreatedAt time.Time
}

// Lifecycle is where a person stands between invitation and removal.
type Lifecycle string

// The lifecycle, in its only direction.
const (
	Invited Lifecycle = "invited"
	Active  Lifecycle = "active"
	Removed Lifecycle = "removed"
)

// User is a person of an account.
type User struct {
	AccountID         string
	ID                string
	Email             string // as it was written; unique in the account by EmailKey
	DisplayName       string
	Lifecycle         Lifecycle
	Suspended         bool // at least one hold is open
	ExternallyManaged bool // the identity provider decides; cannot be suspended here
	CreatedAt         time.Time
}

// Hold is one reason why a person may not sign in.
type Hold struct {
	AccountID string
	ID        string
	UserID    string
	Holder    string // "client:<uuid>", "user:<id>", "operator:<name>", "case:<id>", "scim:<source>"
	Reason    string
	OpenedAt  time.Time
	Until     time.Time // zero: until somebody releases it

	ReleasedAt    time.Time // zero: open
	ReleasedBy    string
	ReleaseReason string
}

// ScimHolder is the prefix of holders whose holds only the identity provider can release.
const ScimHolder = "scim:"

// NewUser is a person to add.
type NewUser struct {
	Email             string
	DisplayName       string
	ExternallyManaged bool
	Groups            []string // names; the built-in ones or existing custom ones
}

// The longest texts, in bytes. RFC 5321 §4.5.3.1.3 bounds an address to 254.
const (
	maxEmail = 254
	maxName  = 200
)

// Check trims the texts and refuses what could not be stored or shown, naming the field.
func (u *NewUser) Check() error {
	u.Email = strings.TrimSpace(u.Email)
	if err := checkEmail(u.Email); err != nil {
		return err
	}
	name, err := CheckName("display_name", u.DisplayName)
	u.DisplayName = name
	return err
}

func checkEmail(email string) error {
	if email == "" {
		return problem.InField("email", "the email is missing")
	}
	if len(email) > maxEmail {
		return problem.InField("email", "the email has %d bytes; at most %d are possible", len(email), maxEmail)
	}
	a, err := mail.ParseAddress(email)
	if err != nil || a.Address != email || a.Name != "" {
		return problem.InField("email", "%q is not an email address such as mira@example.org", email)
	}
	if strings.ContainsFunc(email, unprintable) {
		return problem.InField("email", "the email %q holds characters that cannot be shown", email)
	}
	return nil
}

// CheckName trims a name and refuses an empty, overlong or unprintable one.
func CheckName(field, name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return name, problem.InField(field, "the %s is missing", strings.ReplaceAll(field, "_", " "))
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return name, problem.InField(field, "the %s %q holds characters that cannot be shown", strings.ReplaceAll(field, "_", " "), name)
	case len(name) > maxName:
		return name, problem.InField(field, "the %s has %d bytes; at most %d are possible", strings.ReplaceAll(field, "_", " "), len(name), maxName)
	}
	return name, nil
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }

// EmailKey is what makes an address unique: normalised to NFC and case-folded. We fold the part
// before the @ too; RFC 5321 §2.4 lets mail servers tell Mira@ from mira@, people do not.
func EmailKey(email string) string {
	for _, c := range []byte(email) {
		if c >= utf8.RuneSelf {
			return norm.NFC.String(cases.Fold().String(norm.NFC.String(email)))
		}
	}
	return strings.ToLower(email)
}

// GroupKind tells the built-in groups from custom ones.
type GroupKind string

// The kinds. Everybody who is active belongs to the team; no rows are kept for that.
const (
	Owners         GroupKind = "owners"
	Administrators GroupKind = "administrators"
	Security       GroupKind = "security"
	TeamMembers    GroupKind = "team_members"
	Custom         GroupKind = "custom"
)

// BuiltIn lists the groups that every account has.
func BuiltIn() []Group {
	return []Group{
		{Name: "Owners", Kind: Owners}, {Name: "Administrators", Kind: Administrators},
		{Name: "Security", Kind: Security}, {Name: "Team Members", Kind: TeamMembers},
	}
}

// Group is a named set of people.
type Group struct {
	AccountID string
	ID        string
	Name      string // unique in the account, case-folded
	Kind      GroupKind
}

// GroupKey is what makes a group's name unique in its account.
func GroupKey(name string) string {
	return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(name))))
}
