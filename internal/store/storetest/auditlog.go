package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/store"
)

// fill writes entries of two actors about three targets.
func fill(t *testing.T, db *store.DB, account string, n int) {
	t.Helper()
	actions := []audit.Action{audit.TokenIssue, audit.UserSuspend, audit.TokenIssue, audit.AccessRefuse}
	for i := range n {
		e := audit.Entry{
			Actor: []string{"client:1", "user:2"}[i/2%2], Target: []string{"user:1", "user:2", ""}[i%3], Action: actions[i%len(actions)], Reason: fmt.Sprint(i),
		}
		if i%4 == 3 {
			e = e.AsRefused("no")
		}
		if err := db.AppendAudit(t.Context(), account, e); err != nil {
			t.Fatal(err)
		}
	}
}

// chosen is what a query must return, told from all entries.
func chosen(t *testing.T, db *store.DB, q audit.Query) (all []audit.Link) {
	t.Helper()
	for l, err := range db.AuditLinks(t.Context(), q.AccountID, 0) {
		e := of(l, err).must(t).Entry
		switch {
		case q.Actor != "" && e.Actor != q.Actor, q.Target != "" && e.Target != q.Target, q.Outcome != "" && string(e.Outcome) != q.Outcome,
			q.About != "" && e.Actor != q.About && e.Target != q.About, len(q.Actions) > 0 && !slices.Contains(q.Actions, e.Action),
			!q.From.IsZero() && l.Time.Before(q.From), !q.To.IsZero() && !l.Time.Before(q.To), q.Before > 0 && l.Seq >= q.Before:
		default:
			all = append(all, l)
		}
	}
	slices.Reverse(all)
	return all[:min(len(all), q.Size())]
}

