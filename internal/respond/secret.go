package respond

import "holdfast/internal/seal"

// Secret is what a target or a channel is called with. Pages hand on what was typed, and have nothing to do with sealing.
type Secret = seal.Secret

// NewSecret takes a text that must not be printed from here on.
func NewSecret(text string) Secret { return seal.NewSecret(text) }
