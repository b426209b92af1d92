// Package problem defines the few kinds of error that Holdfast tells its callers about, and the
// forms in which each protocol wants to hear them.
//
// A domain returns a problem.Error with a Kind; the endpoint picks the Form. An error that is not
// a problem.Error is a fault: the caller hears "internal error" and nothing else, the log hears
// everything.
//
//	Kind              HTTP  google.rpc            RFC 6749 §5.2
//	Invalid           400   3  INVALID_ARGUMENT   invalid_request
//	Unauthenticated   401   16 UNAUTHENTICATED    invalid_client
//	Forbidden         403   7  PERMISSION_DENIED  unauthorized_client
//	NotFound          404   5  NOT_FOUND          invalid_request
//	MethodNotAllowed  405   12 UNIMPLEMENTED      invalid_request
//	Conflict          409   6  ALREADY_EXISTS     invalid_request
//	TooLarge          413   3  INVALID_ARGUMENT   invalid_request
//	Unsupported       415   3  INVALID_ARGUMENT   invalid_request
//	TooMany           429   8  RESOURCE_EXHAUSTED temporarily_unavailable
//	Internal          500   13 INTERNAL           server_error
//	Unavailable       503   14 UNAVAILABLE        temporarily_unavailable
package problem
