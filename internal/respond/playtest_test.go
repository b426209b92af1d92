package respond

import (
	"strings"
	"testing"
)

// TestShippedPlaybooksPass: what Holdfast comes with does what its own tests say.
func TestShippedPlaybooksPass(t *testing.T) {
	all, err := ShippedPlaybooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		for _, r := range RunTests(p) {
			if r.Fault != "" {
				t.Errorf("%s:%d: %s: %s", p.File, r.Line, r.Name, r.Fault)
			}
		}
		if p.Mode != ModeObserve {
			t.Errorf("%s is in mode %s; an administrator has to enforce it", p.Name, p.Mode)
		}
	}
}

// TestRunTests: a test that expects something else than what comes of it fails, and says what comes of it.
func TestRunTests(t *testing.T) {
	tests := []struct{ name, given, expect, want string }{
		{"as_expected", "", "{acts: [suspend, end_sessions, notify]}", ""},
		{"another_order", "", "{acts: [notify, suspend]}", "expected to do notify, suspend; it does suspend, end_sessions, notify"},
		{"acts_all_the_same", "", "{stops_at: event_age}", "expected to be stopped by event_age; it acts: suspend, end_sessions, notify"},
		{"stopped", "given: {event_age: 1h}", "{stops_at: event_age}", ""},
		{"stopped_with_code", "given: {event_age: 1h}", "{stops_at: event_age, code: ahead}", "expected to be stopped by event_age (ahead); it is stopped by event_age, too_old"},
		{"stopped_elsewhere", "given: {event_age: 1h}", "{stops_at: protected}", "it is stopped by event_age, too_old"},
		{"held", "given: {suspended: 10}", "{holds_at: blast_radius}", ""},
		{"held_by_the_share", "given: {held: 4, active: 20}", "{holds_at: blast_radius, code: over_share}", ""},
		{"held_elsewhere", "given: {kill_switch: true}", "{holds_at: blast_radius}", "it is held by kill_switch, on"},
		{"not_held", "", "{holds_at: kill_switch}", "it acts"},
		{"kill", "given: {kill_switch: true}", "{acts: [suspend]}", "expected to act; it is held by kill_switch"},
		{"nobody", "user: nobody", "{stops_at: protected, code: no_person}", ""},
		{"protected", "user: {protected: true}", "{stops_at: protected, code: person}", ""},
		{"last_owner", "user: {last_owner: true}", "{stops_at: protected, code: last_owner}", ""},
		{"gone", "user: {state: INACTIVE}", "{stops_at: protected, code: not_active}", ""},
		{"trust", "given: {trust: sent}", "{acts: [suspend, end_sessions, notify]}", ""},
		{"at_night_long_ago", `event: {time: "2020-03-01T03:00:00Z"}`, "{acts: [suspend, end_sessions, notify]}", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := bookOf(t, "mode: observe\ntests:\n  - name: a test\n    "+tt.given+"\n    expect: "+tt.expect)
			got := RunTests(p)
			if len(got) != 1 || (tt.want == "") != (got[0].Fault == "") || !strings.Contains(got[0].Fault, tt.want) {
				t.Errorf("got %q, want %q", failures(got), tt.want)
			}
		})
	}
	t.Run("asks", func(t *testing.T) {
		head := "approval: {order: after, from: {groups: [Security]}, timeout: 30m, on_timeout: deny}\ntests:\n  - name: a test\n    expect: "
		for expect, want := range map[string]string{
			"{acts: [suspend, end_sessions, notify], asks: after}": "",
			"{acts: [suspend, end_sessions, notify]}":              "expected to act; an approval is asked for after",
		} {
			if got := strings.Join(failures(RunTests(bookOf(t, head+expect))), ""); (want == "") != (got == "") || !strings.Contains(got, want) {
				t.Errorf("%s: got %q, want %q", expect, got, want)
			}
		}
	})
}
