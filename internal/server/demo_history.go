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
	now := s.now().UTC()
	c := synth.Config{
		Seed: demoSeed, Start: now.AddDate(0, 0, 1-demoDays), Days: demoDays, Awkward: true,
		Attacks: synth.Attacks{PasswordSpray: 1, MFAFatigue: 1, SanctionedCountry: 1, StolenSession: 1},
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
		list = append(list, signin.Attempt{
			AccountID: account, At: e.At, Category: signin.Category(e.Category), Type: signin.Type(e.Type), Details: e.Details, SessionID: e.Session,
			UserID: u.ID, Name: u.DisplayName, Email: u.Email, Method: signin.Method(e.Method), Client: e.Client, Location: e.Location,
		})
	}
	if err := s.db.ImportAttempts(ctx, account, list, by); err != nil {
		return 0, fmt.Errorf("import the demo's sign-ins: %w", err)
	}
	return len(list), nil
}
