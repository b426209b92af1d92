package oauth

import (
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// The prefixes by which a leaked secret or token is recognised.
const (
	SecretPrefix = "hfs"
	TokenPrefix  = "hft"
)

// TokenLife is how long an access token lives.
const TokenLife = 900 * time.Second

// maxSecrets is how many secrets of one application may be alive: the new one, and the one that its
// platform still uses.
const maxSecrets = 2

// Client is an OAuth application.
type Client struct {
	AccountID   string
	ID          string // UUID v4
	Name        string
	Description string
	RedirectURL string   // https; never called, the grant has no redirect
	Scopes      []string // sorted
	CreatedAt   time.Time
	CreatedBy   string
	LastUsedAt  time.Time // of the last token, to the minute; zero: never
	RevokedAt   time.Time // zero: live
	CreateKey   string    // as in NewClient
	Secrets     []SecretInfo
}

// SecretInfo is what may be known about a secret after it was shown once.
type SecretInfo struct {
	ID        string
	CreatedAt time.Time
	EndsAt    time.Time // zero: with the application; 1970: ended at once
}

// Alive reports whether the secret is accepted at the time.
func (s SecretInfo) Alive(now time.Time) bool { return s.EndsAt.IsZero() || now.Before(s.EndsAt) }

// NewClient is an OAuth application to create, or what one is to become.
type NewClient struct {
	Name        string
	Description string
	RedirectURL string
	Scopes      []string

	// Key is what a form was given when it was shown; empty for none. Of several creations in an account
	// with one key the first makes the application, the others are [ErrAlreadyCreated].
	Key string
	// RequireRedirect refuses an application without a redirect URL.
	RequireRedirect bool
}

// Scopes lists what an application can be given, as OAuth applications name it.
func Scopes() []string {
	return []string{"list_users", "get_user", "suspend_users", "reactivate_users"}
}

const (
	maxName        = 100
	maxDescription = 1000
	maxRedirect    = 2000
	maxKey         = 64
)

// Check trims the texts, sorts the scopes, and refuses what is not acceptable, naming the field.
func (c *NewClient) Check() error {
	c.Name = strings.TrimSpace(c.Name)
	c.Description = strings.TrimSpace(c.Description)
	c.RedirectURL = strings.TrimSpace(c.RedirectURL)
	if err := checkText("name", c.Name, maxName, false); err != nil {
		return err
	}
	if c.Name == "" {
		return problem.InField("name", "the application needs a name")
	}
	if err := checkText("description", c.Description, maxDescription, true); err != nil {
		return err
	}
	if c.RedirectURL == "" && c.RequireRedirect {
		return problem.InField("redirect_url", "the application needs a redirect URL%s", redirectExample)
	}
	if err := checkRedirect(c.RedirectURL); err != nil {
		return err
	}
	if err := checkKey(c.Key); err != nil {
		return err
	}
	if len(c.Scopes) == 0 {
		return problem.InField("scopes", "the application needs at least one scope of %s", strings.Join(Scopes(), ", "))
	}
	for _, s := range c.Scopes {
		if !slices.Contains(Scopes(), s) {
			return problem.InField("scopes", "%q is not a scope; there are %s", s, strings.Join(Scopes(), ", "))
		}
	}
	c.Scopes = slices.Compact(slices.Sorted(slices.Values(c.Scopes))) // not in place: the slice is the caller's
	return nil
}

// checkKey bounds what a browser sends back as the key of its form.
func checkKey(key string) error {
	if len(key) > maxKey || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return problem.InField("key", "the key of the form is not one that was given out; load the form again")
	}
	return nil
}

func checkText(field, s string, most int, lines bool) error {
	if len(s) > most {
		return problem.InField(field, "the %s has %d bytes; at most %d are possible", field, len(s), most)
	}
	bad := func(r rune) bool { return !unicode.IsPrint(r) && (!lines || r != '\n' && r != '\r' && r != '\t') }
	if !utf8.ValidString(s) || strings.ContainsFunc(s, bad) {
		return problem.InField(field, "the %s holds characters that cannot be shown", field)
	}
	return nil
}

const redirectExample = "; use one such as https://soar.example.org/callback"

// checkRedirect accepts an absolute https URL with a host and without user, fragment or wildcard
// (RFC 6749 §3.1.2, RFC 9700 §2.1). It is stored for the platform's guide and never followed.
func checkRedirect(s string) error {
	if s == "" {
		return nil
	}
	u, err := url.Parse(s)
	const example = redirectExample
	switch {
	case len(s) > maxRedirect:
		return problem.InField("redirect_url", "the redirect URL has %d bytes; at most %d are possible", len(s), maxRedirect)
	case err != nil || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }):
		return problem.InField("redirect_url", "the redirect URL is not a valid URL%s", example)
	case u.Scheme != "https":
		return problem.InField("redirect_url", "the redirect URL must begin with https://%s", example)
	case u.Hostname() == "":
		return problem.InField("redirect_url", "the redirect URL has no host%s", example)
	case u.User != nil:
		return problem.InField("redirect_url", "the redirect URL must not hold a user or password%s", example)
	case strings.Contains(s, "#"):
		return problem.InField("redirect_url", "the redirect URL must not have a fragment (#)%s", example)
	case strings.Contains(s, "*"):
		return problem.InField("redirect_url", "the redirect URL must not have a wildcard (*)%s", example)
	}
	return nil
}

// Credentials are what a new or rotated application is given, once.
type Credentials struct {
	Client Client
	Secret seal.Secret
}
