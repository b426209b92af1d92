package vault_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
	"holdfast/internal/vault"
)

// shelf is a store of one item, for what the service does without a database. Any other call is a nil call.
type shelf struct {
	vault.Store
	versions []vault.SealedItem
	changed  []string
	usages   []vault.Usage
	entries  []audit.Entry
	fail     error
}

func (s *shelf) SaveItem(_ context.Context, _ vault.Viewer, i vault.SealedItem, u vault.Usage, by audit.Entry) error {
	s.versions, s.usages, s.entries = append(s.versions, i), append(s.usages, u), append(s.entries, by)
	return s.fail
}

func (s *shelf) UpdateItem(ctx context.Context, v vault.Viewer, i vault.SealedItem, changed []string, u vault.Usage, by audit.Entry) error {
	if s.changed = changed; len(changed) == 0 {
		return s.fail
	}
	return s.SaveItem(ctx, v, i, u, by)
}

func (s *shelf) Item(_ context.Context, _ vault.Viewer, _, id string, version int) (vault.SealedItem, error) {
	if version == 0 {
		version = len(s.versions)
	}
	if version > len(s.versions) {
		return vault.SealedItem{}, vault.ErrNoItem(id)
	}
	return s.versions[version-1], nil
}

func (s *shelf) UseItem(_ context.Context, _ vault.Viewer, u vault.Usage, by audit.Entry) error {
	s.usages, s.entries = append(s.usages, u), append(s.entries, by)
	return s.fail
}

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func newService(t *testing.T) (*vault.Service, *shelf, vault.Viewer) {
	t.Helper()
	master, err := seal.OpenMaster("file", t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	keys, _, err := seal.NewKeyring(master)
	if err != nil {
		t.Fatal(err)
	}
	s := &shelf{}
	return &vault.Service{Store: s, Keys: keys, Now: func() time.Time { return noon }}, s, vault.Viewer{AccountID: seal.NewID(), UserID: seal.NewID()}
}

func saved(t *testing.T, s *vault.Service, v vault.Viewer) vault.Item {
	t.Helper()
	i, err := s.Save(t.Context(), v, seal.NewID(), vault.NewItem{Category: vault.APICredential, Title: "Tines", Fields: []vault.Field{
		{Name: "client_id", Value: "6b0f"}, {Name: "client_secret", Value: "hfs_one"}, {Name: "pin", Label: "PIN", Value: "1234", Concealed: true},
	}}, audit.Entry{Actor: "user:" + v.UserID, Address: "192.0.2.7"})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestSaveKeepsNothingInTheClear(t *testing.T) {
	s, kept, v := newService(t)
	i := saved(t, s, v)
	all := fmt.Sprintf("%+v %q %+v %+v", kept.versions, kept.versions[0].Sealed, kept.usages, kept.entries)
	for _, value := range []string{"hfs_one", "1234", "6b0f"} {
		if strings.Contains(all, value) {
			t.Errorf("the store is given %q in the clear", value)
		}
	}
	want := []vault.Field{{Name: "client_id", Value: "6b0f"}, {Name: "client_secret", Concealed: true}, {Name: "pin", Label: "PIN", Concealed: true}}
	if diff := cmp.Diff(want, i.Fields); diff != "" {
		t.Errorf("answer (-want +got):\n%s", diff)
	}
	u := vault.Usage{
		ID: kept.usages[0].ID, At: noon, AccountID: v.AccountID, VaultID: i.VaultID, ItemID: i.ID, UserID: v.UserID, Version: 1,
		Action: vault.ServerCreate, Client: origin.Client{Address: "192.0.2.7"},
	}
	if diff := cmp.Diff([]vault.Usage{u}, kept.usages); diff != "" || !seal.ValidID(u.ID) {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
}

func TestUpdateItem(t *testing.T) {
	keep := func(name string) vault.FieldChange {
		return vault.FieldChange{Field: vault.Field{Name: name, Label: map[string]string{"pin": "PIN"}[name]}, Keep: true}
	}
	put := func(name, value string) vault.FieldChange {
		return vault.FieldChange{Field: vault.Field{Name: name, Label: map[string]string{"pin": "PIN"}[name], Value: value}}
	}
	for _, tt := range []struct {
		name    string
		change  vault.Change
		changed []string
		secret  string // afterwards
		kind    problem.Kind
	}{
		{"nothing", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{put("client_id", "6b0f"), keep("client_secret"), keep("pin")}}, nil, "hfs_one", 0},
		{"title", vault.Change{Version: 1, Title: "n8n", Fields: []vault.FieldChange{keep("client_id"), keep("client_secret"), keep("pin")}}, []string{"title"}, "hfs_one", 0},
		{"secret", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{put("client_id", "6b0f"), put("client_secret", "hfs_two"), keep("pin")}}, []string{"client_secret"}, "hfs_two", 0},
		{"given wins over kept", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{keep("client_id"), {Field: vault.Field{Name: "client_secret", Value: "hfs_two"}, Keep: true}, keep("pin")}}, []string{"client_secret"}, "hfs_two", 0},
		{"taken away and added", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{put("url", "https://a.example"), keep("client_secret")}}, []string{"url", "client_id", "pin"}, "hfs_one", 0},
		{"emptied", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{keep("client_id"), put("client_secret", ""), keep("pin")}}, []string{"client_secret"}, "", 0},
		{"another version", vault.Change{Version: 2, Title: "n8n", Fields: []vault.FieldChange{keep("client_id")}}, nil, "hfs_one", problem.Conflict},
		{"no title", vault.Change{Version: 1, Fields: []vault.FieldChange{keep("client_id")}}, nil, "hfs_one", problem.Invalid},
		{"nothing left", vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{keep("no_such")}}, nil, "hfs_one", problem.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, kept, v := newService(t)
			i := saved(t, s, v)
			got, err := s.UpdateItem(t.Context(), v, i.VaultID, i.ID, tt.change, audit.Entry{})
			if (err != nil) != (tt.kind != 0) || err != nil && !problem.Is(err, tt.kind) {
				t.Fatalf("error is %v, want kind %q", err, tt.kind)
			}
			if diff := cmp.Diff(tt.changed, kept.changed); diff != "" {
				t.Errorf("changed (-want +got):\n%s", diff)
			}
			if f, _ := got.Field("client_secret"); f.Value != "" {
				t.Error("the answer holds the secret")
			}
			secret, err := s.Reveal(t.Context(), v, vault.RevealRequest{VaultID: i.VaultID, ItemID: i.ID, Field: "client_secret", Action: vault.Reveal}, audit.Entry{})
			if secret.Reveal() != tt.secret || (err != nil) != (tt.secret == "") {
				t.Errorf("the secret is %q (%v), want %q", secret.Reveal(), err, tt.secret)
			}
		})
	}
}

