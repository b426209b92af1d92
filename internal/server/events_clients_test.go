package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/directory"
	"holdfast/internal/feed"
	"holdfast/internal/origin"
	"holdfast/internal/seal"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
	"holdfast/internal/vault"
)

// Shippers and connectors that read the Events API. Their programs cannot be had from a package registry, so
// what follows sends what their sources were read to send: header, first body, later bodies, and how each
// goes on in its next run. Answers are held against docs/openapi/events.yaml by servertest.Contract.

// eventsClient is how one of them asks.
type eventsClient struct {
	name    string
	version string   // "v1" or "v2"
	streams []string // none: all three
	header  http.Header

	begin func(since, now time.Time) string // body of the first call
	goOn  func(first, cursor string) string // body of a later one; nil: the cursor alone
	again resumption
}

// resumption is what a client does in its next run.
type resumption int

// The ways to resume.
const (
	byCursor     resumption = iota // with the cursor of the last answer
	byFullCursor                   // with that of the last answer that had events or more to come
	byLastEvent                    // anew, from the time of the last event, and drops what it has
	afterLast                      // anew, from a microsecond after the last event
	upToNow                        // anew, up to now: byLastEvent, and stops there
)

// The spellings of time that clients have.
const (
	seconds      = "2006-01-02T15:04:05Z"
	milliseconds = "2006-01-02T15:04:05.000Z"
	utcMicros    = "2006-01-02T15:04:05.000000+00:00"
	minusZero    = "2006-01-02T15:04:05-00:00"
)

// from begins with the text in which START and END stand for times in the layout.
func from(text, layout string) func(since, now time.Time) string {
	return func(since, now time.Time) string {
		return strings.NewReplacer("START", since.Format(layout), "END", now.Format(layout)).Replace(text)
	}
}

// begins begins with the same text whatever the time is.
func begins(text string) func(since, now time.Time) string {
	return func(time.Time, time.Time) string { return text }
}

// merged puts the cursor into the first body.
func merged(first, cursor string) string {
	sep := ","
	if first == "{}" {
		sep = ""
	}
	return strings.TrimSuffix(strings.TrimSpace(first), "}") + sep + fmt.Sprintf(`"cursor":%q}`, cursor)
}

// headerOf makes a header of "Name: value".
func headerOf(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h[name] = []string{value} // spelt as the client spells it
	}
	return h
}

