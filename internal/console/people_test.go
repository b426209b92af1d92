package console

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/problem"
	"holdfast/internal/signin"
)

// TestWordsOfWhatHappens looks for the words of names that come from elsewhere: a template makes the key.
func TestWordsOfWhatHappens(t *testing.T) {
	texts, err := newCatalogue()
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, a := range audit.Actions() {
		keys = append(keys, "action."+string(a))
	}
	for _, k := range []signin.Type{
		signin.CredentialsOK, signin.MFAOK, signin.PasswordSecretBad, signin.MFAMissing, signin.TOTPBad, signin.TOTPTimeout, signin.CodeBad,
		signin.CodeTimeout, signin.U2FBad, signin.U2FTimeout, signin.NonSSOUser, signin.SSOUserMismatch, signin.AllBlocked,
	} {
		keys = append(keys, "person.type."+string(k))
	}
	for _, kind := range []string{"user", "client", "group", "operator", "scim", "case", "system", "anonymous", "removed", "unknown"} {
		keys = append(keys, "party."+kind)
	}
	for _, g := range append(directory.BuiltIn(), directory.Group{Kind: directory.Custom}) {
		keys = append(keys, "group.may."+string(g.Kind))
	}
	for _, until := range (personAction{}).Untils() {
		if until != "" {
			keys = append(keys, "person_action.until_"+until)
		}
	}
	for _, kind := range []string{"suspend", "hold", "reactivate", "release", "end", "link", "remove"} {
		for _, part := range []string{".title", ".text", ".submit", ".keep"} {
			keys = append(keys, "person_action."+kind+part)
		}
	}
	for _, tag := range languages {
		for _, key := range keys {
			if _, ok := texts.lookup(tag.String(), key, "Name", "Mira"); !ok {
				t.Errorf("%s: no text %q", tag, key)
			}
		}
	}
}

func TestSummaryOfHolds(t *testing.T) {
	at := func(h int) time.Time { return time.Date(2026, 3, 10, h, 0, 0, 0, time.UTC) }
	over := directory.Hold{ReleasedAt: at(1), Until: at(23)}
	tests := []struct {
		name  string
		holds []directory.Hold
		open  int
		until time.Time
	}{
		{"none", nil, 0, time.Time{}},
		{"only one that is over", []directory.Hold{over}, 0, time.Time{}},
		{"one with an end", []directory.Hold{over, {Until: at(4)}}, 1, at(4)},
		{"the last end counts", []directory.Hold{{Until: at(9)}, {Until: at(4)}}, 2, at(9)},
		{"one without an end", []directory.Hold{{Until: at(9)}, {}}, 2, time.Time{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			open, until := summary(tt.holds)
			if open != tt.open || !until.Equal(tt.until) {
				t.Errorf("got %d open until %v, want %d until %v", open, until, tt.open, tt.until)
			}
		})
	}
}

func TestEndOfHold(t *testing.T) {
	now := time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)
	want := map[string]time.Time{"": {}, "1h": now.Add(time.Hour), "8h": now.Add(8 * time.Hour), "24h": now.Add(24 * time.Hour), "168h": now.AddDate(0, 0, 7)}
	got := map[string]time.Time{}
	for _, choice := range (personAction{}).Untils() {
		until, err := untilOf(choice, now)
		if err != nil {
			t.Errorf("%q: %v", choice, err)
		}
		got[choice] = until
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ends (-want +got):\n%s", diff)
	}
	for _, choice := range []string{"2h", "-1h", "soon", "9999999h", "1h "} {
		_, err := untilOf(choice, now)
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Field != "until" {
			t.Errorf("%q: got %v, want a problem in the field until", choice, err)
		}
	}
}

func TestPlaceAndTotal(t *testing.T) {
	for text, want := range map[string]int{"": 0, "50": 50, "-1": 0, "x": 0, "999999999999999999999": 0, "100000001": 0} {
		if got := placeOf(text); got != want {
			t.Errorf("placeOf(%q) = %d, want %d", text, got, want)
		}
	}
	counts := directory.Counts{Active: 10, Suspended: 3, Invited: 2, Removed: 7}
	tests := []struct {
		name  string
		page  peoplePage
		state directory.StateFilter
		want  int
	}{
		{"everybody", peoplePage{}, directory.AnyState, 15},
		{"active", peoplePage{}, directory.OnlyActive, 10},
		{"suspended", peoplePage{}, directory.OnlySuspended, 3},
		{"invited", peoplePage{}, directory.OnlyInvited, 2},
		{"a search that ends here", peoplePage{Search: "a", To: 4}, directory.OnlyActive, 4},
		{"a search that goes on", peoplePage{Search: "a", To: 50, More: true}, directory.AnyState, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.page.Counts = counts
			if got := totalOf(tt.page, tt.state); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestInState(t *testing.T) {
	people := map[string]directory.User{
		"active":    {Lifecycle: directory.Active},
		"suspended": {Lifecycle: directory.Active, Suspended: true},
		"invited":   {Lifecycle: directory.Invited},
	}
	for name, u := range people {
		for _, asked := range []string{"active", "suspended", "invited", ""} {
			filter, kept := stateFilter(asked)
			if got, want := inState(u, filter), asked == "" || asked == name; got != want || kept != asked {
				t.Errorf("a person who is %s, asked for %q: got %v, want %v", name, asked, got, want)
			}
		}
	}
	if filter, kept := stateFilter("removed"); filter != directory.AnyState || kept != "" {
		t.Errorf("an unknown state is the filter %d, %q; want none", filter, kept)
	}
}

func TestBuiltInFirst(t *testing.T) {
	groups := []directory.Group{
		{Name: "Administrators", Kind: directory.Administrators}, {Name: "Contractors", Kind: directory.Custom}, {Name: "Owners", Kind: directory.Owners},
		{Name: "Sales", Kind: directory.Custom}, {Name: "Security", Kind: directory.Security}, {Name: "Team Members", Kind: directory.TeamMembers},
	}
	var got []string
	for _, g := range builtInFirst(groups, func(g directory.Group) directory.GroupKind { return g.Kind }) {
		got = append(got, g.Name)
	}
	want := []string{"Owners", "Administrators", "Security", "Team Members", "Contractors", "Sales"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestNameOfGroupErrors(t *testing.T) {
	tests := []struct {
		name        string
		err         error
		field, code string
	}{
		{"taken", problem.New(problem.Conflict, "the account already has a group"), "name", "group_taken"},
		{"bad", problem.InField("name", "the name is missing"), "name", "group_name"},
		{"built in", directory.ErrBuiltIn("Owners"), "", "built_in_group"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, ok := errors.AsType[*problem.Error](inName(tt.err))
			if !ok || p.Field != tt.field || p.Code != tt.code {
				t.Errorf("got %+v, want field %q and code %q", p, tt.field, tt.code)
			}
		})
	}
}
