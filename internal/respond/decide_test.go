package respond

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
)

const (
	kim   = "KIMAAAAAAAAAAAAAAAAAAAAAAA"
	staff = "STAFFAAAAAAAAAAAAAAAAAAAAA"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// lookups are the answers to what a decision looks up.
type lookups struct {
	used, usedByBook, held int
	ran                    time.Time
}

// factsOf are those of a finding of a moment ago about an ordinary person; change makes them less ordinary.
func factsOf(change func(*Facts, *lookups)) Facts {
	l := &lookups{}
	f := Facts{
		Now: noon, AccountID: "ACCOUNTAAAAAAAAAAAAAAAAAAA", ActivePeople: 200, Guard: DefaultGuard(),
		Finding: detect.Found{
			ID: "f1", Rule: "mfa_fatigue", Title: "MFA fatigue", Level: detect.High, User: "kim@example.com", Events: []string{"e1"},
			Time: noon.Add(-time.Minute), Last: noon.Add(-time.Second),
			Features: []detect.FeatureValue{{Name: detect.FeaturePrefix + "known_device", Value: detect.BoolValue(false)}},
		},
		Event:  EventFacts{ID: "e1", Source: "local", Time: noon.Add(-time.Minute), Trust: TrustOwn, Country: "NL"},
		Person: Person{ID: kim, Email: "kim@example.com", Name: "Kim", Active: true, Groups: []string{"Staff"}, GroupIDs: []string{staff}},
		Suspensions: func(book string, _ time.Time) (int, error) {
			if book != "" {
				return l.usedByBook, nil
			}
			return l.used, nil
		},
		HeldPeople: func() (int, error) { return l.held, nil },
		LastRun:    func(string, string) (time.Time, error) { return l.ran, nil },
	}
	if change != nil {
		change(&f, l)
	}
	return f
}

// bookOf is a playbook that suspends and tells, with what is added at its head.
func bookOf(t *testing.T, head string) *Playbook {
	t.Helper()
	return playbookOf(t, head+`
do:
  - suspend: {for: 24h, release: if_quiet}
  - end_sessions:
  - notify: {template: suspended}
`)
}

func playbookOf(t *testing.T, rest string) *Playbook {
	t.Helper()
	if !strings.Contains(rest, "mode:") {
		rest = "mode: enforce\n" + rest
	}
	all, err := ParsePlaybooks("test.yml", []byte("apiVersion: holdfast/v1\nkind: Playbook\nmetadata: {name: fatigue}\non: [mfa_fatigue]\n"+rest))
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// ended is how a plan ended: its state, and the last check with its code.
func ended(p Plan) string {
	if p.State == "" {
		return "no run"
	}
	c := p.Checks[len(p.Checks)-1]
	return fmt.Sprintf("%s: %s %s %s", p.State, c.Name, c.Verdict, c.Code)
}

func planOf(t *testing.T, p *Playbook, f Facts) Plan {
	t.Helper()
	plan, err := Decide(p, f)
	if err != nil {
		t.Fatal(err)
	}
	return plan
}

func TestDecide(t *testing.T) {
	kill := Kill{On: true, Door: DoorConsole, By: "user:X", At: noon, Reason: "a drill"}
	tests := []struct {
		name  string
		head  string
		facts func(*Facts, *lookups)
		want  string
		page  bool
	}{
		{"ordinary", "", nil, "acting: approval pass not_needed", false},
		{"other_rule", "", func(f *Facts, _ *lookups) { f.Finding.Rule = "spray" }, "no run", false},
		{"off", "mode: off", nil, "no run", false},
		{"observe", "mode: observe", nil, "observed: approval pass not_needed", false},
		{"kill", "", func(f *Facts, _ *lookups) { f.Guard.Kill = kill }, "held: kill_switch hold on", true},
		{"kill_observe", "mode: observe", func(f *Facts, _ *lookups) { f.Guard.Kill = kill }, "stopped: kill_switch hold on", false},
		{"old", "", func(f *Facts, _ *lookups) { f.Now = noon.Add(time.Hour) }, "stopped: event_age stop too_old", false},
		{"still_recent", "", func(f *Facts, _ *lookups) { f.Now = noon.Add(14 * time.Minute) }, "acting: approval pass not_needed", false},
		{"old_for_the_playbook", "guard: {max_event_age: 5m}", func(f *Facts, _ *lookups) { f.Now = noon.Add(14 * time.Minute) }, "stopped: event_age stop too_old", false},
		{"began_long_ago", "", func(f *Facts, _ *lookups) { f.Event.Time = noon.Add(-5 * time.Hour) }, "acting: approval pass not_needed", false},
		{"ahead", "", func(f *Facts, _ *lookups) { f.Finding.Last = noon.Add(time.Hour) }, "stopped: event_age stop ahead", false},
		{"no_time", "", func(f *Facts, _ *lookups) { f.Event.Time, f.Finding.Last = time.Time{}, time.Time{} }, "stopped: event_age stop no_time", false},
		{"not_trusted", "", func(f *Facts, _ *lookups) { f.Guard.MinTrust, f.Event.Trust = TrustAsked, TrustSent }, "stopped: source_trust stop not_trusted", false},
		{"not_trusted_by_the_playbook", "guard: {min_trust: own}", func(f *Facts, _ *lookups) { f.Event.Trust = TrustAsked }, "stopped: source_trust stop not_trusted", false},
		{"when", "when: state.known_device == false", nil, "acting: approval pass not_needed", false},
		{"when_not", "when: state.known_device", nil, "stopped: when stop does_not_hold", false},
		{"when_unknown", "when: state.known_country", nil, "stopped: when stop undecidable", false},
		{"ran", "dedupe: {key: user.id, window: 1h}", func(_ *Facts, l *lookups) { l.ran = noon.Add(-time.Minute) }, "stopped: dedupe stop again", false},
		{"ran_before", "dedupe: {key: user.id, window: 1h}", func(_ *Facts, l *lookups) { l.ran = noon.Add(-time.Hour) }, "acting: approval pass not_needed", false},
		{"no_key", "dedupe: {key: event.ip, window: 1h}", nil, "stopped: dedupe stop no_key", false},
		{"nobody", "", func(f *Facts, _ *lookups) { f.Person = Person{} }, "stopped: protected stop no_person", false},
		{"not_active", "", func(f *Facts, _ *lookups) { f.Person.Active = false }, "stopped: protected stop not_active", false},
		{"listed", "", func(f *Facts, _ *lookups) { f.Guard.People = []Protected{{ID: kim, Why: "on call"}} }, "stopped: protected stop person", true},
		{"listed_until", "", func(f *Facts, _ *lookups) { f.Guard.People = []Protected{{ID: kim, Why: "on call", Until: noon}} }, "acting: approval pass not_needed", false},
		{"group", "", func(f *Facts, _ *lookups) { f.Guard.Groups = []Protected{{ID: staff, Why: "a fair"}} }, "stopped: protected stop group", true},
		{"group_of_the_playbook", "guard: {protected_groups: [staff]}", nil, "stopped: protected stop playbook_group", false},
		{"last_owner", "", func(f *Facts, _ *lookups) { f.Person.LastOwner = true }, "stopped: protected stop last_owner", true},
		{"managed", "", func(f *Facts, _ *lookups) { f.Person.ExternallyManaged = true }, "stopped: protected stop externally_managed", true},
		{"break_glass", "", func(f *Facts, _ *lookups) {
			f.Guard.BreakGlass, f.Guard.People = []string{kim}, []Protected{{ID: kim, Why: "x"}}
		}, "stopped: protected stop break_glass", true},
		{"last_of_the_window", "", func(_ *Facts, l *lookups) { l.used = 9 }, "acting: approval pass not_needed", false},
		{"window_full", "", func(_ *Facts, l *lookups) { l.used = 10 }, "held: blast_radius hold over_window", true},
		{"window_full_observe", "mode: observe", func(_ *Facts, l *lookups) { l.used = 10 }, "stopped: blast_radius hold over_window", false},
		{"none_allowed", "", func(f *Facts, _ *lookups) { f.Guard.MaxPeople = 0 }, "held: blast_radius hold over_window", true},
		{"playbook_full", "guard: {max_people: 2, window: 1h}", func(_ *Facts, l *lookups) { l.usedByBook = 2 }, "held: blast_radius hold over_playbook", true},
		{"share_full", "", func(_ *Facts, l *lookups) { l.held = 10 }, "held: blast_radius hold over_share", true},
		{"share_of_the_playbook", "guard: {max_share: 2}", func(_ *Facts, l *lookups) { l.held = 4 }, "held: blast_radius hold over_share", true},
		{"share_not_full", "", func(_ *Facts, l *lookups) { l.held = 9 }, "acting: approval pass not_needed", false},
		{"one_is_always_allowed", "", func(f *Facts, _ *lookups) { f.ActivePeople = 3 }, "acting: approval pass not_needed", false},
		{"not_a_second_one", "", func(f *Facts, l *lookups) { f.ActivePeople, l.held = 3, 1 }, "held: blast_radius hold over_share", true},
		{"approval_before", "approval: {order: before, from: {groups: [Security], not: [self]}, timeout: 30m, on_timeout: deny}", nil, "waiting: approval ask before", false},
		{"approval_after", "approval: {order: after, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}", nil, "acting: approval ask after", false},
		{"approval_when_not", `approval: {when: '"Owners" in user.groups', order: before, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}`, nil, "acting: approval pass not_needed", false},
		{"approval_when_unknown", `approval: {when: state.known_country, order: before, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}`, nil, "waiting: approval ask before", false},
		{"approval_observe", "mode: observe\napproval: {order: before, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}", nil, "observed: approval ask before", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := planOf(t, bookOf(t, tt.head), factsOf(tt.facts))
			if got := ended(plan); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if plan.Page != tt.page {
				t.Errorf("page is %v, want %v", plan.Page, tt.page)
			}
		})
	}
}

// TestDecideOrder: the checks are made in the order of the package comment, and each that passed is in the plan.
func TestDecideOrder(t *testing.T) {
	plan := planOf(t, bookOf(t, "when: state.known_device == false\ndedupe: {key: user.id, window: 1h}"), factsOf(nil))
	var got []CheckName
	for _, c := range plan.Checks {
		got = append(got, c.Name)
	}
	want := []CheckName{CheckKill, CheckMode, CheckAge, CheckTrust, CheckWhen, CheckDedupe, CheckProtected, CheckBlast, CheckApproval}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order of checks (-want +got):\n%s", diff)
	}
}

