// Package eventsapi is a client of the Events API: sign-in attempts, uses of items, and what was done in
// an account, as they happen. It works against Holdfast and against 1Password, whose API has the same wire
// contract (v2), and depends on the standard library only.
//
//	client, err := eventsapi.New(eventsapi.Config{
//		Token:     os.Getenv("HOLDFAST_EVENTS_TOKEN"),
//		UserAgent: "AcmeSIEM/4.0",
//	})
//	…
//	from := eventsapi.Position{Cursor: kept, Start: time.Now().AddDate(0, 0, -7)}
//	for page, err := range client.FollowSignInAttempts(ctx, from) {
//		…
//	}
//
// Make one [Client] for each events token and share it: it is safe for concurrent use.
//
// # Positions
//
// A stream is read in pages. Each [Page] comes with a cursor, and a [Position] with that cursor continues
// exactly behind the page, after a restart and after a year. Keep the cursor in the transaction that
// keeps the events, and no event is lost or taken twice. The server keeps the limit and the end that the
// reading began with; to change them, begin again with a Position that has no cursor.
//
// # Followers
//
// A follower asks for what comes next as soon as it has a page, and at the end of the stream it waits.
// Where the server can, the server does the waiting: the request says so with a Prefer header (RFC 7240,
// wait), the answer comes with the next event, and says with Preference-Applied that it was meant so.
// A server that does not know that answers at once, and is asked again every [Config.PollInterval]. A
// request that failed is repeated without that header, so a proxy that cuts long answers off makes
// events late, and loses none.
//
// # Events
//
// An event has the fields that the contract names, and Raw, which is all that the server said. Names of
// categories, types and actions are texts that may be others than the constants here: servers learn new ones.
//
// # Errors
//
// Every error of reading is an [*Error], which says what the server answered. Test for the cases that a
// program acts on with [errors.Is]:
//
//	ErrUnauthorized   the token was revoked, has expired, or does not cover this stream
//	ErrInvalid        the position is not one of this server, or not a possible one
//	ErrRateLimited    still 429 after all tries; see RetryAfter of the error
//	ErrUnavailable    no answer, or 5xx, after all tries
//
// Requests that met 429, a 5xx or a broken connection are repeated, with pauses that double from half a
// second to [Config.MaxRetryWait] and vary at random, or as long as Retry-After asks. A single reading gives
// up after 5 tries, or if asked to wait longer than MaxRetryWait; a follower never does, unless
// [Config.MaxRetries] is set. The context bounds everything and ends a follower; pauses that its deadline
// would cut short are not begun.
//
// # What it never does
//
// It sends the token to no other address than BaseURL: redirects are not followed, and plain HTTP is
// refused except on the loopback address. It shows the token in no error, no log line and no formatting
// verb. It checks no signature: what [Claims] says is for convenience, and trust is for the server. It
// reads no more than 32 MiB of any answer, and sends nothing that has no time limit.
package eventsapi
