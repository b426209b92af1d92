package console

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

// eventsTokenForm is the data of pages/events-token-form.html.
type eventsTokenForm struct {
	Features []feed.Stream
	Lives    []string // in days, the shortest first; "0" is for ever
}

// formFeatures are the kinds of events in the order in which the form has them: what is asked for most first.
func formFeatures() []feed.Stream {
	return []feed.Stream{feed.SignInAttempts, feed.ItemUsages, feed.AuditEvents}
}

// daysOf is how the form writes how long a token lives.
func daysOf(life time.Duration) string { return strconv.Itoa(int(life / (24 * time.Hour))) }

const defaultLife = "90" // days

// lifeOf reads a choice of the form.
func lifeOf(days string) (time.Duration, error) {
	for _, life := range feed.Lives() {
		if days == daysOf(life) {
			return life, nil
		}
	}
	return 0, problem.InField("expires", "no expiry is chosen; choose how long the token lives")
}

// tokenForm is the page with the form.
func (c *Console) tokenForm(r *http.Request, f url.Values) page {
	data := eventsTokenForm{Features: formFeatures()}
	for _, life := range feed.Lives() {
		if life > 0 {
			data.Lives = append(data.Lives, daysOf(life))
		}
	}
	data.Lives = append(data.Lives, daysOf(0))
	return page{name: "events-token-form", title: c.tr(r, "events_token_form.title"), form: f, data: data}
}

func (c *Console) newEventsToken(w http.ResponseWriter, r *http.Request) error {
	f := url.Values{"key": {rand.Text()}, "expires": {defaultLife}}
	for _, feature := range formFeatures() {
		f.Add("features", string(feature))
	}
	return c.render(w, r, c.tokenForm(r, f))
}

// issueEventsToken makes the token and shows it, in the answer to the form itself: it is in no other one. Sent
// again (by a second click, or by reloading) it says that it has been done.
func (c *Console) issueEventsToken(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	n := feed.NewToken{Name: f.Get("name"), Key: f.Get("key")}
	for _, feature := range f["features"] {
		n.Features = append(n.Features, feed.Stream(feature))
	}
	n.Life, err = lifeOf(f.Get("expires"))
	if n.Key == "" {
		// Without one, sending the form twice would make two tokens.
		err = problem.InField("key", "the form is not complete; open it again")
	}
	var made feed.Issued
	if err == nil {
		made, err = c.Feed.Issue(r.Context(), me(r).AccountID, n, audit.By(r, audit.EventsTokenCreate, ""))
	}
	if id, already := feed.AlreadyCreated(err); already {
		t, err := c.Feed.Token(r.Context(), me(r).AccountID, id)
		if err != nil {
			return err
		}
		return c.shownAlready(w, r, c.onceToken(r, t))
	}
	if err != nil {
		return c.again(w, r, c.tokenForm(r, f), err)
	}
	return c.showOnce(w, r, c.onceToken(r, made.Token), made.Text.Reveal())
}

// eventsTokenSave is the data of pages/events-token-save.html.
type eventsTokenSave struct {
	saving
	Token tokenView
	URL   string
}

// onceToken is the token as something that is shown once.
func (c *Console) onceToken(r *http.Request, t feed.Token) once {
	return once{
		path: eventsTokenPage + t.ID, field: "token", link: tokenLink(t.ID),
		facts: []fact{{c.tr(r, "events_token.id"), t.ID}},
		page: func(s saving) page {
			return page{name: "events-token-save", title: c.tr(r, "events_token_form.title"), data: eventsTokenSave{saving: s, Token: tokenView{Token: t, now: c.Now()}, URL: c.APIURL}}
		},
		check: func(ctx context.Context, text string) error {
			is, err := c.Feed.Is(ctx, t.AccountID, t.ID, text)
			if err == nil && (!is || t.Alive(c.Now()) != nil) {
				err = problem.Coded(problem.Conflict, "token_not_live",
					"what was sent is not this events token, or the token has ended; issue another one and save that")
			}
			return err
		},
		item: func(text string) vault.NewItem {
			return vault.NewItem{Category: vault.APICredential, Title: t.Name, Fields: []vault.Field{
				{Name: "token", Value: text, Concealed: true},
				{Name: "base_url", Value: c.APIURL},
				{Name: "features", Value: featureNames(t)},
				{Name: "expires", Value: expiryText(t)},
			}}
		},
	}
}

// featureNames are the token's kinds of events, by the names that programs use.
func featureNames(t feed.Token) string {
	names := make([]string, len(t.Features))
	for i, f := range t.Features {
		names[i] = string(f)
	}
	return strings.Join(names, " ")
}

// expiryText is when the token expires, for the item.
func expiryText(t feed.Token) string {
	if t.ExpiresAt.IsZero() {
		return "never"
	}
	return t.ExpiresAt.UTC().Format(time.RFC3339)
}

// ofToken answers with the request's token in hand.
func (c *Console) ofToken(do onceHandler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		t, err := c.tokenOf(r)
		if err != nil {
			return err
		}
		return do(w, r, c.onceToken(r, t))
	}
}

// tokenLink is how items, and the audit log, refer to the token.
func tokenLink(id string) string { return "events_token:" + id }

// tokenBy begins the entry of a change of a token.
func tokenBy(r *http.Request, id string) audit.Entry {
	return audit.By(r, audit.EventsTokenRevoke, tokenLink(id))
}