func TestDecideActions(t *testing.T) {
	p := playbookOf(t, `
do:
  - case: {level: critical, title: Look}
  - suspend: {for: 1h, release: if_quiet, targets: [local, cloud]}
  - end_sessions:
  - ask_person: {within: 15m, on_confirm: release, on_deny: keep, on_silence: keep}
  - notify: {to: [soc, desk], template: suspended}
`)
	suspend := func(target string) Action {
		return Action{Step: 1, Kind: ActSuspend, Target: target, PersonID: kim, State: ActionPlanned, For: time.Hour, Release: ReleaseIfQuiet, By: "playbook:fatigue"}
	}
	notify := func(target string) Action {
		return Action{Step: 4, Kind: ActNotify, Target: target, Template: "suspended", PersonID: kim, State: ActionPlanned, By: "playbook:fatigue"}
	}
	sessions := Action{Step: 2, Kind: ActEndSessions, Target: LocalTarget, PersonID: kim, State: ActionPlanned, By: "playbook:fatigue"}
	tests := []struct {
		name string
		held []string
		want []Action
	}{
		{"all", nil, []Action{suspend(LocalTarget), suspend("cloud"), sessions, notify("soc"), notify("desk")}},
		{"held_here", []string{LocalTarget}, []Action{suspend("cloud"), sessions, notify("soc"), notify("desk")}},
		{"held_everywhere", []string{"cloud", LocalTarget}, []Action{sessions, notify("soc"), notify("desk")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			plan := planOf(t, p, factsOf(func(f *Facts, _ *lookups) { f.HeldAt = tt.held }))
			if diff := cmp.Diff(tt.want, plan.Actions); diff != "" {
				t.Errorf("actions (-want +got):\n%s", diff)
			}
			want := &Question{PersonID: kim, State: QuestionPending, OnConfirm: "release", OnDeny: "keep", OnSilence: "keep", AskedAt: noon, ExpiresAt: noon.Add(15 * time.Minute)}
			if diff := cmp.Diff(want, plan.Question); diff != "" {
				t.Errorf("question (-want +got):\n%s", diff)
			}
			if plan.Title != "Look" || plan.Level != detect.Critical {
				t.Errorf("case %q of level %s, want Look of level critical", plan.Title, plan.Level)
			}
		})
	}
	held := planOf(t, p, factsOf(func(f *Facts, l *lookups) { f.HeldAt, l.used = []string{"cloud", LocalTarget}, 1000 }))
	if got := ended(held); held.Checks[7].Code != "already_held" || held.State != RunActing {
		t.Errorf("who is held already takes no place of anybody: %s", got)
	}
}

