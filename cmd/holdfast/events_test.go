package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/feed"
	"holdfast/internal/origin"
)

// TestEventsFollow: what another command does appears at once, and Ctrl-C ends it well.
func TestEventsFollow(t *testing.T) {
	data := t.TempDir()
	must(t, "account", "create", "--data", data, "--name", "Harbour", "--owner-email", "ines@example.org", "--owner-name", "Ines Marques")
	var out, errs output
	first, stop := startedText(t, &out, &errs, "events", "tail", "--data", data, "--json")
	if !strings.Contains(first, `"object_type":"account"`) {
		t.Errorf("the first line is %s", first)
	}
	must(t, "user", "add", "--data", data, "--email", "mira@example.org", "--name", "Mira Oduya")
	until(t, "the new person is shown", func() bool { return strings.Contains(out.String(), "mira@example.org") })
	if code := stop(); code != exitDone || errs.String() != "" {
		t.Errorf("interrupted, it ends with %d and says %q", code, errs.String())
	}
	for line := range strings.Lines(first + out.String()) {
		var e struct{ Stream, UUID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Stream != "auditevents" || e.UUID == "" {
			t.Errorf("the line %q is %+v, %v", line, e, err)
		}
	}
}

// until waits for what another goroutine does.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick, end := time.NewTicker(10*time.Millisecond), time.After(20*time.Second)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("it never came to be that %s", what)
		}
	}
}

func TestEventLines(t *testing.T) {
	at := time.Date(2026, 3, 10, 14, 24, 11, 0, time.Local)
	mira := feed.Party{ID: "U", Name: "Mira Oduya", Email: "mira@example.org"}
	client := origin.Client{Address: "203.0.113.9", Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows", App: "Holdfast console"}
	for name, tt := range map[string]struct {
		line  eventLine
		at    time.Time
		width int
		want  string
	}{
		"success": {
			attemptLine(feed.Attempt{Category: "success", Type: "mfa_ok", User: mira, Client: client, Location: origin.Location{City: "Osaka", Country: "JP"}}), at, 0,
			"14:24:11  signed in               Mira Oduya              mfa_ok                    Osaka, JP  203.0.113.9              Chrome 129, Windows\n",
		},
		"another_day": {
			attemptLine(feed.Attempt{Category: "credentials_failed", Type: "password_secret_bad", Client: origin.Client{Address: "203.0.113.9", App: "Script"}}), at.AddDate(0, 0, -1), 0,
			"2026-03-09 14:24:11  credentials failed      unknown address         password_secret_bad       203.0.113.9                         Script\n",
		},
		"reported": {
			attemptLine(feed.Attempt{Category: "firewall_reported_success", Type: "mfa_ok", Details: "BR", User: feed.Party{Email: "sol@example.org"}}), at, 0,
			"14:24:11  signed in, reported     sol@example.org         mfa_ok BR\n",
		},
		"narrow": {
			attemptLine(feed.Attempt{Category: "firewall_failed", Type: "country_blocked", User: mira, Client: client}), at, 60,
			"14:24:11  refused                 Mira Oduya              c…\n",
		},
		"commands_to_the_terminal": {
			attemptLine(feed.Attempt{Category: "success", User: feed.Party{Name: "\x1b[2JMira\u202e\n" + strings.Repeat("ü", 30)}}), at, 0,
			"14:24:11  signed in               ·[2JMira··üüüüüüüüüüü…\n",
		},
		"usage": {
			usageLine(feed.Usage{Action: "reveal", ItemID: "ITEM", User: mira, Client: client}), at, 0,
			"14:24:11  item reveal             Mira Oduya              ITEM                      203.0.113.9                         Chrome 129, Windows\n",
		},
		"audited": {
			auditedLine(feed.Audited{Entry: audit.Entry{Action: audit.UserSuspend, Actor: "client:C", Address: "192.0.2.1"}, Target: mira}), at, 0,
			"14:24:11  user.suspend            client:C                Mira Oduya                192.0.2.1\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out output
			lines := newEventLines(stdio{out: &out}, false)
			lines.now, lines.width = func() time.Time { return at }, tt.width
			if err := lines.print(tailEvent{Event: feed.Event{At: tt.at}, line: tt.line}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, out.String()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
