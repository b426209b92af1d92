package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
	"holdfast/internal/store"
)

// source is a source of the account, as the intake makes it.
func source(t testing.TB, db *store.DB, account, name string) signals.Setup {
	t.Helper()
	x := signals.Setup{
		AccountID: account, ID: seal.NewID(), Kind: signals.KindOCSF, Name: name, State: signals.Active, Revision: 1,
		Config: signals.Config{BaseURL: "https://x.example", Since: time.Unix(5, 0).UTC()}, Secrets: signals.Secrets{Current: []byte("sealed")},
		CreatedAt: time.Now().UTC().Truncate(time.Microsecond), CreatedBy: "operator:test",
	}
	if err := db.CreateSource(t.Context(), x, By().For(audit.SourceAdd, x.Target())); err != nil {
		t.Fatal(err)
	}
	return x
}

// epoch is where the seconds of signal begin.
const epoch = 1_700_000_000

// signal is a row with the ID, which happened at the second after the epoch.
func signal(t testing.TB, id string, second int64, person string) signals.Row {
	t.Helper()
	e := signals.Event{Source: signals.OCSF, SourceID: id, Time: time.Unix(epoch+second, 0).UTC(), ReceivedAt: time.Unix(epoch+9, 0).UTC(), Class: signals.ClassAuthentication, Activity: signals.Logon, Severity: 1}
	b, err := signals.EncodeOCSF(&e)
	if err != nil {
		t.Fatal(err)
	}
	r := signals.Row{SourceEventID: id, At: e.Time, ReceivedAt: e.ReceivedAt, Event: b, Raw: "raw of " + id}
	if person != "" {
		r.Match = signals.Match{PersonID: person, By: signals.ByEmail}
	}
	return r
}