// TestDecideAll: two playbooks for one finding suspend once.
func TestDecideAll(t *testing.T) {
	first, second := bookOf(t, ""), bookOf(t, "")
	second.Name = "second"
	held := []string{"cloud"}
	plans, err := DecideAll([]*Playbook{first, second}, factsOf(func(f *Facts, _ *lookups) { f.HeldAt = held[:1:1] }))
	if err != nil {
		t.Fatal(err)
	}
	var suspensions []int
	for _, p := range plans {
		n := 0
		for _, a := range p.Actions {
			if a.Kind == ActSuspend {
				n++
			}
		}
		suspensions = append(suspensions, n)
	}
	if diff := cmp.Diff([]int{1, 0}, suspensions); diff != "" {
		t.Errorf("suspensions by playbook (-want +got):\n%s", diff)
	}
}

func TestDecideManual(t *testing.T) {
	suspend := Manual{CaseID: "c", Kind: ActSuspend}
	reason := Manual{CaseID: "c", Kind: ActSuspend, Override: "agreed with the owner"}
	held := func(f *Facts, l *lookups) { f.Run, l.ran = &Run{ID: "r", State: RunHeld, CreatedAt: noon}, noon }
	tests := []struct {
		name  string
		book  string // "-": an action of their own
		m     Manual
		facts func(*Facts, *lookups)
		want  string
	}{
		{"own", "-", suspend, nil, "acting: approval pass not_needed"},
		{"own_of_another_kind", "-", Manual{Kind: ActNotify}, nil, "kind"},
		{"own_for_a_year", "-", Manual{Kind: ActSuspend, For: 365 * 24 * time.Hour}, nil, "for"},
		{"own_on_an_unsure_word", "-", suspend, func(f *Facts, _ *lookups) { f.Event.Trust = 0 }, "acting: approval pass not_needed"},
		{"kill", "-", reason, func(f *Facts, _ *lookups) { f.Guard.Kill.On = true }, "held: kill_switch hold on"},
		{"last_owner", "-", reason, func(f *Facts, _ *lookups) { f.Person.LastOwner = true }, "stopped: protected stop last_owner"},
		{"managed", "-", reason, func(f *Facts, _ *lookups) { f.Person.ExternallyManaged = true }, "stopped: protected stop externally_managed"},
		{"break_glass", "-", reason, func(f *Facts, _ *lookups) { f.Guard.BreakGlass = []string{kim} }, "stopped: protected stop break_glass"},
		{"listed", "-", suspend, func(f *Facts, _ *lookups) { f.Guard.People = []Protected{{ID: kim, Why: "x"}} }, "stopped: protected stop person"},
		{"listed_with_reason", "-", reason, func(f *Facts, _ *lookups) { f.Guard.People = []Protected{{ID: kim, Why: "x"}} }, "acting: approval pass not_needed"},
		{"old", "-", suspend, func(f *Facts, _ *lookups) { f.Now = noon.Add(time.Hour) }, "stopped: event_age stop too_old"},
		{"old_with_reason", "-", reason, func(f *Facts, _ *lookups) { f.Now = noon.Add(time.Hour) }, "acting: approval pass not_needed"},
		{"full", "-", suspend, func(_ *Facts, l *lookups) { l.used = 10 }, "held: blast_radius hold over_window"},
		{"full_with_reason", "-", reason, func(_ *Facts, l *lookups) { l.used = 10 }, "acting: approval pass not_needed"},
		{"go_on", "dedupe: {key: user.id, window: 1h}", Manual{RunID: "r"}, held, "acting: approval pass not_needed"},
		{"go_on_though_another_ran", "dedupe: {key: user.id, window: 1h}", Manual{RunID: "r", Override: "x"}, func(f *Facts, l *lookups) {
			held(f, l)
			l.ran = noon.Add(time.Second)
		}, "stopped: dedupe stop again"},
		{"go_on_while_off", "mode: off", Manual{RunID: "r"}, held, "acting: approval pass not_needed"},
		{"go_on_and_ask", "approval: {order: before, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}", Manual{RunID: "r"}, held, "waiting: approval ask before"},
		{"go_on_where_the_condition_does_not_hold", "when: state.known_device", Manual{RunID: "r", Override: "x"}, held, "stopped: when stop does_not_hold"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p *Playbook
			if tt.book != "-" {
				p = bookOf(t, tt.book)
			}
			plan, err := DecideManual(p, factsOf(tt.facts), tt.m)
			if bad, ok := err.(*problem.Error); ok {
				if bad.Field != tt.want {
					t.Errorf("got %v, want %s", err, tt.want)
				}
				return
			}
			if got := ended(plan); err != nil || got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
			if refused := plan.Refusal(); (refused != nil) != (plan.State == RunHeld || plan.State == RunStopped) {
				t.Errorf("%s, and the person hears %v", plan.State, refused)
			}
			beyond := slices.ContainsFunc(plan.Checks, func(c Check) bool { return c.Facts[overriddenFact] != "" })
			if beyond != strings.HasSuffix(tt.name, "_with_reason") {
				t.Errorf("a check says that a person went beyond it: %v", beyond)
			}
		})
	}
}

