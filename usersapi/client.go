package usersapi

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// State says whether a person may sign in.
type State string

// The states.
const (
	Active    State = "ACTIVE"
	Suspended State = "SUSPENDED"
)

// User is a person of the account.
type User struct {
	ID          string    `json:"id"` // 26 characters
	Email       string    `json:"email"`
	DisplayName string    `json:"display_name"`
	State       State     `json:"state"` // Active or Suspended; treat anything else as unknown
	CreateTime  time.Time `json:"create_time"`
	Path        string    `json:"path"` // "accounts/<account>/users/<user>"
}

// Filter chooses the people to list.
type Filter string

// The filters that the API has.
const (
	Everybody     Filter = ""
	OnlyActive    Filter = "user.isActive()"
	OnlySuspended Filter = "user.isSuspended()"
)

// Answers that are longer are refused, in bytes. A page of 1000 people is well below a megabyte.
const (
	maxUserAnswer = 1 << 20
	maxPageAnswer = 16 << 20
)

// Client calls the Users API as one OAuth application. Make it with [New]; safe for concurrent use.
type Client struct {
	users    string // URL of the list of people
	pageSize int
	about    string // for String
	send     *transport
	tokens   func() *tokens // holds secrets; fmt does not look behind a function, whatever the verb
}

// New makes a client. It sends nothing; wrong credentials show with the first call. The error lists
// everything that is wrong with the configuration.
func New(cfg Config) (*Client, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	send := newTransport(cfg)
	held := &tokens{
		send: send, basic: newBasic(cfg.ClientID, cfg.ClientSecret), secret: cfg.ClientSecret,
		tokenURL: cfg.BaseURL + cfg.TokenPath, revokeURL: cfg.BaseURL + cfg.RevokePath,
	}
	return &Client{
		users:    cfg.BaseURL + "/" + string(cfg.APIVersion) + "/accounts/" + url.PathEscape(cfg.AccountID) + "/users",
		pageSize: cfg.PageSize,
		about:    fmt.Sprintf("usersapi.Client{BaseURL: %s, AccountID: %s, ClientID: %s}", cfg.BaseURL, cfg.AccountID, cfg.ClientID),
		send:     send,
		tokens:   func() *tokens { return held },
	}, nil
}

// Users lists people page by page, as the loop asks for them. An error ends the sequence and comes as
// its last pair, with a zero User. Each loop begins anew.
//
// Holdfast shows everybody who is there all the while exactly once, however much changes during the loop.
func (c *Client) Users(ctx context.Context, filter Filter) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		seen := map[string]bool{"": true} // page tokens; a server that repeats one would keep us for ever
		for next := ""; ; {
			p, err := c.page(ctx, filter, next)
			if err != nil {
				yield(User{}, err)
				return
			}
			for _, u := range p.Results {
				if !yield(u, nil) {
					return
				}
			}
			if p.NextPageToken == "" {
				return
			}
			if next = p.NextPageToken; seen[next] {
				yield(User{}, &Error{Op: "list users", StatusCode: http.StatusOK, Message: "the server repeats a page token; the list would never end"})
				return
			}
			seen[next] = true
		}
	}
}

type page struct {
	Results       []User `json:"results"`
	NextPageToken string `json:"next_page_token"`
}

func (c *Client) page(ctx context.Context, filter Filter, next string) (page, error) {
	q := url.Values{"max_page_size": {strconv.Itoa(c.pageSize)}}
	if filter != Everybody {
		q.Set("filter", string(filter))
	}
	if next != "" {
		q.Set("page_token", next)
	}
	var p page
	r, err := c.do(ctx, call{op: "list users", method: http.MethodGet, url: c.users + "?" + q.Encode(), most: maxPageAnswer}, &p)
	if err != nil {
		return page{}, err
	}
	for _, u := range p.Results {
		if u.ID == "" {
			return page{}, apiError("list users", r, "the list holds somebody without an ID")
		}
	}
	return p, nil
}

