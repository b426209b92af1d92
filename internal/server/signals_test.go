package server_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/seal"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signals"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// addSource sets up a source and lets the instance look for its secrets everywhere.
func addSource(t *testing.T, in *servertest.Instance, n signals.NewSource) signals.Made {
	t.Helper()
	made, err := in.Signals().Add(t.Context(), in.Account.ID, n, storetest.By())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []seal.Secret{made.Secret, n.Token} {
		if !s.IsZero() {
			in.Secrets.Learn(s.Reveal())
		}
	}
	return made
}

// signedBy are the headers of a delivery, made without our own code.
func signedBy(secret, id string, at time.Time, body string) http.Header {
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	seconds := strconv.FormatInt(at.Unix(), 10)
	h := hmac.New(sha256.New, key)
	fmt.Fprintf(h, "%s.%s.%s", id, seconds, body)
	// As while a sender goes over to another secret: with a signature of the other one beside it.
	other := base64.StdEncoding.EncodeToString(make([]byte, sha256.Size))
	return http.Header{
		"Webhook-Id": {id}, "Webhook-Timestamp": {seconds},
		"Webhook-Signature": {"v1," + other + " v1a,abc v1," + base64.StdEncoding.EncodeToString(h.Sum(nil))},
	}
}

// attempt is a sign-in in the form of the Events API.
func attempt(n int, email string) string {
	return fmt.Sprintf(`{"uuid":"EVENT%021d","timestamp":"2026-11-20T10:00:00Z","category":"success","type":"credentials_ok","country":"DE",`+
		`"target_user":{"uuid":"OTHER%021d","name":"Somebody","email":%q},"client":{"ip_address":"198.51.100.7","app_name":"1Password Browser Extension"}}`, n, n, email)
}

// stored are the events of the account that came from elsewhere.
func stored(t *testing.T, in *servertest.Instance) []signals.Stored {
	t.Helper()
	return slices.DeleteFunc(all(t, in), func(s signals.Stored) bool { return s.SourceID == signals.LocalID })
}

// all are the events that the account has, its own among them.
func all(t *testing.T, in *servertest.Instance) []signals.Stored {
	t.Helper()
	all, err := in.Store().Signals(t.Context(), in.Account.ID, 0, 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// push sends a delivery and gives status and body.
func push(t *testing.T, in *servertest.Instance, made signals.Made, body string, h http.Header) servertest.Answer {
	t.Helper()
	return in.Do(t, "POST", "/v1/accounts/"+made.Setup.AccountID+"/signals/"+made.Setup.ID, body, h)
}

func TestPush(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		mira := at.AddUser(t, "mira@example.org")
		made := addSource(t, at.Instance, signals.NewSource{Kind: signals.KindOnePassword, Name: "Cloud"})
		secret := made.Secret.Reveal()
		one := attempt(1, "Mira@Example.org")
		list := "[" + attempt(2, "nobody@example.org") + "," + attempt(3, "mira@example.org") + "]"
		lines := attempt(4, "mira@example.org") + "\n{\"uuid\":\n\n" + attempt(1, "mira@example.org") + "\n[]\n" + attempt(4, "mira@example.org") + "\n"
		for _, tt := range []struct {
			name, body string
			header     http.Header
			want       string
			status     int
		}{
			{"object", one, signedBy(secret, "msg_1", time.Now(), one), `{"accepted":1,"duplicates":0,"refused":[]}`, 202},
			{"delivered_again", one, signedBy(secret, "msg_1", time.Now().Add(time.Second), one), `{"accepted":0,"duplicates":1,"refused":[]}`, 202},
			{"list", list, signedBy(secret, "msg_2", time.Now().Add(-4*time.Minute), list), `{"accepted":2,"duplicates":0,"refused":[]}`, 202},
			{"too_old", one, signedBy(secret, "msg_1", time.Now().Add(-6*time.Minute), one), "more than 5m0s from the time here", 401},
			{"too_new", one, signedBy(secret, "msg_1", time.Now().Add(6*time.Minute), one), "more than 5m0s from the time here", 401},
			{"other_body", list, signedBy(secret, "msg_1", time.Now(), one), "the signature is not made with its secret", 401},
			{"other_secret", one, signedBy("whsec_bm8=", "msg_1", time.Now(), one), "the signature is not made with its secret", 401},
			{"not_signed", one, nil, "webhook-id is missing", 401},
			{"nothing", " ", signedBy(secret, "msg_3", time.Now(), " "), "holds no event", 400},
		} {
			a := push(t, at.Instance, made, tt.body, tt.header)
			if a.Status != tt.status || !strings.Contains(a.Body, tt.want) {
				t.Errorf("%s: %d %s, want %d %s", tt.name, a.Status, a.Body, tt.status, tt.want)
			}
			if tt.status != 202 && a.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s: %s", tt.name, a.Header.Get("Content-Type"))
			}
		}
		a := push(t, at.Instance, made, lines, signedBy(secret, "msg_4", time.Now(), lines))
		var report signals.Report
		if err := json.Unmarshal([]byte(a.Body), &report); err != nil || report.Accepted != 1 || report.Duplicates != 2 || len(report.Refused) == 0 || report.Refused[0].Line != 2 {
			t.Errorf("lines, some of them bad: %d %s, %v", a.Status, a.Body, err)
		}
		nowhere := made
		nowhere.Setup.ID = seal.NewID()
		b := push(t, at.Instance, nowhere, one, signedBy(secret, "msg_1", time.Now(), one))
		if b.Status != 401 {
			t.Errorf("a source that is not there: %d %s", b.Status, b.Body)
		}
		type got struct {
			ID, Person string
			By         signals.How
		}
		var all []got
		for _, s := range stored(t, at.Instance) {
			all = append(all, got{strings.TrimLeft(s.Event.SourceID[5:], "0"), s.Match.PersonID, s.Match.By})
			if s.Event.Raw == "" || s.SourceID != made.Setup.ID || s.Event.ReceivedAt.IsZero() || !s.Event.Succeeded() {
				t.Errorf("event %+v", s)
			}
		}
		want := []got{{"1", mira.ID, signals.ByEmail}, {"2", "", ""}, {"3", mira.ID, signals.ByEmail}, {"4", mira.ID, signals.ByEmail}}
		if diff := cmp.Diff(want, all); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		x, err := at.Signals().Get(t.Context(), at.Account.ID, made.Setup.ID)
		if err != nil || x.Events != 4 || x.Unmatched != 1 || x.LastEventAt.IsZero() {
			t.Errorf("source %+v, %v", x, err)
		}
		if !strings.Contains(auditText(t, at.Instance), "the signature is not made with its secret") {
			t.Error("a wrong signature is not in the audit log")
		}
	})
}