func TestAgain(t *testing.T) {
	open := func(change func(*Facts, *lookups)) Facts {
		return factsOf(func(f *Facts, l *lookups) {
			f.Case = &Case{State: CaseOpen}
			if change != nil {
				change(f, l)
			}
		})
	}
	kill := func(f *Facts, _ *lookups) { f.Guard.Kill = Kill{On: true, Reason: "x"} }
	suspend := Action{Kind: ActSuspend, Target: "cloud", PersonID: kim}
	beyond := Action{Kind: ActSuspend, Target: "cloud", PersonID: kim, Override: "agreed"}
	listed := func(f *Facts, _ *lookups) { f.Guard.People = []Protected{{ID: kim, Why: "x"}} }
	tests := []struct {
		name  string
		a     Action
		facts Facts
		want  string
	}{
		{"ordinary", suspend, open(nil), "blast_radius pass within"},
		{"kill", suspend, open(kill), "kill_switch hold on"},
		{"kill_beyond", beyond, open(kill), "kill_switch hold on"},
		{"kill_and_the_way_back", Action{Kind: ActReactivate}, open(kill), "still_wanted pass wanted"},
		{"kill_and_a_message", Action{Kind: ActNotify}, open(kill), "still_wanted pass wanted"},
		{"kill_and_a_signal", Action{Kind: ActSignal}, open(kill), "kill_switch hold on"},
		{"no_case", suspend, factsOf(nil), "still_wanted stop case_closed"},
		{"closed", suspend, open(func(f *Facts, _ *lookups) { f.Case.State = CaseClosed }), "still_wanted stop case_closed"},
		{"listed", suspend, open(listed), "protected stop person"},
		{"listed_beyond", beyond, open(listed), "blast_radius pass within"},
		{"last_owner_beyond", beyond, open(func(f *Facts, _ *lookups) { f.Person.LastOwner = true }), "protected stop last_owner"},
		{"full", suspend, open(func(_ *Facts, l *lookups) { l.used = 10 }), "blast_radius hold over_window"},
		{"full_beyond", beyond, open(func(_ *Facts, l *lookups) { l.used = 10 }), "blast_radius pass over_window"},
		{"full_and_sessions", Action{Kind: ActEndSessions}, open(func(_ *Facts, l *lookups) { l.used = 10 }), "still_wanted pass wanted"},
		{"held_there", suspend, open(func(f *Facts, _ *lookups) { f.HeldAt = []string{"cloud"} }), "still_wanted stop already_held"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Again(tt.facts, tt.a)
			if got := fmt.Sprintf("%s %s %s", c.Name, c.Verdict, c.Code); err != nil || got != tt.want {
				t.Errorf("got %s (%v), want %s", got, err, tt.want)
			}
		})
	}
}

