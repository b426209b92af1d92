package bench

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/seal"
	"holdfast/internal/store"
)

// place is a database of the benchmark's own.
type place struct {
	Dir      string
	Database string
	name     string // of the PostgreSQL database
}

// newPlace makes a folder, and on PostgreSQL an empty database.
func (o Options) newPlace(ctx context.Context, dir string) (place, error) {
	p := place{Dir: dir, Database: "sqlite"}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return p, fmt.Errorf("make folder: %w", err)
	}
	if !o.postgres() {
		return p, nil
	}
	return p, o.createDatabase(ctx, &p, "")
}

// copyPlace copies a place that nobody has open, so that two servers find the same.
func (o Options) copyPlace(ctx context.Context, from place, dir string) (place, error) {
	p := place{Dir: dir, Database: "sqlite"}
	if err := os.CopyFS(dir, os.DirFS(from.Dir)); err != nil {
		return p, fmt.Errorf("copy data: %w", err)
	}
	if !o.postgres() {
		return p, nil
	}
	return p, o.createDatabase(ctx, &p, " TEMPLATE "+from.name)
}

// createDatabase makes a database beside the one of the URL, which itself is not touched.
func (o Options) createDatabase(ctx context.Context, p *place, template string) error {
	p.name = "holdfast_bench_" + strings.ToLower(rand.Text())
	u, err := url.Parse(o.Database)
	if err != nil { // which would show the password
		return errors.New("the database URL cannot be read; it must be of the form postgres://user:password@host:5432/name")
	}
	u.Path = "/" + p.name
	p.Database = u.String()
	// An identifier cannot be a parameter; this one is made of letters, digits and underscores.
	if err := o.onServer(ctx, "CREATE DATABASE "+p.name+template); err != nil {
		return fmt.Errorf("create a database to measure on (the user of the URL needs CREATEDB): %w", err)
	}
	return nil
}

// drop removes the place. It is called when the context may have ended.
func (o Options) drop(ctx context.Context, p place) error {
	err := os.RemoveAll(p.Dir)
	if p.name == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(err, o.onServer(ctx, "DROP DATABASE IF EXISTS "+p.name+" WITH (FORCE)"))
}

