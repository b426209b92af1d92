package console_test

import (
	"encoding/csv"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/web"
)

// visitor is somebody with a session, without a browser.
type visitor struct {
	h      *house
	cookie string
}

func (h *house) visitor(t *testing.T, email string) visitor {
	t.Helper()
	in, _, err := h.SignIn().Password(t.Context(), signin.Client{Address: "127.0.0.1", UserAgent: "test"}, email, password)
	if err != nil {
		t.Fatal(err)
	}
	h.Secrets.Learn(in.Token.Reveal())
	return visitor{h, web.SessionCookie + "=" + in.Token.Reveal()}
}

func (v visitor) get(t *testing.T, path string) servertest.Answer {
	t.Helper()
	return v.h.Do(t, http.MethodGet, v.h.ConsoleURL()+path, "", http.Header{"Accept": {"text/html"}, "Cookie": {v.cookie}})
}

func (v visitor) post(t *testing.T, path string, f url.Values) servertest.Answer {
	t.Helper()
	return v.h.Do(t, http.MethodPost, v.h.ConsoleURL()+path, f.Encode(), http.Header{
		"Accept": {"text/html"}, "Cookie": {v.cookie}, "Content-Type": {"application/x-www-form-urlencoded"}, "Sec-Fetch-Site": {"same-origin"},
	})
}

var eventRow = regexp.MustCompile(`<tr id="event-([^"]*)">`)

// events are the IDs of the rows of a page.
func events(a servertest.Answer) (ids []string) {
	for _, m := range eventRow.FindAllStringSubmatch(a.Body, -1) {
		ids = append(ids, m[1])
	}
	return ids
}

