package respond

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/detect"
	"holdfast/internal/detect/rules"
)

// shippedRules are the rules that Holdfast comes with.
func shippedRules(t *testing.T) []*detect.Rule {
	t.Helper()
	all, err := detect.Read(rules.FS())
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func knownRules(t *testing.T) (keys []string) {
	t.Helper()
	for _, r := range shippedRules(t) {
		keys = append(keys, r.Key())
	}
	return keys
}

func shippedPlaybooks(t *testing.T) []*Playbook {
	t.Helper()
	all, err := ShippedPlaybooks()
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestShippedPlaybooks holds that the shipped playbooks are right, observe, have tests of both outcomes, and are for every
// rule that is serious, each of them for one only.
func TestShippedPlaybooks(t *testing.T) {
	all := shippedPlaybooks(t)
	if err := CheckPlaybooks(all, Known{Rules: knownRules(t), Targets: []string{}, Channels: []string{}}); err != nil {
		t.Error(err)
	}
	for _, p := range all {
		if p.File != p.Name+".yml" {
			t.Errorf("%s has the playbook %s; a file is called as its playbook", p.File, p.Name)
		}
		if p.Mode != ModeObserve {
			t.Errorf("%s: mode %s; whether a shipped playbook acts is for an administrator to say", p.Name, p.Mode)
		}
		if p.Owner == "" || p.Description == "" || p.Dedupe.Window == 0 {
			t.Errorf("%s needs an owner, a description and dedupe", p.Name)
		}
		acts := slices.ContainsFunc(p.Tests, func(c TestCase) bool { return len(c.Want.Acts) > 0 || c.Want.Asks != "" })
		stops := slices.ContainsFunc(p.Tests, func(c TestCase) bool { return c.Want.Stops != "" || c.Want.Holds != "" })
		if !acts || !stops {
			t.Errorf("%s needs a test in which it acts and one in which it does not", p.Name)
		}
		if p.Has(StepSuspend) && p.Approval == nil {
			t.Errorf("%s suspends owners without asking", p.Name)
		}
	}
	for _, r := range shippedRules(t) {
		var names []string
		for _, p := range all {
			if p.On.Meets(r.Key(), r.Level) {
				names = append(names, p.Name)
			}
		}
		switch {
		case len(names) > 1:
			t.Errorf("findings of %s are for %s; one playbook should decide", r.Key(), strings.Join(names, " and "))
		case r.Level.Serious() && (len(names) == 0 || names[0] == "other-serious"):
			t.Errorf("no playbook is for the findings of %s, which has level %s", r.Key(), r.Level)
		}
	}
}

// TestShippedPlaybookTests runs the tests that the shipped playbooks bring.
func TestShippedPlaybookTests(t *testing.T) {
	for _, p := range shippedPlaybooks(t) {
		for _, r := range RunTests(p) {
			if r.Fault != "" {
				t.Errorf("%s:%d: %s: %s", p.File, r.Line, r.Name, r.Fault)
			}
		}
	}
}

const everyKey = `apiVersion: holdfast/v1
kind: Playbook
metadata: {name: all-of-it, owner: secops, description: Each key once.}
mode: enforce
on: {rules: [mfa_fatigue], levels: [critical], except: [sanctioned_country]}
when: user.state == "ACTIVE"
dedupe: {key: user.id, window: 1h}
approval: {when: '"Owners" in user.groups', order: after, from: {groups: [Security], not: [self]}, needed: 2, timeout: 30m, on_timeout: hold}
do:
  - suspend: {for: 2d, release: if_quiet, targets: [local, eu]}
  - suspend: {targets: [us]}
  - end_sessions: {}
  - ask_person: {within: 45m, on_confirm: release, on_deny: keep, on_silence: release}
  - notify: {to: [soc, lead], template: suspended}
  - signal: {to: [siem]}
  - case: {level: critical, assignee: ada@example.org, title: Prompts}
on_release:
  - notify: {template: released}
guard: {max_people: 3, window: 1d, max_share: 2.5, max_event_age: 5m, min_trust: own, protected_groups: [Board]}
tests:
  - name: acts
    finding: {rule: mfa_fatigue, count: 7}
    event: {asn: 64500, mfa: true, time: 2026-01-02T03:04:05Z, city: "12"}
    user: {groups: [Owners, Staff], email: ada@example.org, last_owner: true}
    state: {known_asn: false, travel_speed: 900, dormant_days: 3}
    given: {event_age: 2m, trust: sent, kill_switch: false, ran: 2h, suspended: 1, held: 2, active: 50}
    expect: {acts: [suspend, suspend, end_sessions, ask_person, notify, signal, case], asks: after}
  - {name: nobody, finding: {rule: mfa_fatigue}, user: nobody, expect: {stops_at: when}}
---
apiVersion: holdfast/v1
kind: Playbook
metadata: {name: least}
mode: off
on: [session_jump]
do: [{end_sessions: }]
`

func TestParsePlaybooks(t *testing.T) {
	all, err := ParsePlaybooks("p.yml", []byte(everyKey))
	if err != nil {
		t.Fatal(err)
	}
	want := []*Playbook{
		{
			File: "p.yml", Line: 1, Name: "all-of-it", Owner: "secops", Description: "Each key once.", Mode: ModeEnforce,
			On:       Trigger{Rules: []string{"mfa_fatigue"}, Levels: []detect.Level{detect.Critical}, Except: []string{"sanctioned_country"}},
			When:     Condition{text: `user.state == "ACTIVE"`},
			Dedupe:   Dedupe{Key: Key{text: "user.id"}, Window: time.Hour},
			Approval: &ApprovalRule{When: Condition{text: `"Owners" in user.groups`}, Order: After, Groups: []string{"Security"}, NotSelf: true, Needed: 2, Timeout: 30 * time.Minute, OnTimeout: TimeoutHold},
			Do: []Step{
				{Kind: StepSuspend, For: 48 * time.Hour, Release: ReleaseIfQuiet, Targets: []string{"local", "eu"}},
				{Kind: StepSuspend, Release: ReleaseNever, Targets: []string{"us"}},
				{Kind: StepEndSessions},
				{Kind: StepAskPerson, Within: 45 * time.Minute, OnConfirm: AnswerRelease, OnDeny: AnswerKeep, OnSilence: AnswerRelease},
				{Kind: StepNotify, To: []string{"soc", "lead"}, Template: "suspended"},
				{Kind: StepSignal, To: []string{"siem"}},
				{Kind: StepCase, Level: detect.Critical, Assignee: "ada@example.org", Title: "Prompts"},
			},
			OnRelease: []Step{{Kind: StepNotify, Template: "released"}},
			Guard:     Tighter{MaxPeople: 3, Window: 24 * time.Hour, MaxShare: 2.5, MaxEventAge: 5 * time.Minute, MinTrust: TrustOwn, ProtectedGroups: []string{"Board"}},
			Tests: []TestCase{
				{
					Name: "acts", Line: 21,
					Given: Given{
						Finding: map[string]any{"rule": "mfa_fatigue", "level": "critical", "count": int64(7)},
						Event:   map[string]any{"asn": int64(64500), "mfa": true, "time": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), "city": "12"},
						User:    map[string]any{"groups": []string{"Owners", "Staff"}, "email": "ada@example.org"}, LastOwner: true,
						State:    map[string]any{"known_network": false, "travel_speed": 900.0, "dormant_days": int64(3)},
						EventAge: 2 * time.Minute, Trust: TrustSent, Ran: 2 * time.Hour, Suspended: 1, Held: 2, Active: 50,
					},
					Want: Expected{Acts: []StepKind{StepSuspend, StepSuspend, StepEndSessions, StepAskPerson, StepNotify, StepSignal, StepCase}, Asks: After},
				},
				{Name: "nobody", Line: 28, Given: Given{Finding: map[string]any{"rule": "mfa_fatigue", "level": "critical"}, Nobody: true}, Want: Expected{Stops: CheckWhen}},
			},
		},
		{File: "p.yml", Line: 30, Name: "least", Mode: ModeOff, On: Trigger{Rules: []string{"session_jump"}}, Do: []Step{{Kind: StepEndSessions}}},
	}
	opts := cmp.Options{
		cmpopts.IgnoreFields(Playbook{}, "Text", "places"),
		cmp.Comparer(func(a, b Condition) bool { return a.text == b.text }), cmp.Comparer(func(a, b Key) bool { return a.text == b.text }),
	}
	if diff := cmp.Diff(want, all, opts); diff != "" {
		t.Errorf("playbooks (-want +got):\n%s", diff)
	}
	if len(all) == 2 {
		if text := strings.Join([]string{all[0].Text, all[1].Text}, "---\n"); text != everyKey {
			t.Errorf("texts together are\n%s", text)
		}
		if a, b := all[0].Version(), all[1].Version(); len(a) != 12 || a == b {
			t.Errorf("versions %q and %q", a, b)
		}
	}
}

func TestTrigger(t *testing.T) {
	on := Trigger{Rules: []string{"a"}, Levels: []detect.Level{detect.High}, Except: []string{"b"}}
	for _, tt := range []struct {
		rule  string
		level detect.Level
		want  bool
	}{{"a", detect.Low, true}, {"a", detect.High, true}, {"b", detect.High, false}, {"c", detect.High, true}, {"c", detect.Critical, false}} {
		if got := on.Meets(tt.rule, tt.level); got != tt.want {
			t.Errorf("%s at %s: %v, want %v", tt.rule, tt.level, got, tt.want)
		}
	}
}

func TestCheckPlaybooks(t *testing.T) {
	all, err := ParsePlaybooks("p.yml", []byte(everyKey))
	if err != nil {
		t.Fatal(err)
	}
	other, err := ParsePlaybooks("q.yml", []byte(everyKey[strings.Index(everyKey, "---\n")+4:]))
	if err != nil {
		t.Fatal(err)
	}
	err = CheckPlaybooks(append(all, other...), Known{Rules: []string{"mfa_fatigues", "session_jump"}, Targets: []string{"eu"}, Channels: []string{}})
	want := `p.yml:5:14: there is no rule "mfa_fatigue" (is mfa_fatigues meant?)
p.yml:5:57: there is no rule "sanctioned_country"; there are mfa_fatigues, session_jump
p.yml:11:25: there is no target "us"; there are eu
p.yml:14:19: there is no channel "soc"; there is none at all
p.yml:14:24: there is no channel "lead"; there is none at all
p.yml:15:19: there is no channel "siem"; there is none at all
q.yml:3:18: a playbook called least is in p.yml:30 already; names must differ`
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("faults (-want +got):\n%s", diff)
	}
	if err := CheckPlaybooks(all, Known{}); err != nil {
		t.Errorf("nothing is known, so nothing is looked at: %v", err)
	}
}

// FuzzParsePlaybooks holds that no text makes parsing fail badly, and that what is good stays good when it is read again.
func FuzzParsePlaybooks(f *testing.F) {
	f.Add(everyKey)
	for _, p := range []string{"", "a", "- a", "on: [", "do:\n  - suspend\n", "tests: [{name: x, expect: {acts: }}]", "approval: {}\n", "do: [{suspend: {for: -}}]"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		all, err := ParsePlaybooks("f.yml", []byte(text))
		if err != nil {
			return
		}
		for _, p := range all {
			again, err := ParsePlaybooks("f.yml", []byte(p.Text))
			if err != nil || len(again) != 1 || again[0].Version() != p.Version() {
				t.Errorf("%q is read as one playbook, and its text %q not again: %v", text, p.Text, err)
			}
			RunTests(p)
		}
	})
}
