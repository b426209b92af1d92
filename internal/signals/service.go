package signals

import (
	"cmp"
	"context"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/web"
)

// Keys seals; *[seal.Keyring] does.
type Keys interface {
	Seal(value []byte, purpose string, identity ...string) ([]byte, error)
	Open(sealed []byte, purpose string, identity ...string) ([]byte, error)
}

// Intake sets up sources and takes events in. Store, Keys, URL and Now must be set before the first call; it
// must not be copied after that.
type Intake struct {
	Store Store
	Keys  Keys
	Feed  Feed   // of this server; nil: sources of the kind local cannot be asked
	URL   string // where senders reach the server, without a slash at the end

	Refusals web.RefusalLog // hears of wrong signatures; nil: nobody does
	Failures *web.Limiter   // of addresses that sign wrongly; nil: none
	Log      *slog.Logger   // nil: silence
	Changed  chan struct{}  // with room for one; wakes the Runner of this process. nil: it looks by itself
	Every    time.Duration  // how often a source is asked that does not let us wait; 0: 10 s
	Now      func() time.Time
}

// NewSource is a source to set up.
type NewSource struct {
	Kind   Kind
	Name   string
	Config Config
	Token  seal.Secret // to ask with; zero for none
}

// Made is a source with its secret, which is shown once.
type Made struct {
	Setup  Setup
	Secret seal.Secret // what senders sign with; zero for a source that is asked
}

const (
	maxSourceName = 100 // bytes
	sealedFor     = "signal source secret"
	overlapMost   = 7 * 24 * time.Hour
	sinceUsual    = 24 * time.Hour
)

// Add sets up a source.
func (s *Intake) Add(ctx context.Context, accountID string, n NewSource, by audit.Entry) (Made, error) {
	kind, err := sourceOf(n.Kind)
	if err != nil {
		return Made{}, err
	}
	if n.Kind == KindLocal {
		return Made{}, ErrOwnSource()
	}
	name, err := checkName(n.Name)
	if err != nil {
		return Made{}, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond)
	if n.Config.Since.IsZero() {
		n.Config.Since = now.Add(-sinceUsual)
	}
	if err := kind.Check(&n.Config, n.Token); err != nil {
		return Made{}, err
	}
	made := Made{Setup: Setup{
		AccountID: accountID, ID: seal.NewID(), Kind: n.Kind, Name: name, Config: n.Config, State: Active, Revision: 1, CreatedAt: now, CreatedBy: by.Actor,
	}}
	token := n.Token
	if !kind.Pulls(n.Config) {
		made.Secret = seal.NewWebhookSecret()
		token = made.Secret
	}
	if made.Setup.Secrets.Current, err = s.seal(made.Setup, token); err != nil {
		return Made{}, err
	}
	by = by.For(audit.SourceAdd, made.Setup.Target()).Because(string(n.Kind) + ": " + name)
	if err := s.Store.CreateSource(ctx, made.Setup, by); err != nil {
		return Made{}, err
	}
	s.changed()
	return made, nil
}

