package vault

import "time"

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
	Address   string
	UserAgent string
	SessionID string // may be empty
}

// What can be done with an item, as the Events API calls it. The other names that it knows are those of
// programs that keep copies, of which there are none.
const (
	Reveal       = "reveal"
	SecureCopy   = "secure-copy"
	ServerCreate = "server-create"
	ServerUpdate = "server-update"
)
