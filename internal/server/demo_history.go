package server

import (
	"context"
	"fmt"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/signin"
	"holdfast/internal/synth"
)

// demoDays is how much history the made-up company has.
const demoDays = 30

// demoSeed makes the same people live the same life in every demo; only the dates differ.
const demoSeed = 1

// demoHistory gives the company its sign-ins of the last month, with a few attacks in the second half of it.
// Attempts with an e-mail that nobody has are no account's, and left out.
func (s *Server) demoHistory(ctx context.Context, account string, people []directory.User, by audit.Entry) (int, error) {
	rules, err := s.demoRules(ctx, account, by)
	if err != nil {
		return 0, err
	}
	now := s.now().UTC()
	c := synth.Config{
		Seed: demoSeed, Start: now.AddDate(0, 0, 1-demoDays), Days: demoDays, Awkward: true,
		Attacks: synth.Attacks{PasswordSpray: 1, MFAFatigue: 1, SanctionedCountry: 2, StolenSession: 1},
	}
	for _, u := range people {
		c.People = append(c.People, synth.Person{Name: u.DisplayName, Email: u.Email}) // no ID: it is another one in each demo
	}
	var list []signin.Attempt
	for e := range synth.Generate(c) {
		if e.Person < 0 || e.At.After(now) {
			continue
		}
		u := people[e.Person]
		attempt, _ := signin.Screen(rules, signin.Attempt{ // none of the rules denies
			AccountID: account, At: e.At, Category: signin.Category(e.Category), Type: signin.Type(e.Type), Details: e.Details, SessionID: e.Session,
			UserID: u.ID, Name: u.DisplayName, Email: u.Email, Method: signin.Method(e.Method), Client: e.Client, Location: e.Location,
		})
		list = append(list, attempt)
	}
	if err := s.db.ImportAttempts(ctx, account, list, by); err != nil {
		return 0, fmt.Errorf("import the demo's sign-ins: %w", err)
	}
	return len(list), nil
}

// demoRules are the company's firewall rules: sign-ins from where it has no business are reported.
func (s *Server) demoRules(ctx context.Context, account string, by audit.Entry) ([]signin.Rule, error) {
	for _, country := range []string{"CU", "IR", "KP", "SY"} {
		r := signin.Rule{AccountID: account, Action: signin.Report, Kind: signin.MatchCountry, Value: country, Note: "We do no business there."}
		if _, err := s.signin.AddRule(ctx, r, signin.Guard{}, by); err != nil {
			return nil, fmt.Errorf("add a firewall rule for the demo: %w", err)
		}
	}
	return s.signin.Rules(ctx, account)
}
