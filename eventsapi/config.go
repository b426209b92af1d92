package eventsapi

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Config says with which token, and how patiently. Token is required; the zero value of each other
// field is a good choice.
//
// Formatting a Config with any verb, or marshalling it as text or JSON, leaves the token out. Package fmt
// cannot ask a Config that sits in an unexported field, though: keep the Client there, not the Config.
type Config struct {
	// Token is an events token, as shown once when it was made: a signed JWT.
	Token string

	// BaseURL is where the API is served, such as "https://holdfast.example.com". Empty means what the token
	// says: https and the first entry of its audience. Plain http is accepted for the loopback address only.
	BaseURL string

	// UserAgent names the product that uses the client, as "Product/1.4". Administrators see it in their logs.
	UserAgent string

	// HTTPClient brings a proxy, a private certificate authority or tracing. It is copied; its redirect
	// policy, cookie jar and timeout are not used. Nil means a client on http.DefaultTransport.
	HTTPClient *http.Client

	// MaxRetries is how often a request that failed is sent again; negative for never. 0 means 4 times,
	// and without end for a stream that is followed.
	MaxRetries   int
	MaxRetryWait time.Duration // longest pause between two tries; default 1 minute
	Timeout      time.Duration // of one try, from connecting to the end of the answer; default 30 seconds

	// PollInterval is how long a follower waits before it asks again, where the server does not do the
	// waiting; default 10 seconds.
	PollInterval time.Duration

	// LongPoll is how long a follower lets the server wait for something new, in whole seconds; default
	// 20 seconds, negative to never ask for that. A try may take as much longer than Timeout.
	LongPoll time.Duration

	// Logger hears about repeated tries: at level Debug, or Warn where they go on without end. Nil means silence.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultUserAgent    = "holdfast-eventsapi/1"
	defaultRetries      = 4
	defaultMaxRetryWait = time.Minute
	defaultTimeout      = 30 * time.Second
	defaultPollInterval = 10 * time.Second
	defaultLongPoll     = 20 * time.Second
)

// nowhere is the audience of tokens that were made before tokens named their server.
const nowhere = "com.1password.streamingservice"

// withDefaults checks the configuration and fills in what was left out, except MaxRetries, whose zero
// means two things. It reports everything that is wrong at once, and never the token.
func (c Config) withDefaults() (Config, Claims, error) {
	var errs []error
	refuse := func(field string, err error) {
		errs = append(errs, fmt.Errorf("eventsapi: Config.%s %w", field, err))
	}
	claims, err := ParseClaims(c.Token)
	if err != nil {
		refuse("Token", err)
	}
	if c.BaseURL != "" || err == nil {
		if c.BaseURL, err = claims.server(c.BaseURL); err != nil {
			refuse("BaseURL", err)
		}
	}
	c.UserAgent = cmp.Or(c.UserAgent, defaultUserAgent)
	if strings.ContainsFunc(c.UserAgent, unprintable) {
		refuse("UserAgent", fmt.Errorf("%q holds a character that a header cannot carry", c.UserAgent))
	}
	for _, d := range []struct {
		field string
		value *time.Duration
		usual time.Duration
	}{
		{"MaxRetryWait", &c.MaxRetryWait, defaultMaxRetryWait},
		{"Timeout", &c.Timeout, defaultTimeout},
		{"PollInterval", &c.PollInterval, defaultPollInterval},
	} {
		if *d.value = cmp.Or(*d.value, d.usual); *d.value < 0 {
			refuse(d.field, fmt.Errorf("is %v; it must not be negative", *d.value))
		}
	}
	c.LongPoll = cmp.Or(c.LongPoll, defaultLongPoll)
	if c.LongPoll > 0 && c.LongPoll < time.Second {
		refuse("LongPoll", fmt.Errorf("is %v; it must be a second at least, or negative for none", c.LongPoll))
	}
	c.LongPoll = max(0, c.LongPoll.Truncate(time.Second))
	c.Logger = cmp.Or(c.Logger, slog.New(slog.DiscardHandler))
	return c, claims, errors.Join(errs...)
}

// tries is how often a request is sent at the most; 0 is without end.
func (c Config) tries(follow bool) int {
	if c.MaxRetries == 0 && follow {
		return 0
	}
	return 1 + max(0, cmp.Or(c.MaxRetries, defaultRetries))
}

// server is the address that was configured; if there is none, the one that the token was made for.
func (c Claims) server(configured string) (string, error) {
	switch {
	case configured != "":
		return serverURL(configured)
	case len(c.Audience) == 0:
		return "", errors.New("is empty, and the token names no server (claim aud); set it")
	case c.Audience[0] == nowhere:
		return "", errors.New("is empty, and the token is of the old kind that names no server; set it, or make a new token")
	}
	base, err := serverURL("https://" + c.Audience[0])
	if err != nil {
		return "", fmt.Errorf("is empty, and the server that the token names (claim aud) %w", err)
	}
	// What a token says of itself may be an address, and nothing that leads elsewhere on that host.
	if strings.Count(base, "/") != 2 {
		return "", fmt.Errorf("is empty, and the token names %q (claim aud), which is more than a host; set it", tidy(c.Audience[0], 80))
	}
	return base, nil
}

// serverURL returns the address without a slash at the end.
func serverURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("is no URL; it is the address of the server, such as https://holdfast.example.com")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("must have no user name, no query and no fragment; it is the address of the server alone")
	}
	if u.Hostname() == "" || u.Opaque != "" {
		return "", fmt.Errorf("is %q; it must name a host, as in https://holdfast.example.com", s)
	}
	if secure := u.Scheme == "https"; !secure && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return "", fmt.Errorf("is %q; use https, or the token would show to the network (http is for the loopback address)", s)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// unprintable reports whether r is anything but visible ASCII and the space.
func unprintable(r rune) bool { return r < ' ' || r > '~' }

// String is the configuration without the token.
func (c Config) String() string {
	base, token := c.BaseURL, "(none)"
	if u, err := url.Parse(base); err != nil {
		base = "(no URL)"
	} else {
		base = u.Redacted()
	}
	if c.Token != "" {
		token = "(hidden)"
	}
	return fmt.Sprintf("eventsapi.Config{BaseURL: %s, Token: %s}", cmp.Or(base, "(of the token)"), token)
}

// Format writes String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText is the same as String; JSON, XML and structured logs use it.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
