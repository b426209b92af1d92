package console

import (
	"net/http"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/directory"
	"holdfast/internal/signin"
	"holdfast/internal/vault"
	"holdfast/internal/web"
)

func (c *Console) overviewRoutes() []web.Route {
	return []web.Route{
		// Everybody lands here after signing in, also who must set up one-time codes first and has no role yet.
		{Pattern: "GET /{$}", Access: web.SignedIn(signin.Enrolling), Handle: c.overview},
	}
}

// overviewPage is the data of pages/overview.html. Own is for who has no role, Account for everybody else.
type overviewPage struct {
	Now     time.Time
	Steps   []step
	Waiting []waiting
	Own     *ownOverview
	Account *accountOverview
}

// step is something that is worth doing next.
type step struct {
	Kind  string // the key of its texts
	Icon  string
	Path  string
	Count int
}

// ownOverview is what a person without a role sees: her own.
type ownOverview struct {
	Vaults   []vault.Vault
	Sessions []ownSession
	Attempts []signin.Attempt
}

// accountOverview is how the account is.
type accountOverview struct {
	Counts  directory.Counts
	Apps    appFigures
	Ending  tokensEnding
	SignIns signInFigures
	Chart   *signInChart // nil: nothing to draw
	Holds   []openHold   // the newest
	Recent  []auditRow
	Chain   audit.Status

	Findings []findingRow // the latest of the last 24 hours
	Guard    guardView
}

// appFigures count the live applications.
type appFigures struct {
	Live     int
	NotUsed  int // that never called
	Unused   int // scopes that nothing used
	WithHold int // that may suspend
}

type openHold struct {
	directory.OpenHold
	By subject
}

// How many are shown of what may be many.
const (
	overviewVaults  = 8
	overviewHolds   = 6
	overviewRecent  = 10
	overviewFound   = 5
	overviewWaiting = 10
)

func (c *Console) overview(w http.ResponseWriter, r *http.Request) error {
	who := me(r)
	if !who.Has(web.Member) {
		return redirect(w, r, enrolPage)
	}
	data := overviewPage{Now: c.Now()}
	methods, err := c.SignIn.Methods(r.Context(), who.AccountID, who.UserID)
	if err != nil {
		return err
	}
	policy, err := c.SignIn.Policy(r.Context(), who.AccountID)
	if err != nil {
		return err
	}
	data.Steps = ownSteps(methods, policy)
	if data.Waiting, err = c.waitingFor(r); err != nil {
		return err
	}
	if !who.Has(web.Integrations) {
		data.Own, err = c.ownOverview(r)
	} else if data.Account, err = c.accountOverview(r); err == nil {
		data.Steps = append(accountSteps(data.Account), data.Steps...)
	}
	if err != nil {
		return err
	}
	return c.render(w, r, page{name: "overview", title: c.tr(r, "nav.overview"), data: data})
}

func (c *Console) ownOverview(r *http.Request) (*ownOverview, error) {
	who, o := me(r), &ownOverview{}
	vaults, err := c.Vaults.List(r.Context(), viewer(r))
	if err != nil {
		return nil, err
	}
	o.Vaults = vaults[:min(len(vaults), overviewVaults)]
	sessions, err := c.SignIn.Sessions(r.Context(), who.AccountID, who.UserID)
	if err != nil {
		return nil, err
	}
	for _, s := range sessions[:min(len(sessions), recentAttempts)] {
		o.Sessions = append(o.Sessions, ownSession{s, s.ID == who.SessionID})
	}
	o.Attempts, err = c.SignIn.Attempts(r.Context(), signin.AttemptQuery{AccountID: who.AccountID, UserID: who.UserID, Limit: recentAttempts})
	return o, err
}

