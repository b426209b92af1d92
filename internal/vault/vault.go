package vault

import (
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Access is what somebody may do in a vault; more includes less.
type Access uint8

// The levels, as they are stored.
const (
	None Access = iota
	View
	Edit
	Manage
)

// String is "none", "view", "edit" or "manage".
func (a Access) String() string {
	switch a {
	case View:
		return "view"
	case Edit:
		return "edit"
	case Manage:
		return "manage"
	}
	return "none"
}

// ParseAccess reads a level that can be granted: "view", "edit" or "manage".
func ParseAccess(s string) (Access, error) {
	for _, a := range []Access{View, Edit, Manage} {
		if a.String() == s {
			return a, nil
		}
	}
	return None, problem.InField("access", "%q is no access; there are view, edit and manage", s)
}

// Viewer is the person who asks.
type Viewer struct {
	AccountID string
	UserID    string
}

// Vault is a vault as its viewer sees it.
type Vault struct {
	AccountID   string
	ID          string
	Name        string // not unique
	Description string
	CreatedAt   time.Time
	CreatedBy   string // "user:<id>"
	Items       int    // those that are not archived
	Access      Access // of whoever asked
}

// Grant is the access of a person or a group.
type Grant struct {
	Grantee string // "user:<id>" or "group:<id>"
	Name    string // of the person or the group
	Access  Access
}

// The prefixes of a grantee.
const (
	UserGrantee  = "user:"
	GroupGrantee = "group:"
)

// The longest texts of a vault, in bytes.
const (
	maxName        = 100
	maxDescription = 1000
)

// checkVault trims the texts and refuses what could not be stored or shown, naming the field.
func checkVault(name, description string) (string, string, error) {
	name, description = strings.TrimSpace(name), strings.TrimSpace(description)
	if name == "" {
		return "", "", problem.InField("name", "the vault needs a name")
	}
	if err := checkLine("name", "name", name, maxName); err != nil {
		return "", "", err
	}
	return name, description, checkLines("description", "description", description, maxDescription)
}

// checkGrantee refuses what is of neither form. Whether there is such a person or group, the store knows.
func checkGrantee(grantee string) error {
	for _, prefix := range []string{UserGrantee, GroupGrantee} {
		if id, ok := strings.CutPrefix(grantee, prefix); ok && seal.ValidID(id) {
			return nil
		}
	}
	return ErrNoGrantee(grantee)
}

// ErrNoVault is the answer to an id that the account does not have, or that the viewer may not see.
func ErrNoVault(id string) *problem.Error { return problem.New(problem.NotFound, "no vault %q", id) }

// ErrNoItem is the answer to an id that the vault does not have, or no longer.
func ErrNoItem(id string) *problem.Error {
	return problem.New(problem.NotFound, "no item %q", id)
}

// ErrNoGrantee is the answer to a grantee that the account does not have.
func ErrNoGrantee(grantee string) *problem.Error {
	return problem.InField("grantee", "%q is no person or group of this account", grantee)
}

// ErrAccess is the answer to what takes more access than the viewer has.
func ErrAccess(have, need Access) *problem.Error {
	return problem.Coded(problem.Forbidden, "vault_access", "this takes the access %q in the vault and you have %q; ask somebody who manages it", need, have)
}

// ErrLastManage is the answer to what would leave a vault without anybody who manages it.
func ErrLastManage() *problem.Error {
	return problem.Coded(problem.Conflict, "last_manage", "nobody else manages this vault; give somebody else the access %q first", Manage)
}

// ErrNotEmpty is the answer to deleting a vault that has items.
func ErrNotEmpty(items int) *problem.Error {
	return problem.Coded(problem.Conflict, "vault_not_empty", "the vault has items (%d); archive them or save them elsewhere first", items)
}

// ErrChanged is the answer to a change of a version that is not the current one.
func ErrChanged(seen, current int) *problem.Error {
	return problem.Coded(problem.Conflict, "item_changed", "somebody else has changed the item: you saw version %d and it is at version %d; look at the current one and change it again", seen, current)
}