// TestKeptStaysConcealed: nobody sees a value that she has not asked for by editing the item around it.
func TestKeptStaysConcealed(t *testing.T) {
	s, _, v := newService(t)
	i := saved(t, s, v)
	got, err := s.UpdateItem(t.Context(), v, i.VaultID, i.ID, vault.Change{Version: 1, Title: "Tines", Fields: []vault.FieldChange{
		{Field: vault.Field{Name: "pin", Label: "Not concealed", Concealed: false}, Keep: true},
	}}, audit.Entry{})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]vault.Field{{Name: "pin", Label: "Not concealed", Concealed: true}}, got.Fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
}

func TestReveal(t *testing.T) {
	lost := errors.New("the disk is full")
	for _, tt := range []struct {
		name    string
		request vault.RevealRequest
		fail    error
		want    string
		action  audit.Action
		kind    problem.Kind
	}{
		{"reveal", vault.RevealRequest{Field: "client_secret", Action: vault.Reveal}, nil, "hfs_one", audit.ItemReveal, 0},
		{"copy", vault.RevealRequest{Field: "pin", Version: 1, Action: vault.SecureCopy}, nil, "1234", audit.ItemCopy, 0},
		{"not recorded", vault.RevealRequest{Field: "pin", Action: vault.Reveal}, lost, "", audit.ItemReveal, problem.Internal},
		{"no such field", vault.RevealRequest{Field: "password", Action: vault.Reveal}, nil, "", "", problem.NotFound},
		{"no such version", vault.RevealRequest{Field: "pin", Version: 2, Action: vault.Reveal}, nil, "", "", problem.NotFound},
		{"no such action", vault.RevealRequest{Field: "pin", Action: "fill"}, nil, "", "", problem.Invalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, kept, v := newService(t)
			i := saved(t, s, v)
			kept.fail, kept.entries, kept.usages = tt.fail, nil, nil
			tt.request.VaultID, tt.request.ItemID = i.VaultID, i.ID
			tt.request.Client = vault.Client{Client: origin.Client{Address: "192.0.2.9", UserAgent: "Firefox\x00" + strings.Repeat("x", 1000)}, SessionID: "S"}
			got, err := s.Reveal(t.Context(), v, tt.request, audit.Entry{Address: "192.0.2.7"})
			if got.Reveal() != tt.want || (err != nil) != (tt.want == "") || err != nil && problem.KindOf(err) != tt.kind {
				t.Errorf("the value is %q (%v), want %q", got.Reveal(), err, tt.want)
			}
			if tt.action == "" {
				if len(kept.entries)+len(kept.usages) != 0 {
					t.Error("something was recorded that did not happen")
				}
				return
			}
			e := audit.Entry{Action: tt.action, Target: "item:" + i.ID, Reason: "field " + tt.request.Field, Address: "192.0.2.7"}
			if diff := cmp.Diff([]audit.Entry{e}, kept.entries); diff != "" {
				t.Errorf("entry (-want +got):\n%s", diff)
			}
			u := kept.usages[0]
			if u.Action != tt.request.Action || u.Client.Address != "192.0.2.9" || u.SessionID != "S" || len(u.Client.UserAgent) > 300 || strings.Contains(u.Client.UserAgent, "\x00") {
				t.Errorf("usage: %+v", u)
			}
		})
	}
}

func TestGrantIsChecked(t *testing.T) {
	s, _, v := newService(t)
	for name, tt := range map[string]struct {
		grantee string
		access  vault.Access
		field   string
	}{
		"no access":      {"user:" + v.UserID, vault.None, "access"},
		"unknown access": {"user:" + v.UserID, 9, "access"},
		"no prefix":      {v.UserID, vault.View, "grantee"},
		"no id":          {"group:", vault.View, "grantee"},
		"bytes":          {"group:\x00", vault.View, "grantee"},
	} {
		err := s.SetGrant(t.Context(), v, seal.NewID(), tt.grantee, tt.access, audit.Entry{})
		if p := problem.Public(err); p.Kind != problem.Invalid || p.Field != tt.field {
			t.Errorf("%s: error is %v, want one in field %q", name, err, tt.field)
		}
	}
	for _, name := range []string{"", "  ", strings.Repeat("x", 101), "a\nb", "\xff"} {
		_, err := s.Create(t.Context(), v, name, "", audit.Entry{})
		if p := problem.Public(err); p.Kind != problem.Invalid || p.Field != "name" {
			t.Errorf("a vault called %q: %v", name, err)
		}
	}
}