// User looks one person up. An unknown ID is ErrNotFound.
func (c *Client) User(ctx context.Context, id string) (User, error) {
	return c.one(ctx, "get", id, call{method: http.MethodGet}, "", "")
}

// Suspend stops the person's sign-in and returns the person as suspended. Somebody who is suspended
// already stays so, without an error. ErrLastOwner and ErrExternallyManaged are refusals that no retry
// changes. With ErrOutcomeUnknown the person may be suspended all the same: call again.
func (c *Client) Suspend(ctx context.Context, id string) (User, error) {
	return c.one(ctx, "suspend", id, call{method: http.MethodPost, mutation: true}, ":suspend", Suspended)
}

// Reactivate gives the person's sign-in back and returns the person as active. Somebody who is active
// already stays so, without an error.
func (c *Client) Reactivate(ctx context.Context, id string) (User, error) {
	return c.one(ctx, "reactivate", id, call{method: http.MethodPost, mutation: true}, ":reactivate", Active)
}

// one calls an operation on one person and checks that the answer is the person in the state wanted
// (any if that is empty).
func (c *Client) one(ctx context.Context, verb, id string, ask call, suffix string, want State) (User, error) {
	ask.op = fmt.Sprintf("%s user %q", verb, tidy(id, 64))
	if err := checkSegment(id); err != nil {
		return User{}, &Error{Op: ask.op, Message: "the user ID " + err.Error()}
	}
	ask.url = c.users + "/" + url.PathEscape(id) + suffix
	ask.most = maxUserAnswer
	var u User
	r, err := c.do(ctx, ask, &u)
	switch {
	case err != nil:
		return User{}, err
	case u.ID == "":
		err = apiError(ask.op, r, "the answer is no person; is BaseURL right?")
	case want != "" && u.State != want:
		err = apiError(ask.op, r, fmt.Sprintf("the person is %q in the answer, not %q", tidy(string(u.State), 40), want))
	default:
		return u, nil
	}
	return User{}, err
}

// Revoke gives the current token back, so that it is worth nothing to whoever finds it. Call it before
// the program ends. The client stays usable: the next operation gets a new token. Without a token
// there is nothing to do. Errors are of type [*OAuthError].
func (c *Client) Revoke(ctx context.Context) error { return c.tokens().revoke(ctx) }

// do sends the call and decodes a 200 into v; anything else is an *Error. Members that v does not have
// are ignored: the server may be newer than this package.
func (c *Client) do(ctx context.Context, ask call, v any) (result, error) {
	r := c.send.do(ctx, ask, bearer{c.tokens()})
	if r.err != nil || r.status != http.StatusOK {
		return r, c.failure(ask.op, r)
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		r.unknown = r.unknown || ask.mutation
		return r, apiError(ask.op, r, explain(r.answer))
	}
	r.unknown = ask.mutation // until the caller has checked what it says
	return r, nil
}

// failure reads an error in the form of google.rpc.Status.
func (c *Client) failure(op string, r result) *Error {
	e := apiError(op, r, "")
	e.Err = r.err
	if r.status == 0 {
		return e
	}
	var v struct {
		Code    json.RawMessage `json:"code"` // a number; whatever it is, the message counts
		Message string          `json:"message"`
	}
	if json.Unmarshal(r.body, &v) == nil && v.Message != "" {
		e.Message = c.tokens().clean(v.Message, r, "")
		if json.Unmarshal(v.Code, &e.Code) != nil {
			e.Code = 0
		}
	} else {
		e.Message = explain(r.answer)
	}
	return e
}

// apiError is what the call was and how it went, with the message of the caller.
func apiError(op string, r result, message string) *Error {
	return &Error{
		Op: op, StatusCode: r.status, Message: message, RequestID: requestID(r.header),
		RetryAfter: retryAfter(r.header, time.Now()), Tries: r.tries, OutcomeUnknown: r.unknown,
	}
}

// String names server, account and application, and no secret.
func (c Client) String() string { return c.about }

// GoString is the same as String.
func (c Client) GoString() string { return c.about }

// Format writes String, whatever the verb.
func (c Client) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.about) }
