package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"holdfast/internal/feed"
	"holdfast/internal/problem"
)

type eventsTokenCmd struct {
	Create    eventsTokenCreateCmd `cmd:"" help:"Create an events token and show it once."`
	List      eventsTokenListCmd   `cmd:"" help:"List events tokens."`
	Revoke    eventsTokenRevokeCmd `cmd:"" help:"Revoke an events token, at once and for good."`
	RotateKey rotateKeyCmd         `cmd:"" help:"Sign events tokens with a new key from now on."`
}

type eventsTokenCreateCmd struct {
	accountFlag
	Name    string   `required:"" help:"Name of the token, such as that of the program which will read the events."`
	Feature []string `placeholder:"FEATURE" complete:"signinattempts itemusages auditevents" help:"What it may read: signinattempts, itemusages, auditevents. Repeat, or separate by commas (default: all)."`
	Expires string   `default:"90d" enum:"30d,90d,180d,never" complete:"30d 90d 180d never" help:"When it expires: 30d, 90d, 180d or never (default: 90d)."`
	JSON    bool     `name:"json" help:"Print one JSON object."`
}

func (c *eventsTokenCreateCmd) Run(ctx context.Context, g *globals, std stdio) error {
	n := feed.NewToken{Name: c.Name, Features: feed.Streams()}
	if len(c.Feature) > 0 {
		n.Features = nil
	}
	for _, f := range c.Feature {
		n.Features = append(n.Features, feed.Stream(f))
	}
	var err error
	if n.Life, err = parseLife(c.Expires); err != nil {
		return err
	}
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	s := h.feed()
	made, err := s.Issue(ctx, account, n, operator(std))
	if err != nil {
		return fmt.Errorf("create events token: %w", err)
	}
	t := made.Token
	if c.JSON {
		return printJSON(std, struct {
			AccountID string        `json:"account_id"`
			TokenID   string        `json:"token_id"`
			Token     string        `json:"token"`
			Features  []feed.Stream `json:"features"`
			BaseURL   string        `json:"base_url"`
			ExpiresAt time.Time     `json:"expires_at,omitzero"`
		}{account, t.ID, made.Text.Reveal(), t.Features, s.URL, t.ExpiresAt})
	}
	fmt.Fprintf(std.out, "Account ID  %s\nToken ID    %s\nFeatures    %s\nBase URL    %s\nExpires     %s\n", account, t.ID, features(t), s.URL, moment(t.ExpiresAt))
	fmt.Fprintf(std.out, "\n%s\n\nThe token is shown this once. Save it in your vault now.\n", made.Text.Reveal())
	return nil
}

// parseLife reads what --expires says.
func parseLife(text string) (time.Duration, error) {
	if text == "never" {
		return 0, nil
	}
	for _, life := range feed.Lives() {
		if life > 0 && text == fmt.Sprintf("%dd", life/(24*time.Hour)) {
			return life, nil
		}
	}
	return 0, problem.New(problem.Invalid, "%q is no expiry; there are 30d, 90d, 180d and never", text)
}

// feed manages events tokens; they say that calls go to the public address of the configuration.
func (h *handle) feed() *feed.Service {
	return &feed.Service{Store: h.db, Keys: h.db.Keys(), URL: h.cfg.BaseURL(h.cfg.Listen.API), Now: time.Now}
}

func features(t feed.Token) string {
	names := make([]string, len(t.Features))
	for i, f := range t.Features {
		names[i] = string(f)
	}
	return strings.Join(names, " ")
}

type eventsTokenListCmd struct {
	accountFlag
	JSON bool `name:"json" help:"Print one JSON object with the list as results."`
}

func (c *eventsTokenListCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	all, err := h.feed().Tokens(ctx, account)
	if err != nil {
		return fmt.Errorf("list events tokens: %w", err)
	}
	if c.JSON {
		return printResults(std, all, eventsTokenView)
	}
	if len(all) == 0 {
		fmt.Fprintln(std.out, "No events tokens yet. Create one: holdfast events-token create --name N")
	}
	for _, t := range all {
		fmt.Fprintf(std.out, "%s  %-7s  %-30s  expires %s  %s\n", t.ID, tokenState(t), t.Name, moment(t.ExpiresAt), features(t))
	}
	return nil
}

type eventsTokenRevokeCmd struct {
	accountFlag
	TokenID string `arg:"" help:"ID of the token, as list shows it."`
	Reason  string `help:"Why, for the audit log."`
	JSON    bool   `name:"json" help:"Print the token as JSON."`
}

func (c *eventsTokenRevokeCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, account, err := g.openAccount(ctx, std, c.Account)
	if err != nil {
		return err
	}
	defer h.close()
	s := h.feed()
	if err := s.Revoke(ctx, account, c.TokenID, operator(std).Because(c.Reason)); err != nil {
		return fmt.Errorf("revoke events token: %w", err)
	}
	if c.JSON {
		t, err := s.Token(ctx, account, c.TokenID)
		if err != nil {
			return err
		}
		return printJSON(std, eventsTokenView(t))
	}
	fmt.Fprintf(std.out, "Events token %s is revoked. It is refused from now on.\n", c.TokenID)
	return nil
}

type rotateKeyCmd struct {
	RevokeTokens bool `help:"Revoke every token that earlier keys have signed, of every account."`
	JSON         bool `name:"json" help:"Print one JSON object."`
}

func (c *rotateKeyCmd) Run(ctx context.Context, g *globals, std stdio) error {
	h, err := g.open(ctx, std)
	if err != nil {
		return err
	}
	defer h.close()
	if err := h.feed().RotateKey(ctx, c.RevokeTokens, operator(std)); err != nil {
		return fmt.Errorf("rotate key of events tokens: %w", err)
	}
	keys, err := h.db.SigningKeys(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(std, struct {
			KeyID   string `json:"key_id"`
			Revoked bool   `json:"revoked"` // all tokens of earlier keys
		}{keys[0].ID, c.RevokeTokens})
	}
	after := "Tokens of earlier keys stay good."
	if c.RevokeTokens {
		after = "All tokens of earlier keys are revoked."
	}
	fmt.Fprintf(std.out, "Events tokens are signed with key %s from now on. %s\n", keys[0].ID, after)
	return nil
}

func tokenState(t feed.Token) string {
	switch {
	case !t.RevokedAt.IsZero():
		return "revoked"
	case t.Alive(time.Now()) != nil:
		return "expired"
	}
	return "live"
}

// eventsTokenJSON is a token without its text.
type eventsTokenJSON struct {
	AccountID  string        `json:"account_id"`
	TokenID    string        `json:"token_id"`
	Name       string        `json:"name"`
	Features   []feed.Stream `json:"features"`
	State      string        `json:"state"` // "live", "expired" or "revoked"
	CreateTime time.Time     `json:"create_time"`
	CreatedBy  string        `json:"created_by"`
	ExpiresAt  time.Time     `json:"expires_at,omitzero"`
	RevokeTime time.Time     `json:"revoke_time,omitzero"`
}

func eventsTokenView(t feed.Token) eventsTokenJSON {
	return eventsTokenJSON{
		AccountID: t.AccountID, TokenID: t.ID, Name: t.Name, Features: t.Features, State: tokenState(t),
		CreateTime: t.CreatedAt, CreatedBy: t.CreatedBy, ExpiresAt: t.ExpiresAt, RevokeTime: t.RevokedAt,
	}
}
