package respond_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/respond"
	"holdfast/internal/seal"
)

// noon is the time of the tests.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func newChannels(t *testing.T) *respond.Channels {
	t.Helper()
	return &respond.Channels{Store: &shelf{}, Keys: keys(t), Now: noon}
}

// add sets up a channel.
func add(t *testing.T, s *respond.Channels, n respond.NewChannel) respond.Channel {
	t.Helper()
	made, err := s.Add(t.Context(), "HERE", n, by())
	if err != nil {
		t.Fatal(err)
	}
	return made.Channel
}

func message() respond.Message {
	return respond.Message{
		ID: "K7QWZP3M5XNB2RTYDHCVFAEJ4U", Kind: respond.MessagePage, Template: respond.TemplateSuspended, At: noon(),
		Account: "Harbour", AccountID: "HERE", CaseID: "CASE", CaseNumber: 17, Title: "Many refused prompts", Level: detect.High,
		Person: "Mira Okafor", What: "14 prompts were refused", Why: "unknown device and network", Until: noon().Add(24 * time.Hour),
		Done: "suspended, 2 sessions ended", Asked: "look at the case", CaseURL: "https://holdfast.example.org/cases/17",
		AnswerURL: "https://holdfast.example.org/answer/one-time", DedupKey: "case:CASE",
	}
}

