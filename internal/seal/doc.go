// Package seal keeps secrets at rest and out of sight.
//
//	Secret      a text that does not print, log or marshal
//	Credential  a random text that is shown once and stored as its hash: client secret, token, link
//	Webhook     a text that two sides know, and the signature of deliveries that they make with it
//	Master      the key of the installation, outside the database; it wraps the keyring and nothing else
//	Keyring     the keys that do the work, inside the database, wrapped by the master key
//
// Sealing binds the identity of the record as associated data: a sealed value that is moved to another
// row does not open. The keyring is Tink's: AES-256-GCM to seal, HMAC-SHA256 to mark. Rotating adds a
// key that is used from then on; what the older keys sealed and marked stays good.
//
// What must never happen: a key or secret in a log, an error or a message; a master key file that
// others can read; a server that starts with another master key than its database was made with.
package seal
