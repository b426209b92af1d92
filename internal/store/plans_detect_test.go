package store_test

import (
	"fmt"
	"testing"
	"time"

	"holdfast/internal/detect"
	"holdfast/internal/feed"
	"holdfast/internal/problem"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useDetect calls everything of detection once.
func useDetect(t *testing.T, db *store.DB, account, person string) {
	ctx, by := t.Context(), storetest.By()
	_, err := db.DetectAccounts(ctx)
	must(t, err)
	_, err = db.LeaseDetection(ctx, account, "one", time.Now().Add(time.Hour))
	must(t, err)
	c := detect.Commit{AccountID: account, Holder: "one", Withdrawn: []string{"F1", "F2"}, Over: []string{"F3"}, Flooded: map[string]int{"x": 1}}
	checkpoint := detect.Checkpoint{AccountID: account, Holder: "one", From: 1, At: time.Unix(5, 0), Windows: []byte("w")}
	for i := range 111 {
		f := detect.Found{ID: fmt.Sprint("F", i), Rule: "r", Level: detect.High, PersonID: person, Time: time.Unix(int64(i), 0), Last: time.Unix(int64(i), 0)}
		c.Changes = append(c.Changes, detect.Change{Found: f, Open: i == 7, Events: []detect.Evidence{{Seq: int64(i), ID: "e"}}, Anew: true})
		checkpoint.Profiles = append(checkpoint.Profiles, detect.ProfileRow{Key: fmt.Sprint(i), Value: []byte("v")}, detect.ProfileRow{Key: fmt.Sprint("gone", i)})
	}
	must(t, db.CommitDetection(ctx, c))
	must(t, db.WriteCheckpoint(ctx, checkpoint))
	c.From, c.Learned = 2, []detect.Lesson{{Number: 1}}
	must(t, db.CommitDetection(ctx, c))
	must(t, db.CommitDetection(ctx, c), problem.Conflict)
	_, err = db.DetectState(ctx, account)
	must(t, err)
	must(t, db.Profiles(ctx, account, func(string, []byte, time.Time) error { return nil }))
	s := detect.Stretch{After: detect.Place{At: time.Unix(1, 0), Seq: 1}, UpTo: 99}
	_, err = db.SignalTimes(ctx, account, s, 5)
	must(t, err)
	_, err = db.SignalsByTime(ctx, account, s, 5)
	must(t, err)
	_, err = db.SignalsBySeq(ctx, account, []int64{1, 2, 3, 4, 5, 6, 7})
	must(t, err)
	_, err = db.PeopleStates(ctx, account, []string{person, "x"})
	must(t, err)
	_, err = db.FindingsAfter(ctx, account, time.Unix(50, 0))
	must(t, err)
	_, err = db.Lessons(ctx, account, time.Unix(50, 0))
	must(t, err)
	for _, q := range []detect.FindingQuery{
		{}, {PersonID: person}, {Rule: "r"}, {State: detect.FindingOpen}, {State: detect.FindingEnded}, {From: time.Unix(5, 0), To: time.Unix(50, 0)},
		{Levels: []detect.Level{detect.High, detect.Critical}, PersonID: person, Before: 50},
	} {
		q.AccountID, q.Limit = account, 5
		_, err = db.FindingList(ctx, q)
		must(t, err)
	}
	for _, id := range []string{"1", "F1"} {
		_, err = db.Finding(ctx, account, id)
		must(t, err)
		_, err = db.FindingEvents(ctx, account, id)
		must(t, err)
		_, err = db.JudgeFinding(ctx, account, id, true, by)
		must(t, err)
	}
	_, err = db.RuleCounts(ctx, account, 30)
	must(t, err)
	_, err = db.Flooded(ctx, account)
	must(t, err)
	must(t, db.WaitFindings(ctx, account, 1))
	_, err = db.FeedEnds(ctx, account)
	must(t, err)
	must(t, db.WaitFeed(ctx, account, map[feed.Stream]int64{}))
	must(t, db.PurgeFindings(ctx, time.Unix(60, 0)))
}
