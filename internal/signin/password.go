package signin

import (
	"context"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/web"
)

// maxCandidates is how many people of different accounts, with the same e-mail, a password is tried for.
const maxCandidates = 4

// waitingForCode is somebody who has shown her password.
type waitingForCode struct {
	AccountID, UserID string
	PasswordHash      string // it was compared with
	Until             time.Time
	Wrong             int // codes so far
}

// maxWrong is how many wrong codes a ticket survives, less one.
const maxWrong = 5

// Password signs in by e-mail and password. If a one-time code is needed besides, the ticket for [Service.Code]
// is not empty and nobody is signed in yet.
//
// Each person with the e-mail costs one hash, and so does an e-mail that nobody has.
func (s *Service) Password(ctx context.Context, c Client, email, password string) (SignedIn, Ticket, error) {
	c, email = tidy(c), bounded(email, 254)
	release, err := s.turns.take(ctx, "email:"+fold(email))
	if err != nil {
		return SignedIn{}, "", err
	}
	defer release()
	people, err := s.Store.People(ctx, email, maxCandidates)
	if err != nil {
		return SignedIn{}, "", err
	}
	g, err := s.gate(ctx, c, people, email)
	if err != nil {
		return SignedIn{}, "", err
	}
	if g.waits[g.address] > 0 {
		return SignedIn{}, "", s.blockAddress(ctx, c, g, Person{Email: email}, ByPassword)
	}
	if len(people) == 0 {
		return SignedIn{}, "", s.unknown(ctx, c, g, email, password)
	}
	var refused error
	counted := []string{g.address} // against the first attempt that is recorded, so that the address pays once
	for _, p := range people {
		cat, t, keys, answer := CredentialsFailed, PasswordSecretBad, append(counted, personKey(p)), error(ErrWrong())
		if wait := g.waits[personKey(p)]; wait > 0 {
			cat, t, keys, answer = FirewallFailed, AllBlocked, counted, ErrSlowed(wait)
		} else {
			m, ok, err := s.passwordOf(ctx, p, password)
			if err != nil {
				return SignedIn{}, "", err
			}
			if ok {
				return s.afterPassword(ctx, c, p, m)
			}
		}
		if err := s.fail(ctx, c, p, ByPassword, cat, t, keys...); err != nil {
			return SignedIn{}, "", err
		}
		counted = nil
		if refused == nil || t == PasswordSecretBad {
			refused = answer
		}
	}
	return SignedIn{}, "", refused
}

// unknown does for an e-mail that nobody has what is done for one that somebody has.
func (s *Service) unknown(ctx context.Context, c Client, g gate, email, password string) error {
	key, nobody := s.emailKey(email), Person{Email: email}
	if wait := g.waits[key]; wait > 0 {
		if err := s.fail(ctx, c, nobody, ByPassword, FirewallFailed, AllBlocked, g.address); err != nil {
			return err
		}
		return ErrSlowed(wait)
	}
	if _, err := s.hashes.matches(ctx, password, ""); err != nil {
		return err
	}
	if err := s.fail(ctx, c, nobody, ByPassword, CredentialsFailed, PasswordSecretBad, g.address, key); err != nil {
		return err
	}
	return ErrWrong()
}

// passwordOf reports whether the password is the person's, and passwords are allowed. It costs one hash in
// any case.
func (s *Service) passwordOf(ctx context.Context, p Person, password string) (Methods, bool, error) {
	policy, err := s.Store.Policy(ctx, p.AccountID)
	if err != nil {
		return Methods{}, false, err
	}
	m, err := s.Store.Methods(ctx, p.AccountID, p.UserID)
	if err != nil {
		return Methods{}, false, err
	}
	hash := m.PasswordHash
	if !policy.Passwords {
		hash = ""
	}
	ok, err := s.hashes.matches(ctx, password, hash)
	return m, ok, err
}

func (s *Service) afterPassword(ctx context.Context, c Client, p Person, m Methods) (SignedIn, Ticket, error) {
	if m.TOTP != nil {
		// Of who is not let in whatever her code is, none is asked: nobody should look for the telephone in vain.
		if err := s.denied(ctx, c, p, ByPassword); err != nil {
			return SignedIn{}, "", err
		}
		ticket, err := issue(ctx, s, forCode, waitingForCode{
			AccountID: p.AccountID, UserID: p.UserID, PasswordHash: m.PasswordHash, Until: s.Now().Add(ticketLife),
		}, ticketKept)
		return SignedIn{}, ticket, err
	}
	in, err := s.enter(ctx, c, p, ByPassword, CredentialsOK, Used{PasswordHash: m.PasswordHash})
	return in, "", err
}

