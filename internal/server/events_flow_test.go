package server_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/eventsapi"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
)

// TestEventsFlow is what a platform does with both APIs: it follows the audit events with our client,
// suspends and reactivates somebody, and sees itself do it.
func TestEventsFlow(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		u := at.AddUser(t, "mira@example.org")
		client := reader(t, at.Instance)
		who, err := client.Introspect(t.Context())
		if err != nil || who.AccountUUID != at.Account.ID {
			t.Fatalf("introspection: %+v, %v", who, err)
		}
		type event struct{ Action, Object, ObjectID, Email, Actor, ActorName string }
		app := at.Credentials.Client
		want := []event{
			{"suspend", "user", u.ID, "mira@example.org", app.ID, app.Name},
			{"reactive", "user", u.ID, "mira@example.org", app.ID, app.Name},
		}
		ctx, enough := context.WithTimeout(t.Context(), 30*time.Second)
		defer enough()
		var got []event
		token := at.Token(t, at.Credentials)
		first := true
		for page, err := range client.FollowAuditEvents(ctx, eventsapi.Position{Start: time.Now().Add(-time.Minute)}) {
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range page.Items {
				if e.Action == "suspend" || e.Action == "reactive" {
					got = append(got, event{string(e.Action), e.ObjectType, e.ObjectUUID, e.ObjectDetails.Email, e.ActorUUID, e.ActorDetails.Name})
				}
			}
			if first { // it is following from now on
				first = false
				for _, verb := range []string{":suspend", ":suspend", ":reactivate"} { // the second one changes nothing
					if a := at.Call(t, "POST", at.UsersURL()+"/"+u.ID+verb, token); a.Status != http.StatusOK {
						t.Fatalf("%s: %d %s", verb, a.Status, a.Body)
					}
				}
			}
			if len(got) >= len(want) {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("audit events (-want +got):\n%s", diff)
		}
	})
}

// TestEventsResume reads sign-in attempts, stops, and goes on from the cursor as another process would.
func TestEventsResume(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		from := signin.Client{Address: "198.51.100.7", UserAgent: "Mozilla/5.0", Platform: "Firefox", PlatformVersion: "140.0", OS: "Linux"}
		fail := func() {
			if _, _, err := at.SignIn().Password(t.Context(), from, at.Owner.Email, "not her password at all"); err == nil {
				t.Fatal("a wrong password is accepted")
			}
		}
		fail()
		fail()
		var kept eventsapi.Position
		read := func(p eventsapi.Position) (n int) {
			for page, err := range reader(t, at.Instance).SignInAttempts(t.Context(), p) {
				if err != nil {
					t.Fatal(err)
				}
				for _, e := range page.Items {
					if e.Category != eventsapi.CategoryCredentialsFailed || e.TargetUser.UUID != at.Owner.ID || e.Client.IPAddress != "198.51.100.7" || e.Client.PlatformName != "Firefox" {
						t.Errorf("attempt %+v", e)
					}
				}
				n += len(page.Items)
				kept.Cursor = page.Cursor
			}
			return n
		}
		if n := read(eventsapi.Position{Limit: 1}); n != 2 {
			t.Errorf("%d attempts, want 2", n)
		}
		fail()
		if n := read(kept); n != 1 {
			t.Errorf("%d attempts after the cursor, want 1", n)
		}
		if n := read(kept); n != 0 {
			t.Errorf("%d attempts at the end", n)
		}
		for _, err := range reader(t, at.Instance).ItemUsages(t.Context(), kept) {
			if e, ok := errors.AsType[*eventsapi.Error](err); !ok || e.StatusCode != http.StatusBadRequest {
				t.Errorf("the cursor of another stream: %v", err)
			}
			break
		}
	})
}

// reader is our client with a token for everything.
func reader(t *testing.T, in *servertest.Instance) *eventsapi.Client {
	t.Helper()
	c, err := eventsapi.New(eventsapi.Config{Token: in.EventsToken(t), BaseURL: in.URL})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
