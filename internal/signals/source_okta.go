package signals

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// oktaLog is Okta's System Log. With an address it is asked (GET /api/v1/logs, page after page by Link,
// RFC 8288); without one it waits for what an event hook of Okta sends, or anybody who signs.
type oktaLog struct{}

func (oktaLog) Kind() Kind          { return KindOkta }
func (oktaLog) Format() string      { return Okta }
func (oktaLog) Pulls(c Config) bool { return c.BaseURL != "" }

// Check wants a token where there is an address, and none where there is not.
func (o oktaLog) Check(c *Config, token seal.Secret) error {
	if c.BaseURL == "" {
		if !token.IsZero() {
			return problem.InField("base_url", "a token is for asking, and there is no address to ask; give one with --base-url, such as https://harbour.okta.com")
		}
		*c = Config{}
		return nil
	}
	u, err := url.Parse(c.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return problem.InField("base_url", "%q is not the address of an Okta organisation, such as https://harbour.okta.com", c.BaseURL)
	}
	if u.Scheme != "https" && (u.Scheme != "http" || u.Hostname() != "127.0.0.1" && u.Hostname() != "::1") {
		return problem.InField("base_url", "%q is not https; the token would show to the network", c.BaseURL)
	}
	if token.IsZero() {
		return problem.InField("token", "the System Log is asked with an API token; give it with --token-stdin")
	}
	if strings.ContainsFunc(token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		return problem.InField("token", "the token holds a character that a header cannot carry")
	}
	c.BaseURL = u.Scheme + "://" + u.Host
	_, err = (&Live{Setup: Setup{Config: *c}}).http()
	if err != nil {
		return problem.InField("ca", "%v", err)
	}
	return nil
}

// oktaStream is the name of its only stream.
const oktaStream = "logs"

