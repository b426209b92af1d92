package directory

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
)

// emails is a store that has people by their emails, and knows of a search for nothing else.
type emails struct {
	Store
	us []User
}

func (e emails) SearchUsers(_ context.Context, _ string, q ListQuery, from SearchPlace) (us []User, at SearchPlace, more bool, err error) {
	if from.Part != SearchEmail || q.Search != "" {
		return nil, from, false, fmt.Errorf("asked for part %q of %q", from.Part, q.Search)
	}
	for _, u := range e.us {
		if key := EmailKey(u.Email); key > from.Key {
			if len(us) == q.Limit {
				return us, at, true, nil
			}
			us, at = append(us, u), SearchPlace{Part: SearchEmail, Key: key, ID: u.ID}
		}
	}
	return us, SearchPlace{Part: SearchWithin, ID: "Z"}, len(e.us) > 4, nil // a large account: more may be within
}

func (e emails) ListUsers(_ context.Context, _ string, q ListQuery) ([]User, error) {
	return []User{{ID: fmt.Sprint("by state ", q.State)}}, nil
}

func TestBrowse(t *testing.T) {
	var all []User
	for i, email := range []string{"Zoe@x.example", "ada@x.example", "Mira@x.example", "bo@x.example", "cy@x.example"} {
		all = append(all, User{ID: fmt.Sprint(i), Email: email})
	}
	slices.SortFunc(all, func(a, b User) int { return cmp.Compare(EmailKey(a.Email), EmailKey(b.Email)) })
	for _, size := range []int{1, 2, 4, 5, 6} {
		s := &Service{Store: emails{us: all}}
		var got []User
		after := ""
		for pages := 1; ; pages++ {
			p, err := s.Browse(t.Context(), "A", ListQuery{Limit: size, After: after, Search: "is not looked at"})
			if err != nil {
				t.Fatalf("page %d of %d people each: %v", pages, size, err)
			}
			got = append(got, p.Users...)
			if p.Searching {
				t.Errorf("page %d of %d people each says that the search goes on", pages, size)
			}
			if after = p.Next; after == "" {
				break
			}
			if pages > len(all) {
				t.Fatalf("pages of %d people: no end", size)
			}
		}
		if !slices.Equal(got, all) {
			t.Errorf("in pages of %d: got %v, want %v", size, got, all)
		}
	}
}

func TestBrowseByState(t *testing.T) {
	s := &Service{Store: emails{}}
	for _, state := range []StateFilter{OnlySuspended, OnlyInvited} {
		p, err := s.Browse(t.Context(), "A", ListQuery{State: state})
		if err != nil || len(p.Users) != 1 || p.Users[0].ID != fmt.Sprint("by state ", state) {
			t.Errorf("state %d: got %v, %v; want the list by state", state, p.Users, err)
		}
	}
}
