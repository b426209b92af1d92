package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/origin"
	"holdfast/internal/signals"
	"holdfast/internal/signin"
	"holdfast/internal/store"
)

// eventLog is a place with an account that has so many sign-in attempts, at equal distances, and a token.
type eventLog struct {
	place
	account string
	person  string // ID of somebody who can sign in
	token   string
	size    int
	begin   time.Time
	step    time.Duration
}

// at is when the event with so many before it happened.
func (l eventLog) at(n int) time.Time { return l.begin.Add(time.Duration(n) * l.step) }

// The events are made of the first ones, in statements that copy so many.
const (
	firstEvents  = 1000
	copiedAtOnce = 250_000
)

// eventColumns are those that are copied as they are. The others are account_id, seq, at and id.
const eventColumns = "category, type, details, session_id, user_id, name, email, method, address, user_agent, app, app_version, " +
	"platform, platform_version, os, os_version, country, continent, region, city, latitude, longitude, radius, asn, network, anonymous"

// fillLog makes an account, and a log of the size in it, with all indexes, as the store would have it.
func (o Options) fillLog(ctx context.Context, p place, size int) (log eventLog, err error) {
	a, err := o.fill(ctx, p, o.People, true, func(int) {})
	if err != nil {
		return log, err
	}
	const longest = 300 * 24 * time.Hour // younger than what the server would delete
	step := min(3*time.Second, longest/time.Duration(size)).Truncate(time.Microsecond)
	log = eventLog{place: p, account: a.ID, person: a.People[0], size: size, step: step, begin: o.Now().Add(-time.Duration(size) * step).Truncate(time.Second).UTC()}
	if log.token, err = o.firstEvents(ctx, log, a.People); err != nil {
		return log, err
	}
	_, write, err := store.Pools(ctx, store.Options{Database: p.Database, Dir: p.Dir, MmapSize: o.MmapSize})
	if err != nil {
		return log, fmt.Errorf("open database for events: %w", err)
	}
	defer func() { err = errors.Join(err, write.Close()) }()
	for have := firstEvents; have < size; {
		o.Progress("events", float64(have)/float64(size))
		n := min(have, size-have, copiedAtOnce)
		_, err := write.ExecContext(ctx, "INSERT INTO signin_attempts (account_id, seq, at, id, "+eventColumns+`)
			SELECT account_id, seq + $1, at + $2, substr(id, 1, 16) || CAST(1000000000 + seq + $1 AS TEXT), `+eventColumns+`
			FROM signin_attempts WHERE account_id = $3 AND seq <= $4 ORDER BY seq`, have, int64(have)*step.Microseconds(), log.account, n)
		if err != nil {
			return log, fmt.Errorf("copy %d events to %d: %w", n, have, err)
		}
		have += n
	}
	if o.postgres() { // which does so by itself after a while
		_, err = write.ExecContext(ctx, "VACUUM (ANALYZE) signin_attempts")
	}
	return log, err
}

// firstEvents stores the events of which the others are made, and makes a token.
func (o Options) firstEvents(ctx context.Context, log eventLog, people []string) (token string, err error) {
	db, err := o.open(ctx, log.place)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	by := audit.Entry{Actor: "operator:bench"}
	// The feed is measured, and not how detection comes after what is filled in.
	_, err = db.ChangeSource(ctx, log.account, signals.LocalID, func(s *signals.Setup) error {
		s.State = signals.Paused
		return nil
	}, by.For(audit.SourcePause, "signal_source:"+signals.LocalID))
	if err != nil {
		return "", fmt.Errorf("pause the account's own source: %w", err)
	}
	list := make([]signin.Attempt, firstEvents)
	for i := range list {
		list[i] = attempt(i, people[i%len(people)])
		list[i].At = log.at(i)
	}
	if err := db.ImportAttempts(ctx, log.account, list, by); err != nil {
		return "", fmt.Errorf("import attempts: %w", err)
	}
	events := &feed.Service{Store: db, Keys: db.Keys(), URL: "http://127.0.0.1", Now: o.Now}
	made, err := events.Issue(ctx, log.account, feed.NewToken{Name: "Benchmark", Features: feed.Streams()}, by)
	if err != nil {
		return "", fmt.Errorf("issue events token: %w", err)
	}
	return made.Text.Reveal(), nil
}

// attempt is one with texts as long as real ones; four of five went well.
func attempt(i int, person string) signin.Attempt {
	a := signin.Attempt{
		Category: signin.Success, Type: signin.CredentialsOK, SessionID: "MZXW6YTBOI2DGNBVGY3TQOJQME", UserID: person,
		Name: "Ciara O'Sullivan-Raman", Email: fmt.Sprintf("person.%07d@%s", i, emailDomain), Method: signin.ByPassword,
		Client: signin.Client{
			Address:   fmt.Sprintf("198.51.100.%d", i%250),
			UserAgent: "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/129.0.0.0 Safari/537.36",
			App:       "Holdfast console", AppVersion: "1.0", Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows", OSVersion: "10.0",
		},
		Location: origin.Location{
			Country: "IE", Continent: "EU", Region: "Leinster", City: "Dublin", Latitude: 53.3382, Longitude: -6.2591, Radius: 20,
			ASN: 64500, Network: "Harbour Broadband", AnonymousKnown: true,
		},
	}
	if i%5 == 4 {
		a.Category, a.Type, a.SessionID = signin.CredentialsFailed, signin.PasswordSecretBad, ""
	}
	return a
}
