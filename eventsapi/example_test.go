package eventsapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"holdfast/eventsapi"
)

// exampleClient is a client of a small server in this process, which has seen five attempts to sign in.
// In your program it is what eventsapi.New returns.
func exampleClient() (client *eventsapi.Client, stop func()) {
	const format = `{"uuid":"EVENT%d","timestamp":"2026-10-19T03:4%d:07.48Z","category":%q,"type":%q,"country":%q,"details":%s,
		"target_user":{"uuid":"K7QWZP3M5XNB2RTYDHCVFAEJ4U","name":"Mira Oduya","email":"mira.oduya@example.org"},"client":{"ip_address":"203.0.113.77"}}`
	f := newFake()
	f.waits = true
	for i, a := range []struct{ category, typ, country, details string }{
		{"success", "credentials_ok", "DE", "null"},
		{"credentials_failed", "password_secret_bad", "BR", "null"},
		{"credentials_failed", "password_secret_bad", "BR", "null"},
		{"firewall_failed", "country_blocked", "BR", `{"value":"BR"}`},
		{"success", "credentials_ok", "DE", "null"},
	} {
		f.add(fmt.Sprintf(format, i, i, a.category, a.typ, a.country, a.details))
	}
	srv := httptest.NewServer(f)
	client, err := eventsapi.New(eventsapi.Config{Token: goodToken(), BaseURL: srv.URL})
	if err != nil {
		log.Fatal(err)
	}
	return client, srv.Close
}

// database stands for yours.
type database struct {
	cursor string
	events []eventsapi.SignInAttempt
	full   func() // called when all five events are there
}

func (db *database) load(context.Context) (cursor string, err error) { return db.cursor, nil }

// save keeps both in one transaction.
func (db *database) save(_ context.Context, events []eventsapi.SignInAttempt, cursor string) error {
	if db.events, db.cursor = append(db.events, events...), cursor; len(db.events) == 5 && db.full != nil {
		db.full()
	}
	return nil
}

// A program that is told of each failed attempt within the second, and may be stopped and started at
// any time.
func Example() {
	client, stop := exampleClient()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db := &database{full: cancel}

	kept, err := db.load(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	from := eventsapi.Position{
		Cursor: kept,                                         // wins, once there is one
		Start:  time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC), // of the very first run
	}
	for page, err := range client.FollowSignInAttempts(ctx, from) {
		switch {
		case errors.Is(err, context.Canceled):
			return // this program is being stopped
		case errors.Is(err, eventsapi.ErrUnauthorized):
			fmt.Println("ask the administrator for a new token:", err)
			return
		case err != nil:
			fmt.Println(err)
			return
		}
		for _, a := range page.Items {
			if a.Category != eventsapi.CategorySuccess {
				fmt.Println(a.TargetUser.Email, a.Type, a.Client.IPAddress, a.Country)
			}
		}
		if err := db.save(ctx, page.Items, page.Cursor); err != nil {
			fmt.Println(err)
			return
		}
	}
	// Output:
	// mira.oduya@example.org password_secret_bad 203.0.113.77 BR
	// mira.oduya@example.org password_secret_bad 203.0.113.77 BR
	// mira.oduya@example.org country_blocked 203.0.113.77 BR
}

func ExampleNew() {
	client, err := eventsapi.New(eventsapi.Config{
		Token:     os.Getenv("HOLDFAST_EVENTS_TOKEN"),
		UserAgent: "AcmeSIEM/4.0",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client.BaseURL(), client.Claims().Features)
}

// Plain http is for a server on the same machine, which the token cannot name.
func ExampleNew_loopback() {
	client, err := eventsapi.New(eventsapi.Config{
		BaseURL: "http://127.0.0.1:8080",
		Token:   "ops_not_an_events_token",
	})
	fmt.Println(client, err)
	// Output:
	// <nil> eventsapi: Config.Token is no signed JWT, which has three parts with dots between; is it an events token?
}

func ExampleClient_Introspect() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	token, err := client.Introspect(ctx)
	if err != nil {
		fmt.Println(err) // revoked, expired, or no server there
		return
	}
	fmt.Println("account", token.AccountUUID, "streams", token.Features)
	// Output:
	// account T4JX9QZL2VNRWB6KMPSDCYGH7E streams [auditevents signinattempts]
}

// Read what there is, and stop.
func ExampleClient_SignInAttempts() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	failed := map[string]int{}
	from := eventsapi.Position{
		Start: time.Date(2026, 10, 19, 0, 0, 0, 0, time.UTC),
		End:   time.Date(2026, 10, 20, 0, 0, 0, 0, time.UTC),
	}
	for page, err := range client.SignInAttempts(ctx, from) {
		if err != nil {
			fmt.Println(err) // the count is not complete
			return
		}
		for _, a := range page.Items {
			if a.Category != eventsapi.CategorySuccess {
				failed[a.Country]++
			}
		}
	}
	fmt.Println("failed attempts by country:", failed)
	// Output:
	// failed attempts by country: map[BR:3]
}

// A cursor continues behind its page: in the next loop, in the next process, next year.
func ExamplePosition() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	var cursor string
	for page, err := range client.SignInAttempts(ctx, eventsapi.Position{Limit: 2}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		cursor = page.Cursor
		fmt.Println(len(page.Items), "events, more:", page.HasMore)
		break
	}
	for page, err := range client.SignInAttempts(ctx, eventsapi.Position{Cursor: cursor}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("then", page.Items[0].UUID, "and on")
	}
	// Output:
	// 2 events, more: true
	// then EVENT2 and on
	// then EVENT4 and on
}

// An Error carries what a ticket or a log needs.
func ExampleError() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	for _, err := range client.AuditEvents(ctx, eventsapi.Position{Cursor: "of-another-server"}) {
		if e, ok := errors.AsType[*eventsapi.Error](err); ok {
			fmt.Println("status", e.StatusCode, "message", e.Message, "request", e.RequestID)
		}
	}
	// Output:
	// status 400 message the cursor is not valid request REQ7
}
