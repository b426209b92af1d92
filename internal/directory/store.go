package directory

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Store is what the directory needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. One that changes
// something is durable once it returns, and writes the audit entry in the same transaction. What
// policy refuses changes nothing but leaves the entry, with [audit.Refused]. An id that the account
// does not have is a problem of kind NotFound.
//
// Policy knows the actor "user:<id>" as a person: she cannot suspend or remove herself, and only if she is
// an active owner suspend or remove an owner, or change who belongs to Owners. All other actors, such as
// operators on the command line, have been let in by other doors and may.
type Store interface {
	// CreateAccount makes an account with its built-in groups and its first owner.
	CreateAccount(ctx context.Context, a NewAccount, by audit.Entry) (Account, User, error)
	Account(ctx context.Context, id string) (Account, error)
	Accounts(ctx context.Context) ([]Account, error)

	User(ctx context.Context, accountID, id string) (User, error)
	UserByEmail(ctx context.Context, accountID, email string) (User, error)

	// RenameAccount changes nothing, and writes no entry, if the account has the name already.
	RenameAccount(ctx context.Context, accountID, name string, by audit.Entry) error

	// ListUsers returns active people in the order of their ids, which never change: a person who
	// is there from the first page to the last is listed exactly once, whatever else happens. It does not
	// look at q.Search.
	ListUsers(ctx context.Context, accountID string, q ListQuery) ([]User, error)

	// SearchUsers returns up to q.Limit people whom q.Search finds, behind the place, and the place up to
	// which it has come. More says that there may be others behind it, also if fewer were returned.
	SearchUsers(ctx context.Context, accountID string, q ListQuery, from SearchPlace) (us []User, at SearchPlace, more bool, err error)

	// Counts counts the people of the account.
	Counts(ctx context.Context, accountID string) (Counts, error)

	// AddUser adds an active person. An email that the account has is a problem of kind Conflict.
	AddUser(ctx context.Context, accountID string, u NewUser, by audit.Entry) (User, error)

	// InviteUser adds a person who is invited, with a link by which to become active. Only owners invite
	// into Owners.
	InviteUser(ctx context.Context, accountID string, u NewUser, link SetupLink, by audit.Entry) (User, error)

	// ReplaceSetupLink stores a link and deletes those of the person that were not used. It is refused for
	// a suspended person, and for an owner unless an owner asks.
	ReplaceSetupLink(ctx context.Context, accountID, userID string, link SetupLink, by audit.Entry) error

	// ImportUsers adds all people or none. One that cannot be added is an [ImportError], which names it;
	// of two with one email it is the second.
	ImportUsers(ctx context.Context, accountID string, us []NewUser, progress func(done int), by audit.Entry) error

	// KnownEmails returns those of the keys that the account has.
	KnownEmails(ctx context.Context, accountID string, keys []string) ([]string, error)

	// SuspendUser opens the holder's hold if that holder has none open, and returns the person as
	// stored. If it has, nothing changes and no entry is written. A hold with an end is released by a job.
	SuspendUser(ctx context.Context, accountID, id string, h NewHold, by audit.Entry) (User, error)

	// ReactivateUser releases every hold, and is refused while one of scim is open. For a person
	// without holds nothing changes and no entry is written.
	ReactivateUser(ctx context.Context, accountID, id string, by audit.Entry) (User, error)

	// ReleaseHold releases one hold if it is still open; if not, nothing changes. Only scim, or the system when its
	// time is over, releases one of scim.
	ReleaseHold(ctx context.Context, accountID, holdID string, by audit.Entry) error

	// RemoveUser ends the person's membership for good; the id stays known to the audit log.
	RemoveUser(ctx context.Context, accountID, id string, by audit.Entry) error

	Holds(ctx context.Context, accountID, userID string) ([]Hold, error)

	// HoldsOpen returns open holds on people who are in the account, the newest first.
	HoldsOpen(ctx context.Context, accountID string, limit int) ([]OpenHold, error)

	Groups(ctx context.Context, accountID string) ([]Group, error)
	GroupsOf(ctx context.Context, accountID, userID string) ([]Group, error)

	// GroupsOfMany returns the groups of each of up to [MaxGroupsOf] people, in the order of their names, by the
	// person's id. Team Members is left out: everybody is in it.
	GroupsOfMany(ctx context.Context, accountID string, userIDs []string) (map[string][]Group, error)

	// GroupCounts returns the groups in the order of their names, each with the number of its members.
	GroupCounts(ctx context.Context, accountID string) ([]GroupCount, error)

	// Members returns people of the group in the order of their ids, after the one given.
	Members(ctx context.Context, accountID, groupID, after string, limit int) ([]User, error)

	CreateGroup(ctx context.Context, accountID, name string, by audit.Entry) (Group, error)

	// RenameGroup and DeleteGroup are for custom groups; a built-in one is a problem of kind Forbidden. With
	// the group its access to vaults ends. While nobody else manages one of them, deleting is refused with
	// a problem of kind Conflict.
	RenameGroup(ctx context.Context, accountID, groupID, name string, by audit.Entry) error
	DeleteGroup(ctx context.Context, accountID, groupID string, by audit.Entry) error

	// AddMember and RemoveMember change nothing, and write no entry, if it is so already.
	AddMember(ctx context.Context, accountID, groupID, userID string, by audit.Entry) error
	RemoveMember(ctx context.Context, accountID, groupID, userID string, by audit.Entry) error
}

