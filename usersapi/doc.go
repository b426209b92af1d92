// Package usersapi is a client of the Users API: list the people of an account, look one up, stop
// somebody's sign-in, give it back. It works against Holdfast and against 1Password, whose API has
// the same wire contract, and depends on the standard library only.
//
//	client, err := usersapi.New(usersapi.Config{
//		BaseURL:      "https://holdfast.example.com",
//		AccountID:    "T4JX7QZL2VNRWB6KMPSDCYGH5E",
//		ClientID:     "6f1c2d7e-94ab-4c61-b0de-52f3a8e91764",
//		ClientSecret: os.Getenv("HOLDFAST_CLIENT_SECRET"),
//		UserAgent:    "AcmeSOAR/2.1",
//	})
//	…
//	user, err := client.Suspend(ctx, "K7QWZP3M5XNB2RTYDHCVFAEJ4U")
//
// Make one [Client] for each OAuth application and share it: it is safe for concurrent use.
//
// # Tokens
//
// The client gets an access token when it first needs one, keeps it in memory, and gets the next one
// shortly before the old one ends. Callers that need a token at the same moment share one request.
// If the server refuses a token early (401), the client gets another and repeats the call, once.
// [Client.Revoke] gives the token back.
//
// # Repeated tries
//
// All operations may be repeated safely: suspending somebody who is suspended, or reactivating
// somebody who is active, changes nothing. So the client repeats a call that met 429, a 5xx or a broken
// connection, up to [Config.MaxRetries] times, with pauses that double from half a second and vary
// at random. A Retry-After header is respected; one that asks for more than [Config.MaxRetryWait] ends
// the call instead. The context bounds everything, pauses included: if its deadline would pass in a
// pause, the call returns at once with what it knows.
//
// # Errors
//
// Every error of an operation is an [*Error], which says what the server answered; what went wrong
// while getting or revoking a token is an [*OAuthError], on its own or inside an [*Error]. Test for
// the cases that a program acts on with [errors.Is]:
//
//	ErrNotFound               no such person in this account
//	ErrLastOwner              suspending would leave the account without an owner
//	ErrExternallyManaged      an identity provider manages the person; act there
//	ErrForbidden              the application lacks the scope, or a rule forbids it (includes the two above)
//	ErrInvalidClient          client ID or secret is wrong, or the application was revoked
//	ErrUnauthorized           no token that the server accepts could be had (includes the one above)
//	ErrInvalid                the request is wrong; repeating it will not help
//	ErrRateLimited            still 429 after all tries; see RetryAfter of the error
//	ErrUnavailable            no answer, or 5xx, after all tries
//	ErrOutcomeUnknown         a change was sent and its answer never came: it may have taken effect
//
// ErrOutcomeUnknown may come together with another one. Repeat the call later, or look the person up.
//
// # What it never does
//
// It sends credentials to no other address than BaseURL: redirects are not followed, and plain HTTP is
// refused except on the loopback address. It shows the secret and tokens in no error, no log line and no
// formatting verb. It reads no more than a bounded number of bytes of any answer.
package usersapi