func eventsClients() []eventsClient {
	const typed, accepts = "Content-Type: application/json", "Accept: application/json"
	own := []string{"signinattempts", "itemusages"}
	return []eventsClient{
		{
			name: "1password-splunk", version: "v1", header: headerOf("User-Agent: 1Password Events API Splunk / 1.2.0"),
			begin: begins(`{"limit":100,"start_time":"2020-01-01T00:00:00Z"}`), again: byFullCursor,
		},
		{
			name: "1password-beats", version: "v1", streams: own, header: headerOf("User-Agent: 1Password Events API Beats / 1.0.0"),
			begin: begins(`{ "limit": 1000, "start_time": "2020-01-01T00:00:00Z" }`),
			goOn:  func(_, cursor string) string { return `{ "cursor": "` + cursor + `" }` }, // not escaped
		},
		{
			name: "1password-sample-python", version: "v1", streams: own, header: headerOf(typed, "Accept: */*", "Accept-Encoding: gzip, deflate", "User-Agent: python-requests/2.31.0"),
			begin: func(since, _ time.Time) string {
				return fmt.Sprintf(`{"limit": 20, "start_time": "%s"}`, since.In(time.FixedZone("", -4*3600)).Format(time.RFC3339))
			},
		},
		{
			name: "1password-sample-javascript", version: "v1", streams: own, header: headerOf(typed, "Accept: */*", "User-Agent: node"),
			begin: from(`{"limit":20,"start_time":"START"}`, seconds),
		},
		{
			name: "1password-sample-go", version: "v1", streams: own[:1], header: headerOf(typed),
			begin: from("{\n\t\t\"limit\": 20,\n\t\t\"start_time\": \"START\"\n\t}", time.RFC3339),
		},
		{
			name: "elastic-agent", version: "v1", header: headerOf(typed, accepts, "User-Agent: 1Password-Elastic-Filebeat/0.1.0"),
			begin: begins(`{"limit":1000}`),
		},
		{
			name: "cortex", version: "v2", header: headerOf(typed, "Accept: */*"),
			begin: from(`{"limit": 1000, "start_time": "START"}`, seconds), again: byLastEvent,
		},
		{
			name: "grove", version: "v2", header: headerOf(typed, "Accept: */*", "User-Agent: python-requests/2.32.3"),
			begin: from(`{"limit": 1000, "start_time": "START"}`, "2006-01-02T15:04:05+00:00"),
		},
		{
			name: "grove-without-pointer", version: "v2", header: headerOf(typed),
			begin: begins(`{"limit": 1000, "start_time": null}`),
		},
		{
			name: "sekoia", version: "v1", header: headerOf(typed, "Accept: */*"),
			begin: from(`{"start_time": "START", "end_time": "END", "limit": 1000}`, utcMicros), again: afterLast,
		},
		{
			name: "posthog", version: "v2", header: headerOf(typed, accepts),
			begin: func(_, now time.Time) string {
				return fmt.Sprintf(`{"limit": 1000, "start_time": "%s"}`, now.AddDate(0, 0, -365).Format(utcMicros))
			},
		},
		{
			name: "sentinel-codeless", version: "v1", header: headerOf(typed), goOn: merged,
			begin: from(`{"limit": 1000, "start_time": "START", "end_time": "END" }`, seconds), again: upToNow,
		},
		{
			name: "sentinel-function", version: "v1",
			header: headerOf("Content-Type: application/x-www-form-urlencoded", "ContentType: Application/Json"),
			begin:  from("{\r\n  \"limit\": 100,\r\n  \"start_time\": \"START\"\r\n}", milliseconds),
			goOn:   func(_, cursor string) string { return "{\r\n  \"cursor\": \"" + cursor + "\"\r\n}" },
		},
		{
			name: "cribl", version: "v2", streams: []string{"auditevents"}, header: headerOf(typed),
			begin: from(`{"limit":50,"start_time":"START","end_time":"END","cursor":null}`, minusZero),
			goOn: func(_, cursor string) string {
				return `{"limit":null,"start_time":null,"end_time":null,"cursor":"` + cursor + `"}`
			},
			again: upToNow,
		},
		{
			name: "hel", version: "v2", header: headerOf(typed, accepts), begin: begins("{}"), goOn: merged,
		},
		{
			name: "hel-with-a-start", version: "v2", header: headerOf(typed, accepts), goOn: merged,
			begin: from(`{"limit":500,"start_time":"START"}`, seconds),
		},
		{
			name: "limacharlie", version: "v1", streams: own, header: headerOf(typed),
			begin: func(since, _ time.Time) string {
				return fmt.Sprintf(`{"limit":1000,"start_time":"%s"}`, since.In(time.FixedZone("", 5*3600+1800)).Format(time.RFC3339))
			},
		},
		{
			name: "dfe-fetcher", version: "v2", header: headerOf(typed, accepts),
			begin: from(`{"end_time":"END","limit":100,"start_time":"START"}`, milliseconds), again: upToNow,
		},
		{
			name: "google-secops", version: "v2", streams: []string{"auditevents"}, header: headerOf(typed, accepts),
			begin: from(`{"limit": 1000, "start_time": "START"}`, seconds),
		},
		{
			name: "oomol", version: "v2", header: headerOf(typed, accepts), begin: from(`{"start_time":"START"}`, milliseconds),
		},
	}
}

// TestEventsClients lets each of them read all there is, in its way, and then what is new.
func TestEventsClients(t *testing.T) {
	t.Parallel()
	in := servertest.Start(t, "sqlite")
	w := newEventsWorld(t, in)
	w.happen(t, 25) // more than the least of the limits
	for _, c := range eventsClients() {
		t.Run(c.name, func(t *testing.T) {
			token := in.EventsToken(t)
			w.happen(t, 1) // to a token belongs an event of its own
			runs := map[string]*eventsRun{}
			streams := c.streams
			if len(streams) == 0 {
				streams = []string{"auditevents", "itemusages", "signinattempts"}
			}
			for _, s := range streams {
				runs[s] = &eventsRun{client: c, stream: s, token: token, in: in, since: w.began, seen: map[string]bool{}}
			}
			for round := range 2 {
				for _, s := range streams {
					runs[s].read(t)
					if diff := cmp.Diff(w.ids[s], runs[s].got); diff != "" {
						t.Errorf("run %d: %s (-happened +read):\n%s", round+1, s, diff)
					}
				}
				w.happen(t, 1)
			}
		})
	}
}

// eventsRun is what a client remembers of a stream.
type eventsRun struct {
	client        eventsClient
	stream, token string
	in            *servertest.Instance

	since  time.Time // where the next run begins, for clients that begin anew
	cursor string    // where it goes on, for the others
	seen   map[string]bool
	got    []string // in the order of arrival

	created int // audit events that say so
}