// oktaCursor is where to go on: with the link that the last answer gave, or, should Okta not know it any
// more, at the time of the last event.
type oktaCursor struct {
	Next  string    `json:"next,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// Pull asks page after page. An answer without events is the end for now.
func (o oktaLog) Pull(ctx context.Context, l *Live) error {
	at := oktaCursor{Since: l.Setup.Config.Since}
	if text := l.cursors[oktaStream]; text != "" {
		if err := json.Unmarshal([]byte(text), &at); err != nil {
			return fmt.Errorf("the stored cursor cannot be read: %w", err)
		}
	}
	for first := true; ; first = false {
		lines, next, err := o.page(ctx, l, at)
		if s, ok := errors.AsType[*oktaStatus](err); ok && s.code == http.StatusBadRequest && at.Next != "" {
			at.Next = "" // links do not live for ever; what comes twice is stored once
			continue
		}
		if err != nil {
			return err
		}
		more := len(lines) > 0 && next.Next != "" // else it is the end, for now
		next.Since = at.Since
		if n := len(lines); n > 0 {
			if t := published(lines[n-1]); t.After(next.Since) {
				next.Since = t
			}
		}
		if len(lines) == 0 {
			next.Next = cmp.Or(next.Next, at.Next)
		}
		if first || len(lines) > 0 || next != at {
			cursor, err := json.Marshal(next)
			if err != nil {
				return err
			}
			if err := l.take(ctx, Batch{Stream: oktaStream, Lines: lines, Cursor: string(cursor)}); err != nil {
				return err
			}
		}
		at = next
		if !more {
			if err := pause(ctx, l.Every); err != nil {
				return err
			}
		}
	}
}

// Test asks for one event.
func (o oktaLog) Test(ctx context.Context, l *Live) (string, error) {
	if !o.Pulls(l.Setup.Config) {
		return pushed{KindOkta, Okta}.Test(ctx, l)
	}
	lines, _, err := o.page(ctx, l, oktaCursor{Since: l.Now().Add(-24 * time.Hour)})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s answers; %d events of the last day are on the first page", l.Setup.Config.BaseURL, len(lines)), nil
}

// oktaPage is how many events are asked for at once, the most that there can be.
const oktaPage = 1000

// page asks once, and again after the pause that Okta asks for if it is asked too often.
func (o oktaLog) page(ctx context.Context, l *Live, at oktaCursor) (lines [][]byte, next oktaCursor, err error) {
	address, err := o.address(l.Setup.Config, at)
	if err != nil {
		return nil, next, err
	}
	client, err := l.http()
	if err != nil {
		return nil, next, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, next, fmt.Errorf("the address of the System Log: %w", err)
	}
	scheme := "SSWS "
	if strings.Count(l.Token.Reveal(), ".") == 2 { // a JWT of Okta's authorization server
		scheme = "Bearer "
	}
	req.Header.Set("Authorization", scheme+l.Token.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "Holdfast-signals/1")
	// A redirect would carry the token to where nobody has said that it may go.
	once := &http.Client{Transport: client.Transport, Timeout: client.Timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := once.Do(req)
	if err != nil {
		return nil, next, fmt.Errorf("ask %s: %w", l.Setup.Config.BaseURL, reasonOf(err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxOktaAnswer+1))
	switch {
	case resp.StatusCode == http.StatusUnauthorized || resp.StatusCode == http.StatusForbidden:
		return nil, next, &revoked{"Okta does not accept the token any more, or it may not read the System Log; make a new one there, and give it with: holdfast source rotate --token-stdin"}
	case resp.StatusCode != http.StatusOK:
		return nil, next, &oktaStatus{resp.StatusCode, oktaWait(resp.Header, l.Now())}
	case err != nil:
		return nil, next, fmt.Errorf("read the answer of %s: %w", l.Setup.Config.BaseURL, reasonOf(err))
	case len(body) > maxOktaAnswer:
		return nil, next, fmt.Errorf("the answer of %s is longer than %d bytes", l.Setup.Config.BaseURL, maxOktaAnswer)
	}
	var events []json.RawMessage
	if err := json.Unmarshal(body, &events); err != nil {
		return nil, next, fmt.Errorf("the answer of %s is no list of events; is the address right?", l.Setup.Config.BaseURL)
	}
	for _, e := range events {
		lines = append(lines, e)
	}
	next.Next = nextLink(resp.Header.Values("Link"))
	return lines, next, nil
}

const maxOktaAnswer = 64 << 20

// address is what to ask. A link leads to the organisation itself, or the token would go elsewhere.
func (oktaLog) address(c Config, at oktaCursor) (string, error) {
	if at.Next != "" {
		if !strings.HasPrefix(at.Next, c.BaseURL+"/") {
			return "", fmt.Errorf("the next page that the answer names is not at %s", c.BaseURL)
		}
		return at.Next, nil
	}
	q := url.Values{"limit": {strconv.Itoa(oktaPage)}, "sortOrder": {"ASCENDING"}}
	if !at.Since.IsZero() {
		q.Set("since", at.Since.UTC().Format("2006-01-02T15:04:05.000Z"))
	}
	return c.BaseURL + "/api/v1/logs?" + q.Encode(), nil
}

// published is when an event of the log happened.
func published(line []byte) time.Time {
	var e struct {
		Published time.Time `json:"published"`
	}
	if json.Unmarshal(line, &e) != nil {
		return time.Time{}
	}
	return e.Published
}

// oktaStatus is an answer that is none.
type oktaStatus struct {
	code int
	wait time.Duration // how long Okta wants to be left alone; 0 if it did not say
}

func (e *oktaStatus) Error() string {
	return fmt.Sprintf("Okta answered %d %s", e.code, http.StatusText(e.code))
}

// oktaWait is when to come again: Retry-After in seconds, or the second at which the limit begins anew.
func oktaWait(h http.Header, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h.Get("Retry-After")); err == nil && n > 0 {
		return time.Duration(min(n, 3600)) * time.Second
	}
	if at, err := strconv.ParseInt(h.Get("X-Rate-Limit-Reset"), 10, 64); err == nil {
		return min(max(0, time.Unix(at, 0).Sub(now)), time.Hour)
	}
	return 0
}

// nextLink is the target of the link with the relation next (RFC 8288 §3).
func nextLink(values []string) string {
	for _, value := range values {
		for value != "" {
			_, rest, ok := strings.Cut(value, "<")
			if !ok {
				break
			}
			target, params, ok := strings.Cut(rest, ">")
			if !ok {
				break
			}
			value = ""
			if i := strings.Index(params, ", <"); i >= 0 {
				params, value = params[:i], params[i:]
			} else if i := strings.Index(params, ",<"); i >= 0 {
				params, value = params[:i], params[i:]
			}
			for p := range strings.SplitSeq(params, ";") {
				name, rel, _ := strings.Cut(strings.TrimSpace(p), "=")
				if strings.EqualFold(name, "rel") && strings.EqualFold(strings.Trim(rel, `"`), "next") {
					return target
				}
			}
		}
	}
	return ""
}

// reasonOf is why a request failed, without its address, which may have more in it than a log should.
func reasonOf(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// pause waits, or returns the context's error.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
