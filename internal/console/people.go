package console

import (
	"cmp"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/web"
)

func (c *Console) peopleRoutes() []web.Route {
	look, change := web.SignedIn(web.Integrations), web.SignedIn(web.People)
	fresh := change.Fresh()
	return []web.Route{
		{Pattern: "GET /people", Access: look, Handle: c.people},
		{Pattern: "GET /people/invite", Access: change, Handle: c.inviteForm},
		{Pattern: "POST /people/invite", Access: fresh, Handle: c.invite},
		{Pattern: "GET /people/{user}", Access: look, Handle: c.person},

		{Pattern: "GET /people/{user}/suspend", Access: change, Handle: c.personForm("suspend")},
		{Pattern: "POST /people/{user}/suspend", Access: fresh, Handle: c.suspend},
		{Pattern: "GET /people/{user}/reactivate", Access: change, Handle: c.personForm("reactivate")},
		{Pattern: "POST /people/{user}/reactivate", Access: fresh, Handle: c.reactivate},
		{Pattern: "GET /people/{user}/holds/{hold}/release", Access: change, Handle: c.personForm("release")},
		{Pattern: "POST /people/{user}/holds/{hold}/release", Access: fresh, Handle: c.releaseHold},
		{Pattern: "GET /people/{user}/sessions/{session}/end", Access: change, Handle: c.personForm("end")},
		{Pattern: "POST /people/{user}/sessions/{session}/end", Access: fresh, Handle: c.endSessionOf},
		{Pattern: "GET /people/{user}/link", Access: change, Handle: c.personForm("link")},
		{Pattern: "POST /people/{user}/link", Access: fresh, Handle: c.newLink},
		{Pattern: "GET /people/{user}/remove", Access: change, Handle: c.personForm("remove")},
		{Pattern: "POST /people/{user}/remove", Access: fresh, Handle: c.removePerson},
		{Pattern: "GET /people/{user}/groups", Access: change, Handle: c.personGroups},
		{Pattern: "POST /people/{user}/groups", Access: fresh, Handle: c.setPersonGroups},
	}
}

// peopleShown is how many people are on one page of a list.
const peopleShown = 50

// peoplePage is the data of pages/people.html.
type peoplePage struct {
	Search string
	State  string // "active", "suspended", "invited"; empty: any
	Counts directory.Counts
	Rows   []personRow

	From, To  int    // the places of the first and the last row
	Total     int    // of the list, if that is known without counting; else 0
	More      bool   // there are others behind these
	Searching bool   // this page is short, or empty, only because a search goes on at the next one
	First     string // address of the first page; empty: this is it
	Next      string // address of the next page; empty: there is none
}

// All is how many people there are, not counting who was removed.
func (p peoplePage) All() int { return p.Counts.Active + p.Counts.Suspended + p.Counts.Invited }

// Filtered reports whether the page shows a choice of people.
func (p peoplePage) Filtered() bool { return p.Search != "" || p.State != "" }

// personRow is a person with what the list says about her.
type personRow struct {
	directory.User
	Groups []string  // without the one that everybody is in
	Holds  int       // that are open
	Until  time.Time // when the last of them ends; zero: one has no end
}

// Invited reports whether the person has not set up signing in yet.
func (r personRow) Invited() bool { return r.Lifecycle == directory.Invited }

// stateFilter reads a choice of the filter; what is none of them is no filter.
func stateFilter(state string) (directory.StateFilter, string) {
	switch state {
	case "active":
		return directory.OnlyActive, state
	case "suspended":
		return directory.OnlySuspended, state
	case "invited":
		return directory.OnlyInvited, state
	}
	return directory.AnyState, ""
}