// NewAccount is an account to create. The owner gets a one-time link to set up sign-in.
type NewAccount struct {
	Name       string
	OwnerEmail string
	OwnerName  string

	SetupLink    seal.Hash // hash of the owner's one-time link; the zero Hash for none
	SetupExpires time.Time
}

// NewHold is a hold to open.
type NewHold struct {
	Holder string
	Reason string
	Until  time.Time // zero: until somebody releases it
}

// StateFilter chooses people by state.
type StateFilter uint8

// The filters of the Users API, and one of the console.
const (
	AnyState StateFilter = iota
	OnlyActive
	OnlySuspended
	OnlyInvited
)

// ListQuery asks for one page of people.
type ListQuery struct {
	State StateFilter
	After string // id of the last person of the page before, or what [People.Next] was; empty for the first
	Limit int

	IncludeInvited bool   // with AnyState: who is only invited, too
	Search         string // for [Service.People]: only whom this finds
}

// Counts says how many people an account has. They are counted when asked, which takes about 1 ms for
// each 20,000.
type Counts struct {
	Active    int // not suspended
	Suspended int
	Invited   int
	Removed   int
}

// MaxGroupsOf is of how many people groups are read at once.
const MaxGroupsOf = 50

// GroupCount is a group with the number of its members.
type GroupCount struct {
	Group
	Members int
}

// OpenHold is a hold with the person on whom it is.
type OpenHold struct {
	Hold
	Email       string
	DisplayName string
}

// What policy refuses. Each call makes a new problem, so that nobody shares a pointer.

// ErrLastOwner is the answer to what would leave an account without an active owner. The code is the
// one that 1Password's API was seen to give.
func ErrLastOwner() *problem.Error {
	return problem.Coded(problem.Forbidden, "no_owner_remain", "this is the last active owner of the account; make somebody else an owner first")
}

// ErrSelfSuspend is the answer to a person who would lock herself out.
func ErrSelfSuspend() *problem.Error {
	return problem.Coded(problem.Forbidden, "cannot_suspend_self", "you cannot suspend yourself; ask another administrator")
}

// ErrSelfRemove is the answer to a person who would remove herself.
func ErrSelfRemove() *problem.Error {
	return problem.Coded(problem.Forbidden, "cannot_remove_self", "you cannot remove yourself; ask another administrator")
}

// ErrOwnersOnly is the answer to a person who is no owner and would have power over owners.
func ErrOwnersOnly() *problem.Error {
	return problem.Coded(problem.Forbidden, "owners_only", "only an owner can change who the owners are, or suspend, remove or recover one; ask an owner")
}

// ErrBuiltIn is the answer to renaming or deleting a group that every account has.
func ErrBuiltIn(name string) *problem.Error {
	return problem.Coded(problem.Forbidden, "built_in_group", "the group %s is built in; only groups that were added can be renamed or deleted", name)
}

// ErrManagesVault is the answer to deleting a group without which a vault would have nobody who manages it.
func ErrManagesVault() *problem.Error {
	return problem.Coded(problem.Conflict, "group_manages_vault", "nobody but this group manages one of the vaults; let somebody else manage it first")
}

// ErrExternallyManaged is the answer to suspending a person whom the identity provider manages.
func ErrExternallyManaged() *problem.Error {
	return problem.Coded(problem.Forbidden, "externally_managed", "this person is managed by the identity provider; suspend or reactivate there")
}

// ErrProvisioned is the answer to reactivating a person whom the identity provider suspended.
func ErrProvisioned() *problem.Error {
	return problem.Coded(problem.Forbidden, "suspended_by_provisioning", "this person was suspended by the identity provider; reactivate there")
}

// ErrNoUser is the answer to an id that the account does not have.
func ErrNoUser(id string) *problem.Error {
	return problem.New(problem.NotFound, "no user %q", id)
}

// Check trims the texts and refuses what could not be stored or shown, naming the field.
func (a *NewAccount) Check() error {
	name, err := CheckName("name", a.Name)
	if err != nil {
		return err
	}
	owner := NewUser{Email: a.OwnerEmail, DisplayName: a.OwnerName}
	if err := owner.Check(); err != nil {
		return err
	}
	a.Name, a.OwnerEmail, a.OwnerName = name, owner.Email, owner.DisplayName
	return nil
}