// TestMail: messages over a real connection to a mail server, encrypted or not at all.
func TestMail(t *testing.T) {
	srv := newMailServer(t)
	s := newChannels(t)
	password := seal.NewSecret("correct horse")
	config := respond.ChannelConfig{Host: srv.host, Port: srv.port, CA: srv.ca, Username: "holdfast", From: "Holdfast <holdfast@example.org>", To: []string{"soc@example.org", "Ines <ines@example.org>"}}
	starttls := add(t, s, respond.NewChannel{Name: "soc", Kind: respond.ChannelEmail, Config: config, Secret: password})
	config.TLS = respond.MailAlways
	always := add(t, s, respond.NewChannel{Name: "always", Kind: respond.ChannelEmail, Config: config, Secret: password})
	wrong := add(t, s, respond.NewChannel{Name: "wrong", Kind: respond.ChannelEmail, Config: config, Secret: seal.NewSecret("battery staple")})
	config.CA = ""
	untrusting := add(t, s, respond.NewChannel{Name: "untrusting", Kind: respond.ChannelEmail, Config: config, Secret: password})
	config.TLS, config.Username = respond.MailPlain, ""
	open := add(t, s, respond.NewChannel{Name: "open", Kind: respond.ChannelEmail, Config: config})

	tests := []struct {
		name           string
		c              respond.Channel
		direct, hidden bool
		says           map[string]string
		permanent      bool
		want           string // of the error; empty: it is delivered
		user           string
		encrypted      bool
	}{
		{name: "starttls", c: starttls, user: "holdfast:correct horse", encrypted: true},
		{name: "tls", c: always, direct: true, user: "holdfast:correct horse", encrypted: true},
		{name: "none", c: open},
		{name: "no_starttls_offered", c: starttls, hidden: true, permanent: true, want: "the mail server offers no STARTTLS, so nothing was sent; use another port or tls"},
		{name: "wrong_password", c: wrong, direct: true, permanent: true, want: "the mail server does not accept user name and password (535)"},
		{name: "untrusted", c: untrusting, direct: true, want: "the certificate of the server is not trusted: x509: certificate signed by unknown authority"},
		{name: "recipient_refused", c: starttls, says: map[string]string{"RCPT": "550 5.1.1 nobody here; you said correct horse"}, permanent: true, want: "the mail server answers 550 (5.1.1) to a recipient"},
		{name: "greylisted", c: starttls, says: map[string]string{"RCPT": "451 4.7.1 later"}, want: "the mail server answers 451 (4.7.1) to a recipient"},
		{name: "sender_refused", c: starttls, says: map[string]string{"MAIL": "553 not you"}, permanent: true, want: "the mail server answers 553 to the sender"},
		{name: "too_busy", c: starttls, says: map[string]string{"DATA": "421 4.3.2 busy"}, want: "the mail server answers 421 (4.3.2) to the message"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv.set(tt.direct, tt.hidden, tt.says)
			err := s.Send(t.Context(), tt.c, message())
			mails := srv.taken()
			if tt.want != "" {
				e, ok := errors.AsType[*respond.SendError](err)
				if !ok || e.Detail != tt.want || e.Permanent != tt.permanent || e.Channel != tt.c.Name || len(mails) > 0 {
					t.Fatalf("%+v, %d mails; want %q, permanent %t", err, len(mails), tt.want, tt.permanent)
				}
				return
			}
			if err != nil || len(mails) != 1 {
				t.Fatalf("%v, %d mails", err, len(mails))
			}
			m := mails[0]
			if m.User != tt.user || m.Encrypted != tt.encrypted || len(m.To) != 2 || !strings.HasPrefix(m.To[1], "TO:<ines@example.org>") {
				t.Errorf("user %q, encrypted %t, to %q", m.User, m.Encrypted, m.To)
			}
			got, err := mail.ReadMessage(strings.NewReader(m.Data))
			if err != nil {
				t.Fatal(err)
			}
			var subject mime.WordDecoder
			title, err := subject.DecodeHeader(got.Header.Get("Subject"))
			if want := "Mira Okafor is suspended: Many refused prompts"; title != want || err != nil {
				t.Errorf("subject %q %v, want %q", title, err, want)
			}
			want := map[string]string{"Message-Id": "<K7QWZP3M5XNB2RTYDHCVFAEJ4U@example.org>", "References": "<case-CASE@example.org>", "Auto-Submitted": "auto-generated"}
			for name, value := range want {
				if got.Header.Get(name) != value {
					t.Errorf("%s: %q, want %q", name, got.Header.Get(name), value)
				}
			}
		})
	}

	t.Run("to_the_person", func(t *testing.T) {
		srv.set(false, false, nil)
		m := message()
		m.Template, m.To = respond.TemplateAskPerson, "mira@example.org"
		if err := s.Send(t.Context(), open, m); err != nil || len(srv.taken()) != 1 {
			t.Fatalf("%v, %d mails", err, len(srv.taken()))
		}
		if to := srv.taken()[0].To; len(to) != 1 || !strings.HasPrefix(to[0], "TO:<mira@example.org>") {
			t.Errorf("sent to %q", to)
		}
		m.To = ""
		if e, ok := errors.AsType[*respond.SendError](s.Send(t.Context(), open, m)); !ok || !e.Permanent {
			t.Errorf("without an address: %v", e)
		}
	})

	t.Run("test", func(t *testing.T) {
		srv.set(false, false, nil)
		if err := s.Test(t.Context(), "HERE", "Harbour", "open", "Ines"); err != nil || len(srv.taken()) != 1 {
			t.Errorf("%v, %d mails", err, len(srv.taken()))
		}
	})

	t.Run("context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		e, ok := errors.AsType[*respond.SendError](s.Send(ctx, open, message()))
		if !ok || e.Permanent || !errors.Is(e, context.Canceled) {
			t.Errorf("%+v", e)
		}
	})
}

// receiver keeps what it is sent, and answers as it is told.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	status int
	header [2]string
	body   string
	got    []delivery
}

type delivery struct {
	Header http.Header
	Body   string
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.got = append(r.got, delivery{req.Header, string(body)})
		if r.header[0] != "" {
			w.Header().Set(r.header[0], r.header[1])
		}
		w.WriteHeader(r.status)
		_, _ = io.WriteString(w, r.body) // the client sees what it sees
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) answer(status int, header, value, body string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status, r.header, r.body, r.got = status, [2]string{header, value}, body, nil
}

func (r *receiver) deliveries() []delivery {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got
}

