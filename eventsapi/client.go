package eventsapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"time"
)

// Client reads events with one token. Make it with [New]; safe for concurrent use.
type Client struct {
	send   *transport
	claims Claims
	tries  func(follow bool) int
	poll   time.Duration
	wait   time.Duration // 0: never let the server wait
}

// New makes a client. It sends nothing; a token that the server does not accept shows with the first
// request. The error lists everything that is wrong with the configuration, and shows nothing of the token.
func New(cfg Config) (*Client, error) {
	cfg, claims, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Client{
		send: newTransport(cfg), claims: claims, tries: cfg.tries, poll: cfg.PollInterval, wait: cfg.LongPoll,
	}, nil
}

// Claims is what the token says of itself. Its Features tell which streams are worth reading.
func (c *Client) Claims() Claims {
	claims := c.claims
	claims.Audience, claims.Features = slices.Clone(claims.Audience), slices.Clone(claims.Features)
	return claims
}

// BaseURL is the address that the client talks to, without a slash at the end.
func (c *Client) BaseURL() string { return c.send.base }

// Introspection is what the server says of the token.
type Introspection struct {
	UUID        string    `json:"uuid"` // of the token, 26 characters
	IssuedAt    time.Time `json:"issued_at"`
	Features    []Feature `json:"features"`
	AccountUUID string    `json:"account_uuid"` // 26 characters; empty if the server is too old to say
}

// Introspect asks the server about the token. A token that was revoked or has expired is ErrUnauthorized.
func (c *Client) Introspect(ctx context.Context) (Introspection, error) {
	q := request{op: "introspect the token", method: http.MethodGet, path: "/api/v2/auth/introspect", tries: c.tries(false)}
	r, err := c.send.do(ctx, q)
	if err != nil {
		return Introspection{}, err
	}
	var in Introspection
	if json.Unmarshal(r.body, &in) != nil || in.UUID == "" {
		return Introspection{}, unreadable(q, r, "the answer is no introspection; is BaseURL right?", nil)
	}
	return in, nil
}

// The streams.
const (
	signInAttempts = "signinattempts"
	itemUsages     = "itemusages"
	auditEvents    = "auditevents"
)

// SignInAttempts reads the sign-in attempts from a position up to now, page by page, as the loop asks
// for them. An error ends the sequence and comes as its last pair, with a zero Page. Each loop begins anew.
func (c *Client) SignInAttempts(ctx context.Context, from Position) iter.Seq2[Page[SignInAttempt], error] {
	return pages[SignInAttempt](ctx, c, signInAttempts, from, false)
}

// ItemUsages reads the item usages like [Client.SignInAttempts].
func (c *Client) ItemUsages(ctx context.Context, from Position) iter.Seq2[Page[ItemUsage], error] {
	return pages[ItemUsage](ctx, c, itemUsages, from, false)
}

// AuditEvents reads the audit events like [Client.SignInAttempts].
func (c *Client) AuditEvents(ctx context.Context, from Position) iter.Seq2[Page[AuditEvent], error] {
	return pages[AuditEvent](ctx, c, auditEvents, from, false)
}

// FollowSignInAttempts reads the sign-in attempts from a position and goes on as new ones come, until
// ctx ends, the loop does, or the server refuses for good. What ends it, ctx included, comes as the last
// pair, with a zero Page. Faults that may pass are waited for without end unless Config.MaxRetries is set.
//
// The first page comes at once, even if it is empty, so that there is a cursor to keep. Later ones come
// when there is something new, which may be the cursor alone. A position with an End cannot be followed.
func (c *Client) FollowSignInAttempts(ctx context.Context, from Position) iter.Seq2[Page[SignInAttempt], error] {
	return pages[SignInAttempt](ctx, c, signInAttempts, from, true)
}

// FollowItemUsages follows the item usages like [Client.FollowSignInAttempts].
func (c *Client) FollowItemUsages(ctx context.Context, from Position) iter.Seq2[Page[ItemUsage], error] {
	return pages[ItemUsage](ctx, c, itemUsages, from, true)
}

// FollowAuditEvents follows the audit events like [Client.FollowSignInAttempts].
func (c *Client) FollowAuditEvents(ctx context.Context, from Position) iter.Seq2[Page[AuditEvent], error] {
	return pages[AuditEvent](ctx, c, auditEvents, from, true)
}

// String names the server, and no token.
func (c Client) String() string { return fmt.Sprintf("eventsapi.Client{BaseURL: %s}", c.send.base) }

// Format writes String, whatever the verb.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }
