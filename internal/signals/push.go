package signals

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// The bounds of one delivery.
const (
	maxDelivery = 16 << 20 // bytes
	maxEvents   = 10_000
)

// Routes lists where events are sent.
func (s *Intake) Routes() []web.Route {
	const path = " /v1/accounts/{account}/signals/{source}"
	return []web.Route{
		{
			Pattern: "POST" + path, Access: web.Public("the sender signs each delivery, by Standard Webhooks, or knows the secret of an event hook"),
			Handle: s.push, MaxBody: maxDelivery,
		},
		{Pattern: "GET" + path, Access: web.Public("Okta asks once whether an event hook is ours; only what it sent is answered"), Handle: s.verifyHook},
	}
}

// push takes a delivery. It answers when all of it is on the disk.
func (s *Intake) push(w http.ResponseWriter, r *http.Request) error {
	x, secrets, err := s.addressee(r)
	if err != nil {
		return err
	}
	body, err := s.authentic(r, x, secrets)
	if err != nil {
		return s.refuse(r, x, err)
	}
	rec := web.RecordOf(r.Context())
	rec.Principal = web.Principal{Actor: x.Target(), AccountID: x.AccountID, Name: x.Name}
	if x.State == Paused {
		return problem.Coded(problem.Conflict, "source_paused", "the source is paused; send the events again when it is resumed")
	}
	kind, err := sourceOf(x.Kind)
	if err != nil {
		return err
	}
	events, refused, err := s.readBody(body, kind.Format(), x.AccountID)
	if err != nil {
		return err
	}
	report, err := s.receive(r.Context(), x, kind.Format(), events)
	if err != nil {
		return err
	}
	report.Refused = refused
	return web.JSON(w, http.StatusAccepted, report)
}

// addressee is the source that the path names, with the secrets that are good now. For one that is not there,
// or is asked, there is a secret that nobody has: whoever cannot sign learns nothing about what is there.
func (s *Intake) addressee(r *http.Request) (Setup, []seal.Secret, error) {
	account, id := r.PathValue("account"), r.PathValue("source")
	nobody := []seal.Secret{seal.NewWebhookSecret()}
	if !seal.ValidID(account) || !seal.ValidID(id) {
		return Setup{}, nobody, nil
	}
	x, err := s.Store.SignalSource(r.Context(), account, id)
	if problem.Is(err, problem.NotFound) {
		return Setup{}, nobody, nil
	}
	if err != nil {
		return Setup{}, nil, err
	}
	if x.Pulls() {
		return x, nobody, nil
	}
	secrets := make([]seal.Secret, 0, 2)
	for _, sealed := range [][]byte{x.Secrets.Current, x.Secrets.Former} {
		if sealed == nil || len(secrets) == 1 && !s.Now().Before(x.Secrets.FormerUntil) {
			continue
		}
		secret, err := s.secret(x, sealed)
		if err != nil {
			return Setup{}, nil, err
		}
		secrets = append(secrets, secret)
	}
	return x, secrets, nil
}

// authentic is the body of a delivery of somebody who knows one of the secrets.
func (s *Intake) authentic(r *http.Request, x Setup, secrets []seal.Secret) ([]byte, error) {
	if x.Kind == KindOkta && r.Header.Get("Webhook-Signature") == "" {
		// Okta's event hooks do not sign: they send a header that was agreed on.
		if !knows(r.Header.Values("Authorization"), secrets) {
			return nil, problem.New(problem.Unauthenticated, "the Authorization header does not hold the secret of this source")
		}
		return readAll(r)
	}
	sig, err := parseSigned(r.Header, s.Now())
	if err != nil {
		return nil, err
	}
	body, err := readAll(r)
	if err != nil {
		return nil, err
	}
	if !sig.by(body, secrets) {
		return nil, problem.New(problem.Unauthenticated, "there is no such source, or the signature is not made with its secret over the header webhook-id, a dot, webhook-timestamp, a dot and the body")
	}
	return body, nil
}

// knows reports whether the one header is one of the secrets, with or without the word Bearer.
func knows(values []string, secrets []seal.Secret) bool {
	if len(values) != 1 {
		return false
	}
	text := values[0]
	if scheme, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	good := 0
	for _, secret := range secrets {
		if secret.Equal(seal.NewSecret(text)) {
			good++
		}
	}
	return good > 0
}

func readAll(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, err
	}
	if err != nil {
		return nil, problem.New(problem.Invalid, "the body ended early").WithCause(err)
	}
	return body, nil
}

// refuse records what was turned away, unless the address has failed so often that it only hears 429.
func (s *Intake) refuse(r *http.Request, x Setup, err error) error {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok || p.Kind != problem.Unauthenticated {
		return err
	}
	rec := web.RecordOf(r.Context())
	if s.Failures != nil {
		if wait, within := s.Failures.Fail(web.AddressKey(rec.Address)); !within {
			p := problem.New(problem.TooMany, "too many refused deliveries from this address; try again in %d s", 1+int(wait.Seconds()))
			p.RetryAfter = wait
			return p
		}
	}
	if s.Refusals == nil {
		return err
	}
	logErr := s.Refusals.Refused(r.Context(), web.Refusal{
		AccountID: x.AccountID, Target: rec.Route, Reason: p.Detail, Address: rec.Address.String(), RequestID: rec.RequestID,
	})
	return errors.Join(err, logErr)
}

// readBody makes events of a body: an object, a list, the answer of an API with the list in it, or NDJSON.
func (s *Intake) readBody(body []byte, format, accountID string) ([]Event, []*LineError, error) {
	d, err := NewDecoder(format)
	if err != nil {
		return nil, nil, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	events, refused := []Event{}, []*LineError{}
	for e, bad := range Read(bytes.NewReader(body), d) {
		if len(events)+len(refused) == maxEvents {
			return nil, nil, problem.New(problem.TooLarge, "the body has more than %d events; send them in several deliveries", maxEvents)
		}
		if bad != nil {
			refused = append(refused, bad)
			continue
		}
		e.AccountID, e.ReceivedAt = accountID, now
		events = append(events, e)
	}
	if len(events) == 0 && len(refused) == 0 {
		return nil, nil, problem.New(problem.Invalid, "the body holds no event; it may be a JSON object, a list of them, or one on each line")
	}
	return events, refused, nil
}

// verifyHook answers the question with which Okta makes sure that an event hook is ours.
func (s *Intake) verifyHook(w http.ResponseWriter, r *http.Request) error {
	const header = "X-Okta-Verification-Challenge"
	x, _, err := s.addressee(r)
	if err != nil {
		return err
	}
	challenge := r.Header.Get(header)
	if x.Kind != KindOkta || x.Pulls() || challenge == "" {
		return problem.New(problem.NotFound, "events are sent here with POST")
	}
	if len(challenge) > 256 || strings.ContainsFunc(challenge, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return problem.New(problem.Invalid, "the header %s is not one text of at most 256 visible characters", header)
	}
	return web.JSON(w, http.StatusOK, map[string]string{"verification": challenge})
}
