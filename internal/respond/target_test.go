package respond_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/oauth"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
	"holdfast/internal/server/servertest"
	"holdfast/internal/store/storetest"
)

// keys is a keyring of its own.
func keys(t testing.TB) *seal.Keyring {
	t.Helper()
	master, err := seal.OpenMaster("file:"+filepath.Join(t.TempDir(), "master.key"), t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	k, _, err := seal.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// shelf keeps targets and channels, by name, and counts their revisions as a database does.
type shelf struct {
	mu       sync.Mutex
	targets  []respond.TargetSetup
	channels []respond.Channel
}

func (s *shelf) Targets(context.Context, string) ([]respond.TargetSetup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]respond.TargetSetup(nil), s.targets...), nil
}

func (s *shelf) SaveTarget(_ context.Context, x respond.TargetSetup, _ audit.Entry) (respond.TargetSetup, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.Revision++
	for i, have := range s.targets {
		if have.ID == x.ID {
			s.targets[i] = x
			return x, nil
		}
	}
	s.targets = append(s.targets, x)
	return x, nil
}

func (s *shelf) RemoveTarget(_ context.Context, _, name string, _ audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, have := range s.targets {
		if have.Name == name {
			s.targets = append(s.targets[:i:i], s.targets[i+1:]...)
			return nil
		}
	}
	return problem.New(problem.NotFound, "no target %q", name)
}

func (s *shelf) Channels(context.Context, string) ([]respond.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]respond.Channel(nil), s.channels...), nil
}

func (s *shelf) SaveChannel(_ context.Context, x respond.Channel, _ audit.Entry) (respond.Channel, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x.Revision++
	for i, have := range s.channels {
		if have.ID == x.ID {
			s.channels[i] = x
			return x, nil
		}
	}
	s.channels = append(s.channels, x)
	return x, nil
}

func (s *shelf) RemoveChannel(_ context.Context, _, name string, _ audit.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, have := range s.channels {
		if have.Name == name {
			s.channels = append(s.channels[:i:i], s.channels[i+1:]...)
			return nil
		}
	}
	return problem.New(problem.NotFound, "no channel %q", name)
}

func by() audit.Entry { return audit.Entry{Actor: "operator:test"} }

// remote is a real Holdfast as a target, and the proxy before it, which can break.
type remote struct {
	*servertest.Instance
	targets *respond.Targets
	store   *shelf
	ca      string

	mu     sync.Mutex
	broken func(w http.ResponseWriter, r *http.Request, next http.Handler) bool // true: it has answered, or never will
	proxy  *httptest.Server
}

func newRemote(t testing.TB) *remote {
	t.Helper()
	settings := servertest.Certificate(t)
	ca, err := os.ReadFile(settings["tls.cert_file"])
	if err != nil {
		t.Fatal(err)
	}
	r := &remote{Instance: servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), settings), store: &shelf{}, ca: string(ca)}
	r.targets = &respond.Targets{Store: r.store, Keys: keys(t), Now: time.Now}
	to, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{
		Rewrite:   func(p *httputil.ProxyRequest) { p.SetURL(to) },
		Transport: r.Transport,
	}
	r.proxy = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		broken := r.broken
		r.mu.Unlock()
		if broken == nil || !broken(w, req, forward) {
			forward.ServeHTTP(w, req)
		}
	}))
	t.Cleanup(r.proxy.Close)
	return r
}

func (r *remote) breaks(f func(w http.ResponseWriter, r *http.Request, next http.Handler) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.broken = f
}

