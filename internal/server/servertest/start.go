package servertest

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/config"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/oauth"
	"holdfast/internal/server"
	"holdfast/internal/store/storetest"
)

// Instance is a server that really listens, on a database of its own, with an account, an owner, and
// an application with all scopes. Each exchange is held against the contract.
type Instance struct {
	*server.Server
	URL         string // without a slash at the end
	Place       *storetest.Place
	Account     directory.Account
	Owner       directory.User
	Credentials oauth.Credentials
	Log         *Log
	Secrets     *Secrets          // credentials issued or presented; none may be found anywhere when the instance ends
	Transport   http.RoundTripper // of the requests that Do sends

	stop    context.CancelFunc
	done    chan error
	stopped atomic.Bool
}

// Start starts a server on the kind of database ("sqlite" or "postgres"). It stops when the test ends,
// which fails if it does not stop cleanly, or if a credential is found in its log, its errors, its audit
// log or its database.
func Start(t testing.TB, kind string) *Instance {
	t.Helper()
	return StartAt(t, storetest.NewPlace(t, kind), nil)
}

// StartAt starts a server at a place that may have been used before. Settings are configuration keys.
func StartAt(t testing.TB, place *storetest.Place, settings map[string]string) *Instance {
	t.Helper()
	return start(t, place, settings, server.Options{})
}

// StartWrapped starts a server with a handler of the test's own around it.
func StartWrapped(t testing.TB, place *storetest.Place, settings map[string]string, wrap func(http.Handler) http.Handler) *Instance {
	t.Helper()
	return start(t, place, settings, server.Options{Wrap: wrap})
}

// StartTour starts a server whose console offers the guided tour, as that of the demo does.
func StartTour(t testing.TB, place *storetest.Place) *Instance {
	t.Helper()
	return start(t, place, nil, server.Options{Tour: true})
}

// start starts a server with the options, to which it adds the log, the clock and the watching.
func start(t testing.TB, place *storetest.Place, settings map[string]string, opts server.Options) *Instance {
	t.Helper()
	in := &Instance{Place: place, Log: &Log{}, Secrets: &Secrets{}, Transport: http.DefaultTransport, done: make(chan error, 1)}
	overrides := map[string]string{"data": place.Dir, "database": place.Database, "listen.api": "127.0.0.1:0", "listen.ops": "off"}
	maps.Copy(overrides, settings)
	if file := overrides["tls.cert_file"]; file != "" {
		in.Transport = trusting(t, file)
	}
	cfg, err := config.Load(config.Options{Overrides: overrides})
	if err != nil {
		t.Fatal(err)
	}
	opts.Log = slog.New(slog.NewMultiHandler(
		slog.NewJSONHandler(in.Log, nil),
		slog.NewJSONHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}), // broken connections too
	))
	opts.Now = place.Now
	wrap := opts.Wrap
	opts.Wrap = func(h http.Handler) http.Handler {
		h = in.watch(t, Contract(t, h))
		if wrap != nil {
			h = wrap(h)
		}
		return h
	}
	in.Server, err = server.New(t.Context(), cfg, opts)
	if err != nil {
		t.Fatal(err)
	}
	in.Signals().Every = 10 * time.Millisecond // sources that can only be asked again and again
	in.URL = in.Server.URL()
	by := audit.Entry{Actor: "operator:test"}
	in.Account, in.Owner, err = in.Store().CreateAccount(t.Context(), directory.NewAccount{Name: "Harbour", OwnerEmail: "owner@example.org", OwnerName: "Ines"}, by)
	if err != nil {
		t.Fatal(err)
	}
	in.Credentials = in.NewApp(t, oauth.Scopes()...)
	// t.Context is cancelled before clean-up; the server must live until then, and stop in it.
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	in.stop = stop
	go func() { in.done <- in.Run(ctx) }()
	t.Cleanup(func() { in.end(t) })
	in.awaitReady(t)
	return in
}

// end looks for credentials while the server lives, stops it, and looks again at what is left.
func (in *Instance) end(t testing.TB) {
	t.Helper()
	found := in.Leaks(t)
	in.Stop(t)
	for _, f := range slices.Compact(slices.Sorted(slices.Values(append(found, in.Leaks(t)...)))) {
		t.Errorf("a credential leaked: %s", f)
	}
}

