package oauth

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// authenticated is a request of a client that has proved who it is.
type authenticated struct {
	accountID string
	clientID  string
	secretID  string
	usedAt    time.Time // the client, before
	form      map[string]string
	by        audit.Entry // actor and request filled in
}

// operation is what differs between token, revoke and introspect.
type operation struct {
	action audit.Action
	do     func(w http.ResponseWriter, r *http.Request, a authenticated) error
}

// Routes lists the endpoints, in both URL generations of the contract.
func (s *Service) Routes() []web.Route {
	open := web.Public("the client authenticates itself, RFC 6749 §2.3")
	var routes []web.Route
	for _, base := range []string{"/v1/oauth", "/v1beta1/users/oauth2"} {
		routes = append(routes,
			web.Route{Pattern: "POST " + base + "/token", Access: open, Errors: problem.OAuth, Handle: s.endpoint(operation{audit.TokenIssue, s.issue})},
			web.Route{Pattern: "POST " + base + "/revoke", Access: open, Errors: problem.OAuth, Handle: s.endpoint(operation{audit.TokenRevoke, s.revokeToken})},
			web.Route{Pattern: "POST " + base + "/introspect", Access: open, Errors: problem.OAuth, Handle: s.endpoint(operation{audit.TokenIntrospect, s.introspect})},
		)
	}
	return append(routes, web.Route{
		Pattern: "GET /.well-known/oauth-authorization-server", Access: web.Public("metadata for clients, RFC 8414 §3"),
		Errors: problem.Detailed, Handle: s.metadata,
	})
}

// endpoint holds the steps that all operations share, so that none can forget one: the form, the
// client's authentication, the limits, and one audit entry for whatever is turned down.
func (s *Service) endpoint(op operation) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Pragma", "no-cache") // RFC 6749 §5.1
		a := authenticated{accountID: audit.System, by: audit.By(r, op.action, "")}
		err := s.attempt(w, r, op, &a)
		p, refused := errors.AsType[*problem.Error](err)
		if !refused || p.Kind == problem.TooMany || p.Kind == problem.Unavailable || p.Kind == problem.Internal {
			return err
		}
		switch p.Kind {
		case problem.Unauthenticated:
			p.Challenge = `Basic realm="holdfast", charset="UTF-8"` // RFC 6749 §5.2
		case problem.Unsupported:
			p.Kind = problem.Invalid // RFC 6749 §5.2 knows 400 for a malformed request
		}
		if logErr := s.Store.AppendRefusal(r.Context(), a.accountID, a.by.AsRefused(refusal(p))); logErr != nil {
			return fmt.Errorf("record refusal %q: %w", refusal(p), logErr) // a fault: what is not recorded must be seen
		}
		return err
	}
}

func refusal(p *problem.Error) string {
	if p.Code != "" {
		return p.Code + ": " + p.Detail
	}
	return p.Detail
}

func (s *Service) attempt(w http.ResponseWriter, r *http.Request, op operation, a *authenticated) error {
	form, err := web.Form(r)
	var id string
	var secret seal.Secret
	if err == nil {
		id, secret, err = clientCredentials(r, form)
	}
	if err != nil {
		// Counts as a failure of the address: what anybody can send must not fill the audit log.
		if limit := s.Limits.failed("", web.RecordOf(r.Context()).Address); limit != nil {
			return limit
		}
		return err
	}
	a.form = form
	if id != "" {
		a.by.Target = "client:" + id
	}
	if err := s.authenticate(r, id, secret, a); err != nil {
		return err
	}
	return op.do(w, r, *a)
}

// authenticate compares the secret with the live ones. An unknown client takes the same steps as a
// wrong secret and gets the same answer.
func (s *Service) authenticate(r *http.Request, id string, secret seal.Secret, a *authenticated) error {
	rec := web.RecordOf(r.Context())
	if err := s.Limits.before(id, rec.Address); err != nil {
		return err
	}
	var known ClientSecrets
	if id != "" {
		var err error
		if known, err = s.Store.LiveSecrets(r.Context(), id, s.Now()); err != nil && !problem.Is(err, problem.NotFound) {
			return err
		}
	}
	if known.AccountID != "" {
		a.accountID, a.usedAt = known.AccountID, known.LastUsedAt
	}
	if a.secretID = known.holding(secret); a.secretID == "" {
		if err := s.Limits.failed(id, rec.Address); err != nil {
			return err
		}
		return problem.Coded(problem.Unauthenticated, "invalid_client", "client authentication failed; check client ID and secret, and whether the application was revoked")
	}
	a.clientID = id
	a.by.Actor = "client:" + id
	rec.Principal = web.Principal{Actor: a.by.Actor, AccountID: a.accountID}
	return nil
}

// padded makes the number of comparisons the same for every client, and for none.
func padded(secrets []StoredSecret) [maxSecrets]StoredSecret {
	var out [maxSecrets]StoredSecret
	copy(out[:], secrets)
	return out
}

// clientCredentials reads the client's ID and secret from the Basic header or from the body (RFC 6749
// §2.3.1). Both at once are accepted if they agree, since clients in the field send them so; different
// ones are refused (§2.3: one way of authentication a request).
//
// §2.3.1 puts a form encoding on top of Basic. Most clients in the field leave it out, openid-client
// encodes even "-" and "_". Both readings are accepted: no ID or secret of ours holds a "%" or "+".
func clientCredentials(r *http.Request, form map[string]string) (string, seal.Secret, error) {
	id, secret := form["client_id"], form["client_secret"]
	values := r.Header.Values("Authorization")
	if len(values) > 1 {
		return "", seal.Secret{}, problem.New(problem.Invalid, "there are %d Authorization headers; exactly one is accepted", len(values))
	}
	if len(values) == 1 {
		basicID, basicSecret, ok := parseBasic(values[0])
		switch {
		case !ok:
			return "", seal.Secret{}, problem.New(problem.Invalid, "the Authorization header is not of the form: Basic base64(client_id:client_secret)")
		case id != "" && id != basicID, secret != "" && subtle.ConstantTimeCompare([]byte(secret), []byte(basicSecret)) != 1:
			return "", seal.Secret{}, problem.New(problem.Invalid, "the credentials in the Authorization header and in the body differ; send them in one place")
		}
		id, secret = basicID, basicSecret
	}
	return knownForm(id), seal.NewSecret(secret), nil
}

// knownForm is the client ID, or nothing if the text cannot be one. From here on the ID is a key of
// limits, a parameter of queries and a word of the audit log: it must be short, clean, and never the
// secret of somebody who has mistaken one field for the other.
func knownForm(id string) string {
	if len(id) != len(uuid.Nil.String()) || uuid.Validate(id) != nil {
		return ""
	}
	return id
}

// parseBasic splits at the first colon (RFC 7617 §2); the scheme's case does not matter.
func parseBasic(header string) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", "", false
	}
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(b), ":")
	return formDecoded(id), formDecoded(secret), ok
}

// formDecoded undoes the form encoding where there is one.
func formDecoded(s string) string {
	if decoded, err := url.QueryUnescape(s); err == nil {
		return decoded
	}
	return s
}
