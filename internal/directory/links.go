package directory

import (
	"time"

	"holdfast/internal/seal"
)

// LinkPrefix is how a leaked set-up link is recognised.
const LinkPrefix = "hfl"

// LinkLife is how long a set-up link can be used.
const LinkLife = 24 * time.Hour

// NewLink makes the secret of a one-time link by which a person sets up signing in, and the hash that
// is stored.
func NewLink() (seal.Secret, seal.Hash) { return seal.NewCredential(LinkPrefix) }

// ParseLink returns the hash of a link's secret, which came from outside.
func ParseLink(text string) (seal.Hash, error) { return seal.ParseCredential(LinkPrefix, text) }

// SetupLink is a one-time link to store.
type SetupLink struct {
	Hash      seal.Hash
	ExpiresAt time.Time
}