// hooks sets up one channel of each kind that posts.
func hooks(t *testing.T, s *respond.Channels, url string) map[respond.ChannelKind]respond.Channel {
	t.Helper()
	return map[respond.ChannelKind]respond.Channel{
		respond.ChannelSlack:     add(t, s, respond.NewChannel{Name: "slack", Kind: respond.ChannelSlack, Secret: seal.NewSecret(url + "/services/T0/B0/very-secret")}),
		respond.ChannelTeams:     add(t, s, respond.NewChannel{Name: "teams", Kind: respond.ChannelTeams, Secret: seal.NewSecret(url + "/workflows/very-secret?sig=very-secret")}),
		respond.ChannelWebhook:   add(t, s, respond.NewChannel{Name: "hook", Kind: respond.ChannelWebhook, Config: respond.ChannelConfig{URL: url + "/hook"}, Secret: hookSecret()}),
		respond.ChannelPagerDuty: add(t, s, respond.NewChannel{Name: "pager", Kind: respond.ChannelPagerDuty, Config: respond.ChannelConfig{URL: url + "/v2/enqueue"}, Secret: seal.NewSecret("very-secret-routing-key")}),
	}
}

func hookSecret() seal.Secret {
	return seal.NewSecret("whsec_" + base64.StdEncoding.EncodeToString([]byte("very-secret, of 32 bytes exactly")))
}

// TestHookAnswers: which answers are final, when to come again, and that no error shows what is secret.
func TestHookAnswers(t *testing.T) {
	r := newReceiver(t)
	s := newChannels(t)
	tests := []struct {
		name                string
		status              int
		header, value, body string
		want                string // of the error; empty: taken
		permanent           bool
		after               time.Duration
	}{
		{name: "ok", status: 200, body: "ok"},
		{name: "accepted", status: 202},
		{name: "word", status: 404, body: "channel_not_found\n", want: "the receiver answers 404 channel_not_found", permanent: true},
		{name: "echo", status: 400, body: "you sent very-secret", want: "the receiver answers 400", permanent: true},
		{name: "gone", status: 410, want: "the receiver answers 410", permanent: true},
		{name: "redirect", status: 307, header: "Location", value: r.URL + "/elsewhere", want: "the receiver answers 307, which leads elsewhere; that is not followed, so give the final address", permanent: true},
		{name: "limited", status: 429, header: "Retry-After", value: "30", want: "the receiver answers 429", after: 30 * time.Second},
		{name: "limited_by_date", status: 429, header: "Retry-After", value: noon().Add(time.Minute).Format(http.TimeFormat), want: "the receiver answers 429", after: time.Minute},
		{name: "limited_for_ever", status: 429, header: "Retry-After", value: "4000000000", want: "the receiver answers 429", after: time.Hour},
		{name: "fault", status: 503, body: strings.Repeat("x", 1<<20), want: "the receiver answers 503"},
	}
	for kind, c := range hooks(t, s, r.URL) {
		for _, tt := range tests {
			t.Run(string(kind)+"/"+tt.name, func(t *testing.T) {
				r.answer(tt.status, tt.header, tt.value, tt.body)
				err := s.Send(t.Context(), c, message())
				if n := len(r.deliveries()); n != 1 {
					t.Errorf("%d deliveries", n)
				}
				if tt.want == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				e, ok := errors.AsType[*respond.SendError](err)
				if !ok || e.Detail != tt.want || e.Permanent != tt.permanent || e.After != tt.after {
					t.Errorf("%+v, want %q, permanent %t, after %s", err, tt.want, tt.permanent, tt.after)
				}
				if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, "very-secret") {
					t.Errorf("a secret shows: %s", text)
				}
			})
		}
	}

	t.Run("nobody_listens", func(t *testing.T) {
		fresh := newChannels(t)
		all := hooks(t, fresh, r.URL)
		r.Close()
		for kind, c := range all {
			e, ok := errors.AsType[*respond.SendError](fresh.Send(t.Context(), c, message()))
			if !ok || e.Permanent || strings.Contains(e.Error(), "very-secret") || !strings.Contains(e.Detail, "connection") {
				t.Errorf("%s: %v", kind, e)
			}
		}
	})
}

