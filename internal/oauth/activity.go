package oauth

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/tally"
)

// OperationToken is the operation of asking for an access token. The others are named as the scopes
// that they need.
const OperationToken = "token"

// Operations lists what is counted, in the order in which it is shown.
func Operations() []string { return append(Scopes(), OperationToken) }

// Activity is what an application has done.
type Activity struct {
	LastTokenAt   time.Time        // when it last got a token; zero: never
	LastCallAt    time.Time        // of the Users API, refused ones too; zero: never
	LastAddress   string           // from where it came last, for whatever
	LastUserAgent string           // and as what
	Calls         []OperationCalls // one for each of [Operations]
	UnusedScopes  []string         // not used for 30 days, see [Service.Activity]
}

// OperationCalls counts one operation. Hours are what is kept, so the last 24 hours and 30 days begin
// up to one hour late.
type OperationCalls struct {
	Operation string
	Last24h   int64
	Last30d   int64
	Total     int64 // since the application was created
	Refused   int64 // of Total
	LastAt    time.Time
}

const (
	shortSpan = 24 * time.Hour
	longSpan  = 30 * 24 * time.Hour
	// settled is the age from which on the silence of an application tells something.
	settled = 7 * 24 * time.Hour
	// activityKept is how long hours are kept.
	activityKept = 90 * 24 * time.Hour
)

// Activity says what the application did. A scope counts as unused if no call needed it for 30 days; none
// does as long as the application is younger than seven days and has not called anything.
func (s *Service) Activity(ctx context.Context, accountID, id string) (Activity, error) {
	c, err := s.Store.Client(ctx, accountID, id)
	if err != nil {
		return Activity{}, err
	}
	now := s.Now()
	counts, err := s.Store.Activity(ctx, accountID, id, now.Add(-longSpan))
	if err != nil {
		return Activity{}, err
	}
	return summarize(c, counts, now), nil
}

// Use is of an [Activity] what a list of applications shows.
type Use struct {
	LastTokenAt  time.Time // when it last got a token; zero: never
	LastCallAt   time.Time // of the Users API, refused ones too; zero: never
	UnusedScopes []string  // as with [Service.Activity]
}

// OperationUse sums up what one application did of one operation.
type OperationUse struct {
	ClientID   string
	Operation  string
	Since      int64 // calls since the time asked for
	LastAt     time.Time
	LastDoneAt time.Time // of those that were not refused; zero: none
}

// Activities says of all the applications given, which are of the account, what [Service.Activity] says of
// one, in one query. The result has every one of them, by its id.
func (s *Service) Activities(ctx context.Context, accountID string, apps []Client) (map[string]Use, error) {
	now := s.Now()
	all, err := s.Store.Activities(ctx, accountID, now.Add(-longSpan))
	if err != nil {
		return nil, err
	}
	byClient := map[string][]OperationUse{}
	for _, n := range all {
		byClient[n.ClientID] = append(byClient[n.ClientID], n)
	}
	uses := make(map[string]Use, len(apps))
	for _, c := range apps {
		u := Use{LastTokenAt: c.LastUsedAt}
		recent := map[string]int64{}
		for _, n := range byClient[c.ID] {
			recent[n.Operation] = n.Since
			if n.Operation == OperationToken {
				u.LastTokenAt = later(u.LastTokenAt, n.LastDoneAt)
			} else if slices.Contains(Operations(), n.Operation) {
				u.LastCallAt = later(u.LastCallAt, n.LastAt)
			}
		}
		u.UnusedScopes = unused(c, u.LastCallAt, recent, now)
		uses[c.ID] = u
	}
	return uses, nil
}

// unused are the scopes that were not needed for 30 days, given the calls in that time by operation.
func unused(c Client, lastCall time.Time, recent map[string]int64, now time.Time) (scopes []string) {
	if lastCall.IsZero() && now.Sub(c.CreatedAt) < settled {
		return nil
	}
	for _, op := range Operations() {
		if recent[op] == 0 && slices.Contains(c.Scopes, op) {
			scopes = append(scopes, op)
		}
	}
	return scopes
}

