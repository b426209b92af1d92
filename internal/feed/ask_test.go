package feed_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/server/servertest"
)

// eventsMessage is the message of an error in the contract's form; empty if the body has another form.
func eventsMessage(a servertest.Answer) string {
	var e struct {
		Error *struct{ Message string }
	}
	if json.Unmarshal([]byte(a.Body), &e) != nil || e.Error == nil {
		return ""
	}
	return e.Error.Message
}

// TestAsk has the forms in which clients ask, as the contract's section 4.3 has seen them.
func TestAsk(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t)
	noon := time.Date(2026, 10, 19, 12, 0, 0, 0, time.UTC)
	history(t, in, noon, 300)
	first := read(t, in, "/api/v2/signinattempts", token, `{"limit":2,"start_time":"2026-10-19T12:00:00Z"}`)
	for _, tt := range []struct {
		name, body string
		want       int // events
	}{
		{"everything", `{"limit":1000,"start_time":"2020-01-01T00:00:00Z"}`, 300},
		{"default limit", `{"start_time":"2020-01-01T00:00:00Z"}`, 100},
		{"limit as a decimal", `{"limit":7.0,"start_time":"2020-01-01T00:00:00Z"}`, 7},
		{"limit null", `{"limit":null,"start_time":"2020-01-01T00:00:00Z"}`, 100},
		{"the start is inclusive", `{"limit":1000,"start_time":"2026-10-19T16:59:00Z"}`, 1},
		{"the end is exclusive", `{"limit":1000,"start_time":"2026-10-19T12:00:00Z","end_time":"2026-10-19T12:10:00Z"}`, 10},
		{"an end alone begins an hour before", `{"limit":1000,"end_time":"2026-10-19T14:00:00Z"}`, 60},
		{"one minute", `{"start_time":"2026-10-19T12:05:00Z","end_time":"2026-10-19T12:06:00Z"}`, 1},
		{"nothing between", `{"start_time":"2026-10-19T12:05:00Z","end_time":"2026-10-19T12:05:00Z"}`, 0},
		{"an hour back by default", `{}`, 0},
		{"nothing at all", ``, 0},
		{"null", `null`, 0},
		{"nulls", `{"limit":null,"start_time":null,"end_time":null,"cursor":null}`, 0},
		{"an empty cursor is none", `{"cursor":"","limit":5,"start_time":"2020-01-01T00:00:00Z"}`, 5},
		{"unknown keys", `{"page":3,"limit":4,"start_time":"2020-01-01T00:00:00Z"}`, 4},
		{"white space", " \n{ \"limit\" : 3 , \"start_time\" : \"2020-01-01T00:00:00Z\" }\n", 3},
		{"offset", `{"limit":1000,"start_time":"2026-10-19T18:29:00+01:30"}`, 1},
		{"offset minus zero", `{"limit":1000,"start_time":"2026-10-19T16:59:00-00:00"}`, 1},
		{"milliseconds", `{"limit":1000,"start_time":"2026-10-19T16:58:59.999Z"}`, 1},
		{"microseconds", `{"limit":1000,"start_time":"2026-10-19T16:58:59.999999+00:00"}`, 1},
		{"nanoseconds", `{"limit":1000,"start_time":"2026-10-19T16:58:59.999999999Z"}`, 1},
		{"small letters", `{"limit":1000,"start_time":"2026-10-19t16:59:00z"}`, 1},
		{"a space", `{"limit":1000,"start_time":"2026-10-19 16:59:00Z"}`, 1},
		{"a leap second", `{"limit":1000,"start_time":"2026-10-19T16:58:60Z"}`, 1},
		{"a cursor", cursorBody(first.Cursor), 2},
		{"a cursor wins over what is beside it", fmt.Sprintf(`{"cursor":%q,"limit":1000,"start_time":"1990-01-01T00:00:00Z","end_time":"no time"}`, first.Cursor), 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, version := range []string{"v1", "v2"} {
				if p := read(t, in, "/api/"+version+"/signinattempts", token, tt.body); len(p.Items) != tt.want || p.Cursor == "" {
					t.Errorf("%s: %d events, want %d; cursor %q", version, len(p.Items), tt.want, p.Cursor)
				}
			}
		})
	}
	for _, mediaType := range []string{"", "application/json", "application/x-www-form-urlencoded", "text/plain; charset=x"} {
		h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {mediaType}}
		if a := in.Do(t, "POST", "/api/v1/signinattempts", `{"limit":1}`, h); a.Status != http.StatusOK {
			t.Errorf("content type %q: %d %s", mediaType, a.Status, a.Body)
		}
	}
}

