package feed_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"holdfast/internal/origin"
	"holdfast/internal/server/servertest"
	"holdfast/internal/signin"
	"holdfast/internal/store/storetest"
)

// page is an answer of the first two generations.
type page struct {
	Cursor string
	More   bool `json:"has_more"`
	Items  []map[string]any
}

// ids are those of the events of a page.
func (p page) ids() []string {
	ids := []string{}
	for _, item := range p.Items {
		ids = append(ids, fmt.Sprint(item["uuid"]))
	}
	return ids
}

// ask posts a body to a path with the token.
func ask(t testing.TB, in *servertest.Instance, path, token, body string) servertest.Answer {
	t.Helper()
	return in.Do(t, "POST", path, body, http.Header{"Authorization": {"Bearer " + token}})
}

// read is the page of a request that goes well.
func read(t testing.TB, in *servertest.Instance, path, token, body string) page {
	t.Helper()
	a := ask(t, in, path, token, body)
	if a.Status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", path, body, a.Status, a.Body)
	}
	return pageOf(t, a)
}

func pageOf(t testing.TB, a servertest.Answer) page {
	t.Helper()
	var p page
	if err := json.Unmarshal([]byte(a.Body), &p); err != nil {
		t.Fatalf("%d %s: %v", a.Status, a.Body, err)
	}
	return p
}

// cursorBody is the body that goes on from a cursor.
func cursorBody(cursor string) string { return fmt.Sprintf(`{"cursor":%q}`, cursor) }

// history adds n attempts of the instance's owner, the first at the time, and each a minute later. Their IDs
// are ATTEMPT followed by digits.
func history(t testing.TB, in *servertest.Instance, first time.Time, n int) {
	t.Helper()
	list := make([]signin.Attempt, n)
	for i := range list {
		list[i] = signin.Attempt{
			ID: attemptID(i), AccountID: in.Account.ID, At: first.Add(time.Duration(i) * time.Minute), Category: signin.Success, Type: signin.MFAOK,
			SessionID: "D4KHVQ7ZNXW2MBTRPCLYEAFJGS", UserID: in.Owner.ID, Name: "Ines", Email: "owner@example.org", Method: signin.ByPasswordCode,
			Client:   origin.Client{Address: "203.0.113.77", App: "Holdfast console", AppVersion: "1", Platform: "Chrome", PlatformVersion: "129.0.0.0", OS: "Windows", OSVersion: "10.0"},
			Location: origin.Location{Country: "BR", Continent: "SA", Region: "Bahia", City: "Salvador", Latitude: -12.97, Longitude: -38.5, Radius: 20},
		}
	}
	if err := in.Store().ImportAttempts(t.Context(), in.Account.ID, list, storetest.By()); err != nil {
		t.Fatal(err)
	}
}

// attemptID has the form of our IDs.
func attemptID(i int) string {
	text := []byte("ATTEMPTAAAAAAAAAAAAAAAAAAA")
	for at := len(text) - 1; i > 0; at-- {
		text[at] = byte('A' + i%26)
		i /= 26
	}
	return string(text)
}

// each runs the test on a server on every database.
func each(t *testing.T, test func(t *testing.T, in *servertest.Instance)) {
	for _, kind := range storetest.Kinds() {
		t.Run(kind, func(t *testing.T) { test(t, servertest.Start(t, kind)) })
	}
}
