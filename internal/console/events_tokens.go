package console

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"slices"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// Who may manage integrations sees events tokens; only owners and administrators issue and revoke them.
func (c *Console) eventsTokenRoutes() []web.Route {
	see, change := web.SignedIn(web.Integrations), web.SignedIn(web.People)
	return append(c.savingRoutes("/events-tokens/{token}", change, c.backToToken, c.ofToken), []web.Route{
		{Pattern: "GET /integrations/events/new", Access: change, Handle: c.newEventsToken},
		{Pattern: "GET /integrations/events", Access: see, Handle: c.noIntegration},
		{Pattern: "POST /integrations/events", Access: change.Fresh(), Handle: c.issueEventsToken},

		{Pattern: "GET /events-tokens/{token}", Access: see, Handle: c.eventsToken},
		{Pattern: "GET /events-tokens/{token}/activity", Access: see, Handle: c.eventsTokenActivity},
		{Pattern: "GET /events-tokens/{token}/revoke", Access: change, Handle: c.revokeTokenForm},
		{Pattern: "POST /events-tokens/{token}/revoke", Access: change.Fresh(), Handle: c.revokeEventsToken},
	}...)
}

const eventsTokenPage = "/events-tokens/"

// soon is how long before its end a token is warned of.
const soon = 14 * 24 * time.Hour

// tokenView is an events token as it is shown.
type tokenView struct {
	feed.Token
	By   string // who issued it, by name
	Used time.Time
	now  time.Time
}

// State is revoked, expired, expiring, unused or active: the first that applies.
func (t tokenView) State() string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case t.ExpiresAt.IsZero():
	case !t.now.Before(t.ExpiresAt):
		return "expired"
	case t.ExpiresAt.Sub(t.now) <= soon:
		return "expiring"
	}
	if t.Used.IsZero() {
		return "unused"
	}
	return "active"
}

// Live reports whether the token is accepted.
func (t tokenView) Live() bool { return t.Alive(t.now) == nil }

// Days are what is left until the token expires, begun ones too.
func (t tokenView) Days() int {
	const day = 24 * time.Hour
	return max(0, int((t.ExpiresAt.Sub(t.now)+day-1)/day))
}

// tokenList is the part of the list of integrations that events tokens are in.
type tokenList struct {
	Tokens []tokenView
	Live   int // neither revoked nor expired
	Ended  int // revoked
	Soon   tokensEnding
	span
}

// tokensEnding are live tokens that expire soon.
type tokensEnding struct {
	Count int
	First feed.Token // the one that does first
}

// ending picks the tokens that expire soon.
func ending(all []feed.Token, now time.Time) (e tokensEnding) {
	for _, t := range all {
		if (tokenView{Token: t, now: now}).State() != "expiring" {
			continue
		}
		if e.Count++; e.Count == 1 || t.ExpiresAt.Before(e.First.ExpiresAt) {
			e.First = t
		}
	}
	return e
}

// eventsTokens lists the account's tokens: those that were revoked, or all others. One that has expired stays
// among these until somebody revokes it, since the program that used it has stopped reading.
func (c *Console) eventsTokens(r *http.Request, revoked bool, names *actorNames) (tokenList, error) {
	list, account := tokenList{}, me(r).AccountID
	all, err := c.Feed.Tokens(r.Context(), account)
	if err != nil {
		return list, err
	}
	list.Soon = ending(all, c.Now())
	var shown []feed.Token
	for _, t := range all {
		switch {
		case !t.RevokedAt.IsZero():
			list.Ended++
		case t.Alive(c.Now()) == nil:
			list.Live++
		}
		if t.RevokedAt.IsZero() != revoked {
			shown = append(shown, t)
		}
	}
	slices.Reverse(shown) // what was made last is what is looked for
	list.span = spanIn(r, "tokens", len(shown))
	shown = shown[list.From-1 : list.To]
	used := map[string]time.Time{}
	if len(shown) > 0 {
		if used, err = c.Feed.LastUses(r.Context(), account); err != nil {
			return list, err
		}
	}
	for _, t := range shown {
		v := tokenView{Token: t, Used: used[t.ID], now: c.Now()}
		if v.By, err = names.of(r.Context(), t.CreatedBy); err != nil {
			return list, err
		}
		list.Tokens = append(list.Tokens, v)
	}
	return list, nil
}

// tokenOf is the token of the request, of the account of the session.
func (c *Console) tokenOf(r *http.Request) (feed.Token, error) {
	return c.Feed.Token(r.Context(), me(r).AccountID, r.PathValue("token"))
}

func (c *Console) backToToken(w http.ResponseWriter, r *http.Request) error {
	return redirect(w, r, eventsTokenPage+r.PathValue("token"))
}

