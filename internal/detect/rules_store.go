package detect

import (
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/signals"
)

// RuleStore is where the rules of accounts are: what differs from the pack, and how it came to.
type RuleStore interface {
	// RulesRevision grows by one with each change; 0 where nothing was changed yet. It is cheap.
	RulesRevision(ctx context.Context, accountID string) (int64, error)
	// RuleItems are all items of the account, in order of kind and name, and the revision that they are.
	RuleItems(ctx context.Context, accountID string) (int64, []RuleItem, error)
	// ChangeRuleBook writes items, removes those without a body, and notes the change, which is about the first
	// of them. ErrRulesChanged is returned if the revision is another one by then.
	ChangeRuleBook(ctx context.Context, accountID string, revision int64, items []RuleItem, about string, by audit.Entry) error
	// RuleChanges are changes before the revision (0: all), the latest first; only those about the rule or
	// list, if one is named.
	RuleChanges(ctx context.Context, accountID, about string, before int64, limit int) ([]RuleChange, error)

	// SignalsByTime: see [Progress].
	SignalsByTime(ctx context.Context, accountID string, s Stretch, limit int) ([]signals.Stored, error)
	// SignalsReach is the place before the latest of the account's events, of most and not more, that happened
	// at the time or later, and how many these are.
	SignalsReach(ctx context.Context, accountID string, from time.Time, most int) (Place, int, error)
	// PeopleStates: see [Progress].
	PeopleStates(ctx context.Context, accountID string, ids []string) (map[string]PersonState, error)
}

// RuleItem is one thing that an account has changed.
type RuleItem struct {
	Kind RuleItemKind
	Name string
	Body []byte // JSON; nil: it is removed

	UpdatedAt time.Time
	UpdatedBy string
}

// RuleItemKind says what a RuleItem's body is.
type RuleItemKind string

// The kinds, with what their names are.
const (
	ownItem       RuleItemKind = "rule"      // OwnRule, by its name
	settingItem   RuleItemKind = "setting"   // Setting, by Rule.Key
	exceptionItem RuleItemKind = "exception" // Exception, by id
	listItem      RuleItemKind = "list"      // AccountList, by its name
)

// RuleChange is a step in the history of an account's rules.
type RuleChange struct {
	Revision      int64
	Action        audit.Action
	About         string // "rule:NAME" or "list:NAME"
	Before, After []byte // JSON of the item; nil: there was none, or is none
	Reason        string
	At            time.Time
	By            string
}

// ErrRulesChanged is what ChangeRuleBook returns if somebody else was faster.
func ErrRulesChanged() *problem.Error {
	return problem.Coded(problem.Conflict, rulesChangedCode, "somebody else has just changed the rules; look at them again")
}

const rulesChangedCode = "rules_changed"
