package console

import (
	"net/http"
	"slices"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// How much of what has happened a person's page shows.
const (
	attemptsShown = 20
	historyShown  = 30
	endedShown    = 30 // holds that are over
	findingsShown = 5
)

// personPage is the data of pages/person.html.
type personPage struct {
	directory.User
	Self   bool
	Groups []directory.Group
	Open   []holdRow // the newest first
	Ended  []holdRow // the newest first
	Over   int       // holds that have ended, also those that are not shown

	Methods  signin.Methods
	Sessions []signin.Session
	Attempts []signin.Attempt
	Slowed   signin.Slowed
	History  []historyRow
	Findings []findingRow // the latest; only for who may see them
}

// Invited reports whether the person has not set up signing in yet.
func (p personPage) Invited() bool { return p.Lifecycle == directory.Invited }

// holdRow is a hold with the names of who is behind it.
type holdRow struct {
	directory.Hold
	By       party
	Released party
	Expired  bool // it ended by itself
	Scim     bool // only the identity provider can release it
}

// historyRow is an audit entry about a person.
type historyRow struct {
	audit.Link
	By    party
	About party // the target, if it is not the person herself
	Other bool  // the target is somebody or something else, and is known

	Method signin.Method // if that is all that the reason says
}

// Refused reports whether it was turned down.
func (h historyRow) Refused() bool { return h.Entry.Outcome == audit.Refused }

// user is the person of the path.
func (c *Console) user(r *http.Request) (directory.User, error) {
	return c.Directory.Store.User(r.Context(), me(r).AccountID, r.PathValue("user"))
}

func (c *Console) person(w http.ResponseWriter, r *http.Request) error {
	u, err := c.user(r)
	if err != nil {
		return err
	}
	ctx, account := r.Context(), u.AccountID
	data := personPage{User: u, Self: u.ID == me(r).UserID}
	who := c.parties(r)
	if data.Groups, err = c.Directory.Store.GroupsOf(ctx, account, u.ID); err != nil {
		return err
	}
	if err := c.holdsOf(r, &data, who); err != nil {
		return err
	}
	if data.Methods, err = c.SignIn.Methods(ctx, account, u.ID); err != nil {
		return err
	}
	if data.Sessions, err = c.SignIn.Sessions(ctx, account, u.ID); err != nil {
		return err
	}
	data.Attempts, err = c.SignIn.Attempts(ctx, signin.AttemptQuery{AccountID: account, UserID: u.ID, Limit: attemptsShown})
	if err != nil {
		return err
	}
	if data.Slowed, err = c.SignIn.Slowed(ctx, account, u.ID); err != nil {
		return err
	}
	if data.History, err = c.history(r, u.ID, who); err != nil {
		return err
	}
	if me(r).Has(web.Integrations) {
		found, err := c.Findings.FindingList(ctx, detect.FindingQuery{AccountID: account, PersonID: u.ID, Limit: findingsShown})
		if err != nil {
			return err
		}
		if data.Findings, err = c.findingRows(r, found); err != nil {
			return err
		}
	}
	return c.render(w, r, page{name: "person", title: u.DisplayName, data: data})
}

func (c *Console) holdsOf(r *http.Request, data *personPage, who *parties) error {
	holds, err := c.Directory.Store.Holds(r.Context(), data.AccountID, data.ID)
	if err != nil {
		return err
	}
	slices.Reverse(holds)
	for _, h := range holds {
		if !h.ReleasedAt.IsZero() {
			if data.Over++; data.Over > endedShown {
				continue
			}
		}
		row, err := c.holdRow(r, h, who)
		if err != nil {
			return err
		}
		if h.ReleasedAt.IsZero() {
			data.Open = append(data.Open, row)
		} else {
			data.Ended = append(data.Ended, row)
		}
	}
	slices.SortStableFunc(data.Ended, func(a, b holdRow) int { return b.ReleasedAt.Compare(a.ReleasedAt) })
	return nil
}

func (c *Console) holdRow(r *http.Request, h directory.Hold, who *parties) (row holdRow, err error) {
	row = holdRow{Hold: h}
	if row.By, err = who.of(r.Context(), h.Holder); err != nil {
		return row, err
	}
	row.Scim = row.By.Kind == "scim"
	if h.ReleasedAt.IsZero() {
		return row, nil
	}
	row.Released, err = who.of(r.Context(), h.ReleasedBy)
	row.Expired = row.Released.Kind == "system" && !h.Until.IsZero()
	return row, err
}

func (c *Console) history(r *http.Request, userID string, who *parties) ([]historyRow, error) {
	self := "user:" + userID
	links, err := c.Audit.AuditEntries(r.Context(), audit.Query{AccountID: me(r).AccountID, About: self, Limit: historyShown})
	if err != nil {
		return nil, err
	}
	rows := make([]historyRow, 0, len(links))
	for _, l := range links {
		row := historyRow{Link: l, Method: methodOf(l.Entry.Reason)}
		if row.By, err = who.of(r.Context(), l.Entry.Actor); err != nil {
			return nil, err
		}
		switch kind, _ := partyKind(l.Entry.Target); kind {
		case "user", "client", "group":
			if row.About, err = who.of(r.Context(), l.Entry.Target); err != nil {
				return nil, err
			}
			row.Other = l.Entry.Target != self && row.About.Kind != "unknown"
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// methodOf is the way of signing in that a reason names, if it says nothing else.
func methodOf(reason string) signin.Method {
	switch m := signin.Method(reason); m {
	case signin.ByPasskey, signin.ByPassword, signin.ByPasswordCode, signin.ByRecoveryCode, signin.BySSO, signin.BySetupLink:
		return m
	}
	return ""
}

// mayTouch reports whether who looks may do something to the person at all: owners only to owners.
func (c *Console) mayTouch(r *http.Request, u directory.User) (bool, error) {
	if me(r).Has(web.Owner) {
		return true, nil
	}
	groups, err := c.Directory.Store.GroupsOf(r.Context(), u.AccountID, u.ID)
	return !slices.ContainsFunc(groups, func(g directory.Group) bool { return g.Kind == directory.Owners }), err
}
