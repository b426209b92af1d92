package usersapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// maxOAuthAnswer bounds answers of the OAuth endpoints, in bytes.
const maxOAuthAnswer = 64 << 10

// token is an access token.
type token struct {
	value   string    // empty: none
	renewAt time.Time // when to get the next one; zero: when this one is refused
}

func (t token) usable(now time.Time) bool {
	return t.value != "" && (t.renewAt.IsZero() || now.Before(t.renewAt))
}

// tokens holds the current access token and gets the next one. Safe for concurrent use.
type tokens struct {
	send      *transport
	basic     basic
	secret    string // to be kept out of messages
	tokenURL  string
	revokeURL string

	mu      sync.Mutex
	current token
	flight  *flight // the request for a token that is under way; nil if none is
}

// flight is one request for a token, and everybody who waits for it.
type flight struct {
	done      chan struct{} // closed when the rest is set
	token     token
	err       error
	abandoned bool // the caller that sent it stopped waiting; says nothing to the others
}

// get returns a token that should be good, asking the server if need be. However many callers need
// one at the same time, one request is sent; a caller whose context ends does not take it from the others.
func (s *tokens) get(ctx context.Context) (string, error) {
	for {
		s.mu.Lock()
		if s.current.usable(time.Now()) {
			defer s.mu.Unlock()
			return s.current.value, nil
		}
		f := s.flight
		if f == nil {
			f = &flight{done: make(chan struct{}), err: errors.New("the request for a token was broken off"), abandoned: true}
			s.flight = f
			s.mu.Unlock()
			s.fly(ctx, f)
			return f.token.value, f.err
		}
		s.mu.Unlock()
		select {
		case <-f.done:
			if !f.abandoned {
				return f.token.value, f.err
			}
		case <-ctx.Done():
			return "", ended(ctx)
		}
	}
}

// fly sends the request of the flight and lets everybody know.
func (s *tokens) fly(ctx context.Context, f *flight) {
	defer func() { // also if the transport panics: nobody may wait for ever
		s.mu.Lock()
		defer s.mu.Unlock()
		if f.err == nil {
			s.current = f.token
		}
		s.flight = nil
		close(f.done)
	}()
	f.token, f.err = s.issue(ctx)
	f.abandoned = f.err != nil && ctx.Err() != nil
}

// issue asks the server for a token.
func (s *tokens) issue(ctx context.Context) (token, error) {
	const op = "get a token"
	asked := time.Now()
	r := s.send.do(ctx, call{
		op: op, method: http.MethodPost, url: s.tokenURL,
		form: url.Values{"grant_type": {"client_credentials"}}, most: maxOAuthAnswer,
	}, s.basic)
	if r.err != nil || r.status != http.StatusOK {
		return token{}, s.oauthError(op, r, "")
	}
	t, err := parseToken(r.body, asked)
	if err != nil {
		e := s.oauthError(op, result{answer: answer{status: r.status, header: r.header}, tries: r.tries}, "")
		e.Description = err.Error()
		return token{}, e
	}
	s.send.log.DebugContext(ctx, "usersapi: got a token", "renew_at", t.renewAt, "request_id", requestID(r.header))
	return t, nil
}

// parseToken reads a token response (RFC 6749 §5.1). Some servers write the type in lower case or
// leave it or the lifetime out; that is forgiven. Its errors say nothing of what is in the response.
func parseToken(body []byte, asked time.Time) (token, error) {
	var v struct {
		AccessToken string      `json:"access_token"`
		TokenType   string      `json:"token_type"`
		ExpiresIn   json.Number `json:"expires_in"` // seconds, as a number or as text
	}
	if json.Unmarshal(body, &v) != nil {
		return token{}, errors.New("the answer is no token response; is BaseURL right?")
	}
	switch {
	case v.AccessToken == "" || !visible(v.AccessToken):
		return token{}, errors.New("the answer holds no token that a header can carry")
	case v.TokenType != "" && !strings.EqualFold(v.TokenType, "Bearer"):
		return token{}, errors.New("the answer holds a token that is not of the type Bearer")
	}
	t := token{value: v.AccessToken}
	if seconds, err := v.ExpiresIn.Float64(); err == nil && seconds > 0 {
		life := time.Duration(min(seconds, 24*60*60) * float64(time.Second))
		t.renewAt = asked.Add(life - min(time.Minute, life/5))
	}
	return t, nil
}