// read is one run: pages until there are no more.
func (r *eventsRun) read(t *testing.T) {
	t.Helper()
	// Who names an end names the next second: there is no telling when the last event of this one will be.
	now := r.in.Place.Now().UTC().Add(time.Second)
	first := r.client.begin(r.since.UTC(), now)
	body := first
	if r.cursor != "" && r.client.again <= byFullCursor {
		body = r.further(first, r.cursor)
	}
	for range 50 {
		p := r.page(t, body)
		if len(p.Items) > 0 || p.HasMore || r.client.again == byCursor {
			r.cursor = p.Cursor
		}
		for _, e := range p.Items {
			r.take(t, e)
		}
		if !p.HasMore {
			return
		}
		if len(p.Items) == 0 {
			t.Fatalf("%s: an empty page that promises more; some clients stop at it", r.stream)
		}
		body = r.further(first, p.Cursor)
	}
	t.Fatalf("%s: does not come to an end", r.stream)
}

func (r *eventsRun) further(first, cursor string) string {
	if r.client.goOn != nil {
		return r.client.goOn(first, cursor)
	}
	return fmt.Sprintf(`{"cursor":%q}`, cursor)
}

// take keeps an event once. Who goes on by cursor must not get it twice; who begins anew drops it.
func (r *eventsRun) take(t *testing.T, e clientEvent) {
	t.Helper()
	if r.seen[e.UUID] {
		if r.client.again <= byFullCursor || r.client.again == afterLast {
			t.Errorf("%s: %s came twice", r.stream, e.UUID)
		}
		return
	}
	r.seen[e.UUID] = true
	r.got = append(r.got, e.UUID)
	if e.Action == "create" {
		r.created++
	}
	switch r.client.again {
	case byLastEvent, upToNow:
		r.since = e.Timestamp
	case afterLast:
		r.since = e.Timestamp.Add(time.Microsecond)
	}
}

// page sends one request as the client does, and reads the answer as strictly as the strictest of them.
func (r *eventsRun) page(t *testing.T, body string) clientPage {
	t.Helper()
	h := maps.Clone(r.client.header)
	if h == nil {
		h = http.Header{}
	}
	h.Set("Authorization", "Bearer "+r.token)
	path := "/api/" + r.client.version + "/" + r.stream
	a := r.in.Do(t, http.MethodPost, path, body, h)
	if a.Status != http.StatusOK || a.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("POST %s %s: %d %s", path, body, a.Status, a.Body)
	}
	var p clientPage
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Fatalf("POST %s: a client in Go cannot read the answer: %v\n%s", path, err, a.Body)
	}
	if p.Cursor == "" || len(p.Cursor) >= 200 || strings.ContainsAny(p.Cursor, "\\\"\r\n ") || p.Items == nil {
		t.Fatalf("POST %s: cursor %q, items %v", path, p.Cursor, p.Items)
	}
	return p
}

// clientPage and clientEvent are what clients in Go decode an answer into: times as times, numbers as numbers
// of their size, objects that are no pointers. What does not fit makes them give up the whole page.
type clientPage struct {
	Cursor  string        `json:"cursor"`
	HasMore bool          `json:"has_more"`
	Items   []clientEvent `json:"items"`
}

type clientEvent struct {
	UUID      string    `json:"uuid"`
	Timestamp time.Time `json:"timestamp"`
	Action    string    `json:"action"`
	Category  string    `json:"category"`

	UsedVersion uint32 `json:"used_version"`
	AuxID       int64  `json:"aux_id"`
	Session     struct {
		LoginTime time.Time `json:"login_time"`
		IP        string    `json:"ip"`
	} `json:"session"`
	Client struct {
		AppName string `json:"app_name"`
		IP      string `json:"ip_address"`
	} `json:"client"`
	Location *struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
	} `json:"location"`
	Details *struct {
		Value string `json:"value"`
	} `json:"details"`
	TargetUser struct {
		UUID, Name, Email string
	} `json:"target_user"`
}

// eventsWorld makes events happen and knows which.
type eventsWorld struct {
	in     *servertest.Instance
	began  time.Time
	owner  vault.Viewer
	item   vault.Item
	people int

	audited *eventsRun          // the reader that says what audit events there are
	ids     map[string][]string // of each stream, in order
}

