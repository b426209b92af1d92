package console

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"

	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

func (c *Console) signInEventRoutes() []web.Route {
	may := web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /sign-ins", Access: may, Handle: c.signInEvents},
		{Pattern: "GET /sign-ins/new", Access: may, Handle: c.newSignIns},
		{Pattern: "GET /sign-ins/{event}", Access: may, Handle: c.signInEvent},
		{Pattern: "GET /sign-ins/export", Access: may, Handle: c.backToSignIns},
		{Pattern: "POST /sign-ins/export", Access: may.Fresh(), Handle: c.exportSignIns},
	}
}

// signInsPage is the data of pages/sign-ins.html.
type signInsPage struct {
	Rows      []signInRow
	Chips     []signInChip
	Kept      []signInField // the filter, for forms
	Results   []string
	Methods   []signin.Method
	Times     []string
	Countries []choice
	Days      bool // the days are to be entered

	Count     int
	More      bool // there are more than Count
	Searching bool // this page is short because the search goes on at the next one
	Newest    string
	Older     string
	Live      string // where to ask for new ones; empty: not here
	Since     int64  // after this one
}

// signInRow is an event with names.
type signInRow struct {
	signin.Attempt
	Path      string
	Person    string // name of who tried; empty: nobody is known
	PersonAt  string // address of the person's page; empty: there is none
	Result    string // in words
	Badge     string // ok, info, wait or held
	Place     string
	Program   string
	Anonymous bool
}

// signInChip is a filter that is on.
type signInChip struct{ Label, Without string }

// signInField is a parameter to be sent again.
type signInField struct{ Name, Value string }

// countriesFor is how far back events say which countries there are to choose from.
const countriesFor = 90 * 24 * time.Hour

// mostCounted is how far events are counted.
const mostCounted = 1000

func (c *Console) signInEvents(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	data := signInsPage{Results: signInResults(), Methods: signInMethods(), Times: signInTimes(), Days: asked.Get("time") == customDays}
	p := page{name: "sign-ins", title: c.tr(r, "nav.sign_ins"), form: asked}
	var err error
	if data.Countries, err = c.signInCountries(r, asked.Get("country")); err != nil {
		return err
	}
	s, err := c.signInQuery(r, asked)
	if err == nil {
		err = c.fillSignIns(r, &data, s)
	}
	p.data = data
	if err != nil {
		return c.again(w, r, p, err)
	}
	return c.render(w, r, p)
}

func (c *Console) fillSignIns(r *http.Request, data *signInsPage, s signInSearch) error {
	ctx, asked := r.Context(), r.URL.Query()
	var err error
	if s.Before.IsZero() {
		// Before the page is read, so that nothing falls in between; what is in both is shown once.
		if _, data.Since, err = c.SignIn.AttemptsSince(ctx, s.AttemptQuery, -1); err != nil {
			return err
		}
		data.Live = changed(url.URL{Path: "/sign-ins/new", RawQuery: r.URL.RawQuery}, "done", "", "before", "")
	} else {
		data.Newest = here(r, "before", "")
	}
	found, err := c.SignIn.FindAttempts(ctx, s.AttemptQuery)
	if err != nil {
		return err
	}
	if data.Rows, err = c.signInRows(r, found.Attempts); err != nil {
		return err
	}
	data.Searching = found.Searching
	if found.More {
		data.Older = here(r, "before", eventRef(found.Next, found.NextID))
	}
	data.Count, data.More = len(data.Rows), found.More
	if found.More && !found.Searching && s.Before.IsZero() {
		n, more, err := c.SignIn.CountAttempts(ctx, s.AttemptQuery, mostCounted)
		if err != nil {
			return err
		}
		data.Count, data.More = max(n, data.Count), more
	}
	for _, name := range signInFields() {
		if value := asked.Get(name); value != "" {
			data.Kept = append(data.Kept, signInField{name, value})
		}
	}
	data.Chips, err = c.signInChips(r, asked, s)
	return err
}

// signInChips are the filters that are on, each with the address of the page without it.
func (c *Console) signInChips(r *http.Request, asked url.Values, s signInSearch) ([]signInChip, error) {
	var chips []signInChip
	add := func(label, field string) {
		chips = append(chips, signInChip{label, here(r, field, "", "before", "")})
	}
	if q := strings.TrimSpace(asked.Get("q")); q != "" {
		label := c.tr(r, "sign_ins.chip.text", "Text", q)
		switch {
		case s.Addresses.IsValid() || s.ASN != 0:
			label = q
		case len(s.People) > 1:
			label = c.tr(r, "sign_ins.chip.people", "Count", len(s.People), "Text", q)
		case len(s.People) == 1:
			label = s.People[0].DisplayName
		case s.ID != "":
			label = c.tr(r, "sign_ins.chip.event")
		case s.SessionID != "" && asked.Get("session") == "":
			label = c.tr(r, "sign_ins.chip.session")
		}
		add(label, "q")
	}
	if id := asked.Get("person"); id != "" {
		name, _, err := c.names(r).of(r.Context(), "user", id)
		if err != nil {
			return nil, err
		}
		add(cmp.Or(name, c.tr(r, "audit.subject.no_user")), "person")
	}
	if asked.Get("session") != "" {
		add(c.tr(r, "sign_ins.chip.session"), "session")
	}
	if result := asked.Get("result"); result != "" {
		add(c.tr(r, "sign_ins.category."+result), "result")
	}
	if s.Country != "" {
		add(c.country(r, s.Country), "country")
	}
	if s.Method != "" {
		add(c.tr(r, "profile.method."+string(s.Method)), "method")
	}
	switch chosen := asked.Get("time"); chosen {
	case "":
	case customDays:
		if !s.From.IsZero() {
			add(c.tr(r, "sign_ins.chip.from", "Day", formatter{c, c.catalogue.languageOf(r)}.date(s.From)), "from")
		}
		if !s.To.IsZero() {
			add(c.tr(r, "sign_ins.chip.to", "Day", formatter{c, c.catalogue.languageOf(r)}.date(s.To.AddDate(0, 0, -1))), "to")
		}
	default:
		add(c.tr(r, "sign_ins.time."+chosen), "time")
	}
	return chips, nil
}

