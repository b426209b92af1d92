package vault

import (
	"cmp"
	"context"
	"time"

	"holdfast/internal/audit"
	"holdfast/internal/origin"
	"holdfast/internal/problem"
	"holdfast/internal/seal"
)

// Service is what people do with vaults.
type Service struct {
	Store  Store
	Keys   Keys
	Places origin.Locator // where addresses are; nil: nobody knows
	Now    func() time.Time
}

// Keys seals a value for one identity; it opens for no other. *[seal.Keyring] is one.
type Keys interface {
	Seal(value []byte, purpose string, identity ...string) ([]byte, error)
	Open(sealed []byte, purpose string, identity ...string) ([]byte, error)
}

// now is the time as it is stored.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// List returns the vaults that the viewer may see, by name.
func (s *Service) List(ctx context.Context, v Viewer) ([]Vault, error) { return s.Store.Vaults(ctx, v) }

// Vault returns one vault.
func (s *Service) Vault(ctx context.Context, v Viewer, id string) (Vault, error) {
	return s.Store.Vault(ctx, v, id)
}

// Create makes a vault, which the viewer and the Owners manage.
func (s *Service) Create(ctx context.Context, v Viewer, name, description string, by audit.Entry) (Vault, error) {
	name, description, err := checkVault(name, description)
	if err != nil {
		return Vault{}, err
	}
	n := Vault{
		AccountID: v.AccountID, ID: seal.NewID(), Name: name, Description: description,
		CreatedAt: s.now(), CreatedBy: UserGrantee + v.UserID, Access: Manage,
	}
	by.Action, by.Target = audit.VaultCreate, "vault:"+n.ID
	return n, s.Store.CreateVault(ctx, v, n, by)
}

// Update renames the vault and describes it anew. It takes manage.
func (s *Service) Update(ctx context.Context, v Viewer, id, name, description string, by audit.Entry) error {
	name, description, err := checkVault(name, description)
	if err != nil {
		return err
	}
	by.Action, by.Target = audit.VaultUpdate, "vault:"+id
	return s.Store.UpdateVault(ctx, v, id, name, description, by)
}

// Delete ends a vault for good, with all versions of its items, which must be archived. It takes manage.
func (s *Service) Delete(ctx context.Context, v Viewer, id string, by audit.Entry) error {
	by.Action, by.Target = audit.VaultDelete, "vault:"+id
	return s.Store.DeleteVault(ctx, v, id, by)
}

// Grants lists who has access; groups first, each by name.
func (s *Service) Grants(ctx context.Context, v Viewer, id string) ([]Grant, error) {
	return s.Store.Grants(ctx, v, id)
}

// SetGrant gives a person or group the access, instead of what it had. It takes manage.
func (s *Service) SetGrant(ctx context.Context, v Viewer, id, grantee string, access Access, by audit.Entry) error {
	if _, err := ParseAccess(access.String()); err != nil {
		return err
	}
	if err := checkGrantee(grantee); err != nil {
		return err
	}
	by.Action, by.Target = audit.VaultGrant, "vault:"+id
	return s.Store.SetGrant(ctx, v, id, grantee, access, by)
}

// RemoveGrant takes the access away that a person or group was given. It takes manage.
func (s *Service) RemoveGrant(ctx context.Context, v Viewer, id, grantee string, by audit.Entry) error {
	if err := checkGrantee(grantee); err != nil {
		return err
	}
	by.Action, by.Target = audit.VaultUngrant, "vault:"+id
	return s.Store.RemoveGrant(ctx, v, id, grantee, by)
}