// TestSignInsFilters asks for each filter alone and for some together.
func TestSignInsFilters(t *testing.T) {
	h := newHouse(t)
	mira := h.person(t, "Mira", "Security")
	from := h.visitor(t, mira.Email) // its own sign-in is an event, too
	try := func(id string, days int, change func(*signin.Attempt)) {
		t.Helper()
		a := signin.Attempt{
			ID: id, AccountID: h.Account.ID, At: h.clock.Now().Add(-time.Duration(days) * 24 * time.Hour), Category: signin.Success, Type: signin.MFAOK,
			UserID: h.Owner.ID, Name: h.Owner.DisplayName, Email: h.Owner.Email, Method: signin.ByPasskey, Client: origin.Client{Address: "198.51.100.1"},
		}
		change(&a)
		if err := h.Store().ImportAttempts(t.Context(), h.Account.ID, []signin.Attempt{a}, operator()); err != nil {
			t.Fatal(err)
		}
	}
	try("OLD", 40, func(a *signin.Attempt) { a.Location.Country = "SE" })
	try("BRAZIL", 20, func(a *signin.Attempt) {
		a.Location = origin.Location{Country: "BR", City: "Salvador", ASN: 64498, Network: "Exemplo Telecom"}
		a.Category, a.Details = signin.FirewallReported, "BR"
	})
	try("MIRA", 3, func(a *signin.Attempt) {
		a.UserID, a.Name, a.Email, a.Method = mira.ID, mira.DisplayName, mira.Email, signin.ByPassword
		a.Category, a.Type, a.Client.Address, a.SessionID = signin.CredentialsFailed, signin.PasswordSecretBad, "203.0.113.9", "SESSIONSESSIONSESSIONSESSI"
	})
	try("SIX", 2, func(a *signin.Attempt) { a.Client.Address = "2001:db8::9" })
	day := func(days int) string {
		return h.clock.Now().UTC().Add(-time.Duration(days) * 24 * time.Hour).Format(time.DateOnly)
	}
	for _, tt := range []struct {
		query string
		want  []string // without what signing in recorded
	}{
		{"", []string{"SIX", "MIRA", "BRAZIL", "OLD"}},
		{"time=30d", []string{"SIX", "MIRA", "BRAZIL"}},
		{"time=7d&result=failed", []string{"MIRA"}},
		{"time=range&from=" + day(25) + "&to=" + day(10), []string{"BRAZIL"}},
		{"result=firewall_reported_success", []string{"BRAZIL"}},
		{"result=credentials_failed", []string{"MIRA"}},
		{"country=SE", []string{"OLD"}},
		{"country=FI", nil},
		{"method=passkey&time=7d", []string{"SIX"}},
		{"q=203.0.113.9", []string{"MIRA"}},
		{"q=203.0.0.0/15", []string{"MIRA"}},
		{"q=2001:db8::/32", []string{"SIX"}},
		{"q=AS64498", []string{"BRAZIL"}},
		{"q=exemplo", []string{"BRAZIL"}},
		{"q=salvador", []string{"BRAZIL"}},
		{"q=mira&result=failed", []string{"MIRA"}},
		{"q=" + mira.Email + "&result=failed", []string{"MIRA"}},
		{"q=" + strings.ToLower(mira.ID) + "&result=failed", []string{"MIRA"}},
		{"q=SESSIONSESSIONSESSIONSESSI", []string{"MIRA"}},
		{"session=SESSIONSESSIONSESSIONSESSI&person=" + mira.ID, []string{"MIRA"}},
		{"person=" + mira.ID + "&q=203.0.113.9", []string{"MIRA"}},
		{"person=" + mira.ID + "&q=" + h.Owner.Email, nil},
	} {
		t.Run(tt.query, func(t *testing.T) {
			a := from.get(t, "/sign-ins?"+tt.query)
			if a.Status != http.StatusOK {
				t.Fatalf("%d: %s", a.Status, a.Body)
			}
			var got []string
			for _, id := range events(a) {
				if len(id) < 26 {
					got = append(got, id)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
		})
	}
	for _, query := range []string{
		"result=praise", "method=magic", "country=Sweden", "country=12", "time=yesterday", "time=range&from=2026-02-30", "time=range&from=2026-02-02&to=2026-02-01",
		"q=AS0", "q=" + strings.Repeat("x", 300),
	} {
		if a := from.get(t, "/sign-ins?"+query); a.Status != http.StatusUnprocessableEntity || len(events(a)) > 0 || !strings.Contains(a.Body, "field-error") {
			t.Errorf("%s: %d, want 422 and an error at the field", query, a.Status)
		}
	}
	for path, want := range map[string]int{
		"/sign-ins?before=x": http.StatusNotFound, "/sign-ins/new": http.StatusBadRequest, "/sign-ins/new?since=-1": http.StatusBadRequest,
		"/sign-ins/1-NOTHING": http.StatusNotFound, "/sign-ins/nothing": http.StatusNotFound, "/sign-ins/export": http.StatusSeeOther,
	} {
		if a := from.get(t, path); a.Status != want {
			t.Errorf("%s: %d, want %d", path, a.Status, want)
		}
	}
}

// TestSignInsPages reads page by page, and what came since.
func TestSignInsPages(t *testing.T) {
	h := newHouse(t)
	mira := h.person(t, "Mira")
	from := h.visitor(t, h.Owner.Email)
	tries(t, h, 120, mira)
	a := from.get(t, "/sign-ins?person="+mira.ID)
	if !strings.Contains(a.Body, "100 events") { // each sixth is of nobody
		t.Errorf("the page does not count: %s", a.Body)
	}
	since := regexp.MustCompile(`data-follow-since="(\d+)"`).FindStringSubmatch(a.Body)
	if since == nil {
		t.Fatal("the page does not say from where it can go on")
	}
	seen := map[string]bool{}
	pages, older := 0, regexp.MustCompile(`id="sign-ins-older" href="([^"]+)"`)
	for {
		pages++
		for _, id := range events(a) {
			if seen[id] {
				t.Errorf("%s is there twice", id)
			}
			seen[id] = true
		}
		next := older.FindStringSubmatch(a.Body)
		if next == nil || pages > 5 {
			break
		}
		a = from.get(t, strings.ReplaceAll(next[1], "&amp;", "&"))
	}
	if pages != 2 || len(seen) != 100 {
		t.Errorf("%d events on %d pages, want 100 on 2", len(seen), pages)
	}
	fresh := from.get(t, "/sign-ins/new?person="+mira.ID+"&since="+since[1])
	if fresh.Status != http.StatusNoContent || fresh.Body != "" {
		t.Errorf("nothing is new: %d, %q", fresh.Status, fresh.Body)
	}
	last := signin.Attempt{ID: "NEW", AccountID: h.Account.ID, At: h.clock.Now(), Category: signin.Success, UserID: mira.ID}
	if err := h.Store().Fail(t.Context(), last, nil, operator()); err != nil {
		t.Fatal(err)
	}
	fresh = from.get(t, "/sign-ins/new?person="+mira.ID+"&since="+since[1])
	next, err := strconv.Atoi(fresh.Header.Get("Holdfast-Since"))
	if diff := cmp.Diff([]string{"NEW"}, events(fresh)); diff != "" || err != nil || strings.Contains(fresh.Body, "<html") {
		t.Errorf("the new one: %s%v\n%s", diff, err, fresh.Body)
	}
	if fresh = from.get(t, fmt.Sprintf("/sign-ins/new?since=%d", next)); fresh.Status != http.StatusNoContent {
		t.Errorf("after the new one: %d", fresh.Status)
	}
}

// TestSignInsHostile stores a hostile text wherever a stranger could: pages show it as text, and the export holds
// no formula.
func TestSignInsHostile(t *testing.T) {
	const text = `=x"'><img src=x onerror=alert(1)><script>alert(1)</script>`
	h := newHouse(t)
	from := h.visitor(t, h.Owner.Email)
	at := h.clock.Now().UTC()
	a := signin.Attempt{
		ID: text, AccountID: h.Account.ID, At: at, Category: signin.Category(text), Type: signin.Type(text), Details: text, SessionID: text,
		UserID: text, Name: text, Email: text, Method: signin.ByPasskey,
		Client:   origin.Client{Address: text, UserAgent: text, App: text, AppVersion: text, Platform: text, PlatformVersion: text, OS: text, OSVersion: text},
		Location: origin.Location{Country: "SE", Region: text, City: text, Network: text, ASN: 1},
	}
	reported := a
	reported.ID, reported.Category, reported.UserID = "REPORTED", signin.FirewallReported, ""
	for _, x := range []signin.Attempt{a, reported} {
		if err := h.Store().Fail(t.Context(), x, nil, operator()); err != nil {
			t.Fatal(err)
		}
	}
	paths := []string{"/sign-ins", "/sign-ins?q=" + url.QueryEscape(text), "/sign-ins?session=x&person=" + url.QueryEscape(text), "/sign-ins/new?since=0"}
	// The store says when they happened, so the page of each is found by its link.
	for _, link := range regexp.MustCompile(`href="(/sign-ins/[0-9]+-[^"]+)"`).FindAllStringSubmatch(from.get(t, "/sign-ins").Body, -1) {
		paths = append(paths, html.UnescapeString(link[1]))
	}
	if !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, "-"+url.PathEscape(text)) }) || !slices.ContainsFunc(paths, func(p string) bool { return strings.HasSuffix(p, "-REPORTED") }) {
		t.Errorf("the list has no links to both events: %q", paths)
	}
	for _, path := range paths {
		got := from.get(t, path)
		if got.Status != http.StatusOK || strings.Contains(got.Body, "<img src=x") || strings.Contains(got.Body, "<script>alert") || strings.Contains(got.Body, `x"'>`) {
			t.Errorf("%s: %d, or the text is not escaped", path, got.Status)
		}
	}
	got := from.post(t, "/sign-ins/export", url.Values{"q": {"AS1"}})
	rows, err := csv.NewReader(strings.NewReader(got.Body)).ReadAll()
	if err != nil || len(rows) != 3 {
		t.Fatalf("export: %d, %d rows, %v\n%s", got.Status, len(rows), err, got.Body)
	}
	for _, cell := range rows[1] {
		if strings.HasPrefix(cell, "=") {
			t.Errorf("a cell of the export is a formula: %s", cell)
		}
	}
}

