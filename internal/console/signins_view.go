package console

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"holdfast/internal/feed"
	"holdfast/internal/signin"
)

// signInEventPage is the data of pages/sign-in-event.html.
type signInEventPage struct {
	signInRow
	System string // number of the network: "AS64496"
	Point  string // latitude and longitude; empty: unknown
	Rule   string // what a firewall rule made of it, in words; empty: none did anything
	JSON   string // as readers of the Events API get it

	OfAddress, OfNetwork, OfSession, OfPerson string // addresses of lists
	Around                                    []signInNear
}

// signInNear is this event, or one of the same person's before and after it.
type signInNear struct {
	signInRow
	This bool
}

// nearby is how many events before and after are shown.
const nearby = 5

func (c *Console) signInEvent(w http.ResponseWriter, r *http.Request) error {
	at, id, err := eventOf(r.PathValue("event"))
	if err != nil {
		return err
	}
	a, err := c.SignIn.Attempt(r.Context(), me(r).AccountID, at, id)
	if err != nil {
		return err
	}
	rows, err := c.signInRows(r, []signin.Attempt{a})
	if err != nil {
		return err
	}
	data := signInEventPage{signInRow: rows[0], Rule: c.ruleOf(r, a)}
	if a.Location.HasPoint() {
		data.Point = fmt.Sprintf("%.4f, %.4f", a.Location.Latitude, a.Location.Longitude)
	}
	if data.JSON, err = eventJSON(a); err != nil {
		return err
	}
	list := func(name, value string) string {
		return changed(url.URL{Path: "/sign-ins"}, name, value)
	}
	if _, ok := addresses(a.Client.Address); ok {
		data.OfAddress = list("q", a.Client.Address)
	}
	if a.Location.ASN > 0 {
		data.System = "AS" + strconv.FormatInt(a.Location.ASN, 10)
		data.OfNetwork = list("q", data.System)
	}
	if a.SessionID != "" {
		data.OfSession = changed(url.URL{Path: "/sign-ins"}, "session", a.SessionID, "person", a.UserID)
	}
	if a.UserID != "" {
		data.OfPerson = list("person", a.UserID)
		if data.Around, err = c.nearSignIns(r, data.signInRow); err != nil {
			return err
		}
	}
	return c.render(w, r, page{name: "sign-in-event", title: c.tr(r, "sign_ins.event_title", "Name", data.title(c, r)), data: data})
}

// title is what the page is called: who tried, and what came of it.
func (p signInEventPage) title(c *Console, r *http.Request) string {
	if p.Person == "" {
		return c.tr(r, "sign_ins.unknown")
	}
	return p.Person
}

// nearSignIns are what the same person did before and after, newest first.
func (c *Console) nearSignIns(r *http.Request, this signInRow) ([]signInNear, error) {
	after, err := c.SignIn.AttemptsAfter(r.Context(), this.AccountID, this.UserID, this.At, this.ID, nearby)
	if err != nil {
		return nil, err
	}
	before, err := c.SignIn.Attempts(r.Context(), signin.AttemptQuery{AccountID: this.AccountID, UserID: this.UserID, Before: this.At, BeforeID: this.ID, Limit: nearby})
	if err != nil {
		return nil, err
	}
	slices.Reverse(after)
	rows, err := c.signInRows(r, slices.Concat(after, []signin.Attempt{this.Attempt}, before))
	if err != nil {
		return nil, err
	}
	near := make([]signInNear, 0, len(rows))
	for _, row := range rows {
		near = append(near, signInNear{row, row.ID == this.ID && row.At.Equal(this.At)})
	}
	return near, nil
}

// ruleOf says which firewall rule decided. What the details hold depends on its kind.
func (c *Console) ruleOf(r *http.Request, a signin.Attempt) string {
	value := a.Details
	if a.Category == signin.FirewallReported {
		return c.tr(r, "sign_ins.rule.reported", "Value", c.ruleValue(r, value))
	}
	if a.Category != signin.FirewallFailed {
		return ""
	}
	switch a.Type {
	case signin.CountryBlocked, signin.ContinentBlocked, signin.IPBlocked:
		return c.tr(r, "sign_ins.rule."+string(a.Type), "Value", c.ruleValue(r, value))
	case signin.AnonymousBlocked:
		return c.tr(r, "sign_ins.rule.anonymous_blocked")
	}
	return c.tr(r, "sign_ins.rule.other")
}

// ruleValue is the value of a rule as it is said: the name of a country or a continent, an address, or everywhere.
func (c *Console) ruleValue(r *http.Request, value string) string {
	if text, ok := c.catalogue.lookup(c.catalogue.languageOf(r), "firewall.continent."+value); ok {
		return text
	}
	if value == "" {
		return c.tr(r, "sign_ins.rule.everywhere")
	}
	if len(value) == 2 {
		return c.country(r, value)
	}
	return value
}

// eventJSON is the event as the second generation of the Events API has it, for people to read.
func eventJSON(a signin.Attempt) (string, error) {
	view := feed.ViewAttempt(feed.Attempt{
		Event: feed.Event{At: a.At, ID: a.ID}, SessionID: a.SessionID, Category: string(a.Category), Type: string(a.Type), Details: a.Details,
		Federated: a.Method == signin.BySSO && a.Type == signin.CredentialsOK,
		User:      feed.Party{ID: a.UserID, Name: a.Name, Email: a.Email}, Client: a.Client, Location: a.Location,
	}, a.AccountID)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // the template escapes
	enc.SetIndent("", "  ")
	if err := enc.Encode(view); err != nil {
		return "", fmt.Errorf("write event as JSON: %w", err)
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

// Exact is the time with all that is known of it.
func (p signInEventPage) Exact() string { return p.At.UTC().Format("2006-01-02 15:04:05.000000") }