// someCase makes facts and a head of a playbook out of chance, over all that checks look at.
func someCase(r *rand.Rand) (head string, change func(*Facts, *lookups)) {
	maybe := func(n int) bool { return r.IntN(n) == 0 }
	var lines []string
	add := func(n int, line string) {
		if maybe(n) {
			lines = append(lines, line)
		}
	}
	add(4, "when: state.known_device == false")
	add(8, "when: state.known_country")
	add(4, "dedupe: {key: user.id, window: 1h}")
	add(4, "approval: {order: before, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}")
	if len(lines) > 1 && strings.HasPrefix(lines[1], "when") {
		lines = lines[1:]
	}
	add(6, "mode: observe")
	age, trust, used, held, byBook := r.IntN(1200), Trust(1+r.IntN(3)), r.IntN(14), r.IntN(14), r.IntN(4)
	guard := Guard{MaxPeople: r.IntN(14), Window: time.Hour, MaxShare: float64(r.IntN(10)), MaxEventAge: time.Duration(60+r.IntN(1200)) * time.Second, MinTrust: Trust(1 + r.IntN(3))}
	guard.Kill.On = maybe(12)
	if maybe(10) {
		guard.People = []Protected{{ID: kim, Why: "x"}}
	}
	if maybe(10) {
		guard.BreakGlass = []string{kim}
	}
	owner, managed, nobody, there := maybe(12), maybe(12), maybe(12), maybe(8)
	return strings.Join(lines, "\n"), func(f *Facts, l *lookups) {
		f.Guard, f.Event.Trust, f.Person.LastOwner, f.Person.ExternallyManaged = guard, trust, owner, managed
		f.Finding.Last = noon.Add(-time.Duration(age) * time.Second)
		f.Event.Time = f.Finding.Last
		l.used, l.held, l.usedByBook = used, held, byBook
		if nobody {
			f.Person = Person{}
		}
		if there {
			f.HeldAt = []string{LocalTarget}
		}
	}
}