// forget drops the token if it is still the current one.
func (s *tokens) forget(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.value == value {
		s.current = token{}
	}
}

// revoke gives the current token back (RFC 7009). Without one there is nothing to do.
func (s *tokens) revoke(ctx context.Context) error {
	s.mu.Lock()
	t := s.current
	s.current = token{} // nobody begins to use it from now on
	s.mu.Unlock()
	if t.value == "" {
		return nil
	}
	const op = "revoke the token"
	r := s.send.do(ctx, call{
		op: op, method: http.MethodPost, url: s.revokeURL,
		form: url.Values{"token": {t.value}}, most: maxOAuthAnswer,
	}, s.basic)
	if r.err == nil && r.status == http.StatusOK {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current.value == "" {
		s.current = t // so that the caller can try again
	}
	return s.oauthError(op, r, t.value)
}

// oauthError reads an error of RFC 6749 §5.2. The token, if the call was about one, is kept out of it.
func (s *tokens) oauthError(op string, r result, token string) *OAuthError {
	e := &OAuthError{
		Op: op, StatusCode: r.status, RequestID: requestID(r.header),
		RetryAfter: retryAfter(r.header, time.Now()), Tries: r.tries, Err: r.err,
	}
	if r.status == 0 {
		return e
	}
	var v struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	if json.Unmarshal(r.body, &v) == nil && v.Error != "" {
		e.Code, e.Description = s.clean(v.Error, r, token), s.clean(v.Description, r, token)
	} else {
		e.Description = explain(r.answer)
	}
	return e
}

// clean makes text of the server fit for a log: short, printable, and without what must not be there. A
// server, or something in front of it, may repeat what it was sent.
func (s *tokens) clean(text string, r result, token string) string {
	_, sent, _ := strings.Cut(r.authorization, " ")
	for _, hide := range []string{s.secret, url.QueryEscape(s.secret), sent, token} {
		if hide != "" {
			text = strings.ReplaceAll(text, hide, "(hidden)")
		}
	}
	return tidy(text, 500)
}

// basic is the Authorization header of client authentication by HTTP Basic (RFC 6749 §2.3.1), without the
// form encoding that this section puts on top: every server of this contract reads the plain form, not
// every one the other.
type basic string

func newBasic(id, secret string) basic {
	return basic("Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret)))
}

func (b basic) header(context.Context) (string, error) { return string(b), nil }

func (basic) refused(string) bool { return false } // there is no other secret

// bearer is the access token as Authorization header.
type bearer struct{ tokens *tokens }

func (b bearer) header(ctx context.Context) (string, error) {
	value, err := b.tokens.get(ctx)
	if err != nil {
		return "", err
	}
	return "Bearer " + value, nil
}

func (b bearer) refused(header string) bool {
	b.tokens.forget(strings.TrimPrefix(header, "Bearer "))
	return true
}

// explain describes an answer that is not in the form of the contract, as one from something that
// stands between us and the server.
func explain(a answer) string {
	switch mediaType := tidy(a.header.Get("Content-Type"), 60); {
	case a.status >= 300 && a.status < 400:
		where := "elsewhere"
		if u, err := url.Parse(a.header.Get("Location")); err == nil && u.Host != "" {
			where = "to " + tidy(u.Scheme+"://"+u.Host, 200)
		}
		return fmt.Sprintf("the server redirects %s; credentials are not sent on, so set BaseURL to the final address", where)
	case len(a.body) == 0:
		return "the answer is empty"
	default:
		return fmt.Sprintf("the answer (%d bytes of type %q) is not in the form of this API; is BaseURL right?", len(a.body), mediaType)
	}
}
