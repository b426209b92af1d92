// Package oauth lets security platforms in: OAuth applications, their secrets, access tokens, and
// the endpoints of the client-credentials grant (RFC 6749 §4.4), revocation (RFC 7009), introspection
// (RFC 7662) and metadata (RFC 8414).
//
// In the console and on the command line the thing that an administrator makes is an OAuth
// application; in the protocol it is a [Client].
//
// # States
//
//	application  live → revoked (final)
//	secret       live → ending (a time is set, at rotation) → dead; at most two are not dead
//	token        live for 900 s, less if revoked
//
// A token is worth something while itself, the secret it was issued for, and the application are
// alive, all read from the database at each request. So revoking any of them takes effect at once,
// on every server.
//
// # Scopes
//
// On the wire the scope of a token is always "openid", as the contract has it. What an application
// may do is a property of the application and is read at each request too; dropping a scope works on
// tokens that are out.
//
// # Secrets
//
// Secrets and tokens carry 256 random bits and are stored as SHA-256. A slow hash would protect
// passwords, which can be guessed; these cannot, and the server can check thousands a second.
package oauth