func TestAskRefused(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t)
	for _, tt := range []struct {
		name, body string
		status     int
		says       string
	}{
		{"limit zero", `{"limit":0}`, 400, "1 to 1000"},
		{"limit negative", `{"limit":-1}`, 400, "1 to 1000"},
		{"limit too high", `{"limit":1001}`, 400, "1 to 1000"},
		{"limit a fraction", `{"limit":1.5}`, 400, "1 to 1000"},
		{"limit a text", `{"limit":"100"}`, 400, "1 to 1000"},
		{"limit huge", `{"limit":1e400}`, 400, "1 to 1000"},
		{"not a time", `{"start_time":"yesterday"}`, 400, "RFC 3339"},
		{"a date", `{"start_time":"2026-10-19"}`, 400, "RFC 3339"},
		{"no offset", `{"start_time":"2026-10-19T12:00:00"}`, 400, "RFC 3339"},
		{"a number", `{"start_time":1760875200}`, 400, "start_time"},
		{"before the epoch", `{"start_time":"1969-12-31T23:59:59Z"}`, 400, "1970"},
		{"year one", `{"start_time":"0001-01-01T00:00:00Z"}`, 400, "1970"},
		{"after 2262", `{"start_time":"2262-05-01T00:00:00Z"}`, 400, "2261"},
		{"end after 2262", `{"end_time":"9999-12-31T23:59:59Z"}`, 400, "2261"},
		{"end before start", `{"start_time":"2026-10-19T12:00:00Z","end_time":"2026-10-19T11:00:00Z"}`, 400, "before start_time"},
		{"a list", `[]`, 400, "JSON object"},
		{"a text", `"limit"`, 400, "JSON object"},
		{"cut", `{"limit":1`, 400, "JSON object"},
		{"two objects", `{"limit":1}{"limit":2}`, 400, "JSON object"},
		{"no JSON", "limit=1", 400, "JSON object"},
		{"a cursor that is a number", `{"cursor":17}`, 400, "cursor"},
		{"a cursor of somebody else", `{"cursor":"djI6c2lnbmlu"}`, 400, "start anew"},
		{"a long cursor", `{"cursor":"` + strings.Repeat("A", 5000) + `"}`, 400, "start anew"},
		{"10 MB", `{"x":"` + strings.Repeat("a", 10<<20) + `"}`, 413, "at most"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, stream := range []string{"signinattempts", "itemusages", "auditevents"} {
				a := ask(t, in, "/api/v1/"+stream, token, tt.body)
				if m := eventsMessage(a); a.Status != tt.status || !strings.Contains(m, tt.says) {
					t.Errorf("%s: got %d %.200s, want %d and a message with %q", stream, a.Status, a.Body, tt.status, tt.says)
				}
				if got := a.Header.Get("Content-Type"); got != "application/json" {
					t.Errorf("%s: content type %q", stream, got)
				}
			}
		})
	}
	for path, status := range map[string]int{"/api/v2/nothing": 404, "/api/v9/signinattempts": 404} {
		if a := ask(t, in, path, token, "{}"); a.Status != status || eventsMessage(a) == "" {
			t.Errorf("%s: %d %s", path, a.Status, a.Body)
		}
	}
	if a := in.Call(t, "GET", "/api/v1/signinattempts", token); a.Status != http.StatusMethodNotAllowed || a.Header.Get("Allow") != "POST" || eventsMessage(a) == "" {
		t.Errorf("GET: %d %s, Allow %q", a.Status, a.Body, a.Header.Get("Allow"))
	}
}

// TestThirdGeneration has audit events by GET.
func TestThirdGeneration(t *testing.T) {
	in := servertest.Start(t, "sqlite")
	token := in.EventsToken(t)
	var users []string
	for i := range 5 {
		users = append(users, in.AddUser(t, fmt.Sprintf("p%d@example.org", i)).ID)
	}
	type view struct {
		Events []struct {
			Action   string
			Entities []struct{ Type, UUID, Email string }
		} `json:"audit_events"`
		Next string `json:"next_page_token"`
	}
	get := func(query string) (v view) {
		t.Helper()
		a := in.Call(t, "GET", "/api/v3/auditevents?"+query, token)
		if a.Status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, a.Status, a.Body)
		}
		if err := json.Unmarshal([]byte(a.Body), &v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	start := url.QueryEscape(time.Now().Add(-time.Minute).Format(time.RFC3339Nano))
	for _, names := range [][2]string{{"page_size", "next_page_token"}, {"max_page_size", "page_token"}} {
		var added []string
		v := get(names[0] + "=2&start_time=" + start)
		for pages := 0; ; pages++ {
			for _, e := range v.Events {
				if e.Action == "user.add" {
					added = append(added, e.Entities[0].UUID)
				}
			}
			if v.Next == "" || pages > 20 {
				break
			}
			v = get(names[1] + "=" + v.Next)
		}
		if diff := cmp.Diff(users, added); diff != "" {
			t.Errorf("people added (-want +got):\n%s", diff)
		}
	}
	for query, says := range map[string]string{
		"page_size=0": "1 to 1000", "page_size=x": "1 to 1000", "max_page_size=1001": "1 to 1000", "page_size=1&page_size=2": "2 times",
		"start_time=now": "RFC 3339", "page_token=x": "start anew", "page_token=x&start_time=" + start: "leave start_time",
	} {
		if a := in.Call(t, "GET", "/api/v3/auditevents?"+query, token); a.Status != http.StatusBadRequest || !strings.Contains(eventsMessage(a), says) {
			t.Errorf("%s: %d %s", query, a.Status, a.Body)
		}
	}
}
