package store_test

import (
	"testing"
	"time"

	"holdfast/internal/seal"
	"holdfast/internal/signin"
	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
)

// useFirewall calls everything of firewall rules once.
func useFirewall(t *testing.T, db *store.DB, account string) {
	ctx := t.Context()
	rule := signin.Rule{ID: seal.NewID(), AccountID: account, Position: 1, Action: signin.Deny, Kind: signin.MatchAnonymous}
	moved := rule
	moved.Position = 2
	for _, next := range [][]signin.Rule{{rule}, {moved}, nil} {
		_, err := db.ChangeRules(ctx, account, func([]signin.Rule) ([]signin.Rule, error) { return next, nil }, storetest.By())
		must(t, err)
	}
	_, err := db.Rules(ctx, account)
	must(t, err)
	_, err = db.Tried(ctx, account, time.Now(), signin.Tried{}, 3)
	must(t, err)
}
