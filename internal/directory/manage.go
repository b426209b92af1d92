package directory

import (
	"context"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// What people do with people, in the console and on the command line. Who may open the door to it is
// said by the routes; what nobody may do whatever the door is checked in the transaction, see [Store].

// maxReason bounds a reason, in bytes: what the audit log keeps.
const maxReason = 1000

// checkReason trims a reason and refuses none, and one that could not be shown.
func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case reason == "":
		return "", problem.InField("reason", "the reason is missing; say why in a few words, for those who look at it later")
	case len(reason) > maxReason:
		return "", problem.InField("reason", "the reason has %d bytes; at most %d are possible", len(reason), maxReason)
	case strings.ContainsFunc(reason, func(r rune) bool { return unprintable(r) && r != '\n' && r != '\r' && r != '\t' }):
		return "", problem.InField("reason", "the reason holds characters that cannot be shown")
	}
	return reason, nil
}

// Suspend opens the actor's hold on a person. A hold with an end (until, in the future) is released by a
// job then. Nobody suspends herself, and only owners suspend owners.
func (s *Service) Suspend(ctx context.Context, accountID, userID, reason string, until time.Time, by audit.Entry) (User, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return User{}, err
	}
	if !until.IsZero() && !until.After(s.Now()) {
		return User{}, problem.InField("until", "the end of the suspension has passed; choose a time in the future, or none")
	}
	return s.Store.SuspendUser(ctx, accountID, userID, NewHold{Holder: by.Actor, Reason: reason, Until: until}, by)
}

// Reactivate releases all holds on a person but is refused while one of the identity provider is open.
func (s *Service) Reactivate(ctx context.Context, accountID, userID, reason string, by audit.Entry) (User, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return User{}, err
	}
	return s.Store.ReactivateUser(ctx, accountID, userID, by.Because(reason))
}

// ReleaseHold releases one hold on a person; for one that is released already nothing changes. A hold of
// the identity provider is refused.
func (s *Service) ReleaseHold(ctx context.Context, accountID, userID, holdID, reason string, by audit.Entry) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	holds, err := s.Store.Holds(ctx, accountID, userID)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if h.ID == holdID {
			return s.Store.ReleaseHold(ctx, accountID, holdID, by.Because(reason))
		}
	}
	return problem.New(problem.NotFound, "no hold %q on this person", holdID)
}

// Remove ends a person's membership for good. Nobody removes herself, and only owners remove owners.
func (s *Service) Remove(ctx context.Context, accountID, userID, reason string, by audit.Entry) error {
	reason, err := checkReason(reason)
	if err != nil {
		return err
	}
	return s.Store.RemoveUser(ctx, accountID, userID, by.Because(reason))
}

// Invite adds a person who is not active until she has set up signing in by the link, which is shown
// once. Only owners invite into Owners.
func (s *Service) Invite(ctx context.Context, accountID string, n NewUser, by audit.Entry) (User, seal.Secret, error) {
	if err := n.Check(); err != nil {
		return User{}, seal.Secret{}, err
	}
	link, hash := NewLink()
	u, err := s.Store.InviteUser(ctx, accountID, n, SetupLink{Hash: hash, ExpiresAt: s.Now().Add(LinkLife)}, by)
	if err != nil {
		return User{}, seal.Secret{}, err
	}
	return u, link, nil
}

// NewSetupLink makes a link for a person who was invited, or who has lost every way to sign in. Earlier
// links that were not used are void. Only owners make links for owners: who has the link, is the person.
func (s *Service) NewSetupLink(ctx context.Context, accountID, userID string, by audit.Entry) (seal.Secret, error) {
	link, hash := NewLink()
	if err := s.Store.ReplaceSetupLink(ctx, accountID, userID, SetupLink{Hash: hash, ExpiresAt: s.Now().Add(LinkLife)}, by); err != nil {
		return seal.Secret{}, err
	}
	return link, nil
}

// RenameAccount gives the account another name.
func (s *Service) RenameAccount(ctx context.Context, accountID, name string, by audit.Entry) error {
	name, err := CheckName("name", name)
	if err != nil {
		return err
	}
	return s.Store.RenameAccount(ctx, accountID, name, by)
}

// CreateGroup makes a custom group.
func (s *Service) CreateGroup(ctx context.Context, accountID, name string, by audit.Entry) (Group, error) {
	name, err := CheckName("name", name)
	if err != nil {
		return Group{}, err
	}
	return s.Store.CreateGroup(ctx, accountID, name, by)
}

// RenameGroup gives a custom group another name.
func (s *Service) RenameGroup(ctx context.Context, accountID, groupID, name string, by audit.Entry) error {
	name, err := CheckName("name", name)
	if err != nil {
		return err
	}
	return s.Store.RenameGroup(ctx, accountID, groupID, name, by)
}

// DeleteGroup deletes a custom group; its members stay in the account.
func (s *Service) DeleteGroup(ctx context.Context, accountID, groupID string, by audit.Entry) error {
	return s.Store.DeleteGroup(ctx, accountID, groupID, by)
}
