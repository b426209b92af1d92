package signin

import (
	"cmp"
	"context"
	"slices"
	"time"

	"holdfast/internal/origin"
)

// Bounds of a preview.
const (
	PreviewDays   = 30
	PreviewMost   = 200_000 // attempts, the newest, where somebody has asked for it
	PreviewGlance = 20_000  // where it stands beside something else
	PreviewPeople = 20
	previewPage   = 5_000
)

// Tried is an attempt, as far as rules and previews look at it.
type Tried struct {
	At                  time.Time
	ID                  string
	UserID, Name, Email string // empty UserID: of nobody in the account
	Address             string
	Location            origin.Location // country, continent and anonymity only
}

// Tally counts attempts, and the people who made them.
type Tally struct{ Attempts, People int }

// Preview is what rules would have done to the attempts of the last days.
type Preview struct {
	Since    time.Time // the first moment that was looked at
	Attempts int       // that were looked at
	Cut      bool      // there were more; the newest were looked at

	Denied, Reported, Allowed Tally            // Allowed: by a rule, or as none matched
	Rules                     map[string]Tally // by ID, what each of them decided about; a rule that is missing, none
	People                    []PreviewPerson  // whom rules would have denied or reported: the first, those with most attempts
	More                      int              // how many people there are besides
}

// Rule is what the rule with the ID decided about.
func (p Preview) Rule(id string) Tally { return p.Rules[id] }

// PreviewPerson is somebody whom rules would have denied or reported.
type PreviewPerson struct {
	UserID, Name, Email string
	Denied, Reported    int // attempts
}

// Preview says what the rules, checked and in order, would have done to the account's attempts of the last 30
// days, were they as they are, succeeded or failed; at most to so many, the newest.
func (s *Service) Preview(ctx context.Context, accountID string, rules []Rule, most int) (Preview, error) {
	p := Preview{Since: s.Now().UTC().Truncate(time.Second).AddDate(0, 0, -PreviewDays)}
	c := counter{firewall: NewFirewall(rules), rules: map[string]*crowd{}, people: map[string]*PreviewPerson{}}
	var last Tried
	for more := true; more; {
		page, err := s.Store.Tried(ctx, accountID, p.Since, last, previewPage)
		if err != nil {
			return Preview{}, err
		}
		more = len(page) == previewPage
		for _, t := range page {
			if p.Attempts == most {
				p.Cut, more = true, false
				break
			}
			p.Attempts++
			c.count(t)
			last = t
		}
	}
	p.Denied, p.Reported, p.Allowed = c.outcomes[0].tally(), c.outcomes[1].tally(), c.outcomes[2].tally()
	p.Rules = make(map[string]Tally, len(c.rules))
	for id, crowd := range c.rules {
		p.Rules[id] = crowd.tally()
	}
	for _, who := range c.people {
		p.People = append(p.People, *who)
	}
	slices.SortFunc(p.People, func(a, b PreviewPerson) int {
		return cmp.Or(cmp.Compare(b.Denied, a.Denied), cmp.Compare(b.Reported, a.Reported), cmp.Compare(a.Name, b.Name), cmp.Compare(a.UserID, b.UserID))
	})
	p.More = max(0, len(p.People)-PreviewPeople)
	p.People = p.People[:min(len(p.People), PreviewPeople)]
	return p, nil
}

// counter goes through attempts.
type counter struct {
	firewall Firewall
	outcomes [3]crowd // denied, reported, allowed
	rules    map[string]*crowd
	people   map[string]*PreviewPerson
}

// crowd is people who made attempts.
type crowd struct {
	attempts int
	people   map[string]bool
}

func (c *crowd) add(t Tried) {
	c.attempts++
	if c.people == nil {
		c.people = map[string]bool{}
	}
	if t.UserID != "" {
		c.people[t.UserID] = true
	}
}

func (c *crowd) tally() Tally { return Tally{Attempts: c.attempts, People: len(c.people)} }

func (c *counter) count(t Tried) {
	r, ok := c.firewall.Match(t.Location, t.Address)
	if ok {
		if c.rules[r.ID] == nil {
			c.rules[r.ID] = &crowd{}
		}
		c.rules[r.ID].add(t)
	}
	outcome := 2
	if ok && r.Action != Allow {
		outcome = 0
		if r.Action == Report {
			outcome = 1
		}
	}
	c.outcomes[outcome].add(t)
	if outcome == 2 || t.UserID == "" {
		return
	}
	who := c.people[t.UserID]
	if who == nil { // the newest attempt comes first: it has the name that she has now
		who = &PreviewPerson{UserID: t.UserID, Name: t.Name, Email: t.Email}
		c.people[t.UserID] = who
	}
	if outcome == 0 {
		who.Denied++
	} else {
		who.Reported++
	}
}
