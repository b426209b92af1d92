package respond

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/detect"
)

// TestResult is what came of one of a playbook's tests.
type TestResult struct {
	Name  string
	Line  int
	Plan  Plan
	Fault string // what was otherwise than expected; empty: nothing
}

// RunTests runs the tests that are written in a playbook, in mode enforce, whatever its own mode.
func RunTests(p *Playbook) []TestResult {
	enforced := *p
	enforced.Mode = ModeEnforce
	results := make([]TestResult, 0, len(p.Tests))
	for _, t := range p.Tests {
		r := TestResult{Name: t.Name, Line: t.Line}
		var err error
		f, err := t.Given.facts()
		if err == nil {
			r.Plan, err = Decide(&enforced, f)
		}
		if err != nil {
			r.Fault = err.Error()
		} else {
			r.Fault = t.Want.compare(r.Plan, kinds(&enforced, r.Plan))
		}
		results = append(results, r)
	}
	return results
}

// failures are the tests that failed, each in words.
func failures(results []TestResult) []string {
	var all []string
	for _, r := range results {
		if r.Fault != "" {
			all = append(all, fmt.Sprintf("%s (line %d): %s", r.Name, r.Line, r.Fault))
		}
	}
	return all
}

// compare says how the plan, with the steps that are done, is not what was expected.
func (w Expected) compare(p Plan, did []StepKind) string {
	if p.State == "" {
		return "the playbook is not meant for this finding, so nothing comes of it"
	}
	last := p.Checks[len(p.Checks)-1]
	got := func() string {
		switch last.Verdict {
		case Stop:
			return fmt.Sprintf("it is stopped by %s, %s: %s", last.Name, last.Code, last.Sentence())
		case Hold:
			return fmt.Sprintf("it is held by %s, %s: %s", last.Name, last.Code, last.Sentence())
		case Ask:
			return fmt.Sprintf("an approval is asked for %s", last.Code)
		}
		return "it acts: " + cmp.Or(strings.Join(words(did), ", "), "nothing is done")
	}
	switch {
	case w.Stops != "":
		if last.Verdict != Stop || last.Name != w.Stops || w.Code != "" && last.Code != w.Code {
			return fmt.Sprintf("expected to be stopped by %s; %s", wanted(w.Stops, w.Code), got())
		}
		return ""
	case w.Holds != "":
		if last.Verdict != Hold || last.Name != w.Holds || w.Code != "" && last.Code != w.Code {
			return fmt.Sprintf("expected to be held by %s; %s", wanted(w.Holds, w.Code), got())
		}
		return ""
	case w.Asks != "" && (last.Verdict != Ask || Order(last.Code) != w.Asks):
		return fmt.Sprintf("expected to ask for an approval %s it acts; %s", w.Asks, got())
	case w.Asks == "" && last.Verdict != Pass:
		return fmt.Sprintf("expected to act; %s", got())
	}
	if w.Asks == Before && len(w.Acts) == 0 {
		return ""
	}
	if !slices.Equal(did, w.Acts) {
		return fmt.Sprintf("expected to do %s; it does %s", cmp.Or(strings.Join(words(w.Acts), ", "), "nothing"), cmp.Or(strings.Join(words(did), ", "), "nothing"))
	}
	return ""
}

func wanted(name CheckName, code string) string {
	if code == "" {
		return string(name)
	}
	return string(name) + " (" + code + ")"
}

// kinds are the kinds of the playbook's steps that are done, in order. A suspension at two targets is one step.
func kinds(p *Playbook, plan Plan) []StepKind {
	var all []StepKind
	for i, step := range p.Do {
		done := slices.ContainsFunc(plan.Actions, func(a Action) bool { return a.Step == i })
		switch step.Kind {
		case StepCase:
			done = true
		case StepAskPerson:
			done = plan.Question != nil
		}
		if done {
			all = append(all, step.Kind)
		}
	}
	return all
}

// Ids of the facts that a test makes up.
const (
	testPerson  = "TESTPERSONAAAAAAAAAAAAAAAA"
	testAccount = "TESTACCOUNTAAAAAAAAAAAAAAA"
)

