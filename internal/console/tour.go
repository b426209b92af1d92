package console

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/web"
)

// The guided tour of a demo is a panel beside every page. Its steps are found done by what the database
// says has happened since the tour began; the browser keeps only when that was, and whether the panel is
// put away. So it can be left and taken up, and nothing can be ticked off that was not done.

func (c *Console) tourRoutes() []web.Route {
	if !c.Tour {
		return nil
	}
	may := web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /tour/panel", Access: may, Handle: c.tourPanel},
		{Pattern: "POST /tour/skip", Access: may, Handle: c.setTour(func(k tourKept, _ time.Time) tourKept { return tourKept{k.Began, true} })},
		{Pattern: "POST /tour/resume", Access: may, Handle: c.setTour(func(k tourKept, _ time.Time) tourKept { return tourKept{k.Began, false} })},
		{Pattern: "POST /tour/restart", Access: may, Handle: c.setTour(func(_ tourKept, now time.Time) tourKept { return tourKept{now, false} })},
	}
}

const tourCookie = "__Host-holdfast-tour"

// tourFor is how long the browser keeps where the tour is.
const tourFor = 30 * 24 * time.Hour

// tourKept is what the browser keeps: "<account>.<microseconds>", and ".skipped" behind it if the panel is
// put away. Without it the tour began with the account: a demo begins empty.
type tourKept struct {
	Began   time.Time // zero: with the account
	Skipped bool
}

// keptTour reads the cookie. That of another account, as of the last demo at the same address, counts for nothing.
func keptTour(r *http.Request) tourKept {
	cookie, err := r.Cookie(tourCookie)
	if err != nil {
		return tourKept{}
	}
	parts := strings.Split(cookie.Value, ".")
	if len(parts) < 2 || len(parts) > 3 || parts[0] != me(r).AccountID || len(parts) == 3 && parts[2] != "skipped" {
		return tourKept{}
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || micros < 0 {
		return tourKept{}
	}
	k := tourKept{Skipped: len(parts) == 3}
	if micros > 0 {
		k.Began = time.UnixMicro(micros).UTC()
	}
	return k
}

func (k tourKept) value(accountID string) string {
	micros := int64(0)
	if !k.Began.IsZero() {
		micros = k.Began.UnixMicro()
	}
	v := accountID + "." + strconv.FormatInt(micros, 10)
	if k.Skipped {
		v += ".skipped"
	}
	return v
}

// setTour changes what the browser keeps, and goes back to the page that the button was on.
func (c *Console) setTour(change func(tourKept, time.Time) tourKept) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		now := c.Now()
		k := change(keptTour(r), now)
		http.SetCookie(w, web.Cookie(tourCookie, k.value(me(r).AccountID), now.Add(tourFor).Truncate(time.Second)))
		from := "/"
		if u, err := url.Parse(r.Referer()); err == nil && u.Host == r.Host {
			from = local(u.RequestURI(), "/")
		}
		return redirect(w, r, from)
	}
}

// tourOffered reports whether there is a tour for who looks.
func (c *Console) tourOffered(r *http.Request) bool { return c.Tour && me(r).Has(web.Integrations) }

// tourView is what the side panel of the guided tour shows.
type tourView struct {
	Steps []tourStep
	Done  int
	Seen  string // changes when what is shown does; behind "-" which steps are done
	News  string // ID of the step that was done since the panel was last loaded; empty: none
	AppID string // of the application; empty: there is none yet

	AppName  string
	ItemPath string // of the item that its credentials are in
	UserID   string // of the person to try it with
	UserName string
	TokenURL string
	UsersURL string
	Missing  []string // scopes that the tour needs and the application does not have
}

// Finished reports whether nothing is left to do.
func (v *tourView) Finished() bool { return v.Done == len(v.Steps) }

// tourStep is one thing to do.
type tourStep struct {
	ID      string // see tourSteps
	At      time.Time
	Current bool
}

