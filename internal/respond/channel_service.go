package respond

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// ChannelStore is what setting up channels needs from a database; [Settings] has it.
type ChannelStore interface {
	Channels(ctx context.Context, accountID string) ([]Channel, error)
	SaveChannel(ctx context.Context, c Channel, by audit.Entry) (Channel, error)
	RemoveChannel(ctx context.Context, accountID, name string, by audit.Entry) error
}

// Channels sets up channels and sends through them. Store, Keys and Now must be set before the first call.
type Channels struct {
	Store ChannelStore
	Keys  Sealer
	Now   func() time.Time
}

// NewChannel is a channel to set up. For a webhook without a secret one is made.
type NewChannel struct {
	Name   string
	Kind   ChannelKind
	Pages  bool
	Config ChannelConfig
	Secret seal.Secret
}

// MadeChannel is a channel with the secret that was made for it, which is shown once; else zero.
type MadeChannel struct {
	Channel Channel
	Secret  seal.Secret
}

// Add sets up a channel.
func (s *Channels) Add(ctx context.Context, accountID string, n NewChannel, by audit.Entry) (MadeChannel, error) {
	if err := checkCallName(n.Name); err != nil {
		return MadeChannel{}, err
	}
	all, err := s.Store.Channels(ctx, accountID)
	if err != nil {
		return MadeChannel{}, err
	}
	if slices.ContainsFunc(all, func(c Channel) bool { return c.Name == n.Name }) {
		return MadeChannel{}, nameTaken("channel", n.Name)
	}
	var made MadeChannel
	if n.Kind == ChannelWebhook && n.Secret.IsZero() {
		n.Secret = seal.NewWebhookSecret()
		made.Secret = n.Secret
	}
	c := Channel{
		AccountID: accountID, ID: seal.NewID(), Name: n.Name, Kind: n.Kind, Pages: n.Pages,
		CreatedAt: s.Now().UTC().Truncate(time.Microsecond), CreatedBy: by.Actor,
	}
	made.Channel, err = s.save(ctx, c, n.Config, n.Secret, by.Because(string(n.Kind)))
	if err != nil {
		return MadeChannel{}, err
	}
	return made, nil
}

// save checks, seals and stores.
func (s *Channels) save(ctx context.Context, c Channel, config ChannelConfig, secret seal.Secret, by audit.Entry) (Channel, error) {
	err := config.check(c.Kind, secret)
	if err != nil {
		return Channel{}, err
	}
	if c.Config, err = json.Marshal(config); err != nil {
		return Channel{}, err
	}
	c.Secret = nil
	if !secret.IsZero() {
		if c.Secret, err = s.Keys.Seal([]byte(secret.Reveal()), sealedForChannel, c.AccountID, c.ID); err != nil {
			return Channel{}, err
		}
	}
	c.LastError = ""
	return s.Store.SaveChannel(ctx, c, by)
}

// ChannelChange is what is to be different.
type ChannelChange struct {
	Pages  bool
	Config ChannelConfig
	Secret seal.Secret // zero: as before
}

// Update changes a channel. A configuration that sends the secret to another server needs it said again; a channel
// without a user name any more loses its password.
func (s *Channels) Update(ctx context.Context, accountID, name string, change ChannelChange, by audit.Entry) (Channel, error) {
	c, err := s.Get(ctx, accountID, name)
	if err != nil {
		return Channel{}, err
	}
	former, err := c.Settings()
	if err != nil {
		return Channel{}, err
	}
	next, secret := change.Config, change.Secret
	if keeps := c.Secret != nil && (c.Kind != ChannelEmail || next.Username != ""); secret.IsZero() && keeps {
		before, after := former, next
		before.complete(c.Kind)
		after.complete(c.Kind)
		if before.place() != after.place() {
			return Channel{}, problem.InField("secret", "the secret would go somewhere else than before; give it again")
		}
		if secret, err = s.secret(c); err != nil {
			return Channel{}, err
		}
	}
	c.Pages = change.Pages
	return s.save(ctx, c, next, secret, by)
}

func (s *Channels) secret(c Channel) (seal.Secret, error) {
	if c.Secret == nil {
		return seal.Secret{}, nil
	}
	text, err := s.Keys.Open(c.Secret, sealedForChannel, c.AccountID, c.ID)
	return seal.NewSecret(string(text)), err
}

// List returns the account's channels by name.
func (s *Channels) List(ctx context.Context, accountID string) ([]Channel, error) {
	return s.Store.Channels(ctx, accountID)
}

// Get returns one channel of the account.
func (s *Channels) Get(ctx context.Context, accountID, name string) (Channel, error) {
	all, err := s.Store.Channels(ctx, accountID)
	if err != nil {
		return Channel{}, err
	}
	for _, c := range all {
		if c.Name == name || c.ID == name {
			return c, nil
		}
	}
	return Channel{}, problem.New(problem.NotFound, "no channel %q", plain(name, maxName))
}

// Remove forgets a channel with its secret.
func (s *Channels) Remove(ctx context.Context, accountID, name string, by audit.Entry) error {
	c, err := s.Get(ctx, accountID, name)
	if err != nil {
		return err
	}
	return s.Store.RemoveChannel(ctx, accountID, c.Name, by)
}

// Send sends a message once. The error is a [*SendError] if the message was not taken, as far as is known; a repetition
// has the same ID and is known by it. Anything else is a fault on our side.
func (s *Channels) Send(ctx context.Context, c Channel, m Message) error {
	send := senderOf(c.Kind)
	if send == nil {
		return problem.InField("kind", "%q is no kind of channel; there are %s", c.Kind, kindNames())
	}
	if m.Template == TemplateAskPerson && (c.Kind != ChannelEmail || m.To == "") {
		return &SendError{Channel: c.Name, Permanent: true, Detail: "people are asked about themselves by e-mail to their own address, and by no other way"}
	}
	if !seal.ValidID(m.ID) {
		return errors.New("a message without an ID cannot be known by its receiver")
	}
	config, err := c.Settings()
	if err != nil {
		return err
	}
	secret, err := s.secret(c)
	if err != nil {
		return err
	}
	language := config.Language
	if slices.Contains(languages(), m.Language) {
		language = m.Language
	}
	n, err := m.notice(language)
	if err != nil {
		return err
	}
	if bad := send(ctx, outgoing{config, secret, m, n, s.Now()}); bad != nil {
		bad.Channel = c.Name
		return bad
	}
	return nil
}

// Test sends a message that says that it is a test.
func (s *Channels) Test(ctx context.Context, accountID, accountName, name, person string) error {
	c, err := s.Get(ctx, accountID, name)
	if err != nil {
		return err
	}
	m := Message{
		ID: seal.NewID(), Kind: MessageInfo, Template: TemplateTest, At: s.Now(), Account: accountName, AccountID: accountID,
		What: c.Name, Person: person,
	}
	m.DedupKey = "holdfast-test-" + m.ID
	if config, err := c.Settings(); err == nil && c.Kind == ChannelEmail && len(config.To) == 0 {
		return problem.InField("to", "the channel has no recipients, so there is nobody to send a test to")
	}
	return s.Send(ctx, c, m)
}