// auditText are the reasons in the audit log.
func auditText(t *testing.T, in *servertest.Instance) string {
	t.Helper()
	var all []string
	for _, l := range in.Since(t, servertest.Mark{}) {
		all = append(all, string(l.Entry.Action)+" "+l.Entry.Reason)
	}
	return strings.Join(all, "\n")
}

// TestPushSecrets rotates, pauses and removes.
func TestPushSecrets(t *testing.T) {
	place := storetest.NewPlace(t, "sqlite")
	clock := servertest.NewClock(place)
	in := servertest.StartAt(t, place, nil)
	s, by := in.Signals(), storetest.By()
	made := addSource(t, in, signals.NewSource{Kind: signals.KindOCSF, Name: "Lake"})
	body := `{"class_uid":3002,"activity_id":1,"time":1792381267482,"metadata":{"uid":"1","version":"1.4.0"}}`
	status := func(secret string) int {
		return push(t, in, made, body, signedBy(secret, "m", clock.Now(), body)).Status
	}
	next, err := s.Rotate(t.Context(), in.Account.ID, made.Setup.ID, seal.Secret{}, time.Hour, by)
	if err != nil {
		t.Fatal(err)
	}
	in.Secrets.Learn(next.Secret.Reveal())
	got := []int{status(made.Secret.Reveal()), status(next.Secret.Reveal())}
	clock.Forward(2 * time.Hour)
	got = append(got, status(made.Secret.Reveal()), status(next.Secret.Reveal()))
	if _, err := s.Pause(t.Context(), in.Account.ID, made.Setup.ID, by); err != nil {
		t.Fatal(err)
	}
	got = append(got, status(next.Secret.Reveal()))
	if _, err := s.Resume(t.Context(), in.Account.ID, made.Setup.ID, by); err != nil {
		t.Fatal(err)
	}
	got = append(got, status(next.Secret.Reveal()))
	if err := s.Remove(t.Context(), in.Account.ID, made.Setup.ID, by); err != nil {
		t.Fatal(err)
	}
	got = append(got, status(next.Secret.Reveal()))
	if diff := cmp.Diff([]int{202, 202, 401, 202, 409, 202, 401}, got); diff != "" {
		t.Errorf("old and new, later old and new, paused, resumed, removed (-want +got):\n%s", diff)
	}
	if n := len(stored(t, in)); n != 1 {
		t.Errorf("%d events outlive their source, want 1", n)
	}
	limited := false
	for range 80 {
		limited = limited || status("whsec_bm8=") == 429
	}
	if !limited {
		t.Error("80 wrong signatures are all answered 401")
	}
}