// Done reports whether it has happened.
func (s tourStep) Done() bool { return !s.At.IsZero() }

// tourSteps are the steps in their order.
func tourSteps() []string {
	return []string{"create", "save", "call", "suspend", "reactivate", "revoke", "refused"}
}

// tourOf is the panel for a page; nil: there is none.
func (c *Console) tourOf(r *http.Request) (*tourView, error) {
	if !c.tourOffered(r) || keptTour(r).Skipped {
		return nil, nil
	}
	return c.tour(r)
}

// tour looks up how far the tour has come.
func (c *Console) tour(r *http.Request) (*tourView, error) {
	p, err := c.tourProgress(r, keptTour(r).Began)
	if err != nil {
		return nil, err
	}
	v := &tourView{TokenURL: c.APIURL + "/v1/oauth/token", UsersURL: c.APIURL + "/v1/accounts/" + me(r).AccountID + "/users"}
	last := -1
	for i, id := range tourSteps() {
		step := tourStep{ID: id, At: p.at[id]}
		if step.Done() {
			v.Done, last = v.Done+1, i
		}
		v.Steps = append(v.Steps, step)
	}
	// What was left out on the way (credentials kept elsewhere, say) holds nobody up.
	if last+1 < len(v.Steps) {
		v.Steps[last+1].Current = true
	}
	v.AppID, v.AppName, v.Missing, v.ItemPath = p.app.ID, p.app.Name, p.missing(), p.itemPath
	if v.UserID, v.UserName, err = c.tourPerson(r, p); err != nil {
		return nil, err
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%+v", *v) // never fails
	v.Seen = strconv.FormatUint(h.Sum64(), 36) + "-" + strconv.FormatUint(v.mask(), 2)
	return v, nil
}

// tourPanel is the panel by itself. If nothing has changed since it was last loaded, nothing is answered:
// what is on the page keeps its focus, and nothing is read out again.
func (c *Console) tourPanel(w http.ResponseWriter, r *http.Request) error {
	if !byHTMX(r) {
		return redirect(w, r, "/")
	}
	v, err := c.tour(r)
	if err != nil {
		return err
	}
	seen := r.URL.Query().Get("seen")
	if seen == v.Seen {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if _, before, ok := strings.Cut(seen, "-"); ok {
		if had, err := strconv.ParseUint(before, 2, 64); err == nil {
			v.News = v.since(had)
		}
	}
	return c.part(w, r, "tour-panel", page{name: "help", data: v})
}

// mask has a bit for each step that is done.
func (v *tourView) mask() (m uint64) {
	for i, s := range v.Steps {
		if s.Done() {
			m |= 1 << i
		}
	}
	return m
}

// since is the last step that is done and was not yet.
func (v *tourView) since(had uint64) (id string) {
	for i, s := range v.Steps {
		if s.Done() && had>>i&1 == 0 {
			id = s.ID
		}
	}
	return id
}

// The snippets are for one shell, one after the other: the first sets CLIENT_SECRET, the second TOKEN. They
// have no comments, which not every interactive shell takes for such.

// TokenSnippet gets a token.
func (v *tourView) TokenSnippet() string {
	return `TOKEN=$(curl -sS -u "` + v.AppID + `:$CLIENT_SECRET" -d grant_type=client_credentials \
  ` + v.TokenURL + ` |
  sed -n 's/.*"access_token" *: *"\([^"]*\)".*/\1/p')`
}

// ListSnippet lists five people, and shows the status.
func (v *tourView) ListSnippet() string {
	return `curl -sS -w '\n%{http_code}\n' -H "Authorization: Bearer $TOKEN" \
  "` + v.UsersURL + `?max_page_size=5"`
}

// PersonSnippet suspends or reactivates the person.
func (v *tourView) PersonSnippet(verb string) string {
	return `curl -sS -w '\n%{http_code}\n' -H "Authorization: Bearer $TOKEN" -X POST \
  "` + v.UsersURL + "/" + v.UserID + ":" + verb + `"`
}
