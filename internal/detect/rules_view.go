package detect

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// RuleView is a rule as an account has it.
type RuleView struct {
	*Rule // as it is written

	Key     string // by which it is called
	Origin  Origin
	Own     string // name of the account's text that it is in; empty: it is not of the account
	Kind    string // "event", or the type of the correlation
	Alone   bool   // its matches are findings; false: it is only a part of correlations
	On      bool   // it is in use
	Version string // of the rule as it is set

	Level      Level         // as it is set; Rule.Level is as it is written
	Threshold  Threshold     // of a correlation, as it is set
	Timespan   time.Duration // of a correlation, as it is set
	Setting    Setting
	SetAt      time.Time // when the account set it; zero: it has not
	SetBy      string
	Exceptions []Exception // also those that are over
	Uses       []string    // of a correlation, the rules that it is made of
	UsedBy     []string    // correlations that it is a part of
	Lists      []string    // that it or its exceptions name
}

// Overview is all rules of an account.
type Overview struct {
	Revision int64
	Rules    []RuleView // worst level first, then by key
	Broken   []OwnRule  // texts of the account of which no rule is in use; Faults says why
	Faults   Faults     // what is left out, and why; a file begins with the origin: "server/x.yml", "account/NAME"
	Stale    Faults     // why the folder of the server, as it is now, is not in use
	Warnings Faults     // what is right but doubtful
}

// List is all rules of the account.
func (s *Rules) List(ctx context.Context, accountID string) (Overview, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return Overview{}, err
	}
	o := Overview{Revision: c.revision, Faults: append(c.base.faults[:len(c.base.faults):len(c.base.faults)], c.faults...), Warnings: c.model.warnings}
	s.mu.Lock()
	o.Stale = s.stale
	s.mu.Unlock()
	for _, r := range c.model.rules {
		o.Rules = append(o.Rules, c.view(r))
	}
	for _, own := range c.model.own {
		if !slices.ContainsFunc(c.model.rules, func(r sourced) bool { return r.own == own.Name }) {
			o.Broken = append(o.Broken, own)
		}
	}
	rank := append([]string{""}, levels()...)
	slices.SortStableFunc(o.Rules, func(a, b RuleView) int {
		return cmp.Or(cmp.Compare(slices.Index(rank, string(b.Level)), slices.Index(rank, string(a.Level))), strings.Compare(a.Key, b.Key))
	})
	return o, nil
}

// Get is the rule with the name or id.
func (s *Rules) Get(ctx context.Context, accountID, name string) (RuleView, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return RuleView{}, err
	}
	r, ok := c.model.find(name)
	if !ok {
		return RuleView{}, errNoRule(name)
	}
	return c.view(r), nil
}

// Text is the account's text of the name, as it was written.
func (s *Rules) Text(ctx context.Context, accountID, own string) (OwnRule, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return OwnRule{}, err
	}
	i := slices.IndexFunc(c.model.own, func(o OwnRule) bool { return o.Name == own })
	if i < 0 {
		return OwnRule{}, errNoRule(own)
	}
	return c.model.own[i], nil
}

func (c *compiled) view(r sourced) RuleView {
	m := c.model
	set := m.settings[r.Key()]
	v := RuleView{
		Rule: r.Rule, Key: r.Key(), Origin: r.origin, Own: r.own, Kind: "event", Alone: true, On: !set.Off, Version: r.Version(),
		Level: cmp.Or(set.Level, r.Level), Setting: set, SetAt: m.touched[r.Key()].UpdatedAt, SetBy: m.touched[r.Key()].UpdatedBy,
		Exceptions: m.exceptionsOf(r.Key()),
	}
	for _, u := range usersOf(m.plain(), r.Rule) {
		v.UsedBy = append(v.UsedBy, u.Key())
		v.Alone = v.Alone && len(v.UsedBy) > 1 || u.Correlation.Generate
	}
	for _, x := range c.set.rules {
		if x.File == r.File && x.Line == r.Line && !x.Hidden() {
			v.Version = x.Version()
			if x.Correlation != nil {
				v.Threshold, v.Timespan = x.Correlation.Threshold, x.Correlation.Timespan
			}
		}
	}
	if k := r.Correlation; k != nil {
		v.Kind = string(k.Type)
		v.Timespan = cmp.Or(v.Timespan, k.Timespan)
		if v.Threshold.Max == 0 {
			v.Threshold = k.Threshold
		}
		for _, ref := range k.refs {
			if used, ok := m.find(ref.text); ok {
				v.Uses = append(v.Uses, used.Key())
			}
		}
	}
	v.Lists = listsOf(r.Rule, v.Exceptions)
	return v
}

// listsOf are the lists that a rule and its exceptions name.
func listsOf(r *Rule, exceptions []Exception) []string {
	var all []string
	if r.detection != nil {
		eachAtom(r.detection.condition, func(a *atom) {
			if a.lists {
				all = append(all, a.names...)
			}
		})
	}
	for _, x := range exceptions {
		for _, v := range x.Values {
			if name, ok := listName(v); ok {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
