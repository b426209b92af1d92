package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/directory"
	"holdfast/internal/store"
)

// searchAll reads all pages of a search and returns the emails found.
func searchAll(t *testing.T, db *store.DB, account string, q directory.ListQuery) (emails []string) {
	t.Helper()
	s := people(db)
	for page := 0; ; page++ {
		got := of(s.People(t.Context(), account, q)).must(t)
		if len(got.Users) > q.Limit || page > 100 {
			t.Fatalf("page %d has %d people", page, len(got.Users))
		}
		if got.Next != "" && len(got.Users) < q.Limit && !got.Searching {
			t.Errorf("page %d has %d people and does not say why", page, len(got.Users))
		}
		for _, u := range got.Users {
			emails = append(emails, u.Email)
		}
		if got.Next == "" {
			return emails
		}
		q.After = got.Next
	}
}

func testSearch(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	b, _ := Account(t, db)
	User(t, db, b.ID, "mira.elsewhere@example.org")
	add := func(email, name string) directory.User {
		return of(db.AddUser(t.Context(), a.ID, directory.NewUser{Email: email, DisplayName: name}, By())).must(t)
	}
	add("mira.oduya@example.org", "Mira Oduya")
	add("a.oezil@example.org", "ÖZIL, Änne")
	held := add("samir@example.org", "Samir 100%")
	add("under_score@example.org", "Under Score!")
	add("zed@example.org", "mira (interim)")
	of(db.SuspendUser(t.Context(), a.ID, held.ID, directory.NewHold{Holder: "client:1"}, By())).must(t)
	_, _, err := people(db).Invite(t.Context(), a.ID, directory.NewUser{Email: "new.mira@example.org", DisplayName: "New"}, person(owner))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		q    directory.ListQuery
		want []string
	}{
		{"beginnings_first", directory.ListQuery{Search: "mira"}, []string{"mira.oduya@example.org", "zed@example.org"}},
		{"letter_case", directory.ListQuery{Search: " MIRA.O "}, []string{"mira.oduya@example.org"}},
		{"whole_email", directory.ListQuery{Search: "zed@example.org"}, []string{"zed@example.org"}},
		{"last_name", directory.ListQuery{Search: "oduya"}, []string{"mira.oduya@example.org"}},
		{"umlauts", directory.ListQuery{Search: "özil"}, []string{"a.oezil@example.org"}},
		{"umlauts_within", directory.ListQuery{Search: "ÄNN"}, []string{"a.oezil@example.org"}},
		{"percent_is_a_letter", directory.ListQuery{Search: "100%"}, []string{"samir@example.org"}},
		{"percent_alone", directory.ListQuery{Search: "%"}, []string{"samir@example.org"}},
		{"underscore_is_a_letter", directory.ListQuery{Search: "r_s"}, []string{"under_score@example.org"}},
		{"escape_is_a_letter", directory.ListQuery{Search: "e!"}, []string{"under_score@example.org"}},
		{"nobody", directory.ListQuery{Search: "nobody"}, nil},
		{"invited_too", directory.ListQuery{Search: "mira", IncludeInvited: true}, []string{"mira.oduya@example.org", "zed@example.org", "new.mira@example.org"}},
		{"only_invited", directory.ListQuery{Search: "mira", State: directory.OnlyInvited}, []string{"new.mira@example.org"}},
		{"suspended", directory.ListQuery{Search: "mir", State: directory.OnlySuspended}, []string{"samir@example.org"}},
		{"active", directory.ListQuery{Search: "mir", State: directory.OnlyActive}, []string{"mira.oduya@example.org", "zed@example.org"}},
	} {
		for _, limit := range []int{1, 2, 50} {
			tt.q.Limit = limit
			if diff := cmp.Diff(tt.want, searchAll(t, db, a.ID, tt.q)); diff != "" {
				t.Errorf("%s, pages of %d (-want +got):\n%s", tt.name, limit, diff)
			}
		}
	}
	s := people(db)
	for _, q := range []directory.ListQuery{{Search: "a\x00"}, {Search: "a", After: "?"}, {Search: "a", After: "eA"}, {Search: "a", After: held.ID}} {
		if _, err := s.People(t.Context(), a.ID, q); err == nil {
			t.Errorf("accepted: %+v", q)
		}
	}
}

// testSearchWindows searches among more people than one page looks at: everybody is found exactly once.
func testSearchWindows(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	var want []string
	all := make([]directory.NewUser, 12_000)
	for i := range all {
		all[i] = directory.NewUser{Email: fmt.Sprintf("p%05d@example.org", i), DisplayName: "Somebody"}
		if i%3000 == 7 {
			all[i].DisplayName = "The needle"
			want = append(want, all[i].Email)
		}
	}
	if err := db.ImportUsers(t.Context(), a.ID, all, func(int) {}, By()); err != nil {
		t.Fatal(err)
	}
	got := searchAll(t, db, a.ID, directory.ListQuery{Search: "needle", Limit: 3})
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("within names (-want +got):\n%s", diff)
	}
	if n := len(searchAll(t, db, a.ID, directory.ListQuery{Search: "p", Limit: 1000})); n != 1+len(all) {
		t.Errorf("found %d people, want %d whose email begins with p, and the owner at example.org", n, len(all))
	}
	// All are left out in the first part, window by window, before the parts behind it come.
	if got := searchAll(t, db, a.ID, directory.ListQuery{Search: "p", State: directory.OnlySuspended, Limit: 10}); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}