func checkName(name string) (string, error) {
	name = strings.TrimSpace(name)
	switch {
	case name == "":
		return "", problem.InField("name", "the source needs a name, such as that of the system which its events come from")
	case len(name) > maxSourceName:
		return "", problem.InField("name", "the name has %d bytes; at most %d are possible", len(name), maxSourceName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", problem.InField("name", "the name holds characters that cannot be shown")
	}
	return name, nil
}

func (s *Intake) seal(x Setup, secret seal.Secret) ([]byte, error) {
	if secret.IsZero() {
		return nil, nil
	}
	return s.Keys.Seal([]byte(secret.Reveal()), sealedFor, x.AccountID, x.ID)
}

// secret opens what seal has sealed; the zero Secret if there is none.
func (s *Intake) secret(x Setup, sealed []byte) (seal.Secret, error) {
	if sealed == nil {
		return seal.Secret{}, nil
	}
	text, err := s.Keys.Open(sealed, sealedFor, x.AccountID, x.ID)
	return seal.NewSecret(string(text)), err
}

// List returns the account's sources in the order of their creation.
func (s *Intake) List(ctx context.Context, accountID string) ([]Setup, error) {
	return s.Store.SignalSources(ctx, accountID)
}

// Get returns one source of the account.
func (s *Intake) Get(ctx context.Context, accountID, id string) (Setup, error) {
	return s.Store.SignalSource(ctx, accountID, id)
}

// ErrNoSource is the answer to a source that the account does not have.
func ErrNoSource(id string) *problem.Error { return problem.New(problem.NotFound, "no source %q", id) }

// ErrNoAlias is the answer to an alias that the account does not have.
func ErrNoAlias(name string) *problem.Error {
	return problem.New(problem.NotFound, "no alias %q", name)
}

// Change is what is to be different; nil for what stays.
type Change struct {
	Name    *string
	BaseURL *string
	CA      *string
}

// Update changes a source's name, and where it is asked.
func (s *Intake) Update(ctx context.Context, accountID, id string, c Change, by audit.Entry) (Setup, error) {
	x, err := s.Store.ChangeSource(ctx, accountID, id, func(x *Setup) error {
		kind, err := sourceOf(x.Kind)
		if err != nil {
			return err
		}
		if c.Name != nil {
			if x.Name, err = checkName(*c.Name); err != nil {
				return err
			}
		}
		pulls := kind.Pulls(x.Config)
		if c.BaseURL != nil {
			x.Config.BaseURL = *c.BaseURL
		}
		if c.CA != nil {
			x.Config.CA = *c.CA
		}
		if c.BaseURL == nil && c.CA == nil {
			return nil
		}
		token, err := s.secret(*x, x.Secrets.Current)
		if err != nil {
			return err
		}
		if !pulls {
			token = seal.Secret{}
		}
		if err := kind.Check(&x.Config, token); err != nil {
			return err
		}
		if kind.Pulls(x.Config) != pulls {
			return problem.InField("base_url", "a source that is asked cannot become one that is sent events, nor the other way round; add another one")
		}
		return nil
	}, by.For(audit.SourceUpdate, Setup{ID: id}.Target()))
	s.changed()
	return x, err
}

// Rotate makes a new secret, and the old one stays good for the overlap. For a source that is asked the token
// is the new one, and the old one is forgotten.
func (s *Intake) Rotate(ctx context.Context, accountID, id string, token seal.Secret, overlap time.Duration, by audit.Entry) (Made, error) {
	if overlap < 0 || overlap > overlapMost {
		return Made{}, problem.InField("overlap", "the overlap is %s; it must be from 0s to %s", overlap, overlapMost)
	}
	var made Made
	_, err := s.Store.ChangeSource(ctx, accountID, id, func(x *Setup) error {
		kind, err := sourceOf(x.Kind)
		if err != nil {
			return err
		}
		made = Made{}
		next := token
		if kind.Pulls(x.Config) {
			if err := kind.Check(&x.Config, token); err != nil {
				return err
			}
			x.Secrets = Secrets{}
			if x.LastError != "" { // which a new token may end
				x.State, x.LastError = Active, ""
			}
		} else {
			if !token.IsZero() {
				return problem.InField("token", "the secret of this source is made by Holdfast; give no token")
			}
			next = seal.NewWebhookSecret()
			made.Secret = next
			x.Secrets = Secrets{Former: x.Secrets.Current, FormerUntil: s.Now().Add(overlap).UTC().Truncate(time.Microsecond)}
			if overlap == 0 {
				x.Secrets = Secrets{}
			}
		}
		if x.Secrets.Current, err = s.seal(*x, next); err != nil {
			return err
		}
		made.Setup = *x
		return nil
	}, by.For(audit.SourceRotate, Setup{ID: id}.Target()))
	s.changed()
	return made, err
}

// Pause stops asking a source, and hearing it. Of a source that is paused already nothing is changed.
func (s *Intake) Pause(ctx context.Context, accountID, id string, by audit.Entry) (Setup, error) {
	x, err := s.Store.ChangeSource(ctx, accountID, id, func(x *Setup) error {
		x.State = Paused
		return nil
	}, by.For(audit.SourcePause, Setup{ID: id}.Target()))
	s.changed()
	return x, err
}

// Resume goes on from where a source was paused.
func (s *Intake) Resume(ctx context.Context, accountID, id string, by audit.Entry) (Setup, error) {
	x, err := s.Store.ChangeSource(ctx, accountID, id, func(x *Setup) error {
		x.State, x.LastError = Active, ""
		return nil
	}, by.For(audit.SourceUpdate, Setup{ID: id}.Target()).Because(cmp.Or(by.Reason, "resumed")))
	s.changed()
	return x, err
}

// Remove forgets a source with its secret. Its events stay. The account's own feed is not removed.
func (s *Intake) Remove(ctx context.Context, accountID, id string, by audit.Entry) error {
	err := s.Store.RemoveSource(ctx, accountID, id, by.For(audit.SourceRemove, Setup{ID: id}.Target()))
	s.changed()
	return err
}

// Test tries whether a source answers, and says in words what was found.
func (s *Intake) Test(ctx context.Context, accountID, id string) (string, error) {
	x, err := s.Store.SignalSource(ctx, accountID, id)
	if err != nil {
		return "", err
	}
	kind, err := sourceOf(x.Kind)
	if err != nil {
		return "", err
	}
	l, err := s.live(x)
	if err != nil {
		return "", err
	}
	defer l.hangUp()
	return kind.Test(ctx, l)
}

// live is a source that can be asked.
func (s *Intake) live(x Setup) (*Live, error) {
	token, err := s.secret(x, x.Secrets.Current)
	if err != nil {
		return nil, err
	}
	return &Live{Setup: x, Token: token, Feed: s.Feed, Every: cmp.Or(s.Every, 10*time.Second), Now: s.Now}, nil
}

// SetAlias says that events of a format (empty: of any) mean a person by a name; nobody, if the ID is empty.
func (s *Intake) SetAlias(ctx context.Context, a Alias, by audit.Entry) error {
	a.Name = strings.TrimSpace(a.Name)
	if a.Name == "" || len(a.Name) > maxText || clean(a.Name) != a.Name {
		return problem.InField("alias", "the alias is empty, longer than %d bytes, or holds characters that cannot be shown", maxText)
	}
	if a.Format != "" {
		if _, err := NewDecoder(a.Format); err != nil {
			return err
		}
	}
	target, reason := "user:"+a.PersonID, "alias: "+a.Name
	if a.PersonID == "" {
		target, reason = "", "alias removed: "+a.Name
	}
	return s.Store.SetAlias(ctx, a, by.For(audit.SourceUpdate, target).Because(reason))
}

// Aliases lists the account's aliases by name.
func (s *Intake) Aliases(ctx context.Context, accountID string) ([]Alias, error) {
	return s.Store.Aliases(ctx, accountID)
}

// PushURL is where events of the source are sent.
func (s *Intake) PushURL(x Setup) string {
	return s.URL + "/v1/accounts/" + x.AccountID + "/signals/" + x.ID
}

// Purge deletes events that are older than they are kept for. For 0 all are kept.
func (s *Intake) Purge(ctx context.Context, keep time.Duration) error {
	if keep <= 0 {
		return nil
	}
	return s.Store.PurgeSignals(ctx, s.Now().Add(-keep))
}

// changed wakes the Runner of this process.
func (s *Intake) changed() {
	select {
	case s.Changed <- struct{}{}:
	default: // it is awake, or not here
	}
}
