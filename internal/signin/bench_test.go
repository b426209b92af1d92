package signin_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
	"holdfast/internal/web"
)

const (
	email    = "Owner@example.org"
	password = "nine lanterns over the quay"
)

// clock is a time that tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a service on a database of its own, with an account whose owner has a password.
type bench struct {
	*signin.Service
	clock   *clock
	db      *store.DB
	account directory.Account
	owner   directory.User
}

func newBench(t testing.TB) *bench { return newBenchOn(t, "sqlite") }

// newBenchOn is newBench on a database of the kind.
func newBenchOn(t testing.TB, kind string) *bench {
	t.Helper()
	b := &bench{clock: &clock{now: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)}}
	place := storetest.NewPlace(t, kind)
	place.Now = b.clock.Now
	b.db = place.Open(t)
	b.account, b.owner = storetest.Account(t, b.db)
	b.Service = &signin.Service{Store: b.db, Keys: b.db.Keys(), Origin: "https://console.example.org", Name: "Holdfast", Now: b.clock.Now}
	if err := b.SetInitialPassword(t.Context(), b.account.ID, b.owner.ID, password, by()); err != nil {
		t.Fatal(err)
	}
	return b
}

func by() audit.Entry { return audit.Entry{Actor: "operator:test"} }

// from is a browser at an address.
func from(address string) signin.Client {
	return signin.Client{Address: address, UserAgent: "test"}
}

// in signs the owner in, with a one-time code if need be, and returns who her session speaks for.
func (b *bench) in(t testing.TB) web.Principal {
	t.Helper()
	in, ticket, err := b.Password(t.Context(), from("192.0.2.1"), email, password)
	if err != nil || ticket != "" {
		t.Fatalf("sign in: ticket %v, error %v", ticket != "", err)
	}
	return b.session(t, in)
}

func (b *bench) session(t testing.TB, in signin.SignedIn) web.Principal {
	t.Helper()
	p, err := b.Session(t.Context(), in.Token.Reveal(), "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// secondFactor sets up one-time codes, and returns the seed in base32 and the recovery codes.
func (b *bench) secondFactor(t testing.TB, p web.Principal) (seed string, recovery []seal.Secret) {
	t.Helper()
	set, err := b.BeginTOTP(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	seed = strings.ReplaceAll(set.Secret.Reveal(), " ", "")
	recovery, err = b.FinishTOTP(t.Context(), p, set.Ticket, b.code(t, seed, 0), by())
	if err != nil {
		t.Fatal(err)
	}
	return seed, recovery
}

// code is the one-time code of so many steps later.
func (b *bench) code(t testing.TB, seed string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(seed, b.clock.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// ticket shows the password, where a code is asked for after it.
func (b *bench) ticket(t testing.TB, c signin.Client) signin.Ticket {
	t.Helper()
	_, ticket, err := b.Password(t.Context(), c, email, password)
	if err != nil || ticket == "" {
		t.Fatalf("password: ticket %v, error %v", ticket != "", err)
	}
	return ticket
}

// last is the newest attempt of the account, as category/type/method.
func (b *bench) last(t testing.TB) string {
	t.Helper()
	return b.lastOf(t, b.account.ID)
}

func (b *bench) lastOf(t testing.TB, account string) string {
	t.Helper()
	all, err := b.Attempts(t.Context(), signin.AttemptQuery{AccountID: account, Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		return "none"
	}
	return fmt.Sprintf("%s/%s/%s", all[0].Category, all[0].Type, all[0].Method)
}

// policy changes the account's.
func (b *bench) policy(t testing.TB, change func(*signin.Policy)) {
	t.Helper()
	p, err := b.Policy(t.Context(), b.account.ID)
	if err != nil {
		t.Fatal(err)
	}
	change(&p)
	if err := b.SetPolicy(t.Context(), b.account.ID, p, "", by()); err != nil {
		t.Fatal(err)
	}
}

func (b *bench) suspend(t testing.TB) {
	t.Helper()
	other := storetest.User(t, b.db, b.account.ID, "second@example.org", "owners")
	if _, err := b.db.SuspendUser(t.Context(), b.account.ID, b.owner.ID, directory.NewHold{}, storetest.By()); err != nil {
		t.Fatalf("suspend, with %s as the other owner: %v", other.ID, err)
	}
}

// told is everything that an answer tells.
func told(err error) string {
	if err == nil {
		return "nothing"
	}
	p := problem.Public(err)
	_, _, body := problem.Detailed.Body(p)
	return fmt.Sprintf("%s retry after %s", body, p.RetryAfter)
}

func code(err error) string {
	if err == nil {
		return ""
	}
	p := problem.Public(err)
	return p.Code + p.Field
}
