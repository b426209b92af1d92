package server_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/seal"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// The tests in security_*_test.go hold the server against docs/security/checks.md, from outside: each row
// there names its tests here. That no credential is found in log, errors, audit export and database
// afterwards, servertest checks for each of them.

// target is a server under attack. Its requests come from the address that they name, since the test is
// its trusted proxy, and its clock can be put forward.
type target struct {
	*servertest.Instance
	clock *servertest.Clock
}

// attacked starts a target on the kind of database. Settings are configuration keys beyond the usual.
func attacked(t testing.TB, kind string, settings map[string]string) target {
	t.Helper()
	place := storetest.NewPlace(t, kind)
	clock := servertest.NewClock(place)
	all := map[string]string{"trusted_proxies": "127.0.0.1"}
	maps.Copy(all, settings)
	in := servertest.StartAt(t, place, all)
	tr := http.DefaultTransport.(*http.Transport).Clone()
	tr.MaxIdleConnsPerHost = 64
	t.Cleanup(tr.CloseIdleConnections)
	if all["tls.mode"] == "" {
		in.Transport = tr
	}
	return target{in, clock}
}

// onEach runs the test on each kind of database.
func onEach(t *testing.T, test func(t *testing.T, at target)) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) { test(t, attacked(t, kind, nil)) })
	}
}

// sent is a request to make. Zero values mean: from 198.51.100.1, without credentials, without body.
type sent struct {
	method, path string
	from         string // address
	basic        [2]string
	bearer       string
	form         url.Values
	body         string // instead of form
	header       []string
}

func (at target) send(t testing.TB, s sent) servertest.Answer {
	t.Helper()
	h := http.Header{"X-Forwarded-For": {"198.51.100.1"}}
	if s.from != "" {
		h.Set("X-Forwarded-For", s.from)
	}
	if s.basic != [2]string{} {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(s.basic[0]+":"+s.basic[1])))
	}
	if s.bearer != "" {
		h.Set("Authorization", "Bearer "+s.bearer)
	}
	body := s.body
	if s.form != nil {
		body = s.form.Encode()
	}
	if body != "" {
		h.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(s.header); i += 2 {
		h[s.header[i]] = append(h[s.header[i]], s.header[i+1])
	}
	method := s.method
	if method == "" {
		method = http.MethodGet
		if body != "" {
			method = http.MethodPost
		}
	}
	return at.Do(t, method, s.path, body, h)
}

// wrongSecret is a secret in the right form that nobody was given.
func wrongSecret() string {
	s, _ := seal.NewCredential(oauth.SecretPrefix)
	return s.Reveal()
}

func grant() url.Values { return url.Values{"grant_type": {"client_credentials"}} }

// asks is a token request of the application.
func asks(cred oauth.Credentials, form url.Values) sent {
	return sent{path: "/v1/oauth/token", basic: [2]string{cred.Client.ID, cred.Secret.Reveal()}, form: form}
}

// person is the path of somebody under /v1.
func (at target) person(u directory.User) string {
	return "/v1/accounts/" + u.AccountID + "/users/" + u.ID
}

// entries returns what doing something appended to the audit log.
func (at target) entries(t testing.TB, do func()) []audit.Entry {
	t.Helper()
	m := at.Mark(t)
	before := at.clock.Now()
	do()
	var all []audit.Entry
	for _, l := range at.Since(t, m) {
		if l.Time.Location() != time.UTC || l.Time.Before(before.Add(-time.Second)) || l.Time.After(at.clock.Now()) {
			t.Errorf("the entry is of %v, it was made after %v", l.Time, before)
		}
		all = append(all, l.Entry)
	}
	return all
}

// oneEntry is the one entry that doing something must leave.
func (at target) oneEntry(t testing.TB, do func()) audit.Entry {
	t.Helper()
	all := at.entries(t, do)
	if len(all) != 1 {
		t.Fatalf("%d audit entries, want exactly one: %+v", len(all), all)
	}
	return all[0]
}

// raw sends bytes over a connection of its own and returns everything that came back until the server
// closed it, or until it was silent for the time.
func (at target) raw(t testing.TB, text string, silence time.Duration) string {
	t.Helper()
	c, err := net.Dial("tcp", at.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Logf("while sending: %v", err) // the server may close first
	}
	var out strings.Builder
	buf := make([]byte, 4096)
	for {
		_ = c.SetReadDeadline(time.Now().Add(silence)) // fails only on a closed connection, as reading then does
		n, err := c.Read(buf)
		out.Write(buf[:n])
		if err != nil {
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				out.WriteString(stillOpen)
			}
			return out.String()
		}
	}
}

// stillOpen marks an answer of raw after which the server did not close the connection.
const stillOpen = "\n<still open>"

// answers cuts what raw returned into responses.
func answers(t testing.TB, text string) []*http.Response {
	t.Helper()
	r := bufio.NewReader(strings.NewReader(strings.TrimSuffix(text, stillOpen)))
	var all []*http.Response
	for {
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			return all
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatalf("the answer ends early: %v in %q", err, text)
		}
		all = append(all, resp)
	}
}

// median is the middle one.
func median(ds []time.Duration) time.Duration {
	s := slices.Clone(ds)
	slices.Sort(s)
	return s[len(s)/2]
}

// sameTime compares two things by the medians of their times, measured in turns. It must not fail on a busy
// machine, so it takes its best of several rounds, and only what is clearly apart fails.
func sameTime(t *testing.T, rounds, each int, a, b func(i int)) {
	t.Helper()
	const apart = 1.5
	var told []string
	for range rounds {
		var ta, tb []time.Duration
		for i := range each {
			start := time.Now()
			a(i)
			middle := time.Now()
			b(i)
			ta, tb = append(ta, middle.Sub(start)), append(tb, time.Since(middle))
		}
		ma, mb := median(ta), median(tb)
		told = append(told, fmt.Sprintf("%v and %v", ma, mb))
		if float64(max(ma, mb)) <= apart*float64(min(ma, mb)) {
			t.Logf("medians: %s", told)
			return
		}
	}
	t.Errorf("in %d rounds the times are apart: %s", rounds, told)
}

// address makes a different address of each number.
func address(i int) string {
	return netip.AddrFrom4([4]byte{100, 64 + byte(i>>16&63), byte(i >> 8), byte(i)}).String()
}

// newToken is a token in the right form that was never issued.
func newToken() string {
	s, _ := seal.NewCredential(oauth.TokenPrefix)
	return s.Reveal()
}
