package directory

import (
	"context"
	"encoding/base64"
	"strings"

	"holdfast/internal/problem"
)

// People is one page of a list for people.
type People struct {
	Users []User
	Next  string // ListQuery.After of the next page; empty: this was the last

	// Searching says that this page may hold fewer people than were asked for, or none, though there may be
	// more: the search has looked at as many as one page may cost. It goes on at Next.
	Searching bool
}

// Where a search is: the parts come one after the other, and nobody is in two of them.
const (
	SearchEmail  = 'e' // the email begins with the text; in the order of emails
	SearchName   = 'n' // else, the display name does; in the order of names
	SearchWithin = 's' // else, the text is somewhere in either; in the order of ids
)

// SearchPlace is up to where a search has come: behind the person with this key and id.
type SearchPlace struct {
	Part byte   // SearchEmail, SearchName, or SearchWithin
	Key  string // the folded email or name; empty in the last part
	ID   string
}

// SearchKey folds a text as what is searched was folded.
func SearchKey(text string) string { return GroupKey(text) }

// NameKey is what a display name is found by: normalised to NFC and case-folded.
func NameKey(name string) string { return GroupKey(name) }

// maxSearch bounds the text of a search, in bytes.
const maxSearch = 200

// People returns a page of people, by q.State, and of those whom q.Search finds if it is not empty: whose
// email or display name begins with the text, then those who have it anywhere, letter case ignored. The
// beginnings are found by index. For the rest one page looks at a bounded number of people, so that it
// costs no more in an account of a million; see [People.Searching].
func (s *Service) People(ctx context.Context, accountID string, q ListQuery) (People, error) {
	q.Search = strings.TrimSpace(q.Search)
	if len(q.Search) > maxSearch || strings.ContainsFunc(q.Search, unprintable) {
		return People{}, problem.InField("search", "the search has characters that cannot be shown, or more than %d bytes", maxSearch)
	}
	if q.Limit < 1 || q.Limit > largestPage {
		q.Limit = defaultPage
	}
	if q.Search != "" {
		return s.search(ctx, accountID, q)
	}
	limit := q.Limit
	q.Limit++ // one more tells whether there is a next page
	us, err := s.Store.ListUsers(ctx, accountID, q)
	if err != nil || len(us) <= limit {
		return People{Users: us}, err
	}
	return People{Users: us[:limit], Next: us[limit-1].ID}, nil
}

func (s *Service) search(ctx context.Context, accountID string, q ListQuery) (People, error) {
	from, err := openPlace(q.After)
	if err != nil {
		return People{}, err
	}
	us, next, more, err := s.Store.SearchUsers(ctx, accountID, q, from)
	if err != nil {
		return People{}, err
	}
	p := People{Users: us}
	if more {
		p.Next, p.Searching = next.text(), len(us) < q.Limit
	}
	return p, nil
}

// text is the place as a browser carries it. It is no secret, and says nothing about who may read on.
func (p SearchPlace) text() string {
	return base64.RawURLEncoding.EncodeToString([]byte(string(rune(p.Part)) + p.ID + "\n" + p.Key))
}

func openPlace(text string) (SearchPlace, error) {
	if text == "" {
		return SearchPlace{Part: SearchEmail}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(b) > 0 && strings.IndexByte("ens", b[0]) >= 0 {
		if id, key, ok := strings.Cut(string(b[1:]), "\n"); ok && !strings.ContainsFunc(id+key, unprintable) {
			return SearchPlace{Part: b[0], ID: id, Key: key}, nil
		}
	}
	return SearchPlace{}, problem.InField("after", "the search cannot go on from there; start it again")
}
