package vault

import (
	"time"

	"holdfast/internal/origin"
)

// Usage is one use of an item.
type Usage struct {
	ID        string
	At        time.Time
	AccountID string
	VaultID   string
	ItemID    string
	UserID    string
	UserName  string // when read; also of somebody who was removed
	Version   int    // that was used
	Action    string // one of the constants below
	SessionID string // may be empty
	Client    origin.Client
	Location  origin.Location // of the client's address, as far as it was known at the time
}

// What can be done with an item, as the Events API calls it. The other names that it knows are those of
// programs that keep copies, of which there are none.
const (
	Reveal       = "reveal"
	SecureCopy   = "secure-copy"
	ServerCreate = "server-create"
	ServerUpdate = "server-update"
)
