package signin

import (
	"context"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// RuleStore is what firewall rules need from a database, with the promises of [Store]. Besides, SignIn, SetUp,
// Confirm and Fail read the rules of the account in the transaction that stores the attempt, and do with it
// what [Screen] says: whom a rule denies they answer [ErrFirewall], if she has shown the right credentials,
// and of those nothing is used up.
type RuleStore interface {
	// Rules returns the rules of an account, in order.
	Rules(ctx context.Context, accountID string) ([]Rule, error)

	// ChangeRules hands the rules to the function, which returns those that there shall be, in order, and stores
	// and returns them. Nobody else changes rules meanwhile. The function may be called twice, and must not change
	// what it gets. A problem of kind Conflict that it returns is recorded as a refusal.
	ChangeRules(ctx context.Context, accountID string, change func([]Rule) ([]Rule, error), by audit.Entry) ([]Rule, error)

	// Tried returns attempts since then, the newest first, and of those the ones behind the last one; all, if that
	// is zero. At most limit.
	Tried(ctx context.Context, accountID string, since time.Time, last Tried, limit int) ([]Tried, error)
}

// Guard keeps who changes rules from locking people out unawares. A change is refused that denies
// what was not denied before: the address from which it is made, or, without one, every address.
type Guard struct {
	Client *Client // of who changes the rules; nil: at the command line of the server, which has no address
	Accept bool    // she knows, and wants it all the same
}

// Rules returns the account's firewall rules, in order.
func (s *Service) Rules(ctx context.Context, accountID string) ([]Rule, error) {
	return s.Store.Rules(ctx, accountID)
}

// AddRule puts a rule at its position, or behind all others if that is 0 or beyond the end.
func (s *Service) AddRule(ctx context.Context, r Rule, g Guard, by audit.Entry) (Rule, error) {
	r, err := r.Check()
	if err != nil {
		return r, err
	}
	r.ID, r.CreatedAt, r.CreatedBy = seal.NewID(), s.Now().UTC().Truncate(time.Microsecond), by.Actor
	by.Action, by.Target = audit.FirewallAdd, "firewall_rule:"+r.ID
	return s.changeRules(ctx, r, g, by, func(rules []Rule) ([]Rule, error) { return WithRule(rules, r) })
}

// UpdateRule changes action, kind, value and note of the rule with the ID. Its position stays.
func (s *Service) UpdateRule(ctx context.Context, r Rule, g Guard, by audit.Entry) (Rule, error) {
	r, err := r.Check()
	if err != nil {
		return r, err
	}
	by.Action, by.Target = audit.FirewallUpdate, "firewall_rule:"+r.ID
	return s.changeRules(ctx, r, g, by, func(rules []Rule) ([]Rule, error) { return WithUpdate(rules, r) })
}

// MoveRule puts the rule at the position, or behind all others if that is beyond the end.
func (s *Service) MoveRule(ctx context.Context, accountID, id string, position int, g Guard, by audit.Entry) (Rule, error) {
	by.Action, by.Target = audit.FirewallOrder, "firewall_rule:"+id
	return s.changeRules(ctx, Rule{ID: id, AccountID: accountID}, g, by, func(rules []Rule) ([]Rule, error) { return WithMove(rules, id, position) })
}

// RemoveRule removes the rule.
func (s *Service) RemoveRule(ctx context.Context, accountID, id string, g Guard, by audit.Entry) error {
	by.Action, by.Target = audit.FirewallRemove, "firewall_rule:"+id
	_, err := s.changeRules(ctx, Rule{ID: id, AccountID: accountID}, g, by, func(rules []Rule) ([]Rule, error) { return WithoutRule(rules, id) })
	return err
}

// changeRules returns the rule as it is stored then.
func (s *Service) changeRules(ctx context.Context, r Rule, g Guard, by audit.Entry, change func([]Rule) ([]Rule, error)) (Rule, error) {
	var here origin.Location
	if g.Client != nil {
		here = s.Locate(*g.Client)
	}
	stored, err := s.Store.ChangeRules(ctx, r.AccountID, func(rules []Rule) ([]Rule, error) {
		next, err := change(rules)
		if err != nil {
			return nil, err
		}
		return next, g.check(rules, next, here)
	}, by)
	if err != nil {
		return Rule{}, err
	}
	if i := indexOf(stored, r.ID); i >= 0 {
		r = stored[i]
	}
	return r, nil
}

// check is the refusal of a change of the rules; nil if it harms nobody unawares.
func (g Guard) check(before, next []Rule, here origin.Location) error {
	if g.Accept {
		return nil
	}
	if g.Client == nil {
		if !DeniesAll(before) && DeniesAll(next) {
			return problem.Coded(problem.Conflict, "firewall_all", "then nobody could sign in any more, from anywhere: the rule that denies all attempts comes before every rule that lets some in")
		}
		return nil
	}
	denied := func(rules []Rule) (Rule, bool) {
		r, ok := Match(rules, here, g.Client.Address)
		return r, ok && r.Action == Deny
	}
	if _, already := denied(before); already {
		return nil
	}
	if r, now := denied(next); now {
		p := problem.Coded(problem.Conflict, "firewall_lockout", "then you could not sign in any more from where you are: rule %d (%s) would deny the address %s; "+
			"put a rule before it that allows this address, or say that it is meant so", r.Position, r, bounded(g.Client.Address, 60))
		p.Field = "accept"
		return p
	}
	return nil
}

// DeniesAll reports whether the rules let nobody in, wherever she is.
func DeniesAll(rules []Rule) bool {
	for _, r := range rules {
		switch {
		case r.Action != Deny:
			return false
		case r.Kind == MatchAll:
			return true
		}
	}
	return false
}

// String says what the rule does, for people: "deny country RU".
func (r Rule) String() string {
	s := string(r.Action) + " " + string(r.Kind)
	if r.Value != "" {
		s += " " + r.Value
	}
	return s
}

// WithRule returns the rules with another one at its position, or behind all others if that is 0 or beyond the end.
func WithRule(rules []Rule, r Rule) ([]Rule, error) {
	if len(rules) >= MaxRules {
		return nil, problem.Coded(problem.Conflict, "firewall_full", "there are %d rules already, which is the most; remove one, or put networks together", len(rules))
	}
	if err := alone(rules, r); err != nil {
		return nil, err
	}
	at := len(rules)
	if r.Position > 0 {
		at = min(at, r.Position-1)
	}
	return numbered(slices.Insert(slices.Clone(rules), at, r)), nil
}

// WithUpdate returns the rules with another action, kind, value and note of one.
func WithUpdate(rules []Rule, r Rule) ([]Rule, error) {
	i := indexOf(rules, r.ID)
	if i < 0 {
		return nil, errNoRule(r.ID)
	}
	if err := alone(rules, r); err != nil {
		return nil, err
	}
	next := slices.Clone(rules)
	next[i].Action, next[i].Kind, next[i].Value, next[i].Note = r.Action, r.Kind, r.Value, r.Note
	return next, nil
}

// WithMove returns the rules with one at another position.
func WithMove(rules []Rule, id string, position int) ([]Rule, error) {
	i := indexOf(rules, id)
	if i < 0 {
		return nil, errNoRule(id)
	}
	if position < 1 {
		return nil, problem.InField("position", "the position %d is none; the first is 1", position)
	}
	r, next := rules[i], slices.Delete(slices.Clone(rules), i, i+1)
	return numbered(slices.Insert(next, min(position-1, len(next)), r)), nil
}

// WithoutRule returns the rules without one.
func WithoutRule(rules []Rule, id string) ([]Rule, error) {
	i := indexOf(rules, id)
	if i < 0 {
		return nil, errNoRule(id)
	}
	return numbered(slices.Delete(slices.Clone(rules), i, i+1)), nil
}

func indexOf(rules []Rule, id string) int {
	return slices.IndexFunc(rules, func(r Rule) bool { return r.ID == id })
}

// numbered gives the rules the positions that they have.
func numbered(rules []Rule) []Rule {
	for i := range rules {
		rules[i].Position = i + 1
	}
	return rules
}

// alone reports that another rule matches the same: of the two the later one would never decide.
func alone(rules []Rule, r Rule) error {
	i := slices.IndexFunc(rules, func(o Rule) bool { return o.ID != r.ID && o.Same(r) })
	if i < 0 {
		return nil
	}
	p := problem.Coded(problem.Conflict, "firewall_twice", "rule %d matches the same (%s); change that one", rules[i].Position, rules[i])
	p.Field = "value"
	return p
}

func errNoRule(id string) error {
	return problem.New(problem.NotFound, "no firewall rule %q; somebody may have removed it", bounded(id, 40))
}

// LockedOut returns the rule that would deny the browser; false if it could sign in.
func (s *Service) LockedOut(rules []Rule, c Client) (Rule, bool) {
	r, ok := Match(rules, s.Locate(c), c.Address)
	return r, ok && r.Action == Deny
}
