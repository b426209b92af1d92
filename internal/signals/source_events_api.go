package signals

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"strings"
	"sync"
	"time"

	"holdfast/eventsapi"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// eventsAPI asks a server of the Events API: 1Password in one of its regions, or another Holdfast.
type eventsAPI struct{}

func (eventsAPI) Kind() Kind        { return KindEventsAPI }
func (eventsAPI) Format() string    { return OnePassword }
func (eventsAPI) Pulls(Config) bool { return true }

// region is the address of one of 1Password's servers by a short name.
func region(name string) string {
	switch name {
	case "us":
		return "https://events.1password.com"
	case "ca":
		return "https://events.1password.ca"
	case "eu":
		return "https://events.1password.eu"
	case "enterprise":
		return "https://events.ent.1password.com"
	}
	return name
}

// Check asks the client, which knows what a token and an address look like.
func (e eventsAPI) Check(c *Config, token seal.Secret) error {
	if token.IsZero() {
		return problem.InField("token", "the source is asked with an events token; give it with --token-stdin")
	}
	c.BaseURL = region(c.BaseURL)
	client, err := e.client(&Live{Setup: Setup{Config: *c}, Token: token})
	if err != nil {
		return problem.InField("token", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	if len(streamsOf(client)) == 0 {
		return problem.InField("token", "the token has no feature that can be read; it needs signinattempts, itemusages or auditevents")
	}
	c.BaseURL = client.BaseURL()
	return nil
}

func (eventsAPI) client(l *Live) (*eventsapi.Client, error) {
	h, err := l.http()
	if err != nil {
		return nil, err
	}
	return eventsapi.New(eventsapi.Config{
		Token: l.Token.Reveal(), BaseURL: l.Setup.Config.BaseURL, UserAgent: "Holdfast-signals/1", HTTPClient: h, PollInterval: l.Every,
		MaxRetries: 3, MaxRetryWait: 20 * time.Second, // then the source shows that it fails, and is asked again
	})
}

// http is a client that trusts who the configuration says. It is the same each time.
func (l *Live) http() (*http.Client, error) {
	if l.client != nil {
		return l.client, nil
	}
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return nil, errors.New("http.DefaultTransport was replaced; connections cannot be made")
	}
	t = t.Clone()
	if l.Setup.Config.CA != "" {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM([]byte(l.Setup.Config.CA)) {
			return nil, errors.New("the file of the certificate authority holds no certificate in PEM")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	l.client = &http.Client{Transport: t, Timeout: oneTry}
	return l.client, nil
}

// oneTry bounds one question; the client of the Events API, which lets the server wait, has its own bound.
const oneTry = time.Minute

// hangUp closes the connections that nobody uses any more.
func (l *Live) hangUp() {
	if l.client != nil {
		l.client.CloseIdleConnections()
	}
}

// streamsOf are the streams that the token may read.
func streamsOf(c *eventsapi.Client) []string {
	var all []string
	for _, f := range c.Claims().Features {
		switch string(f) {
		case "signinattempts", "itemusages", "auditevents":
			all = append(all, string(f))
		}
	}
	return all
}

// Pull follows each stream that the token may read.
func (e eventsAPI) Pull(ctx context.Context, l *Live) error {
	c, err := e.client(l)
	if err != nil {
		return err
	}
	return l.each(ctx, streamsOf(c), func(ctx context.Context, stream string) error {
		from := eventsapi.Position{Cursor: l.cursors[stream], Start: l.Setup.Config.Since}
		var err error
		switch stream {
		case "signinattempts":
			err = follow(ctx, l, stream, c.FollowSignInAttempts(ctx, from), func(a eventsapi.SignInAttempt) []byte { return a.Raw })
		case "itemusages":
			err = follow(ctx, l, stream, c.FollowItemUsages(ctx, from), func(u eventsapi.ItemUsage) []byte { return u.Raw })
		default:
			err = follow(ctx, l, stream, c.FollowAuditEvents(ctx, from), func(a eventsapi.AuditEvent) []byte { return a.Raw })
		}
		if errors.Is(err, eventsapi.ErrUnauthorized) {
			return &revoked{"the server does not accept the events token any more; make a new one there, and give it with: holdfast source rotate --token-stdin"}
		}
		return err
	})
}

// follow hands over page after page.
func follow[T any](ctx context.Context, l *Live, stream string, pages iter.Seq2[eventsapi.Page[T], error], raw func(T) []byte) error {
	for page, err := range pages {
		if err != nil {
			return err
		}
		b := Batch{Stream: stream, Cursor: page.Cursor}
		for _, item := range page.Items {
			b.Lines = append(b.Lines, raw(item))
		}
		if err := l.take(ctx, b); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// Test asks the server about the token.
func (e eventsAPI) Test(ctx context.Context, l *Live) (string, error) {
	c, err := e.client(l)
	if err != nil {
		return "", err
	}
	in, err := c.Introspect(ctx)
	if errors.Is(err, eventsapi.ErrUnauthorized) {
		return "", problem.New(problem.Forbidden, "%s does not accept the events token", c.BaseURL())
	}
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answers; the token reads %s", c.BaseURL(), strings.Join(streamsOf(c), ", ")) + accountOf(in.AccountUUID), nil
}

func accountOf(id string) string {
	if id == "" {
		return ""
	}
	return " of account " + id
}

// each runs follow for every stream at once, until ctx ends or the first of them does. An error that needs
// a person comes before the others.
func (l *Live) each(ctx context.Context, streams []string, follow func(context.Context, string) error) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var all sync.WaitGroup
	ended := make(chan error, len(streams))
	for _, s := range streams {
		all.Go(func() {
			defer stop()
			if err := follow(ctx, s); err != nil {
				ended <- fmt.Errorf("%s: %w", s, err)
			}
		})
	}
	all.Wait()
	close(ended)
	var first error
	for err := range ended {
		if _, ok := errors.AsType[*revoked](err); ok {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}
