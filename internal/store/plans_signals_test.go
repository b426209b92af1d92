package store_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/signals"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useSignals calls everything of the intake once.
func useSignals(t *testing.T, db *store.DB, account, person string) {
	ctx, by := t.Context(), storetest.By()
	x := signals.Setup{AccountID: account, ID: seal.NewID(), Kind: signals.KindOCSF, Name: "Lake", State: signals.Active}
	must(t, db.CreateSource(ctx, x, by))
	_, err := db.SignalSources(ctx, account)
	must(t, err)
	_, err = db.SignalSources(ctx, "")
	must(t, err)
	_, err = db.ChangeSource(ctx, account, x.ID, func(x *signals.Setup) error { x.Name = "Pond"; return nil }, by)
	must(t, err)
	_, err = db.LeaseSource(ctx, account, x.ID, "one", time.Now().Add(time.Hour))
	must(t, err)
	in := signals.Addition{AccountID: account, SourceID: x.ID, Holder: "one", Stream: "s", Cursor: "c"}
	for i := range 111 {
		in.Rows = append(in.Rows, signals.Row{SourceEventID: fmt.Sprint(i), At: time.Unix(int64(i), 0), ReceivedAt: time.Now(), Event: []byte(`{"class_uid":3002,"metadata":{"uid":"1"}}`)})
	}
	_, err = db.AddSignals(ctx, in)
	must(t, err)
	_, err = db.SourceCursors(ctx, account, x.ID)
	must(t, err)
	must(t, db.SourceFailed(ctx, account, x.ID, "one", "x"))
	must(t, db.WaitSignals(ctx, account, 1))
	_, err = db.Signals(ctx, account, 5, 10)
	must(t, err)
	_, err = db.FindPeople(ctx, account, "okta", []string{person}, []string{"a@example.org", "b@example.org"}, []string{"x"})
	must(t, err)
	must(t, db.SetAlias(ctx, signals.Alias{AccountID: account, Name: "x", PersonID: person}, by.For(audit.SourceUpdate, "x")))
	_, err = db.Aliases(ctx, account)
	must(t, err)
	must(t, db.SetAlias(ctx, signals.Alias{AccountID: account, Name: "x"}, by.For(audit.SourceUpdate, "x")))
	must(t, db.PurgeSignals(ctx, time.Unix(50, 0)))
	must(t, db.RemoveSource(ctx, account, x.ID, by))
	must(t, db.RemoveSource(ctx, account, x.ID, by), problem.NotFound)
}