// TestHookBodies: what receivers get.
func TestHookBodies(t *testing.T) {
	r := newReceiver(t)
	s := newChannels(t)
	all := hooks(t, s, r.URL)
	send := func(t *testing.T, kind respond.ChannelKind, m respond.Message) (map[string]any, delivery) {
		t.Helper()
		r.answer(200, "", "", "ok")
		if err := s.Send(t.Context(), all[kind], m); err != nil {
			t.Fatal(err)
		}
		d := r.deliveries()[0]
		var body map[string]any
		if err := json.Unmarshal([]byte(d.Body), &body); err != nil {
			t.Fatal(err)
		}
		return body, d
	}

	t.Run("slack", func(t *testing.T) {
		body, _ := send(t, respond.ChannelSlack, message())
		text, _ := body["text"].(string)
		for _, want := range []string{"Mira Okafor is suspended: Many refused prompts", "What happened: 14 prompts were refused", "<https://holdfast.example.org/cases/17>"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if blocks, ok := body["blocks"].([]any); !ok || len(blocks) != 1 || body["mrkdwn"] != false || body["parse"] != "none" {
			t.Errorf("%v", body)
		}
	})
	t.Run("teams", func(t *testing.T) {
		body, d := send(t, respond.ChannelTeams, message())
		if body["type"] != "message" || strings.Contains(d.Body, `"TextBlock"`) || !strings.Contains(d.Body, "application/vnd.microsoft.card.adaptive") {
			t.Errorf("%s", d.Body)
		}
	})
	t.Run("webhook", func(t *testing.T) {
		body, d := send(t, respond.ChannelWebhook, message())
		id, at := d.Header.Get("Webhook-Id"), d.Header.Get("Webhook-Timestamp")
		mark := seal.MarkWebhook(hookSecret(), id, at, []byte(d.Body))
		if got, want := d.Header.Get("Webhook-Signature"), "v1,"+base64.StdEncoding.EncodeToString(mark[:]); got != want || id != message().ID || at != "1795521600" {
			t.Errorf("signature %q, want %q; id %q, at %q", got, want, id, at)
		}
		data, _ := body["data"].(map[string]any)
		delete(data, "text")
		want := map[string]any{
			"kind": "page", "account": "Harbour", "account_id": "HERE", "case_id": "CASE", "case_number": 17.0, "title": "Many refused prompts", "level": "high",
			"person": "Mira Okafor", "what": "14 prompts were refused", "why": "unknown device and network", "until": "2026-11-25T12:00:00Z",
			"done": "suspended, 2 sessions ended", "asked": "look at the case", "case_url": "https://holdfast.example.org/cases/17",
			"answer_url": "https://holdfast.example.org/answer/one-time", "dedup_key": "case:CASE",
		}
		if diff := cmp.Diff(want, data); diff != "" || body["type"] != "holdfast.suspended" || body["timestamp"] != "2026-11-24T12:00:00Z" {
			t.Errorf("type %v at %v, -want +got\n%s", body["type"], body["timestamp"], diff)
		}
	})
	t.Run("pagerduty", func(t *testing.T) {
		body, _ := send(t, respond.ChannelPagerDuty, message())
		payload, _ := body["payload"].(map[string]any)
		delete(payload, "custom_details")
		want := map[string]any{
			"summary": "Mira Okafor is suspended: Many refused prompts", "source": "Harbour", "severity": "error",
			"timestamp": "2026-11-24T12:00:00Z", "component": "sign-in", "class": "suspended",
		}
		if diff := cmp.Diff(want, payload); diff != "" || body["event_action"] != "trigger" || body["dedup_key"] != "case:CASE" || body["routing_key"] != "very-secret-routing-key" {
			t.Errorf("%v, -want +got\n%s", body, diff)
		}
		m := message()
		m.Kind, m.Template = respond.MessageRelease, respond.TemplateReleased
		body, _ = send(t, respond.ChannelPagerDuty, m)
		if diff := cmp.Diff(map[string]any{"event_action": "resolve", "dedup_key": "case:CASE", "routing_key": "very-secret-routing-key"}, body); diff != "" {
			t.Errorf("release, -want +got\n%s", diff)
		}
	})
}

// TestChannelConfig: what is refused, by which field, and what is filled in.
func TestChannelConfig(t *testing.T) {
	email := func(edit func(*respond.ChannelConfig)) respond.ChannelConfig {
		c := respond.ChannelConfig{Host: "smtp.example.org", From: "holdfast@example.org", To: []string{"soc@example.org"}}
		if edit != nil {
			edit(&c)
		}
		return c
	}
	hook := func(url string) respond.ChannelConfig { return respond.ChannelConfig{URL: url} }
	tests := []struct {
		name   string
		called string
		kind   respond.ChannelKind
		c      respond.ChannelConfig
		secret string
		field  string // empty: taken
	}{
		{name: "email", kind: respond.ChannelEmail, c: email(nil)},
		{name: "name_missing", called: "-", kind: respond.ChannelEmail, c: email(nil), field: "name"},
		{name: "name_with_space", called: "the soc", kind: respond.ChannelEmail, c: email(nil), field: "name"},
		{name: "kind", kind: "fax", field: "kind"},
		{name: "language", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Language = "../en" }), field: "language"},
		{name: "ca", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.CA = "nothing" }), field: "ca"},
		{name: "host_missing", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Host = " " }), field: "host"},
		{name: "host_url", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Host = "smtp://example.org" }), field: "host"},
		{name: "tls", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.TLS = "maybe" }), field: "tls"},
		{name: "plain_elsewhere", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.TLS = respond.MailPlain }), field: "tls"},
		{name: "port", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Port = 70000 }), field: "port"},
		{name: "user_without_password", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Username = "x" }), field: "secret"},
		{name: "password_without_user", kind: respond.ChannelEmail, c: email(nil), secret: "x", field: "username"},
		{name: "password_with_line", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.Username = "x" }), secret: "a\r\nb", field: "username"},
		{name: "from", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.From = "holdfast" }), field: "from"},
		{name: "from_with_header", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.From = "a@example.org\r\nBcc: b@example.org" }), field: "from"},
		{name: "to", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.To = []string{"a@example.org, b@example.org"} }), field: "to"},
		{name: "to_many", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.To = make([]string, 21) }), field: "to"},
		{name: "email_with_url", kind: respond.ChannelEmail, c: email(func(c *respond.ChannelConfig) { c.URL = "https://example.org" }), field: "url"},
		{name: "slack", kind: respond.ChannelSlack, secret: "https://hooks.slack.com/services/T/B/x"},
		{name: "slack_in_the_open", kind: respond.ChannelSlack, c: hook("https://hooks.slack.com/services/T/B/x"), field: "url"},
		{name: "slack_without", kind: respond.ChannelSlack, field: "secret"},
		{name: "slack_http", kind: respond.ChannelSlack, secret: "http://hooks.slack.com/services/T/B/x", field: "secret"},
		{name: "slack_with_host", kind: respond.ChannelSlack, c: respond.ChannelConfig{Host: "x"}, secret: "https://hooks.slack.com/x", field: "host"},
		{name: "teams_loopback", kind: respond.ChannelTeams, secret: "http://127.0.0.1:8080/x"},
		{name: "webhook", kind: respond.ChannelWebhook, c: hook("https://example.org/hook")},
		{name: "webhook_metadata", kind: respond.ChannelWebhook, c: hook("https://169.254.169.254/latest"), field: "url"},
		{name: "webhook_metadata_v6", kind: respond.ChannelWebhook, c: hook("https://[fe80::1]/latest"), field: "url"},
		{name: "webhook_unspecified", kind: respond.ChannelWebhook, c: hook("https://0.0.0.0/"), field: "url"},
		{name: "webhook_file", kind: respond.ChannelWebhook, c: hook("file:///etc/passwd"), field: "url"},
		{name: "webhook_password", kind: respond.ChannelWebhook, c: hook("https://a:b@example.org/"), field: "url"},
		{name: "webhook_fragment", kind: respond.ChannelWebhook, c: hook("https://example.org/#x"), field: "url"},
		{name: "webhook_space", kind: respond.ChannelWebhook, c: hook("https://example.org/a b"), field: "url"},
		{name: "webhook_secret", kind: respond.ChannelWebhook, c: hook("https://example.org/hook"), secret: "whsec_short", field: "secret"},
		{name: "webhook_small_key", kind: respond.ChannelWebhook, c: hook("https://example.org/hook"), secret: "whsec_YWJj", field: "secret"},
		{name: "pagerduty", kind: respond.ChannelPagerDuty, secret: "R0123456789"},
		{name: "pagerduty_without", kind: respond.ChannelPagerDuty, field: "secret"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := respond.NewChannel{Name: "soc", Kind: tt.kind, Config: tt.c}
			if tt.called != "" {
				n.Name = tt.called
			}
			if tt.secret != "" {
				n.Secret = seal.NewSecret(tt.secret)
			}
			made, err := newChannels(t).Add(t.Context(), "HERE", n, by())
			p, _ := errors.AsType[*problem.Error](err)
			switch {
			case tt.field == "" && err != nil:
				t.Fatal(err)
			case tt.field != "" && (p == nil || p.Field != tt.field):
				t.Errorf("%v, want a problem in %s", err, tt.field)
			case tt.secret != "" && (strings.Contains(fmt.Sprintf("%v", err), tt.secret) || strings.Contains(string(made.Channel.Config)+string(made.Channel.Secret), tt.secret)):
				t.Errorf("the secret shows: %v %s", err, made.Channel.Config)
			}
		})
	}
}