// target adds a target under the name and opens it.
func (r *remote) target(t testing.TB, name, base string, cred oauth.Credentials) respond.Target {
	t.Helper()
	c := respond.TargetConfig{BaseURL: base, AccountID: r.Account.ID, ClientID: cred.Client.ID}
	if strings.HasPrefix(base, "https") {
		c.CA = r.ca
	}
	if _, err := r.targets.Add(t.Context(), "HERE", respond.NewTarget{Name: name, Kind: respond.KindUsersAPI, Config: c, Secret: cred.Secret}, by()); err != nil {
		t.Fatal(err)
	}
	target, err := r.targets.Open(t.Context(), "HERE", name)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

// suspended asks the database of the target itself.
func (r *remote) suspended(t *testing.T, id string) bool {
	t.Helper()
	u, err := r.Store().User(t.Context(), r.Account.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	return u.Suspended
}

// TestTarget: a real Holdfast as a target.
func TestTarget(t *testing.T) {
	r := newRemote(t) // one for all: starting it takes longer than all the rest
	t.Run("known", func(t *testing.T) { testKnown(t, r) })
	t.Run("unknown", func(t *testing.T) { testUnknown(t, r) })
}

// testKnown: over TLS, what a target answers.
func testKnown(t *testing.T, r *remote) {
	mira := r.AddUser(t, "mira@example.org")
	managed, err := r.Store().AddUser(t.Context(), r.Account.ID, directory.NewUser{Email: "eam@example.org", DisplayName: "Eam", ExternallyManaged: true}, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	all := r.target(t, "all", r.URL, r.Credentials)
	reader := r.target(t, "reader", r.URL, r.NewApp(t, "get_user", "list_users"))
	wrong := r.Credentials
	wrong.Secret = seal.NewSecret(r.Credentials.Secret.Reveal()[:len(r.Credentials.Secret.Reveal())-1] + "x")
	stranger := r.target(t, "stranger", r.URL, wrong)

	here := func(id string) respond.Wanted {
		return respond.Wanted{AccountID: r.Account.ID, PersonID: id, Email: "not looked at"}
	}
	named := func(email string) respond.Wanted {
		return respond.Wanted{AccountID: "ANOTHER", PersonID: mira.ID, Email: email}
	}
	event := func(id, email string) respond.Wanted {
		return respond.Wanted{AccountID: "ANOTHER", Email: email, OtherIDs: map[string]string{r.Account.ID: id}}
	}
	suspend, reactivate := respond.Target.Suspend, respond.Target.Reactivate
	tests := []struct {
		name string
		at   respond.Target
		do   func(respond.Target, context.Context, respond.Wanted) (respond.Outcome, error)
		who  respond.Wanted
		want respond.Outcome
		is   bool // Mira, afterwards, suspended
	}{
		{"by_id", all, suspend, here(mira.ID), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, true},
		{"again", all, suspend, here(mira.ID), respond.Outcome{Kind: respond.OutcomeAlready, RemoteID: mira.ID}, true},
		{"back", all, reactivate, here(mira.ID), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, false},
		{"back_again", all, reactivate, here(mira.ID), respond.Outcome{Kind: respond.OutcomeAlready, RemoteID: mira.ID}, false},
		{"by_address", all, suspend, named("MIRA@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, true},
		{"back_by_address", all, reactivate, named("mira@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, false},
		{"by_id_of_the_event", all, suspend, event(mira.ID, "mira@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, true},
		{"back_by_id_of_the_event", all, reactivate, event(mira.ID, "mira@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, false},
		{"id_of_the_event_unknown", all, suspend, event("r-17", "mira@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, true},
		{"back_from_there", all, reactivate, named("mira@example.org"), respond.Outcome{Kind: respond.OutcomeDone, RemoteID: mira.ID}, false},
		{"id_of_somebody_else", all, suspend, event(mira.ID, "owner@example.org"), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedAmbiguous}, false},
		{"id_without_address", all, suspend, event(mira.ID, ""), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedAmbiguous}, false},
		{"nobody_by_id", all, suspend, here("AAAAAAAAAAAAAAAAAAAAAAAAAA"), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedNotFound}, false},
		{"nobody_by_address", all, suspend, named("nobody@example.org"), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedNotFound}, false},
		{"no_address", all, suspend, named(""), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedNotFound}, false},
		{"last_owner", all, suspend, here(r.Owner.ID), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedLastOwner, RemoteID: r.Owner.ID}, false},
		{"externally_managed", all, suspend, here(managed.ID), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedManaged, RemoteID: managed.ID}, false},
		{"no_permission", reader, suspend, here(mira.ID), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedForbidden, RemoteID: mira.ID}, false},
		{"wrong_secret", stranger, suspend, here(mira.ID), respond.Outcome{Kind: respond.OutcomeRefused, Code: respond.RefusedCredentials}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.do(tt.at, t.Context(), tt.who)
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(respond.Outcome{}, "Reason")); diff != "" || err != nil {
				t.Errorf("%v, reason %q, -want +got\n%s", err, got.Reason, diff)
			}
			if (got.Kind == respond.OutcomeRefused) != (got.Reason != "") {
				t.Errorf("%s with the reason %q", got.Kind, got.Reason)
			}
			if is := r.suspended(t, mira.ID); is != tt.is {
				t.Errorf("suspended afterwards: %t", is)
			}
		})
	}

	t.Run("state", func(t *testing.T) {
		for who, want := range map[string]respond.TargetState{mira.ID: respond.TargetActive, "AAAAAAAAAAAAAAAAAAAAAAAAAA": respond.TargetAbsent} {
			if got, err := all.State(t.Context(), here(who)); got != want || err != nil {
				t.Errorf("%q %v, want %q", got, err, want)
			}
		}
		if got, err := stranger.State(t.Context(), here(mira.ID)); got != "" || !problem.Is(err, problem.Forbidden) {
			t.Errorf("with a wrong secret: %q %v", got, err)
		}
	})

	t.Run("test", func(t *testing.T) {
		for name, want := range map[string]string{
			"all":    r.URL + " answers; the credentials may list people, look a person up, suspend, reactivate",
			"reader": r.URL + " answers; the credentials may list people, look a person up; they may not suspend, reactivate: give the application all four permissions",
		} {
			if got, err := r.targets.Test(t.Context(), "HERE", name); got != want || err != nil {
				t.Errorf("%v\n got %q\nwant %q", err, got, want)
			}
		}
		_, err := r.targets.Test(t.Context(), "HERE", "stranger")
		if p, ok := errors.AsType[*problem.Error](err); !ok || p.Code != respond.RefusedCredentials || strings.Contains(err.Error(), wrong.Secret.Reveal()) {
			t.Errorf("with a wrong secret: %v", err)
		}
		if r.suspended(t, mira.ID) {
			t.Error("a test has changed something")
		}
	})

	t.Run("certificate", func(t *testing.T) {
		c := respond.TargetConfig{BaseURL: r.URL, AccountID: r.Account.ID, ClientID: r.Credentials.Client.ID}
		if _, err := r.targets.Add(t.Context(), "HERE", respond.NewTarget{Name: "untrusting", Kind: respond.KindUsersAPI, Config: c, Secret: r.Credentials.Secret}, by()); err != nil {
			t.Fatal(err)
		}
		target, err := r.targets.Open(t.Context(), "HERE", "untrusting")
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Suspend(t.Context(), here(mira.ID))
		if got.Kind != respond.OutcomeRetry || !strings.Contains(got.Reason, "certificate") || err != nil {
			t.Errorf("%+v %v", got, err)
		}
	})
}

// hangUp ends the connection without a word.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // of the standard library: ends the connection as well
	}
	_ = conn.Close() // the client hears of it
}

// testUnknown: connections break before and after the target has done what it was asked. What is known is
// known, what is not is read back.
func testUnknown(t *testing.T, r *remote) {
	mira := r.AddUser(t, "mira-of-the-proxy@example.org")
	target := r.target(t, "proxied", r.proxy.URL, r.Credentials)
	who := respond.Wanted{AccountID: r.Account.ID, PersonID: mira.ID}
	change := func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, ":suspend") }
	lookup := func(req *http.Request) bool { return req.Method == http.MethodGet }
	token := func(req *http.Request) bool { return strings.HasSuffix(req.URL.Path, "/token") }
	before := func(w http.ResponseWriter, _ *http.Request, _ http.Handler) { hangUp(w) }
	after := func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), req)
		hangUp(w)
	}
	says := func(status int, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
			for i := 0; i < len(header); i += 2 {
				w.Header().Set(header[i], header[i+1])
			}
			w.WriteHeader(status)
		}
	}
	afterSays := func(status int) func(http.ResponseWriter, *http.Request, http.Handler) {
		return func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), req)
			w.WriteHeader(status)
		}
	}
	garbled := func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), req)
		_, _ = w.Write([]byte("<html>done</html>")) // the client sees what it sees
	}
	tests := []struct {
		name   string
		at     func(*http.Request) bool
		breaks func(http.ResponseWriter, *http.Request, http.Handler)
		want   respond.OutcomeKind
		after  time.Duration
		code   string
		is     bool // suspended at the target, whatever was heard
	}{
		{"change_before", change, before, respond.OutcomeUnknown, 0, "", false},
		{"change_after", change, after, respond.OutcomeUnknown, 0, "", true},
		{"change_503_before", change, says(503, "Retry-After", "7"), respond.OutcomeUnknown, 7 * time.Second, "", false},
		{"change_502_after", change, afterSays(502), respond.OutcomeUnknown, 0, "", true},
		{"change_garbled_after", change, garbled, respond.OutcomeUnknown, 0, "", true},
		{"change_429", change, says(429, "Retry-After", "9"), respond.OutcomeRetry, 9 * time.Second, "", false},
		{"change_redirect", change, says(307, "Location", "https://elsewhere.example.org/"), respond.OutcomeRefused, 0, respond.RefusedAnswer, false},
		{"change_501", change, says(501), respond.OutcomeRefused, 0, respond.RefusedAnswer, false},
		{"lookup_before", lookup, before, respond.OutcomeRetry, 0, "", false},
		{"lookup_500", lookup, says(500), respond.OutcomeRetry, 0, "", false},
		{"lookup_429", lookup, says(429, "Retry-After", "11"), respond.OutcomeRetry, 11 * time.Second, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r.breaks(func(w http.ResponseWriter, req *http.Request, next http.Handler) bool {
				if tt.at(req) {
					tt.breaks(w, req, next)
					return true
				}
				return false
			})
			got, err := target.Suspend(t.Context(), who)
			if got.Kind != tt.want || got.After != tt.after || got.Code != tt.code || got.Reason == "" || err != nil {
				t.Errorf("%+v %v, want %s after %s, code %q", got, err, tt.want, tt.after, tt.code)
			}
			r.breaks(nil)
			state, err := target.State(t.Context(), who)
			if want := map[bool]respond.TargetState{false: respond.TargetActive, true: respond.TargetSuspended}[tt.is]; state != want || err != nil {
				t.Errorf("read back: %q %v, want %q", state, err, want)
			}
			want := map[bool]respond.OutcomeKind{false: respond.OutcomeDone, true: respond.OutcomeAlready}[tt.is]
			if got, err := target.Suspend(t.Context(), who); got.Kind != want || err != nil {
				t.Errorf("again: %+v %v, want %s", got, err, want)
			}
			if got, err := target.Reactivate(t.Context(), who); got.Kind != respond.OutcomeDone || err != nil {
				t.Fatalf("back: %+v %v", got, err)
			}
		})
	}

	t.Run("deadline_after_sending", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r.breaks(func(w http.ResponseWriter, req *http.Request, next http.Handler) bool {
			if !change(req) {
				return false
			}
			next.ServeHTTP(httptest.NewRecorder(), req)
			cancel()
			<-req.Context().Done()
			return true
		})
		defer r.breaks(nil)
		if got, err := target.Suspend(ctx, who); got.Kind != respond.OutcomeUnknown || err != nil {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("deadline_before_sending", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got, err := target.Suspend(ctx, who); !errors.Is(err, context.Canceled) || got != (respond.Outcome{}) {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("no_token", func(t *testing.T) {
		fresh := r.target(t, "fresh", r.proxy.URL, r.Credentials)
		r.breaks(func(w http.ResponseWriter, req *http.Request, _ http.Handler) bool {
			if token(req) {
				hangUp(w)
			}
			return token(req)
		})
		defer r.breaks(nil)
		if got, err := fresh.Suspend(t.Context(), who); got.Kind != respond.OutcomeRetry || err != nil {
			t.Errorf("%+v %v", got, err)
		}
	})
	t.Run("nobody_listens", func(t *testing.T) {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		gone := r.target(t, "gone", "http://"+l.Addr().String(), r.Credentials)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if got, err := gone.Suspend(t.Context(), who); got.Kind != respond.OutcomeRetry || err != nil {
			t.Errorf("%+v %v", got, err)
		}
		if _, err := gone.State(t.Context(), who); !problem.Is(err, problem.Unavailable) {
			t.Errorf("state: %v", err)
		}
	})
}