// TestSignInsExport: the file holds what the filter leaves, all pages of it, and the audit log says who took it.
func TestSignInsExport(t *testing.T) {
	h := newHouse(t)
	mira := h.person(t, "Mira", "Security")
	member := h.person(t, "Sol")
	tries(t, h, 1300, mira)
	from := h.visitor(t, mira.Email)
	got := from.post(t, "/sign-ins/export", url.Values{"country": {"SE"}, "before": {"nothing"}})
	rows, err := csv.NewReader(strings.NewReader(got.Body)).ReadAll()
	if got.Status != http.StatusOK || err != nil || len(rows) != 1+325 || rows[0][0] != "time" {
		t.Fatalf("export: %d, %d rows, %v", got.Status, len(rows), err)
	}
	if kind, file := got.Header.Get("Content-Type"), got.Header.Get("Content-Disposition"); kind != "text/csv; charset=utf-8" || !strings.HasPrefix(file, "attachment; ") {
		t.Errorf("it comes as %s, %s", kind, file)
	}
	all := from.post(t, "/sign-ins/export", nil)
	if n := strings.Count(all.Body, "\r\n"); n < 1301 {
		t.Errorf("all events are %d lines, want more than 1,300", n)
	}
	links, err := h.Store().AuditEntries(t.Context(), audit.Query{AccountID: h.Account.ID, Actions: []audit.Action{audit.SignInExport}, Limit: 9})
	if err != nil || len(links) != 2 || links[1].Entry.Actor != "user:"+mira.ID || links[1].Entry.Reason != "country=SE" {
		t.Errorf("audit entries %+v, %v", links, err)
	}
	if got := h.visitor(t, member.Email).post(t, "/sign-ins/export", nil); got.Status != http.StatusForbidden {
		t.Errorf("a member exports: %d", got.Status)
	}
	if got := from.post(t, "/sign-ins/export", url.Values{"time": {"never"}}); got.Status < 400 || got.Status >= 500 {
		t.Errorf("a filter that is none: %d", got.Status)
	}
}