// Items lists items by title: those whose title holds the search, after the item given, at most limit.
func (s *Service) Items(ctx context.Context, v Viewer, vaultID, search, after string, limit int) ([]Summary, error) {
	found, err := s.Store.Items(ctx, v, vaultID, ItemQuery{Search: Key(search), After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	items := make([]Summary, len(found))
	for i, f := range found {
		if items[i], err = s.summary(v.AccountID, vaultID, f); err != nil {
			return nil, err
		}
	}
	return items, nil
}

// ItemsLinkedTo lists the items with the link, such as "client:<uuid>", in vaults that the viewer may see,
// the one changed last first.
func (s *Service) ItemsLinkedTo(ctx context.Context, v Viewer, link string) ([]Linked, error) {
	if link == "" {
		return nil, nil
	}
	found, err := s.Store.ItemsLinkedTo(ctx, v, link)
	if err != nil {
		return nil, err
	}
	linked := make([]Linked, len(found))
	for i, f := range found {
		linked[i].Vault = f.Vault
		if linked[i].Item, err = s.summary(v.AccountID, f.Vault.ID, f.Item); err != nil {
			return nil, err
		}
	}
	return linked, nil
}

// Item returns the current version of the item, concealed values empty.
func (s *Service) Item(ctx context.Context, v Viewer, vaultID, itemID string) (Item, error) {
	stored, err := s.Store.Item(ctx, v, vaultID, itemID, 0)
	if err != nil {
		return Item{}, err
	}
	i, err := s.open(stored)
	return i.concealed(), err
}

// Save adds an item, and returns it with concealed values empty. It takes edit.
func (s *Service) Save(ctx context.Context, v Viewer, vaultID string, n NewItem, by audit.Entry) (Item, error) {
	if err := n.Check(); err != nil {
		return Item{}, err
	}
	now, person := s.now(), UserGrantee+v.UserID
	i := Item{
		AccountID: v.AccountID, VaultID: vaultID, ID: seal.NewID(), Category: n.Category, Title: n.Title, Fields: n.Fields,
		Link: n.Link, Version: 1, CreatedAt: now, UpdatedAt: now, CreatedBy: person, UpdatedBy: person,
	}
	sealed, err := s.seal(i)
	if err != nil {
		return Item{}, err
	}
	by.Action, by.Target = audit.ItemCreate, "item:"+i.ID
	u := s.usage(v, i, ServerCreate, n.Client, by)
	if err := s.Store.SaveItem(ctx, v, sealed, u, by); err != nil {
		return Item{}, err
	}
	return i.concealed(), nil
}

// UpdateItem changes an item, and returns it with concealed values empty. It takes edit. If somebody else
// has changed it since, it is a problem of kind Conflict. What changes nothing makes no version.
func (s *Service) UpdateItem(ctx context.Context, v Viewer, vaultID, itemID string, c Change, by audit.Entry) (Item, error) {
	stored, err := s.Store.Item(ctx, v, vaultID, itemID, 0)
	if err != nil {
		return Item{}, err
	}
	if c.Version != stored.Version {
		return Item{}, ErrChanged(c.Version, stored.Version)
	}
	old, err := s.open(stored)
	if err != nil {
		return Item{}, err
	}
	n := NewItem{Category: old.Category, Title: c.Title, Fields: c.merged(old), Link: old.Link}
	if err := n.Check(); err != nil {
		return Item{}, err
	}
	next := old
	next.Title, next.Fields, next.Version = n.Title, n.Fields, old.Version+1
	next.UpdatedAt, next.UpdatedBy = s.now(), UserGrantee+v.UserID
	sealed, err := s.seal(next)
	if err != nil {
		return Item{}, err
	}
	changed := changes(old, next)
	by.Action, by.Target = audit.ItemUpdate, "item:"+itemID
	u := s.usage(v, next, ServerUpdate, c.Client, by)
	if err := s.Store.UpdateItem(ctx, v, sealed, changed, u, by); err != nil {
		return Item{}, err
	}
	if len(changed) == 0 {
		next = old
	}
	return next.concealed(), nil
}

// Archive takes the item out of use. It takes edit.
func (s *Service) Archive(ctx context.Context, v Viewer, vaultID, itemID string, by audit.Entry) error {
	by.Action, by.Target = audit.ItemArchive, "item:"+itemID
	return s.Store.ArchiveItem(ctx, v, vaultID, itemID, by)
}

// RevealRequest asks for one value.
type RevealRequest struct {
	VaultID string
	ItemID  string
	Version int    // 0: the current one
	Field   string // name
	Action  string // Reveal, to be shown, or SecureCopy, to be copied unseen
	Client  Client
}

// Reveal returns a value, after the usage and the audit entry have been committed.
func (s *Service) Reveal(ctx context.Context, v Viewer, r RevealRequest, by audit.Entry) (seal.Secret, error) {
	switch r.Action {
	case Reveal:
		by.Action = audit.ItemReveal
	case SecureCopy:
		by.Action = audit.ItemCopy
	default:
		return seal.Secret{}, problem.InField("action", "%q is no way to use a value; there are %s and %s", r.Action, Reveal, SecureCopy)
	}
	stored, err := s.Store.Item(ctx, v, r.VaultID, r.ItemID, r.Version)
	if err != nil {
		return seal.Secret{}, err
	}
	i, err := s.open(stored)
	if err != nil {
		return seal.Secret{}, err
	}
	f, ok := i.Field(r.Field)
	if !ok {
		return seal.Secret{}, problem.New(problem.NotFound, "the item has no field %q in version %d", r.Field, i.Version)
	}
	by.Target = "item:" + i.ID
	if err := s.Store.UseItem(ctx, v, s.usage(v, i, r.Action, r.Client, by), by.Because("field "+f.Name)); err != nil {
		return seal.Secret{}, err
	}
	return seal.NewSecret(f.Value), nil
}

// History lists the versions of an item, the latest first.
func (s *Service) History(ctx context.Context, v Viewer, vaultID, itemID string) ([]Version, error) {
	return s.Store.ItemVersions(ctx, v, vaultID, itemID)
}

// Usages lists the latest uses of an item.
func (s *Service) Usages(ctx context.Context, v Viewer, vaultID, itemID string, limit int) ([]Usage, error) {
	return s.Store.ItemUsages(ctx, v, vaultID, itemID, limit)
}

func (s *Service) usage(v Viewer, i Item, action string, c Client, by audit.Entry) Usage {
	from := c.Client
	from.Address, from.UserAgent = cmp.Or(from.Address, by.Address), bounded(from.UserAgent)
	u := Usage{
		ID: seal.NewID(), At: s.now(), AccountID: v.AccountID, VaultID: i.VaultID, ItemID: i.ID, UserID: v.UserID, Version: i.Version,
		Action: action, SessionID: c.SessionID, Client: from,
	}
	if s.Places != nil {
		u.Location = s.Places.Locate(from.Address)
	}
	return u
}
