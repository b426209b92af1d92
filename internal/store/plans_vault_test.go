package store_test

import (
	"testing"
	"time"

	"holdfast/internal/store"
	"holdfast/internal/store/storetest"
	"holdfast/internal/vault"
)

// useVaults calls everything of the vaults once; the vault is deleted in the end.
func useVaults(t *testing.T, db *store.DB, account, owner string) {
	ctx, by, v := t.Context(), storetest.By(), vault.Viewer{AccountID: account, UserID: owner}
	s := &vault.Service{Store: db, Keys: db.Keys(), Now: time.Now}
	made, err := s.Create(ctx, v, "Security operations", "", by)
	must(t, err)
	must(t, s.Update(ctx, v, made.ID, "Operations", "", by))
	_, err = s.List(ctx, v)
	must(t, err)
	grants, err := s.Grants(ctx, v, made.ID)
	must(t, err)
	must(t, s.SetGrant(ctx, v, made.ID, grants[1].Grantee, vault.View, by))
	must(t, s.RemoveGrant(ctx, v, made.ID, grants[1].Grantee, by))
	n := vault.NewItem{Category: vault.Login, Title: "Root", Fields: []vault.Field{{Name: "username", Value: "root"}, {Name: "password", Value: "p"}}}
	item, err := s.Save(ctx, v, made.ID, n, by)
	must(t, err)
	_, err = s.UpdateItem(ctx, v, made.ID, item.ID, vault.Change{Version: 1, Title: "Root", Fields: []vault.FieldChange{{Field: n.Fields[0]}}}, by)
	must(t, err)
	_, err = s.Reveal(ctx, v, vault.RevealRequest{VaultID: made.ID, ItemID: item.ID, Field: "username", Action: vault.SecureCopy}, by)
	must(t, err)
	_, err = s.Items(ctx, v, made.ID, "o", item.ID, 10)
	must(t, err)
	_, err = s.History(ctx, v, made.ID, item.ID)
	must(t, err)
	_, err = s.Usages(ctx, v, made.ID, item.ID, 10)
	must(t, err)
	_, err = s.ItemsLinkedTo(ctx, v, "client:6b0f7c52-83de-4e1a-9c47-2a5d91e0f3b8")
	must(t, err)
	must(t, s.Archive(ctx, v, made.ID, item.ID, by))
	must(t, s.Delete(ctx, v, made.ID, by))
}
