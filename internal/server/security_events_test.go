package server_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// streams are the paths of the Events API, and the feature that each needs.
func streams() map[string]feed.Stream {
	paths := map[string]feed.Stream{"GET /api/v3/auditevents": feed.AuditEvents}
	for _, s := range feed.Streams() {
		paths["POST /api/v1/"+string(s)] = s
		paths["POST /api/v2/"+string(s)] = s
	}
	return paths
}

func call(path, bearer string) sent {
	method, path, _ := strings.Cut(path, " ")
	s := sent{method: method, path: path, bearer: bearer}
	if method == http.MethodPost {
		s.body = "{}"
	}
	return s
}

// Row 8: a token of one API is none for the other, and trying leaves an entry.
func TestSecurityAudience(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		access, events := at.Token(t, at.Credentials), at.EventsToken(t)
		for path := range streams() {
			e := at.oneEntry(t, func() {
				if a := at.send(t, call(path, access)); a.Status != http.StatusUnauthorized {
					t.Errorf("%s with an access token: %d %s", path, a.Status, a.Body)
				}
			})
			if e.Action != audit.AccessRefuse || e.Outcome != audit.Refused {
				t.Errorf("%s: entry %+v", path, e)
			}
		}
		u := at.AddUser(t, "mira@example.org")
		for _, path := range []string{
			"GET " + at.UsersURL(), "GET " + at.person(u), "POST " + at.person(u) + ":suspend", "POST " + at.person(u) + ":reactivate",
		} {
			method, path, _ := strings.Cut(path, " ")
			if a := at.send(t, sent{method: method, path: path, bearer: events}); a.Status != http.StatusUnauthorized {
				t.Errorf("%s %s with an events token: %d %s", method, path, a.Status, a.Body)
			}
		}
		if got, err := at.Store().User(t.Context(), u.AccountID, u.ID); err != nil || got.Suspended {
			t.Errorf("the person is now %+v, %v", got, err)
		}
	})
}

// Row 44: each stream needs its feature, in every version, for every choice of features.
func TestSecurityFeatureMatrix(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		all := feed.Streams()
		for choice := 1; choice < 1<<len(all); choice++ {
			var names []string
			for i, s := range all {
				if choice&(1<<i) != 0 {
					names = append(names, string(s))
				}
			}
			token := at.EventsToken(t, names...)
			for path, s := range streams() {
				want := http.StatusUnauthorized
				if slices.Contains(names, string(s)) {
					want = http.StatusOK
				}
				if a := at.send(t, call(path, token)); a.Status != want {
					t.Errorf("%s with %v: %d %s, want %d", path, names, a.Status, a.Body, want)
				}
			}
		}
	})
}

// Row 45: an events token shows its own account, and nothing of another.
func TestSecurityEventsOfOneAccount(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		other, _, err := at.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Other", OwnerEmail: "o@example.com", OwnerName: "Olu"}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		mine := at.Account
		u := at.AddUser(t, "mira@example.org")
		at.Account = other
		foreign := at.EventsToken(t)
		at.Account = mine
		for path := range streams() {
			method, path, _ := strings.Cut(path, " ")
			s := sent{method: method, path: path, bearer: foreign}
			if method == http.MethodPost {
				s.body = `{"start_time":"2020-01-01T00:00:00Z","limit":1000}`
			} else {
				s.path += "?start_time=2020-01-01T00:00:00Z"
			}
			a := at.send(t, s)
			for what, id := range map[string]string{"account": mine.ID, "person": u.ID, "owner": at.Owner.ID} {
				if a.Status != http.StatusOK || strings.Contains(a.Body, id) {
					t.Errorf("%s: %d; it tells of another account's %s: %.200s", s.path, a.Status, what, a.Body)
				}
			}
		}
	})
}

// Row 46: what the audit log keeps of a token is its ID; its text is nowhere.
func TestSecurityEventsTokenNowhere(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		token := at.EventsToken(t) // watched from now on, also when the instance ends
		for path := range streams() {
			at.send(t, call(path, token))
		}
		signature := token[strings.LastIndexByte(token, '.')+1:]
		at.Secrets.Learn(signature)
		for _, a := range []servertest.Answer{
			at.send(t, sent{path: "/api/v2/auth/introspect", bearer: token}), at.send(t, sent{path: "/.well-known/jwks.json"}),
			at.send(t, sent{path: "/api/v2/auth/introspect?access_token=" + token}),
		} {
			if strings.Contains(a.Body, signature) {
				t.Errorf("an answer repeats the token: %s", a.Body)
			}
		}
	})
}