// TestPushLarge sends what is most at once, and a line more.
func TestPushLarge(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		made := addSource(t, at.Instance, signals.NewSource{Kind: signals.KindOnePassword, Name: "Cloud"})
		var b strings.Builder
		for i := range 10_000 {
			b.WriteString(attempt(i, fmt.Sprintf("p%d@example.org", i%500)) + "\n")
		}
		began := time.Now()
		a := push(t, at.Instance, made, b.String(), signedBy(made.Secret.Reveal(), "m1", time.Now(), b.String()))
		took := time.Since(began)
		if a.Status != 202 || !strings.HasPrefix(a.Body, `{"accepted":10000,"duplicates":0,`) {
			t.Fatalf("%d %.200s", a.Status, a.Body)
		}
		t.Logf("10,000 events in %s: %.0f a second", took, 10_000/took.Seconds())
		all := stored(t, at.Instance)
		if len(all) != 10_000 {
			t.Errorf("%d events are stored", len(all))
		}
		again := push(t, at.Instance, made, b.String(), signedBy(made.Secret.Reveal(), "m1", time.Now(), b.String()))
		if again.Status != 202 || !strings.HasPrefix(again.Body, `{"accepted":0,"duplicates":10000,`) {
			t.Errorf("again: %d %.200s", again.Status, again.Body)
		}
		b.WriteString(attempt(10_000, "x@example.org"))
		if a := push(t, at.Instance, made, b.String(), signedBy(made.Secret.Reveal(), "m2", time.Now(), b.String())); a.Status != 413 {
			t.Errorf("10,001: %d %s", a.Status, a.Body)
		}
	})
}

// TestOktaHook is the verification and a delivery of an event hook.
func TestOktaHook(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	made := addSource(t, in, signals.NewSource{Kind: signals.KindOkta, Name: "Okta"})
	path := "/v1/accounts/" + in.Account.ID + "/signals/" + made.Setup.ID
	if a := in.Do(t, "GET", path, "", http.Header{"X-Okta-Verification-Challenge": {"aQx1k-9_"}}); a.Status != 200 || a.Field("verification") != "aQx1k-9_" {
		t.Errorf("verification: %d %s", a.Status, a.Body)
	}
	if a := in.Do(t, "GET", path, "", nil); a.Status != 404 {
		t.Errorf("without a challenge: %d %s", a.Status, a.Body)
	}
	body := `{"eventType":"com.okta.event_hook","data":{"events":[` + oktaEvent(1) + "," + oktaEvent(2) + `]}}`
	for header, want := range map[string]int{made.Secret.Reveal(): 202, "Bearer " + made.Secret.Reveal(): 202, "whsec_wrong": 401, "": 401} {
		if a := in.Do(t, "POST", path, body, http.Header{"Authorization": {header}}); a.Status != want {
			t.Errorf("%d %s, want %d", a.Status, a.Body, want)
		}
	}
	if n := len(stored(t, in)); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
}

func oktaEvent(n int) string {
	return fmt.Sprintf(`{"uuid":"okta-%d","published":"2026-11-20T10:00:%02d.000Z","eventType":"user.session.start","outcome":{"result":"SUCCESS"},"actor":{"id":"00u%d","type":"User","alternateId":"mira@example.org"}}`, n, n%60, n)
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(60 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within a minute", what)
		}
	}
}

