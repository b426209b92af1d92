package detect

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
)

// Rules are the rules of accounts: the pack, the folder of the server, and what each account has written and
// set itself. It is safe for concurrent use; make it with NewRules.
//
// What an account changes is checked against all its rules before it is stored: a change that makes one of
// them unusable is refused. If one becomes so otherwise, since the program or the folder is another one, it
// is left out and reported, and the others go on.
type Rules struct {
	store RuleStore
	pack  fs.FS
	dir   fs.FS
	now   func() time.Time
	log   *slog.Logger

	mu    sync.Mutex
	base  *ruleBase
	plain *compiled // of an account that has changed nothing
	state string    // of the folder, as it was read
	stale Faults    // what is wrong with the folder as it is now; the rules are those from before
	sets  map[string]*compiled
}

// RulesConfig is what Rules are made of.
type RulesConfig struct {
	Store RuleStore
	Pack  fs.FS // what comes with Holdfast
	Dir   fs.FS // the folder of the server; nil: none
	Now   func() time.Time
	Log   *slog.Logger
}

// compiled are the rules of an account, ready to be used.
type compiled struct {
	base     *ruleBase
	revision int64
	model    *model
	set      *Set
	faults   Faults
}

// NewRules reads the files. Faulty ones of the folder are left out and reported in the log; the error is what
// kept a file from being read.
func NewRules(c RulesConfig) (*Rules, error) {
	s := &Rules{store: c.Store, pack: c.Pack, dir: c.Dir, now: c.Now, log: c.Log, sets: map[string]*compiled{}}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	state, err := fileState(s.dir)
	if err != nil {
		return nil, err
	}
	base, err := readBase(s.pack, s.dir)
	if err != nil {
		return nil, err
	}
	s.state = state
	s.report("a rule file is faulty and left out", base.faults)
	return s, s.use(base)
}

func (s *Rules) report(what string, faults Faults) {
	for _, f := range faults {
		s.log.Error(what, "fault", f.String())
	}
}

// use makes the files those in use. It is called with the lock, or before anybody else can call.
func (s *Rules) use(base *ruleBase) error {
	plain, err := compileBook(base, book{})
	if err != nil {
		return err
	}
	s.base, s.plain, s.stale = base, plain, nil
	return nil
}

func compileBook(base *ruleBase, b book) (*compiled, error) {
	m := newModel(base, b)
	set, faults, err := m.compile()
	if err != nil {
		return nil, err
	}
	return &compiled{base: base, revision: b.revision, model: m, set: set, faults: append(m.faults[:len(m.faults):len(m.faults)], faults...)}, nil
}

// Reload reads the folder of the server again if it has changed, and says whether there are other rules now.
// A folder that has a fault changes nothing: the rules stay as they are, and the faults are reported.
func (s *Rules) Reload() (bool, error) {
	state, err := fileState(s.dir)
	if err != nil {
		return false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == s.state {
		return false, nil
	}
	base, err := readBase(s.pack, s.dir)
	if err != nil {
		return false, err
	}
	s.state = state
	if len(base.faults) > 0 {
		s.report("the rule folder has changed and is faulty; the rules from before stay", base.faults)
		s.stale = base.faults
		return false, nil
	}
	s.log.Info("the rule folder has changed", "rules", len(base.rules))
	return true, s.use(base)
}

// Run looks at the folder of the server again and again until the context ends.
func (s *Rules) Run(ctx context.Context, every time.Duration) error {
	if s.dir == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
			if _, err := s.Reload(); err != nil {
				s.log.Error("the rule folder cannot be read; the rules from before stay", "error", err)
			}
		}
	}
}

// Rules are the rules of the account, compiled, and the revision of what it has changed. As long as nothing
// has changed, neither there nor in the files, it is the same set.
func (s *Rules) Rules(ctx context.Context, accountID string) (*Set, int64, error) {
	c, err := s.current(ctx, accountID)
	if err != nil {
		return nil, 0, err
	}
	return c.set, c.revision, nil
}

// files are the base in use.
func (s *Rules) files() (*ruleBase, *compiled) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.base, s.plain
}

func (s *Rules) current(ctx context.Context, accountID string) (*compiled, error) {
	base, plain := s.files()
	revision, err := s.store.RulesRevision(ctx, accountID)
	if err != nil {
		return nil, err
	}
	if c := s.kept(accountID, base, revision); c != nil {
		return c, nil
	}
	revision, items, err := s.store.RuleItems(ctx, accountID)
	if err != nil {
		return nil, err
	}
	c := &compiled{base: base, revision: revision, model: plain.model, set: plain.set, faults: plain.faults}
	if len(items) > 0 {
		b, err := readBook(revision, items)
		if err != nil {
			return nil, err
		}
		if c, err = compileBook(base, b); err != nil {
			return nil, err
		}
		s.report("a rule of the account "+accountID+" is left out", c.faults)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if other := s.sets[accountID]; other != nil && other.base == base && other.revision >= revision {
		return other, nil // somebody else was faster
	}
	s.sets[accountID] = c
	return c, nil
}

// kept are the account's rules of this revision, if they are at hand.
func (s *Rules) kept(accountID string, base *ruleBase, revision int64) *compiled {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.sets[accountID]; c != nil && c.base == base && c.revision == revision {
		return c
	}
	return nil
}

// tries is how often a change is tried while others change the rules of the same account.
const tries = 8

// step is a change of an account's rules.
type step struct {
	items []RuleItem
	about string // "rule:NAME" or "list:NAME"
	by    audit.Entry
	field string // of the form, for what is wrong with the rules then
}

// change works out a step on the rules as they are, checks what comes of it, and stores it. A step without
// items changes nothing.
func (s *Rules) change(ctx context.Context, accountID string, work func(m *model) (step, error)) error {
	for range tries {
		before, err := s.current(ctx, accountID)
		if err != nil {
			return err
		}
		x, err := work(before.model)
		if err != nil || len(x.items) == 0 {
			return err
		}
		next, err := before.model.with(x.items...)
		if err != nil {
			return err
		}
		after, err := compileBook(before.base, next)
		if err != nil {
			return err
		}
		if worse := newFaults(before.faults, after.faults); len(worse) > 0 {
			return inField(x.field, worse)
		}
		x.by.Target = x.about
		err = s.store.ChangeRuleBook(ctx, accountID, before.revision, x.items, x.about, x.by)
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != rulesChangedCode {
			return err
		}
	}
	return ErrRulesChanged()
}

// newFaults are those that were not there before.
func newFaults(before, after Faults) (worse Faults) {
	for _, f := range after {
		if !slices.Contains(before, f) {
			worse = append(worse, f)
		}
	}
	return worse
}

// inField is faults as a problem of a form's field. Faults can be had from it.
func inField(field string, faults Faults) error {
	return problem.InField(field, "%s", plainFaults(faults)).WithCause(faults)
}

// plainFaults says what is wrong in a sentence.
func plainFaults(faults Faults) string {
	text := faults[0].Text
	if faults[0].Line > 0 {
		text = "line " + IntValue(int64(faults[0].Line)).Texts()[0] + ": " + text
	}
	if n := len(faults) - 1; n > 0 {
		text += "; and " + IntValue(int64(n)).Texts()[0] + " more"
	}
	return text
}
