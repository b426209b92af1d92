package usersapi_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"time"

	"holdfast/usersapi"
)

// exampleClient is a client of a small server in this process, with three people and an owner among
// them. In your program it is what usersapi.New returns.
func exampleClient() (client *usersapi.Client, stop func()) {
	f := newFake(3)
	for i, name := range []string{"Ines Duarte", "Mira Oduya", "Jonas Veld"} {
		f.people[i].DisplayName = name
	}
	f.owner = f.people[0].ID
	srv := httptest.NewServer(f.routes())
	client, err := usersapi.New(usersapi.Config{BaseURL: srv.URL, AccountID: account, ClientID: clientID, ClientSecret: secret})
	if err != nil {
		log.Fatal(err)
	}
	return client, srv.Close
}

// The whole life of a client: suspend everybody on a list, tell apart what went wrong, and give the
// token back.
func Example() {
	client, stop := exampleClient()
	defer stop()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	for _, id := range []string{personID(0), personID(1), personID(9)} {
		user, err := client.Suspend(ctx, id)
		switch {
		case err == nil:
			fmt.Println("suspended", user.DisplayName)
		case errors.Is(err, usersapi.ErrLastOwner), errors.Is(err, usersapi.ErrExternallyManaged):
			fmt.Println("a person has to decide about", id)
		case errors.Is(err, usersapi.ErrNotFound):
			fmt.Println("nobody here has the ID", id)
		case errors.Is(err, usersapi.ErrOutcomeUnknown):
			fmt.Println("call again for", id) // suspending twice does no harm
		default:
			fmt.Println(err)
		}
	}
	if err := client.Revoke(ctx); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a person has to decide about K7QWZP3M5XNB2RTYDHCVFAEAAA
	// suspended Mira Oduya
	// nobody here has the ID K7QWZP3M5XNB2RTYDHCVFAEAAJ
}

func ExampleNew() {
	client, err := usersapi.New(usersapi.Config{
		BaseURL:      "https://holdfast.example.com",
		AccountID:    "T4JX7QZL2VNRWB6KMPSDCYGH5E",
		ClientID:     "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
		ClientSecret: os.Getenv("HOLDFAST_CLIENT_SECRET"),
		UserAgent:    "AcmeSOAR/2.1",
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(client)
}

// The same contract is served by 1Password; only the base URL and, for its preview, the generation differ.
func ExampleNew_onePassword() {
	client, err := usersapi.New(usersapi.Config{
		BaseURL:      "https://api.1password.eu",
		APIVersion:   usersapi.V1Beta1,
		AccountID:    "T4JX7QZL2VNRWB6KMPSDCYGH5E",
		ClientID:     "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
		ClientSecret: "the secret never shows",
	})
	fmt.Println(client, err)
	// Output:
	// <nil> usersapi: Config.ClientSecret holds a space, a line break or a character that is not ASCII; was it copied with something around it?
}

func ExampleClient_Users() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	for user, err := range client.Users(ctx, usersapi.OnlyActive) {
		if err != nil {
			fmt.Println(err) // the list is not complete
			return
		}
		fmt.Println(user.State, user.Email)
	}
	// Output:
	// ACTIVE p0@example.org
	// ACTIVE p1@example.org
	// ACTIVE p2@example.org
}

// The API looks people up by ID only; to find one by e-mail, list and stop when found.
func ExampleClient_Users_find() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	for user, err := range client.Users(ctx, usersapi.Everybody) {
		if err != nil {
			fmt.Println(err)
			return
		}
		if user.Email == "p1@example.org" {
			fmt.Println("found", user.ID)
			break
		}
	}
	// Output:
	// found K7QWZP3M5XNB2RTYDHCVFAEAAB
}

func ExampleClient_Suspend() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	user, err := client.Suspend(ctx, "K7QWZP3M5XNB2RTYDHCVFAEAAB")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.DisplayName, "is", user.State)

	user, err = client.Reactivate(ctx, user.ID)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(user.DisplayName, "is", user.State)
	// Output:
	// Mira Oduya is SUSPENDED
	// Mira Oduya is ACTIVE
}

// An Error carries what a ticket or a log needs.
func ExampleError() {
	client, stop := exampleClient()
	defer stop()
	ctx := context.Background()

	_, err := client.Suspend(ctx, personID(0))
	if e, ok := errors.AsType[*usersapi.Error](err); ok {
		fmt.Println("status", e.StatusCode, "message", e.Message, "request", e.RequestID)
	}
	fmt.Println("last owner:", errors.Is(err, usersapi.ErrLastOwner))
	fmt.Println("forbidden:", errors.Is(err, usersapi.ErrForbidden))
	// Output:
	// status 403 message no_owner_remain request REQ7
	// last owner: true
	// forbidden: true
}
