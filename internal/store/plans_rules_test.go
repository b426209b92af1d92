package store_test

import (
	"testing"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/detect"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useRules calls everything of the rules of detection once.
func useRules(t *testing.T, db *store.DB, account string) {
	ctx, by := t.Context(), storetest.By().For(audit.RuleSet, "rule:one")
	items := []detect.RuleItem{{Kind: "setting", Name: "one", Body: []byte(`{}`)}, {Kind: "exception", Name: "x"}}
	must(t, db.ChangeRuleBook(ctx, account, 0, items, "rule:one", by))
	_, err := db.RulesRevision(ctx, account)
	must(t, err)
	_, _, err = db.RuleItems(ctx, account)
	must(t, err)
	for _, about := range []string{"", "rule:one"} {
		_, err = db.RuleChanges(ctx, account, about, 0, 10)
		must(t, err)
	}
	_, _, err = db.SignalsReach(ctx, account, time.Unix(0, 0), 10)
	must(t, err)
}