// TestDecideProperties holds for cases out of chance: the same facts give the same plan; nothing is done where a check
// did not pass; the checks are in order, and all before the last one passed; what suspends is within every limit; a
// playbook that tightens the guard rails never acts where the same one without that does not.
func TestDecideProperties(t *testing.T) {
	order := []CheckName{CheckKill, CheckMode, CheckAge, CheckTrust, CheckWhen, CheckDedupe, CheckProtected, CheckBlast, CheckApproval}
	r := rand.New(rand.NewPCG(1, 2))
	states := map[RunState]int{}
	for i := range 1500 {
		head, change := someCase(r)
		f := factsOf(change)
		p := bookOf(t, head)
		plan := planOf(t, p, f)
		if diff := cmp.Diff(plan, planOf(t, p, factsOf(change))); diff != "" {
			t.Fatalf("case %d: the same facts gave another plan:\n%s", i, diff)
		}
		states[plan.State]++
		for n, c := range plan.Checks {
			if c.Name != order[n] {
				t.Fatalf("case %d: check %d is %s, want %s", i, n, c.Name, order[n])
			}
			if n < len(plan.Checks)-1 && c.Verdict != Pass {
				t.Fatalf("case %d: checks were made after one that did not pass: %v", i, plan.Checks)
			}
		}
		last := plan.Checks[len(plan.Checks)-1].Verdict
		acts := plan.State == RunActing
		suspends := slices.ContainsFunc(plan.Actions, func(a Action) bool { return a.Kind == ActSuspend })
		g := f.Guard
		switch {
		case (last == Stop || last == Hold) && (acts || plan.State == RunWaiting || len(plan.Actions) > 0):
			t.Fatalf("case %d: acts though a check did not pass: %s", i, ended(plan))
		case acts && len(plan.Checks) != len(order):
			t.Fatalf("case %d: acts after %d checks", i, len(plan.Checks))
		case acts && (p.Mode != ModeEnforce || g.Kill.On || f.Person.LastOwner || f.Person.ExternallyManaged || len(g.People)+len(g.BreakGlass) > 0 || f.Event.Trust < g.MinTrust):
			t.Fatalf("case %d: acts where it must not: %s", i, ended(plan))
		case acts && suspends:
			used, _ := f.Suspensions("", noon)
			held, _ := f.HeldPeople()
			if used+1 > g.MaxPeople || held > 0 && float64(held+1) > float64(f.ActivePeople)*g.MaxShare/100+1e-6 {
				t.Fatalf("case %d: goes beyond a limit: %d of %d used, %d held", i, used, g.MaxPeople, held)
			}
		}
		tight := *p
		tight.Guard = Tighter{MaxPeople: r.IntN(4), Window: time.Hour, MaxEventAge: time.Duration(r.IntN(2000)) * time.Second, MinTrust: Trust(r.IntN(4)), MaxShare: float64(r.IntN(10))}
		if other := planOf(t, &tight, f); !acts && other.State == RunActing || plan.State != RunWaiting && other.State == RunWaiting {
			t.Fatalf("case %d: a playbook loosens the guard rails: %s became %s by %+v", i, ended(plan), ended(other), tight.Guard)
		}
	}
	for _, s := range []RunState{RunActing, RunWaiting, RunHeld, RunStopped, RunObserved} {
		if states[s] < 20 {
			t.Errorf("only %d of 1500 cases were %s: chance is not wide enough", states[s], s)
		}
	}
}

