// Package signin lets people in: passkeys, passwords with one-time codes, single sign-on; and keeps the
// sessions that follow.
//
// # Ways in
//
//	set-up link   once, 24 hours; the first passkey or password is made with it
//	passkey       discoverable, user verified; both factors in one
//	password      argon2id; then a one-time code (TOTP) or a recovery code where one is set up
//	single sign-on  OpenID Connect, code flow with PKCE, state and nonce; only for accounts that set it up
//
// Whatever the way, the end is the same: the person is looked at again inside the transaction that makes
// the session, so that who is suspended or removed does not get in, however the race ends. A try is
// recorded as a sign-in [Attempt] in the Events API's vocabulary, also when it fails or is refused.
//
// # What an answer tells
//
// Nothing about which e-mail exists: an unknown one costs the same hash, gets the same words and the same
// status. Which factor was wrong is told to nobody but the account's own log.
//
// Each person with the e-mail costs one hash. An e-mail that is used in several accounts therefore takes
// longer than an unknown one; in an installation with one account that cannot happen.
//
// # Tickets
//
// What lies between two requests (a password shown and a code awaited, a passkey asked for, a browser sent
// to an OpenID provider, a form parked) is in the database, sealed, behind a [Ticket]. A ticket is taken
// before it is looked at, so that of two requests with the same one only one goes on; a wrong code puts it
// back, four times.
//
// # Who must set up a code
//
// If the account asks for one-time codes and somebody signs in by password without having one, her session
// has the role [Enrolling] and no other, until she has. Pages that are declared for members refuse her.
//
// # Sessions
//
// A session is a row. The cookie carries a random credential, of which the row has the hash. A session
// ends by signing out, by idleness, at its absolute end, when it is ended by hand, and in the transaction
// that suspends or removes its person. Each sign-in makes a new one; a session never changes hands.
//
// # Fresh authentication
//
// What could do lasting harm asks for an authentication of at most five minutes ago ([FreshFor]). Signing
// in counts; after that the person confirms with any way in that she has, which moves ConfirmedAt of the
// same session.
//
// # Firewall rules
//
// Rules deny or report sign-ins by where they come from; the first that matches decides. They are read in the
// transaction that stores the attempt, so that none is older than the session it allowed, and looked at last: who
// is denied has shown the right credentials, none of which are used up, and is told so. Whoever shows wrong
// ones hears what is always heard; only the account's own log says that a rule would have denied her.
// A reported sign-in makes no address known.
//
// # Slowing down who guesses
//
// Failures are counted per person and per address, in the database, so that many servers are no more
// tries. A person's counter slows unknown addresses only: from where she signed in during the last thirty
// days she is never made to wait for what others do. Passkeys are not slowed, nothing can be guessed there.
package signin
