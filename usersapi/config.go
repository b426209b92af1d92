package usersapi

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

// APIVersion is a generation of the API's addresses. Requests and answers are the same in both.
type APIVersion string

// The generations.
const (
	V1      APIVersion = "v1"      // the default
	V1Beta1 APIVersion = "v1beta1" // the addresses of the preview
)

// Config says which server, which account, and as which OAuth application. The first four fields are
// required; the zero value of each other one is a good choice.
//
// Formatting a Config with any verb, or marshalling it as text or JSON, leaves the secret out. Package fmt
// cannot ask a Config that sits in an unexported field, though: keep the Client there, not the Config.
type Config struct {
	// BaseURL is where the API is served, such as "https://holdfast.example.com", possibly with the
	// path prefix of a reverse proxy. Plain http is accepted for the loopback address only.
	BaseURL string

	AccountID    string // 26 characters, as the console shows it
	ClientID     string // a UUID
	ClientSecret string // as shown once when the application was made

	// UserAgent names the product that uses the client, as "Product/1.4". Administrators see it in their logs.
	UserAgent string

	// HTTPClient brings a proxy, a private certificate authority or tracing. It is copied; its redirect policy
	// and cookie jar are not used. Nil means a client on http.DefaultTransport.
	HTTPClient *http.Client

	APIVersion APIVersion // default V1; V1Beta1 selects the paths of the preview for tokens too
	TokenPath  string     // default "/v1/oauth/token", or "/v1beta1/users/oauth2/token"
	RevokePath string     // default TokenPath with "revoke" as its last segment

	PageSize     int           // people per page, 1 to 1000; default 1000
	MaxRetries   int           // further tries after the first; default 4, negative for none
	MaxRetryWait time.Duration // longest pause between two tries; default 1 minute
	Timeout      time.Duration // of one try, from connecting to the end of the answer; default 30 seconds

	// Logger hears at level Debug about renewed tokens and repeated tries. Nil means silence.
	Logger *slog.Logger
}

// Defaults of Config.
const (
	defaultUserAgent    = "holdfast-usersapi/1"
	defaultRetries      = 4
	defaultMaxRetryWait = time.Minute
	defaultTimeout      = 30 * time.Second
	maxPageSize         = 1000
)

// withDefaults checks the configuration and fills in what was left out. It reports everything that is
// wrong at once, and never the secret.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	wrong := func(field, format string, args ...any) {
		errs = append(errs, fmt.Errorf("usersapi: Config.%s %s", field, fmt.Sprintf(format, args...)))
	}
	if base, err := checkBaseURL(c.BaseURL); err != nil {
		wrong("BaseURL", "%v", err)
	} else {
		c.BaseURL = base
	}
	if err := checkSegment(c.AccountID); err != nil {
		wrong("AccountID", "%v", err)
	}
	switch {
	case c.ClientID == "":
		wrong("ClientID", "is empty; it is shown with the OAuth application")
	case !visible(c.ClientID), strings.Contains(c.ClientID, ":"):
		wrong("ClientID", "%q holds a colon, a space or a character that is not ASCII", c.ClientID)
	}
	switch {
	case c.ClientSecret == "":
		wrong("ClientSecret", "is empty; it is shown once, when the OAuth application is made")
	case !visible(c.ClientSecret):
		wrong("ClientSecret", "holds a space, a line break or a character that is not ASCII; was it copied with something around it?")
	}
	c.UserAgent = cmp.Or(c.UserAgent, defaultUserAgent)
	if strings.ContainsFunc(c.UserAgent, func(r rune) bool { return r < ' ' || r > '~' }) {
		wrong("UserAgent", "%q holds a character that a header cannot carry", c.UserAgent)
	}
	c.APIVersion = cmp.Or(c.APIVersion, V1)
	tokenPath := "/v1/oauth/token"
	switch c.APIVersion {
	case V1:
	case V1Beta1:
		tokenPath = "/v1beta1/users/oauth2/token"
	default:
		wrong("APIVersion", "is %q; use %q or %q", c.APIVersion, V1, V1Beta1)
	}
	c.TokenPath = cmp.Or(c.TokenPath, tokenPath)
	c.RevokePath = cmp.Or(c.RevokePath, c.TokenPath[:strings.LastIndexByte(c.TokenPath, '/')+1]+"revoke")
	for field, path := range map[string]string{"TokenPath": c.TokenPath, "RevokePath": c.RevokePath} {
		if !strings.HasPrefix(path, "/") || strings.ContainsAny(path, "?#") || !visible(path) {
			wrong(field, "is %q; it must be a path that begins with a slash", path)
		}
	}
	c.PageSize = cmp.Or(c.PageSize, maxPageSize)
	if c.PageSize < 1 || c.PageSize > maxPageSize {
		wrong("PageSize", "is %d; it must be from 1 to %d", c.PageSize, maxPageSize)
	}
	c.MaxRetries = max(0, cmp.Or(c.MaxRetries, defaultRetries))
	c.MaxRetryWait = cmp.Or(c.MaxRetryWait, defaultMaxRetryWait)
	c.Timeout = cmp.Or(c.Timeout, defaultTimeout)
	if c.MaxRetryWait < 0 {
		wrong("MaxRetryWait", "is %v; it must not be negative", c.MaxRetryWait)
	}
	if c.Timeout < 0 {
		wrong("Timeout", "is %v; it must not be negative", c.Timeout)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// checkBaseURL returns the address without a slash at the end. Its errors do not repeat the address
// where that could hold a password.
func checkBaseURL(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err
		}
		return "", fmt.Errorf("is no URL: %w", err)
	}
	switch {
	case s == "":
		return "", errors.New("is empty; it is the address of the installation, such as https://holdfast.example.com")
	case u.User != nil:
		return "", errors.New("holds a user name; credentials belong into ClientID and ClientSecret")
	case u.Host == "" || u.Opaque != "":
		return "", fmt.Errorf("is %q; it must name a host, as in https://holdfast.example.com", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("must have no query and no fragment")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		return "", fmt.Errorf("is %q: plain http would show the secret to the network; use https (http is for the loopback address)", s)
	case u.Scheme != "https" && u.Scheme != "http":
		return "", fmt.Errorf("has the scheme %q; use https", u.Scheme)
	}
	return strings.TrimRight(u.String(), "/"), nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// checkSegment refuses an ID that would change the meaning of the path it is put into, even escaped:
// "." and ".." are resolved by clients and proxies, a colon begins a custom verb.
func checkSegment(id string) error {
	switch {
	case id == "":
		return errors.New("is empty")
	case id == "." || id == ".." || strings.Contains(id, ":"):
		return fmt.Errorf("is %q, which is no ID", id)
	}
	return nil
}

// visible reports whether s consists of ASCII characters that one can see.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// String is the configuration without the secret.
func (c Config) String() string {
	base := "(no URL)"
	if u, err := url.Parse(c.BaseURL); err == nil {
		base = u.Redacted()
	}
	secret := "(none)"
	if c.ClientSecret != "" {
		secret = "(hidden)"
	}
	return fmt.Sprintf("usersapi.Config{BaseURL: %s, AccountID: %s, ClientID: %s, ClientSecret: %s, APIVersion: %s}",
		base, c.AccountID, c.ClientID, secret, cmp.Or(c.APIVersion, V1))
}

// GoString is the same as String.
func (c Config) GoString() string { return c.String() }

// Format writes String, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, c.String()) }

// MarshalText is the same as String; JSON, XML and structured logs use it.
func (c Config) MarshalText() ([]byte, error) { return []byte(c.String()), nil }