func TestCheckCodes(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range CheckCodes() {
		key := string(c.Name) + "." + c.Code
		if seen[key] || c.Sentence == "" || c.German == "" {
			t.Errorf("%s is there twice, or has no sentence", key)
		}
		seen[key] = true
		for _, name := range strings.FieldsFunc(c.Sentence, func(r rune) bool { return r == ' ' }) {
			if i := strings.Index(name, "{"); i >= 0 {
				fact := name[i : strings.Index(name, "}")+1]
				if !strings.Contains(c.German, fact) {
					t.Errorf("%s: the German sentence lacks %s", key, fact)
				}
			}
		}
	}
}

// TestSentencesAreWhole: no check that is made lacks a sentence, or a fact that its sentence needs.
func TestSentencesAreWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		head, change := someCase(r)
		for _, c := range planOf(t, bookOf(t, head), factsOf(change)).Checks {
			known := pick(CheckCodes(), func(x CheckCode) bool { return x.Name == c.Name && x.Code == c.Code })
			if known == nil || known.Verdict != c.Verdict && c.Facts[overriddenFact] == "" {
				t.Fatalf("%s ended with %s %s, which is not in the list", c.Name, c.Verdict, c.Code)
			}
			for _, language := range []string{"en", "de"} {
				if s := c.SentenceIn(language); c.Code != "on" && (strings.Contains(s, "?") || strings.ContainsAny(s, "{}")) {
					t.Fatalf("%s %s: %q lacks a fact of %v", c.Name, c.Code, s, c.Facts)
				}
			}
		}
	}
	c := stop(CheckProtected, "person", "why", "{limit} <b>")
	if got := c.Sentence(); got != "The person is protected: {limit} <b>" {
		t.Errorf("a fact was read as a name: %q", got)
	}
}
