package directory

import "context"

// Browse returns a page of people in the order of their emails, by q.State; q.Search is not looked at. Who is
// suspended or invited is listed as [Service.People] does it, in the order of IDs: they are few among many,
// and are found by an index of their own.
//
// It is a search for the empty text, with which every email begins, and it ends where emails do: the parts
// after that would find nobody else.
func (s *Service) Browse(ctx context.Context, accountID string, q ListQuery) (People, error) {
	q.Search = ""
	if q.State == OnlySuspended || q.State == OnlyInvited {
		return s.People(ctx, accountID, q)
	}
	if q.Limit < 1 || q.Limit > largestPage {
		q.Limit = defaultPage
	}
	p, err := s.search(ctx, accountID, q)
	if err != nil {
		return People{}, err
	}
	if at, err := openPlace(p.Next); err != nil || at.Part != SearchEmail {
		p.Next, p.Searching = "", false
	}
	return p, nil
}
