package seal

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"holdfast/internal/problem"
)

// WebhookPrefix begins a symmetric secret of Standard Webhooks (specification 1.0); what follows is the key in base64.
const WebhookPrefix = "whsec_"

// NewWebhookSecret makes a secret that two sides sign deliveries with.
func NewWebhookSecret() Secret {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails, says its documentation
	return NewSecret(WebhookPrefix + base64.StdEncoding.EncodeToString(key[:]))
}

// CheckWebhookSecret refuses a text that is no secret of that form, naming the field and not repeating the text. A key
// has 24 to 64 bytes, as the specification wants it.
func CheckWebhookSecret(field string, s Secret) error {
	text, ok := strings.CutPrefix(s.Reveal(), WebhookPrefix)
	key, err := base64.StdEncoding.DecodeString(text)
	switch {
	case !ok || err != nil:
		return problem.InField(field, "the secret of a webhook is %s and a key in base64", WebhookPrefix)
	case len(key) < 24 || len(key) > 64:
		return problem.InField(field, "the key in the secret has %d bytes; it must have 24 to 64", len(key))
	}
	return nil
}

// MarkWebhook is the signature of a delivery: HMAC-SHA256 over id, timestamp (seconds since 1970) and body, with dots
// between them. In the header webhook-signature it stands in base64 behind "v1,".
func MarkWebhook(s Secret, id, timestamp string, body []byte) [sha256.Size]byte {
	h := hmac.New(sha256.New, webhookKey(s))
	for _, part := range [...][]byte{[]byte(id), {'.'}, []byte(timestamp), {'.'}, body} {
		_, _ = h.Write(part) // never fails
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// webhookKey is the key of a secret that was made here, or checked.
func webhookKey(s Secret) []byte {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s.Reveal(), WebhookPrefix))
	if err != nil {
		return []byte(s.Reveal()) // of no sender: nobody else has it
	}
	return key
}
