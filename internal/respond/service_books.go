package respond

import (
	"context"
	"slices"
	"strings"
	"sync"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// Origin says where a playbook comes from.
type Origin string

// The origins.
const (
	OriginShipped Origin = "shipped" // of the program, or of the server's folder
	OriginAccount Origin = "account" // of the account's own
)

// BookEntry is a playbook as an account has it.
type BookEntry struct {
	Playbook *Playbook // with the mode that counts
	Origin   Origin
	Written  Mode           // the mode that the text says
	Stored   StoredPlaybook // what the account has set; zero: nothing
	Fault    string         // why the account's own text is not run: this version cannot read it
}

// book is what an account runs, at a revision.
type book struct {
	revision  int64
	playbooks []*Playbook // by name, without those that are off
	entries   []BookEntry // all, by name
}

// bookCache keeps the books. That one is the newest is checked in the transaction that decides.
type bookCache struct {
	mu    sync.Mutex
	byAcc map[string]*book
}

// book is the account's book, read anew if it must be fresh.
func (s *Service) book(ctx context.Context, accountID string, fresh bool) (*book, error) {
	s.books.mu.Lock()
	b := s.books.byAcc[accountID]
	s.books.mu.Unlock()
	if b != nil && !fresh {
		return b, nil
	}
	stored, revision, err := s.Store.Playbooks(ctx, accountID)
	if err != nil {
		return nil, err
	}
	b = bind(s.Shipped, stored)
	b.revision = revision
	for _, e := range b.entries {
		if e.Fault != "" {
			s.log().ErrorContext(ctx, "a playbook is not run, since its text cannot be read", "account", accountID, "playbook", e.Stored.Name, "fault", e.Fault)
		}
	}
	s.books.mu.Lock()
	defer s.books.mu.Unlock()
	if s.books.byAcc == nil {
		s.books.byAcc = map[string]*book{}
	}
	if old := s.books.byAcc[accountID]; old == nil || old.revision <= revision {
		s.books.byAcc[accountID] = b
	}
	return b, nil
}

// bind puts together what is shipped and what the account has.
func bind(shipped []*Playbook, stored []StoredPlaybook) *book {
	byName := map[string]BookEntry{}
	for _, p := range shipped {
		byName[p.Name] = BookEntry{Playbook: p, Origin: OriginShipped, Written: p.Mode}
	}
	for _, x := range stored {
		e, known := byName[x.Name]
		switch {
		case x.Text != "":
			p, err := parseOne(x.Name, x.Text)
			e = BookEntry{Playbook: p, Origin: OriginAccount, Stored: x}
			if err != nil {
				e.Fault = err.Error()
				e.Playbook = &Playbook{Name: x.Name, Text: x.Text, Mode: ModeOff}
			}
			e.Written = e.Playbook.Mode
		case !known: // it was shipped once, and is not any more
			continue
		}
		e.Stored = x
		if x.Mode != "" && e.Fault == "" {
			p := *e.Playbook
			p.Mode = x.Mode
			e.Playbook = &p
		}
		byName[x.Name] = e
	}
	b := &book{}
	for _, e := range byName {
		b.entries = append(b.entries, e)
	}
	slices.SortFunc(b.entries, func(a, c BookEntry) int { return strings.Compare(a.Playbook.Name, c.Playbook.Name) })
	for _, e := range b.entries {
		if e.Playbook.Mode != ModeOff {
			b.playbooks = append(b.playbooks, e.Playbook)
		}
	}
	return b
}

// parseOne reads a text with one playbook, of that name.
func parseOne(name, text string) (*Playbook, error) {
	all, err := ParsePlaybooks(name, []byte(text))
	if err != nil {
		return nil, err
	}
	if len(all) != 1 {
		return nil, problem.InField("text", "the text has %d playbooks; one is expected", len(all))
	}
	if name != "" && all[0].Name != name {
		return nil, problem.InField("text", "the playbook is called %q, and %q was expected; a playbook keeps its name", all[0].Name, name)
	}
	return all[0], nil
}

// Playbooks are all that the account has, by name.
func (s *Service) Playbooks(ctx context.Context, accountID string) ([]BookEntry, error) {
	b, err := s.book(ctx, accountID, true)
	if err != nil {
		return nil, err
	}
	return b.entries, nil
}

// Playbook is one of them; NotFound if the account does not have it.
func (s *Service) Playbook(ctx context.Context, accountID, name string) (BookEntry, error) {
	all, err := s.Playbooks(ctx, accountID)
	if err != nil {
		return BookEntry{}, err
	}
	for _, e := range all {
		if e.Playbook.Name == name {
			return e, nil
		}
	}
	return BookEntry{}, problem.New(problem.NotFound, "no playbook %q", plain(name, maxName))
}

// SavePlaybook checks a text, runs its tests, and stores it for the account. Name is that of the one it replaces, whose
// revision the person has seen (0: whichever it is); empty: it is a new one. The mode is the text's.
func (s *Service) SavePlaybook(ctx context.Context, accountID, name, text string, revision int64, by audit.Entry) (StoredPlaybook, error) {
	p, err := parseOne(name, text)
	if err != nil {
		if problem.KindOf(err) == problem.Internal {
			err = problem.InField("text", "%s", err)
		}
		return StoredPlaybook{}, err
	}
	if name == "" {
		if _, err := s.Playbook(ctx, accountID, p.Name); err == nil {
			return StoredPlaybook{}, problem.InField("text", "the account has a playbook called %q already; open that one, or choose another name", p.Name)
		} else if problem.KindOf(err) != problem.NotFound {
			return StoredPlaybook{}, err
		}
	}
	if failed := failures(RunTests(p)); len(failed) > 0 {
		return StoredPlaybook{}, problem.InField("text", "%d of the playbook's tests fail: %s", len(failed), strings.Join(failed, "; "))
	}
	if err := s.ready(ctx, accountID, p); err != nil {
		return StoredPlaybook{}, err
	}
	return s.Store.SavePlaybook(ctx, StoredPlaybook{AccountID: accountID, Name: p.Name, Text: text, Mode: p.Mode, Version: p.Version(), Revision: revision}, by)
}

// SetMode says how far a playbook of the account goes.
func (s *Service) SetMode(ctx context.Context, accountID, name string, mode Mode, by audit.Entry) (StoredPlaybook, error) {
	if !slices.Contains(Modes(), mode) {
		return StoredPlaybook{}, problem.InField("mode", "the mode is %q; there are off, observe and enforce", mode)
	}
	e, err := s.Playbook(ctx, accountID, name)
	if err != nil {
		return StoredPlaybook{}, err
	}
	if e.Fault != "" && mode != ModeOff {
		return StoredPlaybook{}, problem.InField("mode", "the playbook cannot be read and is not run; correct it first: %s", e.Fault)
	}
	p := *e.Playbook
	p.Mode = mode
	if err := s.ready(ctx, accountID, &p); err != nil {
		return StoredPlaybook{}, err
	}
	next := StoredPlaybook{AccountID: accountID, Name: name, Text: e.Stored.Text, Mode: mode, Version: p.Version()}
	return s.Store.SavePlaybook(ctx, next, by)
}

// RemovePlaybook forgets the account's own text, or the mode that it has set; what is shipped under that name counts
// again.
func (s *Service) RemovePlaybook(ctx context.Context, accountID, name string, by audit.Entry) error {
	return s.Store.RemovePlaybook(ctx, accountID, name, by)
}

// ready refuses to enforce a playbook that names targets or channels which are not set up: it would fail when it counts.
func (s *Service) ready(ctx context.Context, accountID string, p *Playbook) error {
	if p.Mode != ModeEnforce {
		return nil
	}
	channels, err := s.Store.Channels(ctx, accountID)
	if err != nil {
		return err
	}
	targets, err := s.Store.Targets(ctx, accountID)
	if err != nil {
		return err
	}
	known := Known{Targets: []string{}, Channels: []string{}}
	for _, c := range channels {
		known.Channels = append(known.Channels, c.Name)
	}
	for _, t := range targets {
		known.Targets = append(known.Targets, t.Name)
	}
	if err := CheckPlaybooks([]*Playbook{p}, known); err != nil {
		return problem.InField("mode", "the playbook names what is not set up, and could not do its work: %s", err)
	}
	return nil
}
