package respond

import (
	"slices"
	"strings"

	"holdfast/internal/detect"
)

// Paths of the console that messages lead to, after the address of the server; the id or token follows.
const (
	CasePath     = "/cases/"
	QuestionPath = "/questions/"
	LinkPath     = "/respond/approvals/"
)

// message is what the parcel says, in the language of its readers. Names and titles may be an attacker's: they go in as
// they are, and whoever shows them makes them harmless.
func (p parcel) message(language string) Message {
	c := p.rec.Case
	m := Message{
		Kind: kindOf(p.template), Template: p.template, Language: language, AccountID: c.AccountID, CaseID: c.ID, CaseNumber: c.Number,
		Title: c.Title, Level: c.Level, Person: c.Subject.called(), What: p.what(language), Why: p.why(language), Until: c.HeldUntil,
		Done: p.done(language), AnswerURL: p.answer, DedupKey: "holdfast-case-" + c.ID,
	}
	switch {
	case p.approval != nil:
		m.Until, m.Asked = p.approval.ExpiresAt, word(language, "asked_"+string(p.approval.Order))
		if p.template == TemplateApprovalAnswered {
			m.What, m.Asked, m.Until = word(language, "approval_"+string(p.approval.State)), "", c.HeldUntil
			m.Why = p.approval.said()
		}
	case p.question != nil:
		m.Until = p.question.ExpiresAt
	}
	if p.to != nil {
		m.To = p.to.Email
	}
	return m
}

func kindOf(template string) MessageKind {
	switch template {
	case TemplatePage, TemplateHeld:
		return MessagePage
	case TemplateApprovalNeeded:
		return MessageApproval
	case TemplateReleased:
		return MessageRelease
	}
	return MessageInfo
}

// called is what people call the subject.
func (s Subject) called() string {
	if s.Name != "" {
		return s.Name
	}
	return s.Email
}

// finding is the one of the run, or else the last of the case.
func (p parcel) finding() detect.Found {
	if p.run != nil {
		if f := pick(p.rec.Findings, func(f detect.Found) bool { return f.ID == p.run.FindingID }); f != nil {
			return *f
		}
	}
	if n := len(p.rec.Findings); n > 0 {
		return p.rec.Findings[n-1]
	}
	return detect.Found{}
}

func (p parcel) what(language string) string {
	f := p.finding()
	if f.ID == "" {
		return ""
	}
	text := f.Title + " (" + f.Rule + "), " + f.Time.UTC().Format("2006-01-02 15:04 UTC")
	if f.Address != "" {
		text += ", " + word(language, "from") + " " + f.Address
	}
	return text
}

// why is what decided: the failure of an action, the check that stopped the run, or the playbook.
func (p parcel) why(language string) string {
	if p.action != nil && (p.action.State == ActionFailed || p.action.State == ActionRefused) {
		return word(language, "not_done") + " " + string(p.action.Kind) + " @ " + p.action.Target + ": " + p.action.Reason
	}
	if p.run == nil {
		return ""
	}
	if n := len(p.run.Checks); n > 0 && p.run.Checks[n-1].Verdict != Pass {
		return p.run.Checks[n-1].SentenceIn(language)
	}
	return word(language, "playbook") + " " + p.run.Playbook
}

// done lists what the case has done, each once.
func (p parcel) done(language string) string {
	var all []string
	for _, a := range p.rec.Actions {
		if a.Kind != ActSuspend && a.Kind != ActEndSessions && a.Kind != ActReactivate {
			continue
		}
		state := a.State
		if state != ActionDone && state != ActionUndone && state != ActionRefused && state != ActionFailed {
			continue
		}
		text := word(language, string(a.Kind))
		if a.Target != LocalTarget {
			text += " (" + a.Target + ")"
		}
		if state != ActionDone {
			text += ": " + word(language, string(state))
		}
		if !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

// said is what those said who answered.
func (a Approval) said() string {
	var all []string
	for _, v := range a.Votes {
		if v.Reason != "" {
			all = append(all, v.Reason)
		}
	}
	return strings.Join(all, "; ")
}

// word is a phrase of a message.
func word(language, key string) string {
	x, ok := phrases()[key]
	switch {
	case !ok:
		return key
	case language == "de":
		return x[1]
	}
	return x[0]
}

// phrases are English and German.
func phrases() map[string][2]string {
	return map[string][2]string{
		"from":              {"from", "von"},
		"playbook":          {"The playbook", "Das Playbook"},
		"not_done":          {"This could not be done:", "Das war nicht möglich:"},
		"suspend":           {"suspended", "gesperrt"},
		"reactivate":        {"reactivated", "entsperrt"},
		"end_sessions":      {"sessions ended", "Sitzungen beendet"},
		"undone":            {"undone", "rückgängig gemacht"},
		"refused":           {"refused", "abgelehnt"},
		"failed":            {"failed", "fehlgeschlagen"},
		"asked_before":      {"Approve it, and it is done; refuse it, and it is not.", "Mit Zustimmung geschieht es, mit Ablehnung nicht."},
		"asked_after":       {"Approve it, and it stays; refuse it, and it is undone.", "Mit Zustimmung bleibt es, mit Ablehnung wird es rückgängig gemacht."},
		"approval_approved": {"approved", "zugestimmt"},
		"approval_denied":   {"refused", "abgelehnt"},
		"approval_expired":  {"nobody answered in time", "niemand hat rechtzeitig geantwortet"},
	}
}