// eventsTokenView is the data of pages/events-token.html.
type eventsTokenView struct {
	Token   tokenView
	Live    tokenActivity
	Items   []vault.Linked // that hold it, in vaults that the viewer sees
	URL     string         // base URL of the Events API
	Example Snippet
}

// tokenActivity is the part of the page that is loaded again every few seconds.
type tokenActivity struct {
	feed.Activity
	Token feed.Token
	Alive bool
	Seen  string // changes when what is shown does
}

// Used reports whether anything was ever read with it.
func (a tokenActivity) Used() bool { return !a.LastAt.IsZero() }

func (c *Console) tokenActivity(r *http.Request, t feed.Token) (tokenActivity, error) {
	a := tokenActivity{Token: t, Alive: t.Alive(c.Now()) == nil}
	var err error
	if a.Activity, err = c.Feed.Activity(r.Context(), t.AccountID, t.ID); err != nil {
		return a, err
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%v %t", a.Activity, a.Alive) // never fails
	a.Seen = fmt.Sprintf("%x", h.Sum64())
	return a, nil
}

func (c *Console) eventsToken(w http.ResponseWriter, r *http.Request) error {
	t, err := c.tokenOf(r)
	if err != nil {
		return err
	}
	data := eventsTokenView{Token: tokenView{Token: t, now: c.Now()}, URL: c.APIURL, Example: c.readEvents(t)}
	if data.Token.By, err = c.actors(r).of(r.Context(), t.CreatedBy); err != nil {
		return err
	}
	if data.Live, err = c.tokenActivity(r, t); err != nil {
		return err
	}
	data.Token.Used = data.Live.LastAt
	if data.Items, err = c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), tokenLink(t.ID)); err != nil {
		return err
	}
	return c.render(w, r, page{name: "events-token", title: t.Name, data: data})
}

// readEvents is how events are read by hand with the token, for a shell. The token itself is not in it.
func (c *Console) readEvents(t feed.Token) Snippet {
	stream := t.Features[0]
	if slices.Contains(t.Features, feed.SignInAttempts) {
		stream = feed.SignInAttempts
	}
	return Snippet{ID: "curl", Name: "curl", Text: fmt.Sprintf(
		"curl -s %s/api/v2/%s \\\n  -H \"Authorization: Bearer $EVENTS_TOKEN\" \\\n  -d '{\"limit\": 100}'", c.APIURL, stream)}
}

// eventsTokenActivity is the live part by itself.
func (c *Console) eventsTokenActivity(w http.ResponseWriter, r *http.Request) error {
	t, err := c.tokenOf(r)
	if err != nil {
		return err
	}
	if !byHTMX(r) {
		return c.backToToken(w, r)
	}
	live, err := c.tokenActivity(r, t)
	if err != nil {
		return err
	}
	return c.liveAgain(w, r, live.Seen, "events-token-live", page{name: "events-token", data: live})
}

// revokeTokenView is the data of pages/events-token-revoke.html.
type revokeTokenView struct {
	Token tokenView
	Live  tokenActivity
	Items []vault.Linked
}

// Calls counts those of the last 24 hours.
func (v revokeTokenView) Calls() (n int64) {
	for _, reads := range v.Live.Reads {
		n += reads.Calls24h
	}
	return n
}

func (c *Console) revoking(r *http.Request, t feed.Token) (page, error) {
	data := revokeTokenView{Token: tokenView{Token: t, now: c.Now()}}
	var err error
	if data.Live, err = c.tokenActivity(r, t); err != nil {
		return page{}, err
	}
	data.Items, err = c.Vaults.ItemsLinkedTo(r.Context(), viewer(r), tokenLink(t.ID))
	return page{name: "events-token-revoke", title: c.tr(r, "integration_action.revoke_title", "Name", t.Name), data: data}, err
}

func (c *Console) revokeTokenForm(w http.ResponseWriter, r *http.Request) error {
	t, err := c.tokenOf(r)
	if err != nil {
		return err
	}
	if !t.RevokedAt.IsZero() {
		return c.backToToken(w, r)
	}
	p, err := c.revoking(r, t)
	if err != nil {
		return err
	}
	return c.render(w, r, p)
}

func (c *Console) revokeEventsToken(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	t, err := c.tokenOf(r)
	if err != nil {
		return err
	}
	reason, err := revokeReason(f)
	if err != nil {
		p, errPage := c.revoking(r, t)
		if errPage != nil {
			return errPage
		}
		p.form = f
		return c.again(w, r, p, err)
	}
	if err := c.Feed.Revoke(r.Context(), t.AccountID, t.ID, tokenBy(r, t.ID).Because(reason)); err != nil {
		return err
	}
	return redirect(w, r, eventsTokenPage+t.ID+"?done=events_token_revoked")
}