func testAuditEntries(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	fill(t, db, a.ID, 60)
	fill(t, db, b.ID, 5)
	for name, q := range map[string]audit.Query{
		"all":               {Limit: 1000},
		"default_size":      {},
		"page":              {Limit: 7, Before: 30},
		"actor":             {Actor: "client:1"},
		"target":            {Target: "user:2"},
		"about":             {About: "user:2", Limit: 9},
		"about_and_action":  {About: "user:2", Actions: []audit.Action{audit.UserSuspend}},
		"action":            {Actions: []audit.Action{audit.UserSuspend}},
		"actions":           {Actions: []audit.Action{audit.UserSuspend, audit.AccessRefuse, audit.UserSuspend, audit.AppCreate}, Limit: 11},
		"refused":           {Outcome: "refused", Limit: 4},
		"done":              {Outcome: "done"},
		"no_such_outcome":   {Outcome: "x"},
		"everything":        {Actor: "user:2", Target: "user:1", Actions: []audit.Action{audit.AccessRefuse}, Outcome: "refused", Before: 55},
		"refused_of_client": {Actor: "client:1", Outcome: "refused"},
		"behind_the_first":  {Before: 1},
	} {
		q.AccountID = a.ID
		if diff := cmp.Diff(chosen(t, db, q), of(db.AuditEntries(t.Context(), q)).must(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	q := audit.Query{AccountID: a.ID, About: "user:2", Limit: 4}
	whole := q
	whole.Limit = 1000
	var pages []audit.Link
	for {
		page := of(db.AuditEntries(t.Context(), q)).must(t)
		pages = append(pages, page...)
		if len(page) < q.Limit {
			break
		}
		q.Before = page[len(page)-1].Seq
	}
	if diff := cmp.Diff(chosen(t, db, whole), pages); diff != "" {
		t.Errorf("page by page (-want +got):\n%s", diff)
	}
}

// testAuditTimes asks for spans of time, of a log whose times run back a little now and then.
func testAuditTimes(t *testing.T, p *Place) {
	start := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	now := start
	p.Now = func() time.Time { return now }
	db := p.Open(t)
	a, _ := Account(t, db)
	for i := range 40 {
		now = start.Add(time.Duration(i) * 10 * time.Minute)
		if i%5 == 4 {
			now = now.Add(-11 * time.Minute) // a server whose clock is behind
		}
		fill(t, db, a.ID, 1)
	}
	for name, q := range map[string]audit.Query{
		"from":    {From: start.Add(100 * time.Minute)},
		"to":      {To: start.Add(150 * time.Minute)},
		"between": {From: start.Add(39 * time.Minute), To: start.Add(200 * time.Minute), Limit: 5},
		"exact":   {From: start.Add(50 * time.Minute), To: start.Add(60 * time.Minute)},
		"before":  {To: start},
		"after":   {From: start.Add(1000 * time.Hour)},
		"turned":  {From: start.Add(time.Hour), To: start},
		"refused": {From: start.Add(time.Hour), Outcome: "done", Before: 20},
	} {
		q.AccountID = a.ID
		if diff := cmp.Diff(chosen(t, db, q), of(db.AuditEntries(t.Context(), q)).must(t)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := of(db.AuditEntries(t.Context(), audit.Query{AccountID: "NOSUCH", From: start})).must(t); len(got) != 0 {
		t.Errorf("entries of no account: %v", got)
	}
}

func testAuditStatus(t *testing.T, p *Place) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	p.Now = func() time.Time { return now }
	db := p.Open(t)
	a, _ := Account(t, db)
	fill(t, db, a.ID, 9)
	status := func() audit.Status { return of(db.AuditStatus(t.Context(), a.ID)).must(t) }
	check := func(full bool) audit.Status {
		t.Helper()
		got := of(db.CheckAudit(t.Context(), a.ID, full)).must(t)
		if diff := cmp.Diff(got, status()); diff != "" {
			t.Errorf("kept (-found +kept):\n%s", diff)
		}
		return got
	}
	want := func(got, want audit.Status) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
	}
	first := now
	want(status(), audit.Status{Seq: 10})
	want(check(false), audit.Status{Seq: 10, VerifiedSeq: 10, VerifiedAt: first, FullAt: first, OK: true})
	now = now.Add(time.Minute)
	fill(t, db, a.ID, 2)
	want(status(), audit.Status{Seq: 12, VerifiedSeq: 10, VerifiedAt: first, FullAt: first, OK: true})
	want(check(false), audit.Status{Seq: 12, VerifiedSeq: 12, VerifiedAt: now, FullAt: first, OK: true})

	raw := p.raw(t)
	run := func(queries ...string) {
		t.Helper()
		for _, q := range queries {
			if _, err := raw.Exec(strings.ReplaceAll(q, "$A", "account_id = '"+a.ID+"'")); err != nil {
				t.Fatalf("%s: %v", q, err)
			}
		}
	}
	if p.Kind == "postgres" {
		run("DROP TRIGGER audit_links_append_only ON audit_links")
	} else {
		run("DROP TRIGGER audit_links_no_update", "DROP TRIGGER audit_links_no_delete")
	}
	// What was changed behind the place that is verified already, reading from the beginning finds.
	run("UPDATE audit_links SET address = 'x' WHERE $A AND seq = 5")
	if got := check(false); !got.OK {
		t.Errorf("reading on: %+v", got)
	}
	now = now.Add(time.Minute)
	for _, full := range []bool{true, false, true} { // once found, it is found each time
		if got := check(full); got.OK || got.VerifiedSeq != 4 || got.Seq != 12 && got.Seq != 4 || !strings.Contains(got.Broken, "link 5") {
			t.Errorf("full %t: %+v", full, got)
		}
	}
	run("UPDATE audit_links SET address = '' WHERE $A AND seq = 5")
	if got := check(false); !got.OK || got.VerifiedSeq != 12 || got.Broken != "" {
		t.Errorf("mended: %+v", got)
	}

	// Older links with their own head, as they once were, are shorter than what was seen.
	run("CREATE TABLE kept AS SELECT * FROM audit_heads")
	fill(t, db, a.ID, 3)
	if got := check(false); !got.OK || got.VerifiedSeq != 15 {
		t.Fatalf("three more: %+v", got)
	}
	run("DELETE FROM audit_links WHERE $A AND seq > 12", "DELETE FROM audit_heads WHERE $A", "INSERT INTO audit_heads SELECT * FROM kept WHERE $A")
	for _, full := range []bool{false, true} {
		if got := check(full); got.OK || got.Broken == "" {
			t.Errorf("cut back to an older state, full %t: %+v", full, got)
		}
	}
	// A result that nobody of us wrote counts for nothing.
	run("UPDATE audit_verified SET broken = '' WHERE $A")
	want(status(), audit.Status{Seq: 12})
}
