package respond

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/usersapi"
)

// usersAPI is a target that speaks the Users API.
type usersAPI struct {
	client  *usersapi.Client
	account string // at the target
	base    string
	http    *http.Transport
}

// maxPeople bounds the search by e-mail address, against a server whose list never ends.
const maxPeople = 1_000_000

// openUsersAPI makes the target. It sends nothing.
func openUsersAPI(c TargetConfig, secret seal.Secret) (*usersAPI, error) {
	t, err := newTransport(c.CA)
	if err != nil {
		return nil, err
	}
	client, err := usersapi.New(usersapi.Config{
		BaseURL: c.BaseURL, AccountID: c.AccountID, ClientID: c.ClientID, ClientSecret: secret.Reveal(),
		UserAgent: "Holdfast-respond/1", HTTPClient: &http.Client{Transport: t}, Timeout: oneCall,
		MaxRetries: -1, // the caller reads back before it tries again
	})
	if err != nil {
		text := strings.ReplaceAll(err.Error(), "usersapi: Config.", "")
		return nil, problem.InField("config", "%s", strings.ReplaceAll(text, "\n", "; "))
	}
	return &usersAPI{client: client, account: c.AccountID, base: c.BaseURL, http: t}, nil
}

// hangUp closes the connections that nobody uses.
func (t *usersAPI) hangUp() { t.http.CloseIdleConnections() }

func (t *usersAPI) Suspend(ctx context.Context, who Wanted) (Outcome, error) {
	return t.change(ctx, who, usersapi.Suspended, t.client.Suspend)
}

func (t *usersAPI) Reactivate(ctx context.Context, who Wanted) (Outcome, error) {
	return t.change(ctx, who, usersapi.Active, t.client.Reactivate)
}

func (t *usersAPI) change(ctx context.Context, who Wanted, to usersapi.State, call func(context.Context, string) (usersapi.User, error)) (Outcome, error) {
	u, err := t.find(ctx, who)
	if err != nil {
		return outcomeOf(ctx, err)
	}
	if u.State == to {
		return Outcome{Kind: OutcomeAlready, RemoteID: u.ID}, nil
	}
	if _, err := call(ctx, u.ID); err != nil {
		o, err := outcomeOf(ctx, err)
		o.RemoteID = u.ID
		return o, err
	}
	return Outcome{Kind: OutcomeDone, RemoteID: u.ID}, nil
}

func (t *usersAPI) State(ctx context.Context, who Wanted) (TargetState, error) {
	u, err := t.find(ctx, who)
	if err != nil {
		o, err := outcomeOf(ctx, err)
		switch {
		case err != nil:
			return "", err
		case o.Code == RefusedNotFound:
			return TargetAbsent, nil
		case o.Kind == OutcomeRetry:
			p := problem.New(problem.Unavailable, "%s", o.Reason)
			p.RetryAfter = o.After
			return "", p
		}
		return "", problem.Coded(problem.Forbidden, o.Code, "%s", o.Reason)
	}
	switch u.State {
	case usersapi.Active:
		return TargetActive, nil
	case usersapi.Suspended:
		return TargetSuspended, nil
	}
	return "", problem.Coded(problem.Forbidden, RefusedAnswer, "the target says that the person is %q, which is no state of this API", plain(string(u.State), 40))
}

// refusal is why somebody is not acted on who was, or was not, found.
type refusal struct{ code, reason string }

func (r *refusal) Error() string { return r.reason }

// find finds the one person who is meant.
func (t *usersAPI) find(ctx context.Context, who Wanted) (usersapi.User, error) {
	switch other := who.OtherIDs[t.account]; {
	case who.AccountID == t.account && who.PersonID != "":
		return t.client.User(ctx, who.PersonID)
	case other != "":
		u, err := t.client.User(ctx, other)
		switch {
		case errors.Is(err, usersapi.ErrNotFound), errors.Is(err, usersapi.ErrInvalid):
			// The source calls people otherwise; look by address.
		case err != nil:
			return usersapi.User{}, err
		case !sameAddress(u.Email, who.Email):
			return usersapi.User{}, &refusal{RefusedAmbiguous, "the target has another e-mail address under the id that the event names; nobody was acted on"}
		default:
			return u, nil
		}
	}
	if who.Email == "" {
		return usersapi.User{}, &refusal{RefusedNotFound, "the person has no e-mail address to look for at the target"}
	}
	var found []usersapi.User
	n := 0
	for u, err := range t.client.Users(ctx, usersapi.Everybody) {
		if err != nil {
			return usersapi.User{}, err
		}
		if sameAddress(u.Email, who.Email) {
			found = append(found, u)
		}
		if n++; n > maxPeople || len(found) > 1 {
			break
		}
	}
	switch {
	case n > maxPeople:
		return usersapi.User{}, &refusal{RefusedAnswer, fmt.Sprintf("the target lists more than %d people; nobody was acted on", maxPeople)}
	case len(found) == 0:
		return usersapi.User{}, &refusal{RefusedNotFound, "the target has nobody with this e-mail address"}
	case len(found) > 1:
		return usersapi.User{}, &refusal{RefusedAmbiguous, "the target has more than one person with this e-mail address; nobody was acted on"}
	}
	return found[0], nil
}

