package signin

import (
	"context"
	"net/url"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// maxParked bounds what is kept of a form, in bytes.
const maxParked = 32 << 10

// NotParked are the fields that are never kept: who comes back types them again.
func NotParked() []string {
	return []string{"password", "new_password", "code", "client_secret", "secret", "totp"}
}

type parked struct {
	AccountID, UserID string
	Path              string
	Values            url.Values
}

// Park keeps what somebody had typed when her session, or its freshness, ended: for half an hour, for the
// same person only. p is who she was, as [Service.Session] filled it in. Secrets are left out.
func (s *Service) Park(ctx context.Context, p web.Principal, path string, values url.Values) (Ticket, error) {
	if p.UserID == "" {
		return "", problem.New(problem.Unauthenticated, "nobody knows whose form this is; sign in and fill it in again")
	}
	kept := url.Values{}
	size := len(path)
	for name, texts := range values {
		kept[name] = texts
		for _, text := range texts {
			size += len(name) + len(text)
		}
	}
	for _, name := range NotParked() {
		delete(kept, name)
	}
	if size > maxParked {
		return "", problem.New(problem.TooLarge, "the form has %d bytes; at most %d can be kept while you sign in", size, maxParked)
	}
	return issue(ctx, s, forParked, parked{p.AccountID, p.UserID, within(path), kept}, parkLife)
}

// Unpark returns it, once. To anybody else it is NotFound, and stays where it is.
func (s *Service) Unpark(ctx context.Context, p web.Principal, ticket Ticket) (path string, values url.Values, err error) {
	errGone := problem.New(problem.NotFound, "nothing is kept of this form any more; fill it in again")
	form, hash, err := redeem[parked](ctx, s, s.Store.Peek, ticket, forParked)
	if problem.Is(err, problem.Unauthenticated) {
		return "", nil, errGone.WithCause(err)
	}
	if err != nil {
		return "", nil, err
	}
	if form.AccountID != p.AccountID || form.UserID != p.UserID || p.UserID == "" {
		return "", nil, errGone
	}
	if _, err := s.Store.Take(ctx, hash, forParked, s.Now()); err != nil {
		return "", nil, err
	}
	return form.Path, form.Values, nil
}
