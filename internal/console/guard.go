package console

import (
	"context"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

func (c *Console) guardRoutes() []web.Route {
	manage := web.SignedIn(web.Integrations)
	fresh := manage.Fresh()
	return []web.Route{
		{Pattern: "GET /guard-rails", Access: manage, Handle: c.guardRails},
		{Pattern: "POST /guard-rails", Access: fresh, Handle: c.setGuardRails},
		{Pattern: "POST /guard-rails/kill", Access: manage, Handle: c.kill}, // who wants to stop everything is not asked for a passkey first
		{Pattern: "POST /guard-rails/resume", Access: fresh, Handle: c.resumeResponse},
		{Pattern: "GET /guard-rails/protect", Access: manage, Handle: c.protectForm},
		{Pattern: "POST /guard-rails/protect", Access: fresh, Handle: c.protect},
		{Pattern: "POST /guard-rails/unprotect", Access: fresh, Handle: c.unprotect},
	}
}

// guardPage is the data of pages/guard-rails.html.
type guardPage struct {
	Guard     respond.Guard
	By        party // who has set them; Kind is empty: nobody
	KillBy    party
	Suspended rail // within the window
	Held      rail // at a time
	Use       respond.GuardUse
	Protected []protectedList
	File      string // name of the file that is a kill switch
}

// Trusts are the choices of the least trust.
func (guardPage) Trusts() []respond.Trust {
	return []respond.Trust{respond.TrustSent, respond.TrustAsked, respond.TrustOwn}
}

// Units are those that times are given in.
func (guardPage) Units() []string { return unitNames() }

// protectedList is one of the three lists of who is protected.
type protectedList struct {
	Kind string // "people", "groups", "break_glass": the key of its texts
	Rows []protectedRow
}

// protectedRow is a person or a group of such a list.
type protectedRow struct {
	respond.Protected
	Who   party
	Ended bool
}

// rail is a meter: one peg for each person, up to as many as can be told apart.
type rail struct {
	Used, Soon, Limit int
}

// railOf tells those who are suspended from those for whom a place is kept: counts have both.
func railOf(counted, planned, limit int) rail {
	soon := min(counted, planned)
	return rail{counted - soon, soon, limit}
}

// pegsMost is how many pegs can be told apart.
const pegsMost = 24

// Pegs are the classes of the pegs. Where one stands for several people, whatever is used shows.
func (r rail) Pegs() []string {
	if r.Limit <= 0 {
		return nil
	}
	pegs := make([]string, min(r.Limit, pegsMost))
	scaled := func(n int) int {
		return min(len(pegs), int(math.Ceil(float64(n)*float64(len(pegs))/float64(r.Limit))))
	}
	used := scaled(r.Used)
	for i := range pegs {
		switch {
		case i < used:
			pegs[i] = "on"
		case i < scaled(r.Used+r.Soon):
			pegs[i] = "soon"
		}
	}
	return pegs
}

// Class is that of the meter as a whole.
func (r rail) Class() string {
	switch {
	case r.Used+r.Soon >= r.Limit:
		return "rail rail--full"
	case 5*(r.Used+r.Soon) >= 4*r.Limit:
		return "rail rail--near"
	}
	return "rail"
}

// Shown is what the meter points at: never beyond its end.
func (r rail) Shown() int { return min(r.Used, r.Limit) }

// spanWords is a time in the units that both languages write alike: 24 h, 1 h 30 min.
func spanWords(d time.Duration) string {
	var parts []string
	for _, u := range []struct {
		sign   string
		length time.Duration
	}{{"h", time.Hour}, {"min", time.Minute}, {"s", time.Second}} {
		if n := d / u.length; n > 0 {
			parts = append(parts, strconv.FormatInt(int64(n), 10)+" "+u.sign)
			d -= n * u.length
		}
	}
	if len(parts) == 0 {
		return "0 s"
	}
	return strings.Join(parts, " ")
}

// kindsProtected are the lists, in the order of the page.
func kindsProtected() []string { return []string{"people", "groups", "break_glass"} }

// listed is one of the lists as the guard rails have it.
func listed(g *respond.Guard, kind string) []respond.Protected {
	switch kind {
	case "people":
		return g.People
	case "groups":
		return g.Groups
	}
	all := make([]respond.Protected, 0, len(g.BreakGlass))
	for _, id := range g.BreakGlass {
		all = append(all, respond.Protected{ID: id})
	}
	return all
}

// guardPageOf reads what the page shows.
func (c *Console) guardPageOf(r *http.Request) (guardPage, error) {
	ctx, account := r.Context(), me(r).AccountID
	g, err := c.Respond.Guard(ctx, account)
	if err != nil {
		return guardPage{}, err
	}
	d := guardPage{Guard: g, File: respond.KillFileName}
	if d.Use, err = c.Respond.Store.GuardUse(ctx, account); err != nil {
		return d, err
	}
	d.Suspended = railOf(d.Use.Suspended, d.Use.Planned, g.MaxPeople)
	d.Held = railOf(d.Use.Held, d.Use.Planned, g.MostHeld(d.Use.Active))
	who := c.parties(r)
	for _, kind := range kindsProtected() {
		list, ref := protectedList{Kind: kind}, "user:"
		if kind == "groups" {
			ref = "group:"
		}
		for _, p := range listed(&g, kind) {
			row := protectedRow{Protected: p, Ended: !p.Until.IsZero() && !c.Now().Before(p.Until)}
			if row.Who, err = who.of(ctx, ref+p.ID); err != nil {
				return d, err
			}
			list.Rows = append(list.Rows, row)
		}
		d.Protected = append(d.Protected, list)
	}
	if g.UpdatedBy != "" {
		if d.By, err = who.of(ctx, g.UpdatedBy); err != nil {
			return d, err
		}
	}
	if g.Kill.On && g.Kill.Door != respond.DoorFile {
		d.KillBy, err = who.of(ctx, g.Kill.By)
	}
	return d, err
}

// guardValues is the form of the limits.
func guardValues(g respond.Guard) url.Values {
	f := url.Values{
		"revision": {strconv.FormatInt(g.Revision, 10)}, "max_people": {strconv.Itoa(g.MaxPeople)},
		"max_share": {strconv.FormatFloat(g.MaxShare, 'f', -1, 64)}, "min_trust": {strconv.Itoa(int(g.MinTrust))},
	}
	for name, d := range map[string]time.Duration{"window": g.Window, "max_event_age": g.MaxEventAge} {
		n, u := lengthOf(d)
		f.Set(name, n)
		f.Set(name+"_unit", u)
	}
	return f
}

// showGuard shows the page, after a failure with what was typed.
func (c *Console) showGuard(w http.ResponseWriter, r *http.Request, f url.Values, failed error) error {
	d, err := c.guardPageOf(r)
	if err != nil {
		return err
	}
	values := guardValues(d.Guard)
	maps.Copy(values, f)
	p := page{name: "guard-rails", title: c.tr(r, "nav.guard_rails"), data: d, form: values}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) guardRails(w http.ResponseWriter, r *http.Request) error {
	return c.showGuard(w, r, nil, nil)
}

// limitsOf puts the limits of the form into the guard rails.
func limitsOf(f url.Values, g *respond.Guard) (err error) {
	g.Revision, err = strconv.ParseInt(f.Get("revision"), 10, 64)
	if err != nil {
		return problem.New(problem.Invalid, "the form is not complete; open it again")
	}
	if g.MaxPeople, err = strconv.Atoi(strings.TrimSpace(f.Get("max_people"))); err != nil {
		return problem.InField("max_people", "%q is no number of people; give a whole number", f.Get("max_people"))
	}
	if g.Window, err = length("window", f); err != nil {
		return err
	}
	share := strings.ReplaceAll(strings.TrimSpace(f.Get("max_share")), ",", ".")
	if g.MaxShare, err = strconv.ParseFloat(share, 64); err != nil {
		return problem.InField("max_share", "%q is no share; give a number of percent, such as 5 or 2.5", f.Get("max_share"))
	}
	if g.MaxEventAge, err = length("max_event_age", f); err != nil {
		return err
	}
	trust, err := strconv.Atoi(f.Get("min_trust"))
	if err != nil {
		return problem.InField("min_trust", "no trust is chosen; choose one of the list")
	}
	g.MinTrust = respond.Trust(trust)
	return nil
}

func (c *Console) setGuardRails(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	g, err := c.Respond.Store.Guard(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	if err = limitsOf(f, &g); err == nil {
		_, err = c.Respond.SetGuard(r.Context(), me(r).AccountID, g, audit.By(r, audit.GuardSet, ""))
	}
	if err != nil {
		return c.showGuard(w, r, f, err)
	}
	return redirect(w, r, "/guard-rails?done=guard_set")
}

func (c *Console) kill(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	if _, err = c.Respond.Kill(r.Context(), me(r).AccountID, respond.DoorConsole, f.Get("reason"), audit.By(r, audit.GuardKill, "")); err != nil {
		return c.showGuard(w, r, f, err)
	}
	return redirect(w, r, "/guard-rails?done=guard_killed")
}

func (c *Console) resumeResponse(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	if _, err = c.Respond.Resume(r.Context(), me(r).AccountID, f.Get("reason"), audit.By(r, audit.GuardResume, "")); err != nil {
		return c.showGuard(w, r, f, err)
	}
	return redirect(w, r, "/guard-rails?done=guard_resumed")
}

// protectPage is the data of pages/guard-protect.html.
type protectPage struct {
	Kind   string
	Groups []directory.Group
}

func (c *Console) showProtect(w http.ResponseWriter, r *http.Request, kind string, f url.Values, failed error) error {
	if !slices.Contains(kindsProtected(), kind) {
		return problem.New(problem.NotFound, "nothing is protected by the name of %q", kind)
	}
	d := protectPage{Kind: kind}
	if kind == "groups" {
		var err error
		if d.Groups, err = c.Directory.Store.Groups(r.Context(), me(r).AccountID); err != nil {
			return err
		}
	}
	p := page{name: "guard-protect", title: c.tr(r, "guard.protect."+kind), data: d, form: f}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) protectForm(w http.ResponseWriter, r *http.Request) error {
	return c.showProtect(w, r, r.URL.Query().Get("kind"), nil, nil)
}

// protectedOf reads who is to be protected.
func (c *Console) protectedOf(ctx context.Context, account, kind string, f url.Values) (p respond.Protected, err error) {
	if kind == "groups" {
		p.ID = f.Get("group")
		all, err := c.Directory.Store.Groups(ctx, account)
		if err != nil {
			return p, err
		}
		if !slices.ContainsFunc(all, func(g directory.Group) bool { return g.ID == p.ID }) {
			return p, problem.InField("group", "no group is chosen; choose one of the list")
		}
	} else {
		email := strings.TrimSpace(f.Get("person"))
		u, err := c.Directory.Store.UserByEmail(ctx, account, email)
		if problem.Is(err, problem.NotFound) || problem.Is(err, problem.Invalid) {
			return p, problem.InField("person", "nobody in the account has the email address %q; give the address that the person signs in with", email)
		}
		if err != nil {
			return p, err
		}
		p.ID = u.ID
	}
	if kind == "break_glass" {
		return p, nil
	}
	if p.Why, err = respond.CheckWhy("why", f.Get("why")); err != nil {
		return p, err
	}
	if day := f.Get("ends"); day != "" {
		t, err := time.Parse(time.DateOnly, day)
		if err != nil || !t.After(c.Now()) {
			return p, problem.InField("ends", "%q is no day to come; give one as 2026-12-31, or none", day)
		}
		p.Until = t
	}
	return p, nil
}

// with is the guard rails with the entry added to the list, or taken from it.
func with(g *respond.Guard, kind string, p respond.Protected, listedNow bool) {
	change := func(all []respond.Protected) []respond.Protected {
		all = slices.DeleteFunc(slices.Clone(all), func(x respond.Protected) bool { return x.ID == p.ID })
		if listedNow {
			all = append(all, p)
		}
		return all
	}
	switch kind {
	case "people":
		g.People = change(g.People)
	case "groups":
		g.Groups = change(g.Groups)
	case "break_glass":
		g.BreakGlass = slices.DeleteFunc(slices.Clone(g.BreakGlass), func(id string) bool { return id == p.ID })
		if listedNow {
			g.BreakGlass = append(g.BreakGlass, p.ID)
		}
	}
}

// changeProtected changes a list. Two people who do so at a time do not undo one another's entries.
func (c *Console) changeProtected(r *http.Request, kind string, p respond.Protected, listedNow bool) error {
	by := audit.By(r, audit.GuardSet, "").Because(kind + ": " + p.ID)
	_, err := c.Respond.Store.ChangeGuard(r.Context(), me(r).AccountID, func(g *respond.Guard) error {
		with(g, kind, p, listedNow)
		return g.Check()
	}, by)
	return err
}

func (c *Console) protect(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	kind := f.Get("kind")
	if !slices.Contains(kindsProtected(), kind) {
		return problem.New(problem.Invalid, "nothing is protected by the name of %q", kind)
	}
	p, err := c.protectedOf(r.Context(), me(r).AccountID, kind, f)
	if err == nil {
		err = c.changeProtected(r, kind, p, true)
	}
	if err != nil {
		return c.showProtect(w, r, kind, f, err)
	}
	return redirect(w, r, "/guard-rails?done=guard_protected#"+kind)
}

func (c *Console) unprotect(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	kind, p := f.Get("kind"), respond.Protected{ID: f.Get("id")}
	if !slices.Contains(kindsProtected(), kind) {
		return problem.New(problem.Invalid, "nothing is protected by the name of %q", kind)
	}
	if err := c.changeProtected(r, kind, p, false); err != nil {
		return err
	}
	return redirect(w, r, "/guard-rails?done=guard_unprotected#"+kind)
}