// sameAddress compares as the directory does: normalised and case-folded. Nothing is the same as no address.
func sameAddress(a, b string) bool {
	key := func(s string) string {
		return norm.NFC.String(cases.Fold().String(norm.NFC.String(strings.TrimSpace(s))))
	}
	return a != "" && key(a) == key(b)
}

// outcomeOf says what an error of the client means. The error is returned where the context ended before anything
// was sent.
func outcomeOf(ctx context.Context, err error) (Outcome, error) {
	if r, ok := errors.AsType[*refusal](err); ok {
		return Outcome{Kind: OutcomeRefused, Code: r.code, Reason: r.reason}, nil
	}
	reason := plain(strings.TrimPrefix(err.Error(), "usersapi: "), 300)
	refused := func(code, words string) (Outcome, error) {
		return Outcome{Kind: OutcomeRefused, Code: code, Reason: words + " (" + reason + ")"}, nil
	}
	o := Outcome{Reason: reason}
	e, _ := errors.AsType[*usersapi.Error](err)
	if e != nil {
		o.After = e.RetryAfter
	}
	if a, ok := errors.AsType[*usersapi.OAuthError](err); ok && a.RetryAfter > 0 {
		o.After = a.RetryAfter
	}
	switch {
	case errors.Is(err, usersapi.ErrOutcomeUnknown): // before all others: whatever else it says, it may have happened
		o.Kind = OutcomeUnknown
		return o, nil
	case ctx.Err() != nil:
		return Outcome{}, err
	case errors.Is(err, usersapi.ErrLastOwner):
		return refused(RefusedLastOwner, "the target keeps its last owner: nobody else could let people in again")
	case errors.Is(err, usersapi.ErrExternallyManaged):
		return refused(RefusedManaged, "an identity provider manages the person; suspend them there")
	case errors.Is(err, usersapi.ErrNotFound):
		return refused(RefusedNotFound, "the target does not have the person")
	case errors.Is(err, usersapi.ErrUnauthorized):
		return refused(RefusedCredentials, "the target does not accept the credentials; give new ones")
	case errors.Is(err, usersapi.ErrRateLimited), errors.Is(err, usersapi.ErrUnavailable) && !unsupported(e):
		o.Kind = OutcomeRetry
		return o, nil
	case errors.Is(err, usersapi.ErrForbidden):
		return refused(RefusedForbidden, "the target does not allow it; does the application have the permission?")
	}
	return refused(RefusedAnswer, "the answer is none of this API; is the address right?")
}

// unsupported reports whether trying again is in vain: the server knows no such operation.
func unsupported(e *usersapi.Error) bool {
	return e != nil && (e.StatusCode == http.StatusNotImplemented || e.StatusCode == http.StatusHTTPVersionNotSupported)
}

// Test lists, looks one person up, and asks for changes of somebody who does not exist: who may not make them is told
// so (403), who may is told that there is nobody (404).
func (t *usersAPI) Test(ctx context.Context) (string, error) {
	nobody := rand.Text() // 130 random bits in the form of an id
	probes := []struct {
		may string
		try func() error
	}{
		{"list people", func() error {
			for _, err := range t.client.Users(ctx, usersapi.Everybody) {
				return err
			}
			return nil
		}},
		{"look a person up", func() error { return lookedFor(t.client.User(ctx, nobody)) }},
		{"suspend", func() error { return lookedFor(t.client.Suspend(ctx, nobody)) }},
		{"reactivate", func() error { return lookedFor(t.client.Reactivate(ctx, nobody)) }},
	}
	var may, not []string
	for _, p := range probes {
		switch err := p.try(); {
		case err == nil:
			may = append(may, p.may)
		case errors.Is(err, usersapi.ErrForbidden) && !errors.Is(err, usersapi.ErrUnauthorized):
			not = append(not, p.may)
		default:
			return "", t.why(ctx, err)
		}
	}
	text := t.base + " answers"
	if len(may) > 0 {
		text += "; the credentials may " + strings.Join(may, ", ")
	}
	if len(not) > 0 {
		text += "; they may not " + strings.Join(not, ", ") + ": give the application all four permissions"
	}
	return text, nil
}

// lookedFor takes it for an answer that there is nobody.
func lookedFor(_ usersapi.User, err error) error {
	if errors.Is(err, usersapi.ErrNotFound) {
		return nil
	}
	return err
}

// why is the error as an administrator reads it.
func (t *usersAPI) why(ctx context.Context, err error) error {
	o, err := outcomeOf(ctx, err)
	if err != nil {
		return err
	}
	kind := problem.Forbidden
	if o.Kind == OutcomeRetry || o.Kind == OutcomeUnknown {
		kind = problem.Unavailable
	}
	p := problem.Coded(kind, o.Code, "%s: %s", t.base, o.Reason)
	p.RetryAfter = o.After
	return p
}
