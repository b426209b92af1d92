package console

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/web"
)

// Rehearser says what playbooks would have done; *[respond.Rehearser] does.
type Rehearser interface {
	Run(ctx context.Context, accountID string, ask respond.RehearseRequest, progress func(done, of int)) (respond.Rehearsed, error)
}

func (c *Console) rehearsalRoutes() []web.Route {
	manage := web.SignedIn(web.Integrations)
	return []web.Route{
		{Pattern: "GET /rehearsal", Access: manage, Handle: c.rehearsal},
		{Pattern: "POST /rehearsal", Access: manage, Handle: c.rehearse}, // reads, and changes nothing
		{Pattern: "POST /rehearsal/cancel", Access: manage, Handle: c.cancelRehearsal},
	}
}

// rehearsals are the last rehearsal of each account, running or over. They live in this process alone: one that is lost
// with it is begun again with one click.
type rehearsals struct {
	mu    sync.Mutex
	byAcc map[string]*rehearsalRun
}

// rehearsalRun is one rehearsal. Fields after mu are guarded by that of rehearsals.
type rehearsalRun struct {
	Ask    respond.RehearseRequest
	Began  time.Time
	cancel context.CancelFunc

	Done, Of  int // events
	Ended     time.Time
	Cancelled bool
	Result    *respond.Rehearsed
	err       error
}

// Percent is how far it is.
func (r rehearsalRun) Percent() int {
	if r.Of <= 0 {
		return 0
	}
	return min(100, 100*r.Done/r.Of)
}

// rehearseMost is how long a rehearsal may take.
const rehearseMost = 10 * time.Minute

// of is the account's rehearsal as it is now.
func (s *rehearsals) of(account string) (rehearsalRun, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.byAcc[account]
	if !ok {
		return rehearsalRun{}, false
	}
	return *r, true
}

// begin runs a rehearsal apart from the request that asks for it. The one that ran before is cancelled: whoever
// asks anew does not want it any more.
func (s *rehearsals) begin(ctx context.Context, account string, with Rehearser, ask respond.RehearseRequest, now func() time.Time) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), rehearseMost)
	run := &rehearsalRun{Ask: ask, Began: now(), cancel: cancel}
	s.mu.Lock()
	if before := s.byAcc[account]; before != nil {
		before.cancel()
	}
	if s.byAcc == nil {
		s.byAcc = map[string]*rehearsalRun{}
	}
	s.byAcc[account] = run
	s.mu.Unlock()
	go func() {
		defer cancel()
		res, err := with.Run(ctx, account, ask, func(done, of int) {
			s.mu.Lock()
			defer s.mu.Unlock()
			run.Done, run.Of = done, of
		})
		s.mu.Lock()
		defer s.mu.Unlock()
		run.Ended = now()
		if err == nil {
			run.Result = &res
		} else {
			run.err = err
		}
	}()
}

// stop cancels the account's rehearsal, if one is running.
func (s *rehearsals) stop(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run := s.byAcc[account]; run != nil && run.Ended.IsZero() {
		run.Cancelled = true
		run.cancel()
	}
}

// rehearsalPage is the data of pages/rehearsal.html.
type rehearsalPage struct {
	Books   []respond.BookEntry
	There   bool // there is a rehearsal
	Run     rehearsalRun
	Failed  string // why it came to nothing, in words
	Held    []rehearsedHold
	More    int // suspensions that are not listed
	AtOnce  rail
	Stopped []respond.StopCount
}

// Days are the choices of how far back it goes.
func (rehearsalPage) Days() []string { return []string{"1", "7", "14", "30"} }

// Answers are the choices of what is assumed of approvals.
func (rehearsalPage) Answers() []string {
	return []string{"none", string(respond.AssumeApprove), string(respond.AssumeDeny)}
}

// rehearsedHold is a suspension that would have been.
type rehearsedHold struct {
	respond.Suspension
	Name string
}