// facts are those of a test. Time stands still at an arbitrary moment, or at that of the event.
func (g Given) facts() (Facts, error) {
	at, said := g.Event["time"].(time.Time)
	if !said {
		at = time.Date(2026, 1, 14, 10, 0, 0, 0, time.UTC) // a Wednesday
	}
	now := at.Add(g.EventAge)
	f := Facts{
		Now: now, AccountID: testAccount, ActivePeople: cmp.Or(g.Active, 1000), Guard: DefaultGuard(),
		Event:       EventFacts{ID: "test", Source: "test", Time: at, Trust: cmp.Or(g.Trust, TrustAsked)},
		Suspensions: func(string, time.Time) (int, error) { return g.Suspended, nil },
		HeldPeople:  func() (int, error) { return g.Held, nil },
		LastRun: func(string, string) (time.Time, error) {
			if g.Ran == 0 {
				return time.Time{}, nil
			}
			return now.Add(-g.Ran), nil
		},
	}
	if g.Kill {
		f.Guard.Kill = Kill{On: true, Door: "test", By: "test", At: now, Reason: "the test says so"}
	}
	f.Finding = detect.Found{
		ID: "test", Rule: text(g.Finding, "rule"), Title: cmp.Or(text(g.Finding, "title"), text(g.Finding, "rule")),
		Level: detect.Level(cmp.Or(text(g.Finding, "level"), string(detect.High))), Address: text(g.Finding, "address"),
		Count: max(1, number(g.Finding, "count")), Time: at, Last: at,
	}
	for i := range max(1, number(g.Finding, "events")) {
		f.Finding.Events = append(f.Finding.Events, "event "+strconv.FormatInt(i, 10))
	}
	if !g.Nobody {
		f.Person = g.person(&f.Guard)
	}
	g.event(&f.Event)
	f.Finding.User = f.Person.Email
	for _, name := range slices.Sorted(maps.Keys(g.State)) {
		v, err := scalar(g.State[name])
		if err != nil {
			return f, fmt.Errorf("state.%s: %w", name, err)
		}
		f.Finding.Features = append(f.Finding.Features, detect.FeatureValue{Name: detect.FeaturePrefix + name, Value: v})
	}
	return f, nil
}

// person is whom the finding is about. Who is protected is listed by the guard rails.
func (g Given) person(guard *Guard) Person {
	p := Person{
		ID: cmp.Or(text(g.User, "id"), testPerson), Email: cmp.Or(text(g.User, "email"), "kim@example.com"), Name: cmp.Or(text(g.User, "name"), "Kim Example"),
		Active: true, ExternallyManaged: yes(g.User, "externally_managed"), LastOwner: g.LastOwner,
	}
	switch text(g.User, "state") {
	case userSuspended:
		p.Suspended = true
	case userInactive:
		p.Active = false
	}
	p.Groups, _ = g.User["groups"].([]string)
	p.GroupIDs = slices.Clone(p.Groups) // they need not be ids, only parallel
	if yes(g.User, "protected") {
		guard.People = []Protected{{ID: p.ID, Why: "the test says so"}}
	}
	return p
}

// event fills in what the test says of the event.
func (g Given) event(e *EventFacts) {
	for name, into := range map[string]*string{
		"id": &e.ID, "source": &e.Source, "kind": &e.Kind, "activity": &e.Activity, "status": &e.Status, "reason": &e.Reason,
		"ip": &e.IP, "country": &e.Country, "region": &e.Region, "city": &e.City, "network": &e.Network,
		"session": &e.Session, "app": &e.App, "os": &e.OS, "vendor_verdict": &e.Verdict,
	} {
		*into = cmp.Or(text(g.Event, name), *into)
	}
	e.ASN = number(g.Event, "asn")
	for name, into := range map[string]**bool{"anonymous": &e.Anonymous, "mfa": &e.MFA} {
		if b, ok := g.Event[name].(bool); ok {
			*into = new(b)
		}
	}
}

// text, number and yes are a value of the kind, or the zero one.
func text(values map[string]any, name string) string { s, _ := values[name].(string); return s }

func number(values map[string]any, name string) int64 { n, _ := values[name].(int64); return n }

func yes(values map[string]any, name string) bool { b, _ := values[name].(bool); return b }

// scalar is the value as detection has it.
func scalar(v any) (detect.Value, error) {
	switch x := v.(type) {
	case string:
		return detect.TextValue(x), nil
	case int64:
		return detect.IntValue(x), nil
	case float64:
		return detect.FloatValue(x), nil
	case bool:
		return detect.BoolValue(x), nil
	}
	return detect.Value{}, fmt.Errorf("%T is no value of a feature", v)
}