// signInCountries are the countries of the last 90 days and the one that is chosen, in the order of their names.
func (c *Console) signInCountries(r *http.Request, chosen string) ([]choice, error) {
	account, now := me(r).AccountID, c.Now()
	codes, ok := c.countries.get(account, now)
	if !ok {
		var err error
		if codes, err = c.SignIn.AttemptCountries(r.Context(), account, now.Add(-countriesFor)); err != nil {
			return nil, err
		}
		c.countries.put(account, codes, now)
	}
	if region, err := language.ParseRegion(chosen); err == nil && len(chosen) == 2 && !slices.Contains(codes, region.String()) {
		codes = append(slices.Clip(codes), region.String())
	}
	all := make([]choice, 0, len(codes))
	for _, code := range codes {
		all = append(all, choice{code, c.country(r, code)})
	}
	return sorted(c.catalogue.languageOf(r), all), nil
}

// country is the name of a country in the language of the request.
func (c *Console) country(r *http.Request, code string) string {
	return countryName(c.catalogue.languageOf(r), code)
}

// place is where it was, as far as is known.
func (c *Console) place(r *http.Request, l origin.Location) string {
	var parts []string
	for _, part := range []string{l.City, c.country(r, l.Country)} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, ", ")
}

// program is what somebody tried with, in a few words: "Chrome 129, Windows".
func program(from origin.Client) string {
	name := from.Platform
	if name == "" {
		return cmp.Or(browserOf(from.UserAgent), from.App)
	}
	if major, _, _ := strings.Cut(from.PlatformVersion, "."); major != "" {
		name += " " + major
	}
	if from.OS != "" {
		name += ", " + from.OS
	}
	return name
}

// signInRows adds names and words to events.
func (c *Console) signInRows(r *http.Request, all []signin.Attempt) ([]signInRow, error) {
	names, rows := c.names(r), make([]signInRow, 0, len(all))
	for _, a := range all {
		row := signInRow{
			Attempt: a, Path: "/sign-ins/" + url.PathEscape(eventRef(a.At, a.ID)), Result: c.result(r, a), Badge: badgeOf(a),
			Place: c.place(r, a.Location), Program: program(a.Client), Anonymous: a.Location.Anonymous,
		}
		if a.UserID != "" {
			name, found, err := names.of(r.Context(), "user", a.UserID)
			if err != nil {
				return nil, err
			}
			row.Person = cmp.Or(name, a.Name, c.tr(r, "audit.subject.no_user"))
			if found {
				row.PersonAt = "/people/" + a.UserID
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// result is what came of it in a few words: by its type, if that says more than the category.
func (c *Console) result(r *http.Request, a signin.Attempt) string {
	lang := c.catalogue.languageOf(r)
	if a.Category != signin.Success && a.Category != signin.FirewallReported {
		if text, ok := c.catalogue.lookup(lang, "sign_ins.type."+string(a.Type)); ok {
			return text
		}
	}
	if text, ok := c.catalogue.lookup(lang, "sign_ins.category."+string(a.Category)); ok {
		return text
	}
	return string(a.Category)
}

func badgeOf(a signin.Attempt) string {
	switch a.Category {
	case signin.Success:
		return "ok"
	case signin.FirewallFailed:
		return "held"
	}
	return "wait"
}

// mostNew is how many events appear at once.
const mostNew = 50

// sinceHeader says up to where the answer knows the events.
const sinceHeader = "Holdfast-Since"

// newSignIns answers with the rows of events that came since, and nothing else; with 204 if there are none.
func (c *Console) newSignIns(w http.ResponseWriter, r *http.Request) error {
	asked := r.URL.Query()
	since, err := strconv.ParseInt(asked.Get("since"), 10, 64)
	if err != nil || since < 0 {
		return problem.New(problem.Invalid, "since is %q; it must be the number that the page or the last answer gave", asked.Get("since"))
	}
	asked.Del("before")
	s, err := c.signInQuery(r, asked)
	if err != nil {
		return err
	}
	s.Limit = mostNew
	found, last, err := c.SignIn.AttemptsSince(r.Context(), s.AttemptQuery, since)
	if err != nil {
		return err
	}
	w.Header().Set(sinceHeader, strconv.FormatInt(last, 10))
	w.Header().Set("Cache-Control", "no-store")
	if len(found) == 0 {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	rows, err := c.signInRows(r, found)
	if err != nil {
		return err
	}
	return c.part(w, r, "sign-ins-rows", page{name: "sign-ins", data: signInsPage{Rows: rows}})
}