// Stop stops the server and waits. Stopping twice is no error.
func (in *Instance) Stop(t testing.TB) {
	t.Helper()
	in.stopped.Store(true)
	in.stop()
	select {
	case err, open := <-in.done:
		if open && err != nil {
			t.Errorf("the server stopped with: %v", err)
		}
		if open {
			close(in.done)
		}
	case <-time.After(30 * time.Second):
		t.Error("the server does not stop")
	}
}

func (in *Instance) awaitReady(t testing.TB) {
	t.Helper()
	for range 500 {
		resp, err := (&http.Client{Transport: in.Transport}).Get(in.URL + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not become ready")
}

// NewApp creates an application with the scopes.
func (in *Instance) NewApp(t testing.TB, scopes ...string) oauth.Credentials {
	t.Helper()
	cred, err := in.OAuth().Create(t.Context(), in.Account.ID, oauth.NewClient{Name: "SOAR", Scopes: scopes}, audit.Entry{Actor: "operator:test"})
	if err != nil {
		t.Fatal(err)
	}
	in.Secrets.Learn(cred.Secret.Reveal())
	return cred
}

// AddUser adds a person.
func (in *Instance) AddUser(t testing.TB, email string, groups ...string) directory.User {
	t.Helper()
	return storetest.User(t, in.Store(), in.Account.ID, email, groups...)
}

// UsersURL is the list of people.
func (in *Instance) UsersURL() string { return in.URL + "/v1/accounts/" + in.Account.ID + "/users" }

// Answer is a response that was read to its end.
type Answer struct {
	Status int
	Header http.Header
	Body   string
}

// Field is a field of the JSON object in the body; "" if there is none.
func (a Answer) Field(name string) string {
	var m map[string]any
	if json.Unmarshal([]byte(a.Body), &m) != nil {
		return ""
	}
	s, _ := m[name].(string)
	return s
}

// Do sends a request and reads the answer. Redirects are not followed.
func (in *Instance) Do(t testing.TB, method, target string, body string, header http.Header) Answer {
	t.Helper()
	if !strings.HasPrefix(target, "http") {
		target = in.URL + target
	}
	req, err := http.NewRequestWithContext(t.Context(), method, target, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(req.Header, header)
	resp, err := in.Transport.RoundTrip(req)
	if errors.Is(err, io.EOF) {
		// Transports dial more connections than they use. One that never carried a request is given up by
		// the server after limits.read_header_timeout, perhaps in the moment it is used at last.
		req.Body = io.NopCloser(strings.NewReader(body))
		resp, err = in.Transport.RoundTrip(req)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return Answer{resp.StatusCode, resp.Header, string(b)}
}

// Form posts a form with Basic authentication to an OAuth endpoint.
func (in *Instance) Form(t testing.TB, path, clientID, secret string, form url.Values) Answer {
	t.Helper()
	h := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if clientID != "" {
		h.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(clientID+":"+secret)))
	}
	return in.Do(t, "POST", path, form.Encode(), h)
}

// Token is a new access token of the application.
func (in *Instance) Token(t testing.TB, cred oauth.Credentials) string {
	t.Helper()
	a := in.Form(t, "/v1/oauth/token", cred.Client.ID, cred.Secret.Reveal(), url.Values{"grant_type": {"client_credentials"}})
	if a.Status != http.StatusOK {
		t.Fatalf("no token: %d %s", a.Status, a.Body)
	}
	return a.Field("access_token")
}

// EventsToken is a new events token that has the features, or all of them if none is named.
func (in *Instance) EventsToken(t testing.TB, features ...string) string {
	t.Helper()
	n := feed.NewToken{Name: "SIEM", Features: feed.Streams()}
	if len(features) > 0 {
		n.Features = nil
	}
	for _, f := range features {
		n.Features = append(n.Features, feed.Stream(f))
	}
	made, err := in.Events().Issue(t.Context(), in.Account.ID, n, audit.Entry{Actor: "operator:test"})
	if err != nil {
		t.Fatal(err)
	}
	in.Secrets.Learn(made.Text.Reveal())
	return made.Text.Reveal()
}

// Call calls the Users API, or the Events API, with a token.
func (in *Instance) Call(t testing.TB, method, target, token string) Answer {
	t.Helper()
	h := http.Header{}
	if token != "" {
		h.Set("Authorization", "Bearer "+token)
	}
	return in.Do(t, method, target, "", h)
}

// Log keeps what the server logged.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was logged so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