func (c *Console) accountOverview(r *http.Request) (*accountOverview, error) {
	ctx, account, o := r.Context(), me(r).AccountID, &accountOverview{}
	var err error
	if o.Counts, err = c.counts(ctx, account); err != nil {
		return nil, err
	}
	if o.Apps, err = c.appFigures(r); err != nil {
		return nil, err
	}
	found, err := c.Findings.FindingList(ctx, detect.FindingQuery{AccountID: account, From: c.Now().Add(-24 * time.Hour), Limit: overviewFound})
	if err != nil {
		return nil, err
	}
	if o.Findings, err = c.findingRows(r, found); err != nil {
		return nil, err
	}
	if o.Guard, err = c.guardView(r); err != nil {
		return nil, err
	}
	tokens, err := c.Feed.Tokens(ctx, account)
	if err != nil {
		return nil, err
	}
	o.Ending = ending(tokens, c.Now())
	if o.SignIns, o.Chart, err = c.signIns(r); err != nil {
		return nil, err
	}
	names := c.subjects(r)
	holds, err := c.Directory.Store.HoldsOpen(ctx, account, overviewHolds)
	if err != nil {
		return nil, err
	}
	for _, h := range holds {
		by, err := names.of(ctx, h.Holder)
		if err != nil {
			return nil, err
		}
		o.Holds = append(o.Holds, openHold{h, by})
	}
	links, err := c.Audit.AuditEntries(ctx, audit.Query{AccountID: account, Limit: overviewRecent})
	if err != nil {
		return nil, err
	}
	if o.Recent, err = names.rows(ctx, links); err != nil {
		return nil, err
	}
	o.Chain, err = c.Audit.AuditStatus(ctx, account)
	return o, err
}

func (c *Console) appFigures(r *http.Request) (f appFigures, err error) {
	apps, err := c.OAuth.Clients(r.Context(), me(r).AccountID)
	if err != nil {
		return f, err
	}
	uses, err := c.OAuth.Activities(r.Context(), me(r).AccountID, apps)
	if err != nil {
		return f, err
	}
	for _, app := range apps {
		if !app.RevokedAt.IsZero() {
			continue
		}
		activity := uses[app.ID]
		f.Live++
		f.Unused += len(activity.UnusedScopes)
		if activity.LastTokenAt.IsZero() && activity.LastCallAt.IsZero() {
			f.NotUsed++
		}
		if slices.Contains(app.Scopes, directory.ScopeSuspend) {
			f.WithHold++
		}
	}
	return f, nil
}

// ownSteps are what a person can do so that she is neither locked out nor broken into.
func ownSteps(m signin.Methods, p signin.Policy) []step {
	var steps []step
	passkeys, password, sso := 0, m.PasswordHash != "" && p.Passwords, m.SSO && p.SingleSignOn
	if p.Passkeys {
		passkeys = len(m.Passkeys)
	}
	if password && m.TOTP == nil {
		steps = append(steps, step{Kind: "codes", Icon: "shield", Path: "/profile/totp/new"})
	}
	if !sso && passkeys == 0 && p.Passkeys {
		steps = append(steps, step{Kind: "passkey", Icon: "key", Path: "/profile/passkeys/new"})
	} else if !sso && !password && passkeys == 1 {
		steps = append(steps, step{Kind: "second_passkey", Icon: "key", Path: "/profile/passkeys/new"})
	}
	if m.TOTP != nil && m.RecoveryCodes < 3 {
		steps = append(steps, step{Kind: "recovery", Icon: "undo", Path: "/profile/recovery-codes", Count: m.RecoveryCodes})
	}
	return steps
}

// accountSteps are what the account lacks, or has too much of.
func accountSteps(o *accountOverview) []step {
	var steps []step
	if o.Chain.Broken != "" {
		steps = append(steps, step{Kind: "chain", Icon: "alert", Path: "/audit"})
	}
	if o.Apps.Live == 0 {
		steps = append(steps, step{Kind: "integration", Icon: "plug", Path: "/integrations/oauth/new"})
	}
	if o.Apps.Unused > 0 {
		steps = append(steps, step{Kind: "scopes", Icon: "plug", Path: "/integrations", Count: o.Apps.Unused})
	}
	if o.Ending.Count > 0 {
		steps = append(steps, step{Kind: "events_token", Icon: "clock", Path: eventsTokenPage + o.Ending.First.ID, Count: o.Ending.Count})
	}
	if o.Counts.Invited > 0 {
		steps = append(steps, step{Kind: "invited", Icon: "people", Path: "/people?state=invited", Count: o.Counts.Invited})
	}
	return steps
}