func summarize(c Client, counts []ActivityCount, now time.Time) Activity {
	a := Activity{LastTokenAt: c.LastUsedAt}
	a.Calls = make([]OperationCalls, len(Operations()))
	for i, op := range Operations() {
		a.Calls[i].Operation = op
	}
	var last time.Time
	for _, n := range counts {
		i := slices.Index(Operations(), n.Operation)
		if i < 0 {
			continue
		}
		a.Calls[i].add(n, now)
		if n.LastAt.After(last) {
			last, a.LastAddress, a.LastUserAgent = n.LastAt, n.LastAddress, n.LastUserAgent
		}
		if n.Operation == OperationToken {
			a.LastTokenAt = later(a.LastTokenAt, n.LastDoneAt)
		} else {
			a.LastCallAt = later(a.LastCallAt, n.LastAt)
		}
	}
	recent := map[string]int64{}
	for _, calls := range a.Calls {
		recent[calls.Operation] = calls.Last30d
	}
	a.UnusedScopes = unused(c, a.LastCallAt, recent, now)
	return a
}

func (c *OperationCalls) add(n ActivityCount, now time.Time) {
	c.Total += n.Calls
	c.Refused += n.Refused
	c.LastAt = later(c.LastAt, n.LastAt)
	if n.Hour.IsZero() {
		return
	}
	if n.Hour.After(now.Add(-shortSpan)) {
		c.Last24h += n.Calls
	}
	if n.Hour.After(now.Add(-longSpan)) {
		c.Last30d += n.Calls
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// RecentCalls returns what the application did last, of what the audit log keeps: tokens, suspensions,
// reactivations, and what was refused.
func (s *Service) RecentCalls(ctx context.Context, accountID, id string, limit int) ([]audit.Link, error) {
	return s.Store.AuditEntries(ctx, audit.Query{AccountID: accountID, Actor: "client:" + id, Limit: limit})
}

// PurgeActivity sums up the hours of more than 90 days ago.
func (s *Service) PurgeActivity(ctx context.Context) error {
	return s.Store.PurgeActivity(ctx, s.Now().Add(-activityKept))
}

// ActivityCount is what one application did of one operation in one hour.
type ActivityCount struct {
	AccountID     string
	ClientID      string
	Operation     string
	Hour          time.Time // its beginning, UTC; zero: everything before the hours that are kept
	Calls         int64     // the refused ones too
	Refused       int64
	LastAt        time.Time
	LastDoneAt    time.Time // of those that were not refused; zero: none
	LastAddress   string
	LastUserAgent string
}

// Merge adds what was counted elsewhere of the same operation and hour.
func (n *ActivityCount) Merge(o ActivityCount) {
	n.Calls += o.Calls
	n.Refused += o.Refused
	n.LastDoneAt = later(n.LastDoneAt, o.LastDoneAt)
	if o.LastAt.After(n.LastAt) {
		n.LastAt, n.LastAddress, n.LastUserAgent = o.LastAt, o.LastAddress, o.LastUserAgent
	}
}

type activityKey struct {
	client, account, operation string
	hour                       int64
}

// Recorder counts what applications do.
type Recorder struct {
	*tally.Tally[activityKey, ActivityCount]
}

// NewRecorder makes a recorder that has counted nothing.
func NewRecorder(store Store, log *slog.Logger) *Recorder {
	return &Recorder{tally.New(tally.Options[activityKey, ActivityCount]{
		Name: "calls of applications",
		Key: func(n ActivityCount) activityKey {
			return activityKey{n.ClientID, n.AccountID, n.Operation, n.Hour.Unix()}
		},
		Merge: (*ActivityCount).Merge,
		Order: func(a, b ActivityCount) int {
			return cmp.Or(strings.Compare(a.ClientID, b.ClientID), strings.Compare(a.Operation, b.Operation), a.Hour.Compare(b.Hour))
		},
		Write: store.AddActivity, Log: log,
	})}
}

const (
	maxUserAgent = 200 // bytes
	maxAddress   = 64
)

// Record counts one call. What is none of [Operations], or of no application, is not counted.
func (r *Recorder) Record(clientID, accountID, operation, address, userAgent string, refused bool, at time.Time) {
	if accountID == "" || knownForm(clientID) == "" || !slices.Contains(Operations(), operation) {
		return
	}
	n := ActivityCount{
		AccountID: accountID, ClientID: clientID, Operation: operation, Hour: at.UTC().Truncate(time.Hour), Calls: 1,
		LastAt: at.UTC(), LastAddress: tally.Text(address, maxAddress), LastUserAgent: tally.Text(userAgent, maxUserAgent),
	}
	if refused {
		n.Refused = 1
	} else {
		n.LastDoneAt = n.LastAt
	}
	r.Add(n)
}