// TestOktaPull pages through a log by Link, waits, and goes on; a token that is not accepted pauses the source.
func TestOktaPull(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	in.AddUser(t, "mira@example.org")
	var events, refuse, throttled atomic.Int64
	events.Store(5)
	log := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := strconv.Atoi(r.URL.Query().Get("after"))
		switch {
		case refuse.Load() > 0 || r.Header.Get("Authorization") != "SSWS 00token-of-the-test-1234567890":
			w.WriteHeader(401)
			return
		case from == 2 && throttled.Add(1) == 1:
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
			return
		}
		to := min(from+2, int(events.Load()))
		var page []string
		for i := from; i < to; i++ {
			page = append(page, oktaEvent(i))
		}
		w.Header().Add("Link", `<http://`+r.Host+`/api/v1/logs?limit=1000>; rel="self"`)
		w.Header().Add("Link", fmt.Sprintf(`<http://%s/api/v1/logs?after=%d>; rel="next"`, r.Host, to))
		fmt.Fprint(w, "["+strings.Join(page, ",")+"]")
	}))
	defer log.Close()
	made := addSource(t, in, signals.NewSource{
		Kind: signals.KindOkta, Name: "Okta", Config: signals.Config{BaseURL: log.URL}, Token: seal.NewSecret("00token-of-the-test-1234567890"),
	})
	eventually(t, "five events", func() bool { return len(stored(t, in)) == 5 })
	events.Store(8)
	eventually(t, "eight events", func() bool { return len(stored(t, in)) == 8 })
	if throttled.Load() < 2 {
		t.Error("nobody came again after 429")
	}
	if said, err := in.Signals().Test(t.Context(), in.Account.ID, made.Setup.ID); err != nil || !strings.Contains(said, "answers") {
		t.Errorf("test: %q, %v", said, err)
	}
	refuse.Store(1)
	var x signals.Setup
	eventually(t, "paused", func() bool {
		x, _ = in.Signals().Get(t.Context(), in.Account.ID, made.Setup.ID)
		return x.State == signals.Paused
	})
	if !strings.Contains(x.LastError, "does not accept the token") || !strings.Contains(auditText(t, in), "source.pause Okta does not accept the token") {
		t.Errorf("last error %q; audit:\n%s", x.LastError, auditText(t, in))
	}
	for i, s := range stored(t, in) {
		if s.Event.SourceID != fmt.Sprintf("okta-%d", i) || s.Match.By != signals.ByEmail {
			t.Errorf("event %d: %s %+v", i, s.Event.SourceID, s.Match)
		}
	}
}

// TestEventsAPIPull reads another Holdfast over TLS, resumes after the reading server was replaced, and is paused
// when its token is revoked.
func TestEventsAPIPull(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		tls := servertest.Certificate(t)
		other := servertest.StartAt(t, storetest.NewPlace(t, "sqlite"), tls)
		fail := func(n int) {
			for i := range n {
				from := signin.Client{Address: fmt.Sprintf("198.51.100.%d", i%250), UserAgent: "Mozilla/5.0"}
				if _, _, err := other.SignIn().Password(t.Context(), from, other.Owner.Email, "not her password at all"); err == nil {
					t.Fatal("a wrong password is accepted")
				}
			}
		}
		fail(3)
		ca, err := os.ReadFile(tls["tls.cert_file"])
		if err != nil {
			t.Fatal(err)
		}
		issued, err := other.Events().Issue(t.Context(), other.Account.ID, feed.NewToken{Name: "reader", Features: feed.Streams()}, audit.Entry{Actor: "operator:test"})
		if err != nil {
			t.Fatal(err)
		}
		made := addSource(t, at.Instance, signals.NewSource{
			Kind: signals.KindEventsAPI, Name: "Other", Config: signals.Config{CA: string(ca)}, Token: issued.Text,
		})
		if made.Setup.Config.BaseURL != other.URL {
			t.Errorf("base URL %q, want %q", made.Setup.Config.BaseURL, other.URL)
		}
		failures := func() (n int) {
			for _, s := range stored(t, at.Instance) {
				if s.Event.Failed() && s.Match.By == signals.ByEmail && s.Match.PersonID == at.Owner.ID {
					n++
				}
			}
			return n
		}
		eventually(t, "three failures", func() bool { return failures() == 3 })

		second := servertest.StartAt(t, at.Place, nil) // on the same database; the first one has the lease
		fail(2)
		eventually(t, "five failures", func() bool { return failures() == 5 })
		at.Stop(t)
		fail(2)
		count := func() int {
			all, err := second.Store().Signals(t.Context(), at.Account.ID, 0, 10_000)
			if err != nil {
				t.Fatal(err)
			}
			n, seen := 0, map[string]bool{}
			for _, s := range all {
				if seen[s.Event.SourceID] {
					t.Errorf("%s is stored twice", s.Event.SourceID)
				}
				seen[s.Event.SourceID] = true
				if s.Event.Failed() {
					n++
				}
			}
			return n
		}
		eventually(t, "seven failures", func() bool { return count() == 7 })
		if err := other.Events().Revoke(t.Context(), other.Account.ID, issued.Token.ID, storetest.By()); err != nil {
			t.Fatal(err)
		}
		fail(1) // wakes who waits
		eventually(t, "paused", func() bool {
			x, err := second.Signals().Get(t.Context(), at.Account.ID, made.Setup.ID)
			return err == nil && x.State == signals.Paused && strings.Contains(x.LastError, "does not accept the events token")
		})
	})
}

