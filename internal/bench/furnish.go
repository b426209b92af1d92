package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/store"
)

// furnished is an account as a company would have it after a while, for the pages of the console.
type furnished struct {
	account string
	owner   directory.User
	cookie  string         // of the owner's browser
	person  directory.User // somebody, with an open hold
	app     oauth.Client   // the newest
	vault   string         // the first by name
}

// How much there is besides people.
const (
	consoleGroups = 8
	consoleApps   = 30 // at most, as of vaults: one for a thousand people
	consoleVaults = 30
	vaultItems    = 20
	suspendedOf   = 100 // one in so many people has an open hold
	entriesOf     = 10  // for so many people there is one more entry of the audit log
)

// some is how many of most a company of that size has.
func (o Options) some(most int) int { return max(2, min(most, o.People/1000)) }

// settle makes the account and its people, each in one group.
func (o Options) settle(ctx context.Context, p place) (f furnished, err error) {
	db, err := o.open(ctx, p)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	by := audit.Entry{Actor: "operator:bench"}
	made, owner, err := db.CreateAccount(ctx, directory.NewAccount{Name: "Benchmark", OwnerEmail: "owner@" + emailDomain, OwnerName: "Olga Owner"}, by)
	if err != nil {
		return f, fmt.Errorf("create account: %w", err)
	}
	f.account, f.owner = made.ID, owner
	var groups []string
	for i := range consoleGroups {
		g, err := db.CreateGroup(ctx, f.account, fmt.Sprintf("Department %d", i+1), by)
		if err != nil {
			return f, fmt.Errorf("create group: %w", err)
		}
		groups = append(groups, g.Name)
	}
	all := people(o.People - 1)
	for i := range all {
		all[i].Groups = []string{groups[i%len(groups)]}
	}
	if err := db.ImportUsers(ctx, f.account, all, func(done int) { o.Progress("import", float64(done)/float64(o.People)) }, by); err != nil {
		return f, fmt.Errorf("import people: %w", err)
	}
	return f, nil
}

// furnish does the rest, through the server.
func (o Options) furnish(ctx context.Context, s ConsoleServer, f *furnished) (err error) {
	db, by := s.Store(), audit.Entry{Actor: "operator:bench"}
	if f.cookie, err = s.Enter(ctx, f.owner); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	for i := range o.some(consoleVaults) {
		id, err := s.AddVault(ctx, f.owner, fmt.Sprintf("Vault %02d", i), vaultItems)
		if err != nil {
			return fmt.Errorf("make vault: %w", err)
		}
		if i == 0 {
			f.vault = id
		}
	}
	if err := o.addApps(ctx, s, f, audit.Entry{Actor: "user:" + f.owner.ID}); err != nil {
		return err
	}
	some, err := db.ListUsers(ctx, f.account, directory.ListQuery{After: "M", Limit: max(1, o.People/suspendedOf)})
	if err != nil || len(some) == 0 {
		return errors.Join(errors.New("nobody is in the second half of the list"), err)
	}
	f.person = some[0]
	err = atOnce(len(some), func(i int) error {
		_, err := db.SuspendUser(ctx, f.account, some[i].ID, directory.NewHold{Holder: by.Actor, Reason: "impossible travel"}, by.Because("impossible travel"))
		return err
	}, func(done float64) { o.Progress("suspend", done) })
	if err != nil {
		return fmt.Errorf("suspend people: %w", err)
	}
	return o.addEntries(ctx, db, f, some)
}

// addApps makes applications that have been used in each of the last 24 hours.
func (o Options) addApps(ctx context.Context, s ConsoleServer, f *furnished, by audit.Entry) error {
	used := oauth.NewRecorder(s.Store(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	for i := range o.some(consoleApps) {
		made, err := s.OAuth().Create(ctx, f.account, oauth.NewClient{Name: fmt.Sprintf("Platform %02d", i), Scopes: oauth.Scopes()}, by)
		if err != nil {
			return fmt.Errorf("create application: %w", err)
		}
		f.app = made.Client
		for hour := range 24 {
			for _, operation := range []string{oauth.OperationToken, "list_users", "get_user"} {
				used.Record(f.app.ID, f.account, operation, "192.0.2.7", "Platform/1.0", hour == 0, o.Now().Add(-time.Duration(hour)*time.Hour))
			}
		}
	}
	if err := used.Flush(ctx); err != nil {
		return fmt.Errorf("count requests: %w", err)
	}
	return nil
}

// addEntries adds what is in most entries of a real audit log: that people signed in, or could not.
func (o Options) addEntries(ctx context.Context, db *store.DB, f *furnished, who []directory.User) error {
	err := atOnce(o.People/entriesOf, func(i int) error {
		id := who[i%len(who)].ID
		e := audit.Entry{Actor: "user:" + id, Action: audit.SessionBegin, Target: "user:" + id, Address: "192.0.2.8"}
		if i%10 == 0 {
			e.Action, e.Outcome = audit.SignInFail, audit.Refused
		}
		return db.AppendAudit(ctx, f.account, e)
	}, func(done float64) { o.Progress("audit entries", done) })
	if err != nil {
		return fmt.Errorf("append audit entries: %w", err)
	}
	return nil
}

// atOnce does n things, a few of them at once, so that they share commits. The first error ends it.
func atOnce(n int, do func(i int) error, progress func(float64)) error {
	errs := make([]error, connections)
	for start := 0; start < n; start += connections {
		progress(float64(start) / float64(n))
		var wait sync.WaitGroup
		for i := start; i < min(start+connections, n); i++ {
			wait.Go(func() { errs[i-start] = do(i) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return nil
}