func (c *Console) people(w http.ResponseWriter, r *http.Request) error {
	query, account := r.URL.Query(), me(r).AccountID
	data := peoplePage{Search: strings.TrimSpace(query.Get("q"))}
	ask := directory.ListQuery{After: query.Get("after"), Limit: peopleShown, IncludeInvited: true, Search: data.Search}
	ask.State, data.State = stateFilter(query.Get("state"))
	var err error
	if data.Counts, err = c.counts(r.Context(), account); err != nil {
		return err
	}
	p := page{name: "people", title: c.tr(r, "nav.people"), form: query}
	found, err := c.findPeople(r, ask)
	if err != nil {
		p.data = data
		return c.again(w, r, p, err)
	}
	if data.Rows, err = c.rows(r, found.Users); err != nil {
		return err
	}
	data.More, data.Searching = found.Next != "", found.Searching
	before := placeOf(query.Get("from"))
	if ask.After == "" {
		before = 0
	}
	data.From, data.To = before+1, before+len(found.Users)
	if data.Total = totalOf(data, ask.State); data.Total > 0 {
		data.Total = max(data.Total, data.To) // the count may be older than the list
	}
	if ask.After != "" {
		if data.First, err = withQuery("/people", "q", data.Search, "state", data.State); err != nil {
			return err
		}
	}
	if data.More {
		if data.Next, err = withQuery("/people", "q", data.Search, "state", data.State, "after", found.Next, "from", data.To); err != nil {
			return err
		}
	}
	p.data = data
	return c.render(w, r, p)
}

// totalOf is how many people the list has on all its pages; 0: nobody has counted.
func totalOf(p peoplePage, state directory.StateFilter) int {
	switch {
	case p.Search != "" && !p.More:
		return p.To
	case p.Search != "":
		return 0
	case state == directory.OnlyActive:
		return p.Counts.Active
	case state == directory.OnlySuspended:
		return p.Counts.Suspended
	case state == directory.OnlyInvited:
		return p.Counts.Invited
	}
	return p.All()
}

// placeOf reads how many people came before a page. The address says it, so that nobody has to be counted;
// what is no such number counts as none.
func placeOf(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 100_000_000 {
		return 0
	}
	return n
}

// wholeID is what an ID of a person looks like.
var wholeID = regexp.MustCompile(`^[A-Za-z2-7]{26}$`)

// findPeople searches by text, and by ID if the text is a whole one.
func (c *Console) findPeople(r *http.Request, ask directory.ListQuery) (directory.People, error) {
	account := me(r).AccountID
	if ask.After == "" && wholeID.MatchString(ask.Search) {
		u, err := c.Directory.Store.User(r.Context(), account, strings.ToUpper(ask.Search))
		if err == nil && inState(u, ask.State) {
			return directory.People{Users: []directory.User{u}}, nil
		}
		if err != nil && !problem.Is(err, problem.NotFound) {
			return directory.People{}, err
		}
	}
	if ask.Search != "" {
		return c.Directory.People(r.Context(), account, ask)
	}
	found, err := c.Directory.Browse(r.Context(), account, ask)
	if ask.After == "" && found.Next == "" { // all on one page: in the same order, whatever the state
		slices.SortStableFunc(found.Users, func(a, b directory.User) int {
			return cmp.Compare(directory.EmailKey(a.Email), directory.EmailKey(b.Email))
		})
	}
	return found, err
}

func inState(u directory.User, state directory.StateFilter) bool {
	switch state {
	case directory.OnlyActive:
		return u.Lifecycle == directory.Active && !u.Suspended
	case directory.OnlySuspended:
		return u.Suspended
	case directory.OnlyInvited:
		return u.Lifecycle == directory.Invited
	}
	return true
}

// rows adds groups and open holds to the people of one page.
func (c *Console) rows(r *http.Request, us []directory.User) ([]personRow, error) {
	ids := make([]string, 0, len(us))
	for _, u := range us {
		ids = append(ids, u.ID)
	}
	groups, err := c.Directory.Store.GroupsOfMany(r.Context(), me(r).AccountID, ids)
	if err != nil {
		return nil, err
	}
	out := make([]personRow, 0, len(us))
	for _, u := range us {
		row := personRow{User: u}
		for _, g := range groups[u.ID] {
			row.Groups = append(row.Groups, g.Name)
		}
		if u.Suspended {
			holds, err := c.Directory.Store.Holds(r.Context(), u.AccountID, u.ID)
			if err != nil {
				return nil, err
			}
			row.Holds, row.Until = summary(holds)
		}
		out = append(out, row)
	}
	return out, nil
}

// summary counts the holds that are open and says when the last of them ends; zero: not by itself.
func summary(holds []directory.Hold) (open int, until time.Time) {
	endless := false
	for _, h := range holds {
		if !h.ReleasedAt.IsZero() {
			continue
		}
		open++
		endless = endless || h.Until.IsZero()
		if h.Until.After(until) {
			until = h.Until
		}
	}
	if endless {
		return open, time.Time{}
	}
	return open, until
}
