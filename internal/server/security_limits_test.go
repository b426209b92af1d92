package server_test

import (
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"holdfast/internal/audit"
	"holdfast/internal/oauth"
	"holdfast/internal/server/servertest"
)

// attempts is how often somebody guesses.
const attempts = 1000

// guess makes the attempts, 16 at a time, and counts the answers. Each must be one of the statuses.
func (at target) guess(t *testing.T, attempt func(i int) sent, refused int) (refusals, tooMany int) {
	t.Helper()
	statuses := make([]int, attempts)
	var wg sync.WaitGroup
	const parallel = 16
	for from := range parallel {
		wg.Go(func() {
			for i := from; i < attempts; i += parallel {
				a := at.send(t, attempt(i))
				statuses[i] = a.Status
				if n, err := strconv.Atoi(a.Header.Get("Retry-After")); a.Status == http.StatusTooManyRequests && (err != nil || n < 1) {
					t.Errorf("429 with Retry-After %q", a.Header.Get("Retry-After"))
				}
			}
		})
	}
	wg.Wait()
	for i, s := range statuses {
		switch s {
		case refused:
			refusals++
		case http.StatusTooManyRequests:
			tooMany++
		default:
			t.Fatalf("attempt %d was answered %d", i, s)
		}
	}
	return refusals, tooMany
}

// within is how many failures a limit lets through: a burst, and one more in each period that has passed.
func within(burst int, every time.Duration, start, end time.Time) int {
	return burst + 1 + int(end.Sub(start)/every)
}

// Row 16: whoever guesses secrets is slowed down and recorded, without filling the log, and nobody else
// notices.
func TestSecurityGuessingIsLimited(t *testing.T) {
	const attacker = "203.0.113.9"
	tests := []struct {
		name    string
		attempt func(at target) func(i int) sent
		refused int
		burst   int // failures that are recorded
		every   time.Duration
	}{
		{"one_client_one_address", func(at target) func(int) sent {
			return func(int) sent {
				return sent{path: tokenPath, form: grant(), basic: [2]string{at.Credentials.Client.ID, wrongSecret()}, from: attacker}
			}
		}, http.StatusUnauthorized, 10, 6 * time.Second},
		{"one_client_many_addresses", func(at target) func(int) sent {
			return func(i int) sent {
				return sent{path: tokenPath, form: grant(), basic: [2]string{at.Credentials.Client.ID, wrongSecret()}, from: address(i)}
			}
		}, http.StatusUnauthorized, 60, time.Second},
		{"many_clients_one_address", func(target) func(int) sent {
			return func(int) sent {
				return sent{path: tokenPath, form: grant(), basic: [2]string{uuid.NewString(), wrongSecret()}, from: attacker}
			}
		}, http.StatusUnauthorized, 30, 2 * time.Second},
		{"addresses_of_one_network", func(target) func(int) sent {
			return func(i int) sent {
				return sent{path: tokenPath, form: grant(), basic: [2]string{uuid.NewString(), wrongSecret()}, from: "2001:db8:1:2::" + strconv.FormatInt(int64(i+1), 16)}
			}
		}, http.StatusUnauthorized, 30, 2 * time.Second},
		{"no_client_at_all", func(target) func(int) sent {
			return func(i int) sent {
				return sent{path: tokenPath, form: grant(), basic: [2]string{"no-uuid-" + strconv.Itoa(i), wrongSecret()}, from: attacker}
			}
		}, http.StatusUnauthorized, 10, 6 * time.Second},
		{"broken_forms", func(target) func(int) sent {
			return func(int) sent { return sent{path: tokenPath, body: "a=%zz", from: attacker} }
		}, http.StatusBadRequest, 10, 6 * time.Second},
		{"revoke", func(at target) func(int) sent {
			return func(int) sent {
				return sent{path: revokePath, form: url.Values{"token": {"x"}}, basic: [2]string{at.Credentials.Client.ID, wrongSecret()}, from: attacker}
			}
		}, http.StatusUnauthorized, 10, 6 * time.Second},
		{"tokens", func(at target) func(int) sent {
			return func(int) sent { return sent{path: at.person(at.Owner), bearer: newToken(), from: attacker} }
		}, http.StatusUnauthorized, 60, time.Second},
		{"secrets_in_urls", func(at target) func(int) sent {
			return func(int) sent { return sent{path: at.person(at.Owner) + "?access_token=x", from: attacker} }
		}, http.StatusBadRequest, 60, time.Second},
	}
	onEach(t, func(t *testing.T, at target) {
		neighbour := at.NewApp(t, oauth.Scopes()...)
		for _, tt := range tests {
			t.Run(tt.name, func(t *testing.T) {
				at.clock.Forward(10 * time.Minute) // what was counted before is forgiven
				token := at.Token(t, neighbour)
				var refusals, tooMany int
				start := time.Now()
				entries := at.entries(t, func() { refusals, tooMany = at.guess(t, tt.attempt(at), tt.refused) })
				most := within(tt.burst, tt.every, start, time.Now())
				if refusals < tt.burst || refusals > most || tooMany == 0 {
					t.Errorf("%d of %d attempts were looked at, want %d to %d", refusals, attempts, tt.burst, most)
				}
				if len(entries) != refusals {
					t.Errorf("%d audit entries for %d refusals", len(entries), refusals)
				}
				for _, e := range entries {
					if e.Outcome != audit.Refused || e.Actor != "anonymous" || e.Address == "" || e.RequestID == "" {
						t.Fatalf("entry %+v", e)
					}
				}
				for _, unhurt := range []struct {
					name string
					sent sent
				}{
					{"other_client_other_address", asks(neighbour, grant())},
					{"other_client_same_address", fromAddress(asks(neighbour, grant()), attacker)},
					{"same_client_other_address", asks(at.Credentials, grant())},
					{"token_same_address", sent{path: at.person(at.Owner), bearer: token, from: attacker}},
				} {
					if a := at.send(t, unhurt.sent); a.Status != http.StatusOK {
						t.Errorf("%s: %d %s", unhurt.name, a.Status, a.Body)
					}
				}
			})
		}
	})
}

func fromAddress(s sent, address string) sent {
	s.from = address
	return s
}

// TestSecurityGuesserHasToWait: from the address that guessed, even the right secret is not looked at for
// a while, so a guess cannot be told from a hit; then it works again.
func TestSecurityGuesserHasToWait(t *testing.T) {
	at := attacked(t, "sqlite", nil)
	const attacker = "203.0.113.9"
	for range 20 {
		at.send(t, sent{path: tokenPath, form: grant(), basic: [2]string{at.Credentials.Client.ID, wrongSecret()}, from: attacker})
	}
	right := fromAddress(asks(at.Credentials, grant()), attacker)
	var a servertest.Answer
	if n := len(at.entries(t, func() { a = at.send(t, right) })); a.Status != http.StatusTooManyRequests || n != 0 {
		t.Fatalf("the right secret after 20 wrong ones: %d %s, %d entries", a.Status, a.Body, n)
	}
	wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
	if err != nil || wait < 1 || wait > 7 {
		t.Fatalf("Retry-After is %q, want a few seconds", a.Header.Get("Retry-After"))
	}
	at.clock.Forward(time.Duration(wait) * time.Second)
	if a := at.send(t, right); a.Status != http.StatusOK {
		t.Errorf("after %d s: %d %s", wait, a.Status, a.Body)
	}
}
