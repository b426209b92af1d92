package respond

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"holdfast/internal/detect"
)

// stage is a rehearsal of findings.
type stage struct {
	t     *testing.T
	l     *Ledger
	books []*Playbook
	guard Guard
}

// find lets a finding about the person happen so long after noon, and returns how its runs ended.
func (s *stage) find(after time.Duration, person string) string {
	s.t.Helper()
	f := factsOf(nil)
	f.Now, f.Guard = noon.Add(after), s.guard
	f.Finding = detect.Found{ID: fmt.Sprintf("f%s%s", person, after), Rule: "mfa_fatigue", Level: detect.High, Last: f.Now}
	f.Event.Time = f.Now
	f.Person = Person{ID: person, Active: true}
	if err := s.l.Fill(&f); err != nil {
		s.t.Fatal(err)
	}
	plans, err := DecideAll(s.books, f)
	if err == nil {
		err = s.l.Note(f, plans)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, p := range plans {
		all = append(all, ended(p))
	}
	return strings.Join(all, "; ")
}

// episodes are the suspensions in words, after so long.
func (s *stage) episodes(after time.Duration) string {
	s.t.Helper()
	if err := s.l.Until(noon.Add(after)); err != nil {
		s.t.Fatal(err)
	}
	var all []string
	for _, e := range s.l.Episodes() {
		until := "…"
		if !e.Until.IsZero() {
			until = Span(e.Until.Sub(noon)) + " " + e.Ended
		}
		all = append(all, e.PersonID+" "+Span(e.From.Sub(noon))+"-"+until)
	}
	return strings.Join(all, ", ")
}

func TestLedger(t *testing.T) {
	const approval = "approval: {order: %s, from: {groups: [Security]}, timeout: 30m, on_timeout: %s}"
	const acting, held = "acting: approval pass not_needed", "held: blast_radius hold over_window"
	tests := []struct {
		name string
		head string
		play func(t *testing.T, s *stage)
		want string // after three days
	}{
		{"released_when_quiet", "", func(t *testing.T, s *stage) { s.find(0, "A") }, "A 0s-24h released"},
		{"not_while_there_are_findings", "", func(t *testing.T, s *stage) {
			s.find(0, "A")
			s.find(time.Hour, "A") // attaches
		}, "A 0s-48h released"},
		{"dedupe", "dedupe: {key: user.id, window: 1h}", func(t *testing.T, s *stage) {
			s.find(0, "A")
			if got := s.find(30*time.Minute, "A"); got != "stopped: dedupe stop again" {
				t.Errorf("within the window: %s", got)
			}
			if got := s.find(90*time.Minute, "A"); got != acting {
				t.Errorf("after the window: %s", got)
			}
		}, "A 0s-48h released"},
		{"window", "", func(t *testing.T, s *stage) {
			s.guard.MaxPeople = 2
			for i, want := range []string{acting, acting, held} {
				if got := s.find(time.Duration(i)*time.Second, string(rune('A'+i))); got != want {
					t.Errorf("person %d: %s, want %s", i, got, want)
				}
			}
			if got := s.find(2*time.Hour, "C"); got != acting {
				t.Errorf("after the window: %s", got)
			}
		}, "A 0s-24h released, B 1s-24h0m1s released, C 2h-26h released"},
		{"share", "", func(t *testing.T, s *stage) {
			s.guard.MaxShare = 0
			s.find(0, "A")
			if got := s.find(time.Minute, "B"); got != "held: blast_radius hold over_share" {
				t.Errorf("a second one: %s", got)
			}
			if got := s.find(25*time.Hour, "B"); got != acting {
				t.Errorf("after the first one ended: %s", got)
			}
		}, "A 0s-24h released, B 25h-49h released"},
		{"denied_before", fmt.Sprintf(approval, "before", "approve"), func(t *testing.T, s *stage) {
			s.l.Consent = Consent{AssumeDeny, time.Minute}
			s.find(0, "A")
		}, ""},
		{"approved_before", fmt.Sprintf(approval, "before", "deny"), func(t *testing.T, s *stage) {
			s.l.Consent = Consent{AssumeApprove, time.Minute}
			s.find(0, "A")
		}, "A 1m-24h1m released"},
		{"nobody_answers", fmt.Sprintf(approval, "before", "deny"), func(t *testing.T, s *stage) { s.find(0, "A") }, ""},
		{"nobody_answers_and_that_is_yes", fmt.Sprintf(approval, "before", "approve"), func(t *testing.T, s *stage) { s.find(0, "A") }, "A 30m-24h30m released"},
		{"too_late", fmt.Sprintf(approval, "before", "deny"), func(t *testing.T, s *stage) {
			s.l.Consent = Consent{AssumeApprove, time.Hour}
			s.find(0, "A")
		}, ""},
		{"denied_after", fmt.Sprintf(approval, "after", "approve"), func(t *testing.T, s *stage) {
			s.l.Consent = Consent{AssumeDeny, time.Minute}
			s.find(0, "A")
		}, "A 0s-1m denied"},
		{"who_waits_keeps_a_place", fmt.Sprintf(approval, "before", "deny"), func(t *testing.T, s *stage) {
			s.l.Consent, s.guard.MaxPeople = Consent{AssumeApprove, 10 * time.Minute}, 1
			s.find(0, "A")
			if got := s.find(time.Minute, "B"); got != held {
				t.Errorf("while another one waits: %s", got)
			}
		}, "A 10m-24h10m released"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &stage{t, NewLedger(), []*Playbook{bookOf(t, tt.head)}, DefaultGuard()}
			tt.play(t, s)
			if got := s.episodes(72 * time.Hour); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			if err := s.l.Until(noon); err == nil {
				t.Error("virtual time went back")
			}
		})
	}
}
