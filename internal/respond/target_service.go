package respond

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Sealer seals secrets; *[seal.Keyring] does.
type Sealer interface {
	Seal(value []byte, purpose string, identity ...string) ([]byte, error)
	Open(sealed []byte, purpose string, identity ...string) ([]byte, error)
}

// What secrets are sealed for. The account and the id of the record are bound to each.
const (
	sealedForTarget  = "response target secret"
	sealedForChannel = "response channel secret"
)

// TargetStore is what setting up targets needs from a database; [Settings] has it.
type TargetStore interface {
	Targets(ctx context.Context, accountID string) ([]TargetSetup, error)
	SaveTarget(ctx context.Context, t TargetSetup, by audit.Entry) (TargetSetup, error)
	RemoveTarget(ctx context.Context, accountID, name string, by audit.Entry) error
}

// Targets sets up targets and opens them. Store, Keys and Now must be set before the first call; it must not be
// copied after that.
type Targets struct {
	Store TargetStore
	Keys  Sealer
	Now   func() time.Time

	mu   sync.Mutex
	open map[string]opened // by id; kept, so that a token and a connection serve more than one person
}

type opened struct {
	revision int64
	target   *usersAPI
}

// NewTarget is a target to set up.
type NewTarget struct {
	Name   string
	Kind   string
	Config TargetConfig
	Secret seal.Secret
}

// Add sets up a target.
func (s *Targets) Add(ctx context.Context, accountID string, n NewTarget, by audit.Entry) (TargetSetup, error) {
	if err := checkCallName(n.Name); err != nil {
		return TargetSetup{}, err
	}
	if n.Name == LocalTarget {
		return TargetSetup{}, problem.InField("name", "%s is the account's own directory; choose another name", LocalTarget)
	}
	all, err := s.Store.Targets(ctx, accountID)
	if err != nil {
		return TargetSetup{}, err
	}
	if slices.ContainsFunc(all, func(t TargetSetup) bool { return t.Name == n.Name }) {
		return TargetSetup{}, nameTaken("target", n.Name)
	}
	t := TargetSetup{
		AccountID: accountID, ID: seal.NewID(), Name: n.Name, Kind: n.Kind,
		CreatedAt: s.Now().UTC().Truncate(time.Microsecond), CreatedBy: by.Actor,
	}
	return s.save(ctx, t, n.Config, n.Secret, by.Because(n.Kind+": "+n.Config.BaseURL))
}

func nameTaken(what, name string) *problem.Error {
	return problem.New(problem.Conflict, "the account has a %s called %q already; choose another name", what, name)
}

// save checks, seals and stores.
func (s *Targets) save(ctx context.Context, t TargetSetup, c TargetConfig, secret seal.Secret, by audit.Entry) (TargetSetup, error) {
	err := c.check(t.Kind, secret)
	if err != nil {
		return TargetSetup{}, err
	}
	if t.Config, err = json.Marshal(c); err != nil {
		return TargetSetup{}, err
	}
	if t.Secret, err = s.Keys.Seal([]byte(secret.Reveal()), sealedForTarget, t.AccountID, t.ID); err != nil {
		return TargetSetup{}, err
	}
	t.LastError = ""
	return s.Store.SaveTarget(ctx, t, by)
}

// Update gives a target another configuration. A configuration that sends the secret to another place, or lets
// another one answer, needs it said again: who may change the address must not learn the secret that way.
func (s *Targets) Update(ctx context.Context, accountID, name string, c TargetConfig, secret seal.Secret, by audit.Entry) (TargetSetup, error) {
	t, err := s.Get(ctx, accountID, name)
	if err != nil {
		return TargetSetup{}, err
	}
	former, err := t.Settings()
	if err != nil {
		return TargetSetup{}, err
	}
	if secret.IsZero() {
		if c.BaseURL != former.BaseURL || c.AccountID != former.AccountID || c.ClientID != former.ClientID || c.CA != former.CA {
			return TargetSetup{}, problem.InField("secret", "the client secret would go somewhere else than before; give it again")
		}
		if secret, err = s.secret(t); err != nil {
			return TargetSetup{}, err
		}
	}
	return s.save(ctx, t, c, secret, by)
}

func (s *Targets) secret(t TargetSetup) (seal.Secret, error) {
	text, err := s.Keys.Open(t.Secret, sealedForTarget, t.AccountID, t.ID)
	return seal.NewSecret(string(text)), err
}

// List returns the account's targets by name. The local one is not among them.
func (s *Targets) List(ctx context.Context, accountID string) ([]TargetSetup, error) {
	return s.Store.Targets(ctx, accountID)
}

// Get returns one target of the account.
func (s *Targets) Get(ctx context.Context, accountID, name string) (TargetSetup, error) {
	all, err := s.Store.Targets(ctx, accountID)
	if err != nil {
		return TargetSetup{}, err
	}
	for _, t := range all {
		if t.Name == name || t.ID == name {
			return t, nil
		}
	}
	return TargetSetup{}, problem.New(problem.NotFound, "no target %q", plain(name, maxName))
}

// Remove forgets a target with its secret.
func (s *Targets) Remove(ctx context.Context, accountID, name string, by audit.Entry) error {
	t, err := s.Get(ctx, accountID, name)
	if err != nil {
		return err
	}
	if err := s.Store.RemoveTarget(ctx, accountID, t.Name, by); err != nil {
		return err
	}
	s.forget(t.ID)
	return nil
}

func (s *Targets) forget(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[id]; ok {
		o.target.hangUp()
		delete(s.open, id)
	}
}

// Open is the target as it is set up now. The local one is none to open.
func (s *Targets) Open(ctx context.Context, accountID, name string) (Target, error) {
	t, err := s.Get(ctx, accountID, name)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if o, ok := s.open[t.ID]; ok && o.revision == t.Revision {
		return o.target, nil
	} else if ok {
		o.target.hangUp()
	}
	c, err := t.Settings()
	if err != nil {
		return nil, err
	}
	secret, err := s.secret(t)
	if err != nil {
		return nil, err
	}
	target, err := openUsersAPI(c, secret)
	if err != nil {
		return nil, err
	}
	if s.open == nil {
		s.open = map[string]opened{}
	}
	s.open[t.ID] = opened{t.Revision, target}
	return target, nil
}

// Test tries what the credentials may do, and says in words what was found.
func (s *Targets) Test(ctx context.Context, accountID, name string) (string, error) {
	if name == LocalTarget {
		return "the account's own directory is always there; suspensions are made in the transaction that decides", nil
	}
	t, err := s.Open(ctx, accountID, name)
	if err != nil {
		return "", err
	}
	return t.Test(ctx)
}