func newEventsWorld(t *testing.T, in *servertest.Instance) *eventsWorld {
	t.Helper()
	w := &eventsWorld{
		in: in, began: in.Place.Now().Add(-time.Minute),
		owner: vault.Viewer{AccountID: in.Account.ID, UserID: in.Owner.ID}, ids: map[string][]string{},
	}
	by := audit.Entry{Actor: "user:" + in.Owner.ID}
	box, err := in.Vaults().Create(t.Context(), w.owner, "Shared", "", by)
	if err != nil {
		t.Fatal(err)
	}
	w.item, err = in.Vaults().Save(t.Context(), w.owner, box.ID, vault.NewItem{
		Category: vault.Login, Title: "Router", Fields: []vault.Field{{Name: "password", Label: "Password", Value: "correct horse battery staple", Concealed: true}},
	}, by)
	if err != nil {
		t.Fatal(err)
	}
	w.audited = &eventsRun{
		client: eventsClient{version: "v2", begin: begins(`{"limit":1000,"start_time":"2020-01-01T00:00:00Z"}`)},
		stream: "auditevents", token: in.EventsToken(t, "auditevents"), in: in, seen: map[string]bool{},
	}
	return w
}

// happen makes n events of each stream happen, or a few more.
func (w *eventsWorld) happen(t *testing.T, n int) {
	t.Helper()
	ctx, in := t.Context(), w.in
	by := audit.Entry{Actor: "user:" + in.Owner.ID, Address: "2001:db8::7"}
	for i := range n {
		a := signin.Attempt{
			ID: seal.NewID(), AccountID: in.Account.ID, At: in.Place.Now(), Category: signin.CredentialsFailed, Type: signin.PasswordSecretBad,
			UserID: in.Owner.ID, Name: in.Owner.DisplayName, Email: in.Owner.Email, Client: origin.Client{Address: "203.0.113.77", Platform: "Chrome"},
		}
		if i%3 == 1 { // as little as can be known, and a rule that refused
			a.Category, a.Type, a.Details, a.Client = signin.FirewallFailed, signin.CountryBlocked, "BR", origin.Client{}
			a.Location = origin.Location{Country: "BR"}
		}
		if err := in.Store().Fail(ctx, a, nil, audit.Entry{Actor: "anonymous"}); err != nil {
			t.Fatal(err)
		}
		w.ids["signinattempts"] = append(w.ids["signinattempts"], a.ID)

		use := vault.RevealRequest{VaultID: w.item.VaultID, ItemID: w.item.ID, Field: "password", Action: vault.Reveal}
		if _, err := in.Vaults().Reveal(ctx, w.owner, use, by); err != nil {
			t.Fatal(err)
		}
		w.people++
		if _, err := in.Store().AddUser(ctx, in.Account.ID, directory.NewUser{Email: fmt.Sprintf("p%d@example.org", w.people), DisplayName: "Zoë"}, by); err != nil {
			t.Fatal(err)
		}
	}
	usages, err := in.Vaults().Usages(ctx, w.owner, w.item.VaultID, w.item.ID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	w.ids["itemusages"] = nil
	for _, u := range slices.Backward(usages) {
		w.ids["itemusages"] = append(w.ids["itemusages"], u.ID)
	}
	// Audit events have no name outside of the feed. That they are complete is counted: each person was added.
	w.audited.read(t)
	if w.audited.created < w.people {
		t.Fatalf("%d audit events say that something was created, want one for each of %d people", w.audited.created, w.people)
	}
	w.ids["auditevents"] = w.audited.got
}

// TestEventsTokenForClients: what clients read from a token before they call. They build the address from it
// and take no other, so the server here has a certificate, as theirs must.
func TestEventsTokenForClients(t *testing.T) {
	t.Parallel()
	in := servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), servertest.Certificate(t))
	want := []feed.Stream{feed.AuditEvents, feed.SignInAttempts}
	made, err := in.Events().Issue(t.Context(), in.Account.ID, feed.NewToken{Name: "Überwachung ~ ? >", Features: want}, audit.Entry{Actor: "operator:test"})
	if err != nil {
		t.Fatal(err)
	}
	token := made.Text.Reveal()
	in.Secrets.Learn(token)

	parts := strings.Split(token, ".")
	if len(parts) != 3 || !strings.HasPrefix(token, "eyJ") || len(token) >= 2048 {
		t.Fatalf("the token has %d parts and %d bytes; want three parts that begin with eyJ, fewer than 2048 bytes", len(parts), len(token))
	}
	// Splunk's set-up page decodes it with atob, which knows neither - nor _.
	text, err := base64.RawStdEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatalf("atob fails: %v", err)
	}
	var claims struct {
		Audience []string      `json:"aud"` // Splunk wants exactly one
		Features []feed.Stream `json:"1password.com/fts"`
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		t.Fatal(err)
	}
	if got := []string{strings.TrimPrefix(in.URL, "https://")}; !slices.Equal(claims.Audience, got) || !slices.Equal(claims.Features, want) {
		t.Errorf("claims = %+v, want the audience %q and the features %q", claims, got, want)
	}

	bearer := headerOf("Authorization: Bearer "+token, "User-Agent: 1Password Events API Beats / 1.0.0")
	base := "https://" + claims.Audience[0]
	a := in.Do(t, http.MethodGet, base+"/api/auth/introspect", "", bearer)
	var first struct {
		UUID     string
		IssuedAt time.Time
		Features []feed.Stream
	}
	if err := json.Unmarshal([]byte(a.Body), &first); err != nil || a.Status != http.StatusOK || !slices.Equal(first.Features, want) || first.IssuedAt.IsZero() {
		t.Errorf("introspection: %d %s (%v)", a.Status, a.Body, err)
	}
	if a := in.Do(t, http.MethodGet, base+"/api/v2/auth/introspect", "", bearer); a.Field("uuid") != first.UUID || a.Field("account_uuid") != in.Account.ID {
		t.Errorf("introspection of version 2: %d %s", a.Status, a.Body)
	}
	for _, version := range []string{"v1", "v2"} {
		for _, stream := range feed.Streams() {
			status := http.StatusUnauthorized // not 403: what their programs say then is that the token does not fit
			if slices.Contains(want, stream) {
				status = http.StatusOK
			}
			if a := in.Do(t, http.MethodPost, base+"/api/"+version+"/"+string(stream), `{"limit":1}`, bearer); a.Status != status {
				t.Errorf("%s %s: %d %s, want %d", version, stream, a.Status, a.Body, status)
			}
		}
	}
}