func (o Options) onServer(ctx context.Context, statement string) error {
	db, err := sql.Open("pgx", o.Database)
	if err != nil {
		return errors.New("the database URL cannot be read")
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}

func (o Options) postgres() bool { return o.Database != "" && o.Database != "sqlite" }

func (o Options) open(ctx context.Context, p place) (*store.DB, error) {
	master, err := seal.OpenMaster("file", p.Dir, true)
	if err != nil {
		return nil, fmt.Errorf("make master key: %w", err)
	}
	return store.Open(ctx, store.Options{
		Database: p.Database, Dir: p.Dir, MmapSize: o.MmapSize, Master: master, Now: o.Now,
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Migrate: true, Bulk: true,
	})
}

// account is whom the generator asks about, and with what credentials.
type account struct {
	ID       string   `json:"id"`
	ClientID string   `json:"client_id"`
	Secret   string   `json:"secret"`
	Token    string   `json:"token"`
	People   []string `json:"people"` // ids of those who can be suspended: all but the owner
	Size     int      `json:"size"`   // number of people, with the owner
}

// tokenLife is how long the token of the benchmark lives: longer than any benchmark.
const tokenLife = 24 * time.Hour

// fill makes an account with one OAuth application, and people up to the size. With listed, the ids
// of the people are read back; else a few of them are suspended.
func (o Options) fill(ctx context.Context, p place, size int, listed bool, progress func(done int)) (a account, err error) {
	db, err := o.open(ctx, p)
	if err != nil {
		return account{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	by := audit.Entry{Actor: "operator:bench"}
	made, owner, err := db.CreateAccount(ctx, directory.NewAccount{Name: "Benchmark", OwnerEmail: "owner@example.org", OwnerName: "Olga Owner"}, by)
	if err != nil {
		return a, fmt.Errorf("create account: %w", err)
	}
	a = account{ID: made.ID, Size: size}
	if err := o.credentials(ctx, db, &a, by); err != nil {
		return a, err
	}
	if err := db.ImportUsers(ctx, a.ID, people(size-1), progress, by); err != nil {
		return a, fmt.Errorf("import people: %w", err)
	}
	if !listed {
		return a, suspendFew(ctx, db, a.ID, by)
	}
	for q := (directory.ListQuery{Limit: 1000}); listed; {
		us, err := db.ListUsers(ctx, a.ID, q)
		if err != nil {
			return a, fmt.Errorf("list people: %w", err)
		}
		for _, u := range us {
			q.After = u.ID
			if u.ID != owner.ID {
				a.People = append(a.People, u.ID)
			}
		}
		listed = len(us) == q.Limit
	}
	return a, nil
}

// few is how many people are suspended, far behind in the order of ids, so that whoever looks for them
// among all has a long way to go.
const few = 10

func suspendFew(ctx context.Context, db *store.DB, account string, by audit.Entry) error {
	us, err := db.ListUsers(ctx, account, directory.ListQuery{After: "X", Limit: few})
	if err != nil {
		return fmt.Errorf("list people: %w", err)
	}
	for _, u := range us {
		if _, err := db.SuspendUser(ctx, account, u.ID, directory.NewHold{Holder: by.Actor}, by); err != nil {
			return fmt.Errorf("suspend %q: %w", u.ID, err)
		}
	}
	return nil
}

// credentials makes an application that may do everything, and a token.
func (o Options) credentials(ctx context.Context, db *store.DB, a *account, by audit.Entry) error {
	service := &oauth.Service{Store: db, Now: o.Now}
	cred, err := service.Create(ctx, a.ID, oauth.NewClient{Name: "Benchmark", Scopes: oauth.Scopes()}, by)
	if err != nil {
		return fmt.Errorf("create application: %w", err)
	}
	token, hash := seal.NewCredential(oauth.TokenPrefix)
	now := o.Now().UTC()
	err = db.IssueToken(ctx, oauth.Token{
		Hash: hash, AccountID: a.ID, ClientID: cred.Client.ID, SecretID: cred.Client.Secrets[0].ID,
		IssuedAt: now, ExpiresAt: now.Add(tokenLife),
	}, by)
	if err != nil {
		return fmt.Errorf("issue token: %w", err)
	}
	a.ClientID, a.Secret, a.Token = cred.Client.ID, cred.Secret.Reveal(), token.Reveal()
	return nil
}

// emailDomain is reserved by RFC 2606.
const emailDomain = "harbour.example.org"

// people makes up n people whose texts are as long as real ones.
func people(n int) []directory.NewUser {
	first := []string{"Mira", "Tomas", "Ngozi", "Aurélie", "Jun", "Sebastián", "Priya", "Olu", "Freja", "Dmitri", "Hana"}
	last := []string{"Oduya", "Rehn", "Okafor", "Lefèvre", "Watanabe", "Quintero", "Raman", "Lindqvist", "Petrov", "Novák", "Achterberg", "Ito", "Marsh"}
	out := make([]directory.NewUser, n)
	for i := range out {
		f, l := first[i%len(first)], last[i/len(first)%len(last)]
		out[i] = directory.NewUser{Email: fmt.Sprintf("person.%07d@%s", i, emailDomain), DisplayName: f + " " + l}
	}
	return out
}

// workspace is the folder of one benchmark, in o.Dir so that its disk is the one measured.
func (o Options) workspace() (dir string, remove func() error, err error) {
	dir, err = os.MkdirTemp(o.Dir, "holdfast-bench-")
	if err != nil {
		return "", nil, fmt.Errorf("make a folder for the data: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", nil, fmt.Errorf("find folder: %w", err)
	}
	return dir, func() error { return os.RemoveAll(dir) }, nil
}