const (
	rehearsedMost = 100              // suspensions, and reasons, that the page lists
	answersAfter  = 10 * time.Minute // how long an answer is assumed to take
)

// showRehearsal shows the page, after a failure with what was chosen.
func (c *Console) showRehearsal(w http.ResponseWriter, r *http.Request, f url.Values, failed error) error {
	ctx, account := r.Context(), me(r).AccountID
	books, err := c.Respond.Playbooks(ctx, account)
	if err != nil {
		return err
	}
	d := rehearsalPage{Books: slices.DeleteFunc(slices.Clone(books), func(e respond.BookEntry) bool { return e.Fault != "" })}
	d.Run, d.There = c.rehearsed.of(account)
	if d.Run.err != nil && !d.Run.Cancelled {
		d.Failed = c.words(c.catalogue.languageOf(r), problem.Public(d.Run.err))
	}
	if res := d.Run.Result; res != nil {
		use, err := c.Respond.Store.GuardUse(ctx, account)
		if err != nil {
			return err
		}
		guard, err := c.Respond.Store.Guard(ctx, account)
		if err != nil {
			return err
		}
		d.AtOnce = rail{Used: res.AtOnce, Limit: guard.MostHeld(use.Active)}
		for _, s := range res.Held[:min(len(res.Held), rehearsedMost)] {
			name := s.Person.Name
			if name == "" {
				name = s.Person.Email
			}
			d.Held = append(d.Held, rehearsedHold{s, name})
		}
		d.More = len(res.Held) - len(d.Held)
		d.Stopped = res.Stopped[:min(len(res.Stopped), rehearsedMost)]
	}
	p := page{name: "rehearsal", title: c.tr(r, "rehearsal.title"), data: d, form: f}
	if failed != nil {
		return c.again(w, r, p, failed)
	}
	return c.render(w, r, p)
}

func (c *Console) rehearsal(w http.ResponseWriter, r *http.Request) error {
	f := url.Values{"days": {strconv.Itoa(respond.MaxRehearseDays)}, "answers": {"none"}}
	if run, ok := c.rehearsed.of(me(r).AccountID); ok {
		f.Set("days", strconv.Itoa(run.Ask.Days))
		f["enforce"] = run.Ask.Enforce
		if run.Ask.Consent.Answer != respond.AssumeNone {
			f.Set("answers", string(run.Ask.Consent.Answer))
		}
	}
	if name := r.URL.Query().Get("playbook"); name != "" {
		f["enforce"] = []string{name}
	}
	return c.showRehearsal(w, r, f, nil)
}

func (c *Console) rehearse(w http.ResponseWriter, r *http.Request) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	days, err := strconv.Atoi(f.Get("days"))
	if err != nil || days < 1 || days > respond.MaxRehearseDays {
		return c.showRehearsal(w, r, f, problem.InField("days", "%q days cannot be rehearsed; choose from the list", f.Get("days")))
	}
	books, err := c.Respond.Playbooks(r.Context(), me(r).AccountID)
	if err != nil {
		return err
	}
	ask := respond.RehearseRequest{Days: days}
	for _, name := range f["enforce"] {
		if !slices.ContainsFunc(books, func(e respond.BookEntry) bool { return e.Playbook.Name == name && e.Fault == "" }) {
			return c.showRehearsal(w, r, f, problem.InField("enforce", "one of the playbooks is not there any more; choose again"))
		}
		ask.Enforce = append(ask.Enforce, name)
	}
	if answer := respond.Assumed(f.Get("answers")); answer == respond.AssumeApprove || answer == respond.AssumeDeny {
		ask.Consent = respond.Consent{Answer: answer, After: answersAfter}
	}
	c.rehearsed.begin(r.Context(), me(r).AccountID, c.Rehearser, ask, c.Now)
	return redirect(w, r, "/rehearsal")
}

func (c *Console) cancelRehearsal(w http.ResponseWriter, r *http.Request) error {
	c.rehearsed.stop(me(r).AccountID)
	return redirect(w, r, "/rehearsal")
}