// TestLocalPull takes the account's own events in, each once.
func TestLocalPull(t *testing.T) {
	onEach(t, func(t *testing.T, at target) {
		from := signin.Client{Address: "198.51.100.7", UserAgent: "Mozilla/5.0"}
		fail := func() {
			if _, _, err := at.SignIn().Password(t.Context(), from, at.Owner.Email, "not her password at all"); err == nil {
				t.Fatal("a wrong password is accepted")
			}
		}
		fail()
		failures := func() (n int) {
			for _, s := range all(t, at.Instance) {
				if s.Event.Failed() && s.Match.By == signals.ByID && s.Match.PersonID == at.Owner.ID {
					n++
				}
			}
			return n
		}
		eventually(t, "the one before", func() bool { return failures() == 1 })
		began := time.Now()
		fail()
		eventually(t, "the one after", func() bool { return failures() == 2 })
		t.Logf("taken in after %s", time.Since(began))
	})
}

// TestSignalsCrash kills servers while events come, sent and asked for. What was answered 202 is there, what was
// asked for goes on where it was stored last, and nothing is there twice.
func TestSignalsCrash(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, place *storetest.Place) {
		t.Parallel() // it waits for the lease of the dead
		other := servertest.Start(t, "sqlite")
		db := place.Open(t)
		account, owner := storetest.Account(t, db)
		if owner.Email != "Owner@example.org" {
			t.Fatal("the other Holdfast's owner would not be recognised")
		}
		intake := &signals.Intake{Store: db, Keys: db.Keys(), URL: "http://127.0.0.1", Now: time.Now}
		sent, err := intake.Add(t.Context(), account.ID, signals.NewSource{Kind: signals.KindOnePassword, Name: "Sent"}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		asked, err := intake.Add(t.Context(), account.ID, signals.NewSource{
			Kind: signals.KindEventsAPI, Name: "Asked", Config: signals.Config{BaseURL: other.URL}, Token: seal.NewSecret(other.EventsToken(t, "signinattempts")),
		}, storetest.By())
		if err != nil {
			t.Fatal(err)
		}
		count := func() map[string]int {
			n, seen := map[string]int{}, map[string]bool{}
			all, err := db.Signals(t.Context(), account.ID, 0, 100_000)
			if err != nil {
				t.Fatal(err)
			}
			for i, s := range all {
				if key := s.SourceID + s.Event.SourceID; seen[key] || s.Seq != int64(i+1) {
					t.Errorf("event %d is %s, stored before: %t", s.Seq, s.Event.SourceID, seen[key])
				} else {
					seen[key] = true
				}
				n[s.SourceID]++
			}
			return n
		}
		failed := 0
		fail := func() {
			from := signin.Client{Address: "198.51.100.7", UserAgent: "Mozilla/5.0"}
			if _, _, err := other.SignIn().Password(t.Context(), from, other.Owner.Email, "not her password at all"); err == nil {
				t.Fatal("a wrong password is accepted")
			}
			failed++
		}
		n, answered := 0, 0
		for round := range 2 {
			first, url := child(t, place)
			fail()
			eventually(t, "the source is asked", func() bool { return count()[asked.Setup.ID] == failed })
			fail()
			stop := make(chan struct{})
			go func() {
				defer close(stop)
				time.Sleep(time.Duration(30+40*round) * time.Millisecond) // the moment is the point
				if err := first.Process.Kill(); err != nil {
					t.Error(err)
				}
			}()
			for sending := true; sending; {
				body := attempt(n, "owner@example.org") + "\n" + attempt(n+1, "owner@example.org")
				n += 2
				req, err := http.NewRequestWithContext(t.Context(), "POST", url+"/v1/accounts/"+account.ID+"/signals/"+sent.Setup.ID, strings.NewReader(body))
				if err != nil {
					t.Fatal(err)
				}
				req.Header = signedBy(sent.Secret.Reveal(), fmt.Sprint("m", n), time.Now(), body)
				resp, err := http.DefaultClient.Do(req)
				if sending = err == nil; sending {
					resp.Body.Close()
					if resp.StatusCode != http.StatusAccepted {
						t.Fatalf("status %d", resp.StatusCode)
					}
					answered += 2
				}
			}
			<-stop
			_ = first.Wait() // "signal: killed"
			if got := count()[sent.Setup.ID]; got < answered || got > n {
				t.Errorf("%d events of the sent ones are stored; %d were answered, %d sent", got, answered, n)
			}
			fail()
		}
		last, _ := child(t, place)
		eventually(t, "all that was asked for", func() bool { return count()[asked.Setup.ID] == failed })
		if err := last.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = last.Wait()
		t.Logf("%d sent events answered, %d asked for", answered, failed)
	})
}
