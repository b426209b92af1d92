package console

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/respond"
)

// caseMoment is a line of the timeline in words.
type caseMoment struct {
	respond.Moment
	Title string
	Text  string
	Quote string // what somebody wrote, as it is
	Class string // ok, wait, bad or nothing
	By    party
}

// caseMoments is the timeline, the newest first.
func (c *Console) caseMoments(r *http.Request, rec respond.Record) ([]caseMoment, error) {
	who, all := c.parties(r), make([]caseMoment, 0, len(rec.Moments))
	for _, m := range rec.Moments {
		x := caseMoment{Moment: m}
		if m.Actor != "" && !strings.HasPrefix(m.Actor, "playbook:") {
			var err error
			if x.By, err = who.of(r.Context(), m.Actor); err != nil {
				return nil, err
			}
		}
		if err := c.sayMoment(r, &x); err != nil {
			return nil, err
		}
		all = append(all, x)
	}
	slices.Reverse(all)
	return all, nil
}

// sayMoment puts a moment into words, by its kind and its facts.
func (c *Console) sayMoment(r *http.Request, m *caseMoment) error {
	lang, f := c.catalogue.languageOf(r), m.Facts
	title, known := c.catalogue.lookup(lang, "cases.moment."+m.Kind, "Target", c.target(r, f["target"]))
	m.Title = title
	if !known {
		m.Title = m.Kind // of a later version
	}
	until := func(key string) string {
		if t, err := time.Parse(time.RFC3339, f["until"]); err == nil {
			return c.tr(r, key, "Time", c.exact(lang, t))
		}
		return ""
	}
	switch m.Kind {
	case "opened", "finding":
		m.Text, m.Class = f["title"]+" ("+c.levelName(r, detect.Level(f["level"]))+")", "wait"
	case "run":
		m.Title, m.Text = c.tr(r, "cases.moment.run", "Name", f["playbook"]), c.sayRun(r, f)
		m.Class, m.Quote = momentClass(respond.RunState(f["state"])), f["override"]
	case "approval_asked":
		m.Text, m.Class = until("cases.until_time"), "wait"
	case "vote":
		key := "cases.moment.vote_deny"
		if f["approve"] == "true" {
			key = "cases.moment.vote_approve"
		}
		m.Title, m.Quote = c.tr(r, key), f["reason"]
	case "approval":
		m.Title, m.Class = c.tr(r, "cases.approval_state."+f["state"]), answerClass(f["state"])
	case "question_asked":
		m.Text, m.Class = until("cases.until_time"), "wait"
	case "question":
		m.Title, m.Class = c.tr(r, "cases.question_state."+f["state"]), answerClass(f["state"])
	case "action":
		c.sayAction(r, m, until("cases.until_time"))
	case "manual":
		m.Title, m.Quote = c.tr(r, "cases.moment.manual", "What", c.tr(r, "cases.action."+f["kind"]), "Target", c.target(r, f["target"])), f["override"]
	case "released":
		m.Class, m.Quote = "ok", f["reason"]
	case "hold_goes_on":
		m.Text, m.Class = strings.TrimSpace(c.tr(r, "cases.goes_on."+f["why"])+" "+until("cases.until_time")), "wait"
	case "assigned":
		return c.sayAssigned(r, m)
	case "comment":
		m.Quote = f["text"]
	case "undone":
		m.Class, m.Quote = "ok", f["reason"]
	case "closed":
		m.Text, m.Class, m.Quote = c.tr(r, "cases.resolution."+f["resolution"]), "ok", f["note"]
	case respond.MomentNotified, respond.MomentNotifyFailed:
		if f["channel"] != "" {
			m.Text = c.tr(r, "cases.message", "Channel", f["channel"])
		}
		if m.Kind == respond.MomentNotifyFailed {
			m.Class, m.Quote = "bad", f["error"]
		}
	}
	return nil
}

// sayRun says how far a run came, and the check that decided.
func (c *Console) sayRun(r *http.Request, f map[string]string) string {
	text := c.tr(r, "playbook.run."+f["state"]) + "."
	if f["check"] == "" {
		return text
	}
	check := respond.Check{Name: respond.CheckName(f["check"]), Code: f["code"], Facts: map[string]string{}}
	for name, value := range f {
		if fact, ok := strings.CutPrefix(name, "check."); ok {
			check.Facts[fact] = value
		}
	}
	return text + " " + check.SentenceIn(c.catalogue.languageOf(r))
}

func (c *Console) sayAction(r *http.Request, m *caseMoment, until string) {
	f := m.Facts
	m.Title = c.tr(r, "cases.action."+f["kind"]) + ": " + c.tr(r, "cases.action_state."+f["state"])
	parts := []string{c.target(r, f["target"]) + "."}
	if until != "" && f["state"] == string(respond.ActionDone) {
		parts = append(parts, until)
	}
	if f["already"] == "true" {
		parts = append(parts, c.tr(r, "cases.already"))
	}
	m.Text, m.Quote = strings.Join(parts, " "), f["reason"]
	switch respond.ActionState(f["state"]) {
	case respond.ActionDone, respond.ActionUndone:
		m.Class = "ok"
	case respond.ActionRefused, respond.ActionFailed:
		m.Class = "bad"
	default:
		m.Class = "wait"
	}
}

func (c *Console) sayAssigned(r *http.Request, m *caseMoment) error {
	id := m.Facts["user"]
	if id == "" {
		m.Title = c.tr(r, "cases.moment.unassigned")
		return nil
	}
	name, _, err := c.names(r).of(r.Context(), "user", id)
	m.Title = c.tr(r, "cases.moment.assigned", "Name", cmp.Or(name, c.tr(r, "audit.subject.no_user")))
	return err
}

func momentClass(s respond.RunState) string {
	switch s {
	case respond.RunDone, respond.RunActing:
		return "ok"
	case respond.RunFailed:
		return "bad"
	case respond.RunHeld, respond.RunWaiting:
		return "wait"
	}
	return ""
}

func answerClass(state string) string {
	switch state {
	case string(respond.ApprovalApproved), string(respond.QuestionConfirmed):
		return "ok"
	case string(respond.ApprovalDenied):
		return "bad"
	}
	return "wait"
}

// exact is a time to the minute, as a part of a sentence.
func (c *Console) exact(lang string, t time.Time) string {
	t = t.UTC()
	if now := c.Now().UTC(); t.YearDay() == now.YearDay() && t.Year() == now.Year() {
		return t.Format("15:04") + " UTC"
	}
	return formatter{c, lang}.date(t) + ", " + t.Format("15:04") + " UTC"
}

// levelName is a level in words.
func (c *Console) levelName(r *http.Request, l detect.Level) string {
	return c.tr(r, "level."+string(cmp.Or(l, "none")))
}
