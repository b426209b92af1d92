package respond

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/problem"
)

// drawn are the machines as the package comment has them: by name, from each state those that may follow.
func drawn(t *testing.T) map[string]map[string][]string {
	t.Helper()
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string][]string{}
	name := ""
	for line := range strings.Lines(string(text)) {
		from, to, ok := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "//")), " → ")
		if !ok || !strings.HasPrefix(line, "//\t") {
			continue
		}
		if words := strings.Fields(from); len(words) == 2 {
			name, from = words[0], words[1]
			all[name] = map[string][]string{}
		}
		if all[name] == nil {
			t.Fatalf("the line %q belongs to no machine", line)
		}
		if from == "new" {
			from = ""
		}
		all[name][from] = strings.Split(strings.TrimSpace(to), " | ")
	}
	return all
}

// plainly is a machine as texts, without the states from which nothing leads.
func plainly[S ~string](m machine[S]) map[string][]string {
	all := map[string][]string{}
	for from, to := range m {
		if len(to) > 0 {
			all[string(from)] = words(to)
		}
	}
	return all
}

func TestMachinesAreAsDrawn(t *testing.T) {
	want := drawn(t)
	for name, have := range map[string]map[string][]string{
		"case": plainly(caseMachine()), "run": plainly(runMachine()), "action": plainly(actionMachine()),
		"approval": plainly(approvalMachine()), "question": plainly(questionMachine()),
	} {
		for _, m := range []map[string][]string{want[name], have} {
			for _, to := range m {
				slices.Sort(to)
			}
		}
		if diff := cmp.Diff(want[name], have); diff != "" {
			t.Errorf("the %s is not as the package comment draws it (-drawn +is):\n%s", name, diff)
		}
		delete(want, name)
	}
	if len(want) > 0 {
		t.Errorf("the package comment draws machines that are not there: %v", slices.Collect(maps.Keys(want)))
	}
}

// TestMachinesAreWhole looks for states that nothing leads to, and steps to states that are not there.
func TestMachinesAreWhole(t *testing.T) {
	whole(t, "case", caseMachine())
	whole(t, "run", runMachine())
	whole(t, "action", actionMachine())
	whole(t, "approval", approvalMachine())
	whole(t, "question", questionMachine())
}

func whole[S ~string](t *testing.T, name string, m machine[S]) {
	t.Helper()
	reached := map[S]bool{}
	var walk func(S)
	walk = func(s S) {
		if reached[s] {
			return
		}
		reached[s] = true
		next, known := m[s]
		if !known {
			t.Errorf("%s: a step leads to %q, which is no state of it", name, s)
		}
		for _, to := range next {
			walk(to)
		}
	}
	walk("")
	for _, s := range m.states() {
		if !reached[s] {
			t.Errorf("%s: nothing leads to %s", name, s)
		}
	}
}

func TestMove(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string // code of the conflict; "-": one without a code; empty: it may
	}{
		{"new_case", MoveCase("", CaseOpen), ""},
		{"case_is_closed_for_good", MoveCase(CaseClosed, CaseOpen), CodeFinal},
		{"new_case_holds_nobody", MoveCase("", CaseContained), "-"},
		{"held_run_goes_on", MoveRun(RunHeld, RunActing), ""},
		{"stopped_run_stays", MoveRun(RunStopped, RunActing), CodeFinal},
		{"waiting_run_is_not_done", MoveRun(RunWaiting, RunDone), CodeWrongState},
		{"to_stay_is_no_step", MoveRun(RunActing, RunActing), ""},
		{"unknown_is_read_back", MoveAction(ActionUnknown, ActionPlanned), ""},
		{"unknown_is_not_tried", MoveAction(ActionUnknown, ActionBegun), CodeWrongState},
		{"done_is_undone", MoveAction(ActionDone, ActionUndone), ""},
		{"done_is_not_done_again", MoveAction(ActionDone, ActionBegun), CodeWrongState},
		{"begun_is_not_cancelled", MoveAction(ActionBegun, ActionCancelled), CodeWrongState},
		{"answered_once", MoveApproval(ApprovalApproved, ApprovalDenied), CodeFinal},
		{"silence_is_an_answer", MoveQuestion(QuestionPending, QuestionSilent), ""},
		{"state_of_a_later_version", MoveRun("paused", RunDone), "-"},
		{"nothing_becomes_new", MoveCase(CaseOpen, ""), CodeWrongState},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, _ := tt.err.(*problem.Error)
			switch {
			case tt.want == "" && tt.err != nil:
				t.Errorf("refused: %v", tt.err)
			case tt.want == "":
			case p == nil || p.Kind != problem.Conflict:
				t.Errorf("got %v, want a conflict", tt.err)
			case p.Code != strings.Trim(tt.want, "-"):
				t.Errorf("code %q, want %q", p.Code, tt.want)
			}
		})
	}
}

func TestSubjectKey(t *testing.T) {
	tests := []struct {
		name string
		s    Subject
		want string
	}{
		{"person", Subject{PersonID: "ABC", Email: "kim@example.com"}, "user:ABC"},
		{"address", Subject{Email: " Kim@Example.COM "}, "name:kim@example.com"},
		{"composed_and_not", Subject{Name: "Ka\u0308te"}, Subject{Name: "KÄTE"}.Key()},
		{"nobody", Subject{Name: " "}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.s.Key(); got != tt.want {
				t.Errorf("Key() = %q, want %q", got, tt.want)
			}
		})
	}
}