func testSources(t *testing.T, p *Place) {
	db := p.Open(t)
	a, _ := Account(t, db)
	b, _ := Account(t, db)
	x := source(t, db, a.ID, "Lake")
	if diff := cmp.Diff(x, of(db.SignalSource(t.Context(), a.ID, x.ID)).must(t)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	source(t, db, b.ID, "lake") // another account's
	twin := x
	twin.ID, twin.Name = seal.NewID(), "LAKE"
	wantKind(t, db.CreateSource(t.Context(), twin, By()), problem.Conflict)
	twin.AccountID = seal.NewID()
	wantKind(t, db.CreateSource(t.Context(), twin, By()), problem.NotFound)
	_, err := db.SignalSource(t.Context(), b.ID, x.ID)
	wantKind(t, err, problem.NotFound)

	other := source(t, db, a.ID, "Other")
	rename := func(name string) error {
		_, err := db.ChangeSource(t.Context(), a.ID, other.ID, func(x *signals.Setup) error { x.Name = name; return nil }, By().For(audit.SourceUpdate, other.Target()))
		return err
	}
	wantKind(t, rename("lake"), problem.Conflict)
	if err := rename("Pond"); err != nil {
		t.Fatal(err)
	}
	if e := last(t, db, a.ID); e.Action != audit.SourceUpdate || e.Target != other.Target() || e.Reason != "Pond" {
		t.Errorf("entry %+v", e)
	}
	changed := of(db.SignalSource(t.Context(), a.ID, other.ID)).must(t)
	if changed.Name != "Pond" || changed.Revision != 2 {
		t.Errorf("changed %+v", changed)
	}
	if all, everywhere := of(db.SignalSources(t.Context(), a.ID)).must(t), of(db.SignalSources(t.Context(), "")).must(t); len(all) != 3 || len(everywhere) != 5 {
		t.Errorf("%d sources of the account, %d of all", len(all), len(everywhere))
	}
	if err := db.RemoveSource(t.Context(), a.ID, other.ID, By().For(audit.SourceRemove, other.Target())); err != nil {
		t.Fatal(err)
	}
	wantKind(t, db.RemoveSource(t.Context(), a.ID, other.ID, By()), problem.NotFound)
	wantKind(t, db.RemoveSource(t.Context(), a.ID, signals.LocalID, By()), problem.Conflict)
	if own := of(db.SignalSource(t.Context(), a.ID, signals.LocalID)).must(t); own.Kind != signals.KindLocal || own.State != signals.Active || !own.Config.Since.IsZero() {
		t.Errorf("the account's own feed is %+v", own)
	}
	if e := last(t, db, a.ID); e.Action != audit.SourceRemove {
		t.Errorf("entry %+v", e)
	}
	Verify(t, db, a.ID)
}

func testSourceLease(t *testing.T, p *Place) {
	db := p.Open(t)
	second := p.Open(t) // another process
	a, _ := Account(t, db)
	x := source(t, db, a.ID, "Lake")
	now := time.Now()
	lease := func(db *store.DB, holder string, until time.Time) bool {
		t.Helper()
		return of(db.LeaseSource(t.Context(), a.ID, x.ID, holder, until)).must(t)
	}
	add := func(holder, id, cursor string) error {
		_, err := db.AddSignals(t.Context(), signals.Addition{AccountID: a.ID, SourceID: x.ID, Holder: holder, Stream: "s", Cursor: cursor, Rows: []signals.Row{signal(t, id, 1, "")}})
		return err
	}
	got := []bool{lease(db, "one", now.Add(time.Hour)), lease(second, "two", now.Add(time.Hour)), lease(db, "one", now.Add(time.Hour))}
	if err := add("one", "1", "c1"); err != nil {
		t.Fatal(err)
	}
	wantKind(t, add("two", "2", "c2"), problem.Conflict)
	got = append(got, lease(db, "one", now.Add(-time.Second)), lease(second, "two", now.Add(time.Hour))) // it has died
	wantKind(t, add("one", "3", "c3"), problem.Conflict)
	wantKind(t, db.SourceFailed(t.Context(), a.ID, x.ID, "one", "late"), problem.Conflict)
	if err := db.SourceFailed(t.Context(), a.ID, x.ID, "two", "no answer"); err != nil {
		t.Fatal(err)
	}
	if x := of(db.SignalSource(t.Context(), a.ID, x.ID)).must(t); x.State != signals.Failed || x.LastError != "no answer" {
		t.Errorf("after a failure: %+v", x)
	}
	got = append(got, lease(second, "two", time.Time{}), lease(db, "one", now.Add(time.Hour))) // given back
	if err := add("one", "4", "c4"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]bool{true, false, true, true, true, true, true}, got); diff != "" {
		t.Errorf("leases (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"s": "c4"}, of(db.SourceCursors(t.Context(), a.ID, x.ID)).must(t)); diff != "" {
		t.Errorf("cursors (-want +got):\n%s", diff)
	}
	if x := of(db.SignalSource(t.Context(), a.ID, x.ID)).must(t); x.State != signals.Active || x.LastError != "" || x.Events != 2 || x.Unmatched != 2 {
		t.Errorf("after success: %+v", x)
	}
}

func testSignals(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	b, _ := Account(t, db)
	x, y := source(t, db, a.ID, "Lake"), source(t, db, b.ID, "Lake")
	add := func(x signals.Setup, rows ...signals.Row) signals.Added {
		t.Helper()
		return of(db.AddSignals(t.Context(), signals.Addition{AccountID: x.AccountID, SourceID: x.ID, Rows: rows})).must(t)
	}
	heard := make(chan error, 1)
	go func() { heard <- db.WaitSignals(t.Context(), a.ID, 0) }()
	got := []signals.Added{
		add(x, signal(t, "1", 1, owner.ID), signal(t, "2", 2, ""), signal(t, "1", 1, owner.ID)),
		add(x, signal(t, "2", 2, ""), signal(t, "3", 3, "")),
		add(y, signal(t, "1", 1, "")),
		add(x),
	}
	if diff := cmp.Diff([]signals.Added{{Accepted: 2, Duplicates: 1, Unmatched: 1}, {Accepted: 1, Duplicates: 1, Unmatched: 1}, {Accepted: 1, Unmatched: 1}, {}}, got); diff != "" {
		t.Errorf("added (-want +got):\n%s", diff)
	}
	if err := <-heard; err != nil {
		t.Errorf("who waits: %v", err)
	}
	all := of(db.Signals(t.Context(), a.ID, 1, 10)).must(t)
	if len(all) != 2 || all[0].Seq != 2 || all[0].Event.SourceID != "2" || all[0].Event.Raw != "raw of 2" || all[1].Seq != 3 {
		t.Errorf("after the first: %+v", all)
	}
	if first := of(db.Signals(t.Context(), a.ID, 0, 1)).must(t); len(first) != 1 || first[0].Match.PersonID != owner.ID || first[0].Match.By != signals.ByEmail {
		t.Errorf("the first: %+v", first)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	if err := db.WaitSignals(ctx, a.ID, 3); err == nil {
		t.Error("there is nothing to wait for")
	}

	// Several at once: every event once, without gaps, in the order of commit.
	var every sync.WaitGroup
	for range 4 {
		every.Go(func() {
			var rows []signals.Row
			for i := range 250 {
				rows = append(rows, signal(t, fmt.Sprintf("m%d", i), 10+int64(i), ""))
			}
			if _, err := db.AddSignals(t.Context(), signals.Addition{AccountID: a.ID, SourceID: x.ID, Rows: rows}); err != nil {
				t.Error(err)
			}
		})
	}
	every.Wait()
	many := of(db.Signals(t.Context(), a.ID, 0, 1000)).must(t)
	for i, s := range many {
		if s.Seq != int64(i+1) {
			t.Fatalf("event %d has the number %d", i, s.Seq)
		}
	}
	if len(many) != 253 {
		t.Errorf("%d events, want 253", len(many))
	}

	if err := db.PurgeSignals(t.Context(), time.Unix(epoch+1000, 0)); err != nil {
		t.Fatal(err)
	}
	add(x, signal(t, "new", 2000, ""))
	left := of(db.Signals(t.Context(), a.ID, 0, 1000)).must(t)
	if len(left) != 2 || left[0].Seq != 253 || left[1].Seq != 254 {
		t.Errorf("left after a purge: %+v", left)
	}
	if err := db.RemoveSource(t.Context(), a.ID, x.ID, By().For(audit.SourceRemove, x.Target())); err != nil { // with its cursors, not with its events
		t.Error(err)
	}
	if left := of(db.Signals(t.Context(), a.ID, 0, 1000)).must(t); len(left) != 2 {
		t.Errorf("%d events outlive their source, want 2", len(left))
	}
}

func testSignalPeople(t *testing.T, p *Place) {
	db := p.Open(t)
	a, owner := Account(t, db)
	b, _ := Account(t, db)
	mira := User(t, db, a.ID, "Mira@example.org")
	User(t, db, b.ID, "elsewhere@example.org")
	set := func(format, name, person string) error {
		return db.SetAlias(t.Context(), signals.Alias{AccountID: a.ID, Format: format, Name: name, PersonID: person}, By().For(audit.SourceUpdate, "user:"+person).Because("alias"))
	}
	for _, err := range []error{set("", "Moduya", mira.ID), set("okta", "moduya", owner.ID), set("okta", "00u1", mira.ID), set("entra", "00u2", mira.ID)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, set("", "x", seal.NewID()), problem.NotFound)
	wantKind(t, set("", "x", ""), problem.NotFound)
	find := func(format string) signals.Found {
		t.Helper()
		var others []string
		for i := range 130 { // more than one statement asks for
			others = append(others, fmt.Sprintf("other%d@example.org", i))
		}
		return of(db.FindPeople(t.Context(), a.ID, format, []string{mira.ID, seal.NewID()},
			append(others, "mira@EXAMPLE.org", "elsewhere@example.org"), []string{"MODUYA", "00u1", "00u2"})).must(t)
	}
	want := signals.Found{
		IDs: map[string]string{mira.ID: mira.ID}, Emails: map[string]string{"mira@EXAMPLE.org": mira.ID},
		Aliases: map[string]string{"MODUYA": owner.ID, "00u1": mira.ID},
	}
	if diff := cmp.Diff(want, find("okta")); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	want.Aliases = map[string]string{"MODUYA": mira.ID, "00u2": mira.ID}
	if diff := cmp.Diff(want, find("entra")); diff != "" {
		t.Errorf("found in another format (-want +got):\n%s", diff)
	}
	if err := set("okta", "MODUYA", ""); err != nil {
		t.Fatal(err)
	}
	if all := of(db.Aliases(t.Context(), a.ID)).must(t); len(all) != 3 || all[2].Name != "Moduya" {
		t.Errorf("aliases %+v", all)
	}
	Verify(t, db, a.ID)
}
