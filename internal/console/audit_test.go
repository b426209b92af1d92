package console

import (
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

func TestActionGroups(t *testing.T) {
	var all []audit.Action
	for _, g := range actionGroups() {
		if len(g.Actions) == 0 {
			t.Errorf("the group %s has no actions", g.Name)
		}
		if got, err := chosenActions(g.Value()); err != nil || !slices.Equal(got, g.Actions) {
			t.Errorf("%s chooses %v, %v", g.Value(), got, err)
		}
		all = append(all, g.Actions...)
	}
	slices.Sort(all)
	if diff := cmp.Diff(audit.Actions(), all); diff != "" {
		t.Errorf("each action is in one group (-want +got):\n%s", diff)
	}
	if got, err := chosenActions("user.suspend"); err != nil || !slices.Equal(got, []audit.Action{audit.UserSuspend}) {
		t.Errorf("one action chooses %v, %v", got, err)
	}
	if _, err := chosenActions("user.praise"); !problem.Is(err, problem.Invalid) {
		t.Errorf("an unknown action is %v, want invalid", err)
	}
}

func TestDay(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want time.Time
		bad  bool
	}{
		"none":      {"", time.Time{}, false},
		"a_day":     {"2026-03-10", time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC), false},
		"no_day":    {"2026-02-30", time.Time{}, true},
		"with_time": {"2026-03-10T14:00:00Z", time.Time{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := day(url.Values{"from": {tt.text}}, "from")
			if !got.Equal(tt.want) || problem.Is(err, problem.Invalid) != tt.bad {
				t.Errorf("%q is %s, %v", tt.text, got, err)
			}
		})
	}
}

func TestChainStates(t *testing.T) {
	var s chainStates
	now := time.Date(2026, 3, 10, 14, 0, 0, 0, time.UTC)
	if _, known := s.get("A", now); known {
		t.Error("a chain is known that nobody looked at")
	}
	s.know("A", audit.Status{Broken: "link 7 was changed"}, now)
	if broken, known := s.get("A", now.Add(chainKnownFor-1)); !broken || !known {
		t.Errorf("a broken chain is broken %v, known %v", broken, known)
	}
	if _, known := s.get("B", now); known {
		t.Error("the chain of another account is known")
	}
	if _, known := s.get("A", now.Add(chainKnownFor)); known {
		t.Error("after a while it must be looked up again")
	}
}
