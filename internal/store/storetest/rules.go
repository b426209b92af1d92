package storetest

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
)

func testRules(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	if n := of(db.RulesRevision(t.Context(), a.ID)).must(t); n != 0 {
		t.Errorf("a new account has the revision %d", n)
	}
	item := func(kind detect.RuleItemKind, name, body string) detect.RuleItem {
		return detect.RuleItem{Kind: kind, Name: name, Body: []byte(body)}
	}
	change := func(account string, revision int64, about string, items ...detect.RuleItem) error {
		return db.ChangeRuleBook(t.Context(), account, revision, items, about, By().For(audit.RuleSet, about).Because("because"))
	}
	for i, err := range []error{
		change(a.ID, 0, "rule:one", item("setting", "one", `{"off":true}`)),
		change(a.ID, 1, "rule:one", item("setting", "one", `{"level":"low"}`), item("exception", "x", `{}`)),
		change(a.ID, 2, "list:two", item("list", "two", `{}`)),
		change(b.ID, 0, "rule:one", item("setting", "one", `{}`)),
	} {
		if err != nil {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	wantKind(t, change(a.ID, 2, "rule:one", item("setting", "one", `{}`)), problem.Conflict)
	wantKind(t, change(seal.NewID(), 0, "rule:one", item("setting", "one", `{}`)), problem.NotFound)

	revision, items, err := db.RuleItems(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, x := range items {
		got = append(got, string(x.Kind)+" "+x.Name+" "+string(x.Body)+" "+x.UpdatedBy)
		if time.Since(x.UpdatedAt) > time.Hour {
			t.Errorf("%s was changed at %s", x.Name, x.UpdatedAt)
		}
	}
	want := []string{"exception x {} operator:test", "list two {} operator:test", `setting one {"level":"low"} operator:test`}
	if diff := cmp.Diff(want, got); diff != "" || revision != 3 {
		t.Errorf("revision %d, items (-want +got):\n%s", revision, diff)
	}

	if err := change(a.ID, 3, "rule:one", detect.RuleItem{Kind: "setting", Name: "one"}); err != nil {
		t.Fatal(err)
	}
	type step struct {
		Revision      int64
		About         string
		Before, After string
	}
	steps := func(about string, before int64, limit int) (all []step) {
		for _, c := range of(db.RuleChanges(t.Context(), a.ID, about, before, limit)).must(t) {
			all = append(all, step{c.Revision, c.About, string(c.Before), string(c.After)})
			if c.By != "operator:test" || c.Reason != "because" || c.Action != audit.RuleSet || c.At.IsZero() {
				t.Errorf("change %+v", c)
			}
		}
		return all
	}
	first, second := step{1, "rule:one", "", `{"off":true}`}, step{2, "rule:one", `{"off":true}`, `{"level":"low"}`}
	if diff := cmp.Diff([]step{{4, "rule:one", `{"level":"low"}`, ""}, second, first}, steps("rule:one", 0, 10)); diff != "" {
		t.Errorf("history of the rule (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]step{{3, "list:two", "", `{}`}, second}, steps("", 4, 2)); diff != "" {
		t.Errorf("history of all (-want +got):\n%s", diff)
	}
	if e := last(t, db, a.ID); e.Action != audit.RuleSet || e.Target != "rule:one" || e.Reason != "because" {
		t.Errorf("entry %+v", e)
	}
	for _, name := range []string{"x"} { // a book without items
		if err := change(a.ID, 4, "rule:one", detect.RuleItem{Kind: "exception", Name: name}, detect.RuleItem{Kind: "list", Name: "two"}); err != nil {
			t.Fatal(err)
		}
	}
	if revision, items, err := db.RuleItems(t.Context(), a.ID); err != nil || revision != 5 || items != nil {
		t.Errorf("empty: %d %v %v", revision, items, err)
	}
	Verify(t, db, a.ID)
}

// testRulesParallel holds that of those who change the same revision one wins, in two processes.
func testRulesParallel(t *testing.T, p *Place) {
	db := p.Open(t)
	second := p.Open(t)
	a, _ := Account(t, db)
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Go(func() {
			x := db
			if i%2 == 1 {
				x = second
			}
			results[i] = x.ChangeRuleBook(t.Context(), a.ID, 0, []detect.RuleItem{{Kind: "setting", Name: "one", Body: []byte(`{}`)}}, "rule:one", By().For(audit.RuleSet, "rule:one"))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		} else if p, ok := errors.AsType[*problem.Error](err); !ok || p.Kind != problem.Conflict {
			t.Error(err)
		}
	}
	if n := of(second.RulesRevision(t.Context(), a.ID)).must(t); won != 1 || n != 1 {
		t.Errorf("%d won, revision %d", won, n)
	}
}

func testSignalsReach(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	x := source(t, db, a.ID, "Lake")
	in := signals.Addition{AccountID: a.ID, SourceID: x.ID}
	for i, id := range []string{"a", "b", "c", "d"} {
		in.Rows = append(in.Rows, signal(t, id, int64(10*i), ""))
	}
	if _, err := db.AddSignals(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	at := func(second int64) time.Time { return time.Unix(epoch+second, 0).UTC() }
	for _, c := range []struct {
		from, want int64
		most       int
		count      int
	}{{5, 5, 10, 3}, {10, 20, 2, 2}, {31, 31, 5, 0}} {
		place, n, err := db.SignalsReach(t.Context(), a.ID, at(c.from), c.most)
		if err != nil || !place.At.Equal(at(c.want)) || n != c.count {
			t.Errorf("from %d, at most %d: %v %d %v", c.from, c.most, place.At, n, err)
		}
	}
}