// TestEventsCurl runs curl with the commands that guides to this contract print, over TLS.
func TestEventsCurl(t *testing.T) {
	t.Parallel()
	settings := servertest.Certificate(t)
	in := servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), settings)
	w := newEventsWorld(t, in)
	token := in.EventsToken(t)
	w.happen(t, 7)
	curl := func(args ...string) string {
		t.Helper()
		args = append([]string{"--silent", "--show-error", "--fail-with-body", "--max-time", "30", "--noproxy", "*", "--cacert", settings["tls.cert_file"], "--config", "-"}, args...)
		cmd := exec.CommandContext(t.Context(), "curl", args...)
		cmd.Stdin = strings.NewReader(`header = "Authorization: Bearer ` + token + `"`)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("curl %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
	page := func(text string) clientPage {
		t.Helper()
		var p clientPage
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		return p
	}

	if got := curl("--request", "GET", "--url", in.URL+"/api/v2/auth/introspect"); !strings.Contains(got, `"signinattempts"`) {
		t.Errorf("introspection: %s", got)
	}
	// --data without a type of content says that it is a form.
	first := page(curl("--request", "POST", "--url", in.URL+"/api/v2/signinattempts", "--data", `{"limit": 5, "start_time": "2023-03-15T16:50:50-03:00"}`))
	rest := page(curl("--request", "POST", "--url", in.URL+"/api/v2/signinattempts", "--header", "Content-Type: application/json", "--data", `{"cursor": "`+first.Cursor+`"}`))
	if len(first.Items) != 5 || !first.HasMore || len(rest.Items) != 2 || rest.HasMore {
		t.Errorf("read %d, more %t, then %d, more %t; want 5 and 2 of 7", len(first.Items), first.HasMore, len(rest.Items), rest.HasMore)
	}

	// Audit events of the third generation, with both sets of parameters.
	for _, names := range []struct{ size, token string }{{"page_size", "next_page_token"}, {"max_page_size", "page_token"}} {
		var got []string
		query := names.size + "=3&start_time=2026-01-01T00:00:00Z&end_time=" + in.Place.Now().Add(time.Hour).UTC().Format(seconds)
		for range 20 {
			var p struct {
				Events []struct{ UUID, Action string } `json:"audit_events"`
				Next   string                          `json:"next_page_token"`
			}
			text := curl("--request", "GET", "--url", in.URL+"/api/v3/auditevents?"+query)
			if err := json.Unmarshal([]byte(text), &p); err != nil {
				t.Fatalf("%v\n%s", err, text)
			}
			for _, e := range p.Events {
				got = append(got, e.UUID)
			}
			if p.Next == "" {
				break
			}
			query = names.token + "=" + p.Next
		}
		if diff := cmp.Diff(w.ids["auditevents"], got); diff != "" {
			t.Errorf("%s and %s (-happened +read):\n%s", names.size, names.token, diff)
		}
	}
}
