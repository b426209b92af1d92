package vault

import (
	"context"

	"holdfast/internal/audit"
)

// Store is what this package needs from a database.
//
// Methods are atomic and safe for concurrent use, also by several processes. One that changes something
// is durable once it returns, and writes the audit entry, and the usage if there is one, in the same
// transaction. Each looks up the viewer's access by itself, as of that transaction. A vault that the viewer
// may not see, and an item that is archived or not in it, is a problem of kind NotFound. What takes more
// access than the viewer has is a problem of kind Forbidden and leaves the entry, with [audit.Refused].
type Store interface {
	// Vaults lists the vaults that the viewer may see, by name.
	Vaults(ctx context.Context, v Viewer) ([]Vault, error)
	Vault(ctx context.Context, v Viewer, id string) (Vault, error)

	// CreateVault makes the vault; the viewer and the Owners get a manage grant. A viewer who is not
	// active is a problem of kind Forbidden.
	CreateVault(ctx context.Context, v Viewer, n Vault, by audit.Entry) error
	UpdateVault(ctx context.Context, v Viewer, id, name, description string, by audit.Entry) error

	// DeleteVault takes manage. While there are items that are not archived it is a problem of kind Conflict.
	DeleteVault(ctx context.Context, v Viewer, id string, by audit.Entry) error

	// Grants lists those of people and groups that are there, groups first, each by name.
	Grants(ctx context.Context, v Viewer, id string) ([]Grant, error)

	// SetGrant and RemoveGrant take manage. A grantee that the account does not have is a problem of kind
	// Invalid. What would take the last manage grant is refused with a problem of kind Conflict. If it is
	// so already, nothing changes and no entry is written.
	SetGrant(ctx context.Context, v Viewer, id, grantee string, access Access, by audit.Entry) error
	RemoveGrant(ctx context.Context, v Viewer, id, grantee string, by audit.Entry) error

	// Items lists items by title.
	Items(ctx context.Context, v Viewer, vaultID string, q ItemQuery) ([]SealedSummary, error)

	// Item returns the item at the version, or the current one for 0. Title and link are those of the
	// current version.
	Item(ctx context.Context, v Viewer, vaultID, itemID string, version int) (SealedItem, error)

	// SaveItem takes edit.
	SaveItem(ctx context.Context, v Viewer, i SealedItem, u Usage, by audit.Entry) error

	// UpdateItem takes edit, and makes the item's version the current one if the version before it is.
	// If not, it is a problem of kind Conflict. If nothing is named as changed, nothing changes.
	UpdateItem(ctx context.Context, v Viewer, i SealedItem, changed []string, u Usage, by audit.Entry) error

	// ArchiveItem takes edit.
	ArchiveItem(ctx context.Context, v Viewer, vaultID, itemID string, by audit.Entry) error

	// UseItem records the usage of the version named in it.
	UseItem(ctx context.Context, v Viewer, u Usage, by audit.Entry) error

	// ItemVersions and ItemUsages begin with the latest.
	ItemVersions(ctx context.Context, v Viewer, vaultID, itemID string) ([]Version, error)
	ItemUsages(ctx context.Context, v Viewer, vaultID, itemID string, limit int) ([]Usage, error)

	// ItemsLinkedTo lists, of all vaults that the viewer may see, the items with the link, the one changed
	// last first.
	ItemsLinkedTo(ctx context.Context, v Viewer, link string) ([]SealedLinked, error)
}

// ItemQuery selects items of a vault.
type ItemQuery struct {
	Search string // part of the title, as Key makes it; empty for all
	After  string // id of the last item of the page before; empty for the first
	Limit  int
}

// SealedItem is an item as it is kept, its fields sealed.
type SealedItem struct {
	Item             // without fields
	Sealed    []byte // the fields of the version
	Subtitled []byte // the subtitle, sealed apart, so that lists need not open whole items; nil for none
}

// SealedSummary is an item in a list, its subtitle sealed.
type SealedSummary struct {
	Summary
	Version   int
	Subtitled []byte
}

// SealedLinked is a linked item, its subtitle sealed.
type SealedLinked struct {
	Vault Vault
	Item  SealedSummary
}
