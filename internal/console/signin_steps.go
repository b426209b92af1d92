package console

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// cutTicket takes the value of a step's cookie apart.
func cutTicket(value string) (ticket, beside string) {
	ticket, beside, _ = strings.Cut(value, ".")
	if text, err := url.PathUnescape(beside); err == nil {
		return ticket, text
	}
	return ticket, ""
}

// maxCredential bounds what a browser sends of a passkey, in bytes.
const maxCredential = 64 << 10

// credential reads the body of a request that finishes with a passkey.
func credential(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCredential+1))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok || len(body) > maxCredential {
		return nil, problem.New(problem.TooLarge, "the answer of the passkey has more than %d bytes", maxCredential)
	}
	if err != nil {
		return nil, problem.New(problem.Invalid, "the answer of the passkey ended early; try again").WithCause(err)
	}
	return body, nil
}

// options answers what the browser is to ask the authenticator for.
func options(w http.ResponseWriter, options json.RawMessage) error {
	return web.Bytes(w, http.StatusOK, "application/json", options)
}

// location answers a script where to go.
func location(w http.ResponseWriter, to string) error {
	return web.JSON(w, http.StatusOK, map[string]string{"location": to})
}

// told answers a script with what went wrong, as far as the person can do something about it.
func (c *Console) told(w http.ResponseWriter, r *http.Request, err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind == problem.Internal {
		return err
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(p.RetryAfter))
	}
	web.RecordOf(r.Context()).Outcome = outcome(p)
	return web.JSON(w, p.Kind.Status(), map[string]string{"error": c.words(c.catalogue.languageOf(r), p)})
}

func (c *Console) signInPasskeyBegin(w http.ResponseWriter, r *http.Request) error {
	asked, ticket, err := c.SignIn.BeginPasskey(r.Context())
	if err != nil {
		return c.told(w, r, err)
	}
	c.keep(w, passkeyCookie, ticket, stepLife)
	return options(w, asked)
}

func (c *Console) signInPasskeyFinish(w http.ResponseWriter, r *http.Request) error {
	body, err := credential(r)
	if err != nil {
		return c.told(w, r, err)
	}
	ticket, _ := kept(r, passkeyCookie)
	in, err := c.SignIn.FinishPasskey(r.Context(), c.client(r), ticket, body)
	if err != nil {
		drop(w, passkeyCookie)
		return c.told(w, r, err)
	}
	to, err := c.letIn(w, r, in, nextOf(r.URL.Query()))
	if err != nil {
		return err
	}
	return location(w, to)
}

// signInSSO sends the browser to the account's OpenID provider.
func (c *Console) signInSSO(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	next := nextOf(q)
	to, ticket, err := c.SignIn.BeginSSO(r.Context(), q.Get("account"), next)
	if err != nil {
		return c.showSignIn(w, r, next, nil, shown(err))
	}
	c.keep(w, ssoCookie, ticket, trip)
	return away(w, to)
}

// away sends the browser to another site, which does not learn from where.
func away(w http.ResponseWriter, to string) error {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
	return nil
}

// shown makes a failure of single sign-on one that the sign-in page shows: it has other ways in.
func shown(err error) error {
	if p, ok := errors.AsType[*problem.Error](err); ok && (p.Kind == problem.Unavailable || p.Kind == problem.NotFound) {
		return problem.Coded(problem.Conflict, p.Code, "%s", p.Detail).WithCause(err)
	}
	return err
}

// signInSSOBack is where the provider sends the browser back to, with or without a code.
func (c *Console) signInSSOBack(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	answer := signin.SSOAnswer{State: q.Get("state"), Code: q.Get("code"), Error: q.Get("error"), Issuer: q.Get("iss")}
	ticket, _ := kept(r, ssoCookie)
	drop(w, ssoCookie)
	in, next, err := c.SignIn.FinishSSO(r.Context(), c.client(r), ticket, answer)
	next = local(next, "/")
	switch confirming := me(r).SessionID != ""; {
	case err != nil && confirming:
		return c.showConfirm(w, r, next, shown(err))
	case err != nil:
		return c.showSignIn(w, r, next, nil, shown(err))
	case in.Token.IsZero(): // a session was confirmed
		return redirect(w, r, next)
	}
	to, err := c.letIn(w, r, in, next)
	if err != nil {
		return err
	}
	return redirect(w, r, to)
}