// Code finishes what Password began, with a one-time code or a recovery code. A ticket is good for five
// minutes and four wrong codes; with the fifth it is worth nothing.
func (s *Service) Code(ctx context.Context, c Client, ticket Ticket, code string) (SignedIn, error) {
	c = tidy(c)
	w, hash, err := redeem[waitingForCode](ctx, s, s.Store.Take, ticket, forCode)
	if err != nil {
		return SignedIn{}, err
	}
	p, err := s.Store.Person(ctx, w.AccountID, w.UserID)
	if problem.Is(err, problem.NotFound) {
		return SignedIn{}, ErrOver()
	}
	if err != nil {
		return SignedIn{}, err
	}
	if !s.Now().Before(w.Until) {
		if err := s.fail(ctx, c, p, ByPasswordCode, MFAFailed, lateFor(code)); err != nil {
			return SignedIn{}, err
		}
		return SignedIn{}, ErrOver()
	}
	release, err := s.turns.take(ctx, personKey(p))
	if err != nil {
		return SignedIn{}, err
	}
	defer release()
	again := func() error { return keep(ctx, s, hash, forCode, w, w.Until.Add(ticketKept-ticketLife)) }
	g, err := s.gate(ctx, c, []Person{p}, "")
	if err != nil {
		return SignedIn{}, err
	}
	if err := s.blockPerson(ctx, c, g, p, ByPasswordCode); err != nil {
		if err := again(); err != nil {
			return SignedIn{}, err
		}
		return SignedIn{}, err
	}
	m, err := s.Store.Methods(ctx, w.AccountID, w.UserID)
	if err != nil {
		return SignedIn{}, err
	}
	used, method, bad, err := s.readCode(p, m, code)
	if err != nil {
		return SignedIn{}, err
	}
	if bad == "" {
		used.PasswordHash = w.PasswordHash
		in, err := s.enter(ctx, c, p, method, MFAOK, used)
		if !isWrong(err) && !unproven(method, err) {
			return in, err
		}
		bad = badFor(method)
	}
	if err := s.fail(ctx, c, p, method, MFAFailed, bad, g.address, personKey(p)); err != nil {
		return SignedIn{}, err
	}
	if w.Wrong++; w.Wrong < maxWrong {
		if err := again(); err != nil {
			return SignedIn{}, err
		}
	}
	return SignedIn{}, ErrWrong()
}

// blockPerson is the answer to somebody who has to wait, nil if she does not.
func (s *Service) blockPerson(ctx context.Context, c Client, g gate, p Person, m Method) error {
	if g.waits[g.address] > 0 {
		return s.blockAddress(ctx, c, g, p, m)
	}
	wait := g.waits[personKey(p)]
	if wait == 0 {
		return nil
	}
	if err := s.fail(ctx, c, p, m, FirewallFailed, AllBlocked, g.address); err != nil {
		return err
	}
	return ErrSlowed(wait)
}

// isWrong reports whether the store found that the credentials are not those any more.
func isWrong(err error) bool {
	return problem.Is(err, problem.Unauthenticated) && problem.Public(err).Code == ErrWrong().Code
}

// unproven reports whether somebody who may not sign in was refused before the store looked at her recovery
// code. As it may be a wrong one, she is told what is told about a wrong one.
func unproven(m Method, err error) bool {
	return m == ByRecoveryCode && problem.Is(err, problem.Forbidden) && problem.Public(err).Code == ErrMayNot().Code
}

// ConfirmPassword is a fresh authentication for the session in p, by the password and, where one is set
// up, a one-time code or a recovery code.
func (s *Service) ConfirmPassword(ctx context.Context, c Client, p web.Principal, password, code string) error {
	c = tidy(c)
	person, err := s.person(ctx, p)
	if err != nil {
		return err
	}
	release, err := s.turns.take(ctx, personKey(person))
	if err != nil {
		return err
	}
	defer release()
	g, err := s.gate(ctx, c, []Person{person}, "")
	if err != nil {
		return err
	}
	if err := s.blockPerson(ctx, c, g, person, ByPassword); err != nil {
		return err
	}
	m, ok, err := s.passwordOf(ctx, person, password)
	if err != nil {
		return err
	}
	cat, bad, method, t, used := CredentialsFailed, PasswordSecretBad, ByPassword, CredentialsOK, Used{}
	if ok && m.TOTP != nil {
		cat, t = MFAFailed, MFAOK
		if used, method, bad, err = s.readCode(person, m, code); err != nil {
			return err
		}
		ok = bad == ""
	}
	if ok {
		used.PasswordHash = m.PasswordHash
		if err = s.confirm(ctx, c, person, p.SessionID, method, t, used); !isWrong(err) && !unproven(method, err) {
			return err
		}
		if bad = PasswordSecretBad; m.TOTP != nil {
			bad = badFor(method)
		}
	}
	if err := s.fail(ctx, c, person, method, cat, bad, g.address, personKey(person)); err != nil {
		return err
	}
	return ErrWrong()
}