// TestChannelChange: the secret goes nowhere else unless it is said again; a secret that was made is shown once.
func TestChannelChange(t *testing.T) {
	s := newChannels(t)
	made, err := s.Add(t.Context(), "HERE", respond.NewChannel{Name: "hook", Kind: respond.ChannelWebhook, Config: respond.ChannelConfig{URL: "https://example.org/hook"}}, by())
	if err != nil || seal.CheckWebhookSecret("secret", made.Secret) != nil {
		t.Fatalf("%v; the secret has not the form of one", err)
	}
	if _, err := s.Add(t.Context(), "HERE", respond.NewChannel{Name: "hook", Kind: respond.ChannelWebhook, Config: respond.ChannelConfig{URL: "https://example.org/hook"}}, by()); !problem.Is(err, problem.Conflict) {
		t.Errorf("the same name: %v", err)
	}
	mailbox := respond.ChannelConfig{Host: "smtp.example.org", Username: "holdfast", From: "holdfast@example.org", To: []string{"soc@example.org"}}
	add(t, s, respond.NewChannel{Name: "soc", Kind: respond.ChannelEmail, Config: mailbox, Secret: seal.NewSecret("correct horse")})
	tests := []struct {
		name   string
		edit   func(*respond.ChannelConfig)
		secret string
		field  string
	}{
		{name: "recipients", edit: func(c *respond.ChannelConfig) { c.To = append(c.To, "ines@example.org") }},
		{name: "usual_port", edit: func(c *respond.ChannelConfig) { c.Port = 587 }},
		{name: "host", edit: func(c *respond.ChannelConfig) { c.Host = "smtp.elsewhere.example" }, field: "secret"},
		{name: "port", edit: func(c *respond.ChannelConfig) { c.Port = 2525 }, field: "secret"},
		{name: "ca", edit: func(c *respond.ChannelConfig) { c.CA = newMailServer(t).ca }, field: "secret"},
		{name: "host_and_secret", edit: func(c *respond.ChannelConfig) { c.Host = "smtp.elsewhere.example" }, secret: "battery staple"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := mailbox
			c.To = slices.Clone(c.To)
			tt.edit(&c)
			change := respond.ChannelChange{Config: c}
			if tt.secret != "" {
				change.Secret = seal.NewSecret(tt.secret)
			}
			_, err := s.Update(t.Context(), "HERE", "soc", change, by())
			p, _ := errors.AsType[*problem.Error](err)
			if tt.field == "" && err != nil || tt.field != "" && (p == nil || p.Field != tt.field) {
				t.Errorf("%v, want a problem in %q", err, tt.field)
			}
		})
	}
	if err := s.Remove(t.Context(), "HERE", "soc", by()); err != nil {
		t.Error(err)
	}
	if _, err := s.Get(t.Context(), "HERE", "soc"); !problem.Is(err, problem.NotFound) {
		t.Errorf("after removal: %v", err)
	}
}
