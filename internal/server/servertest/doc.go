// Package servertest holds what tests of the server share.
//
// [Contract] stands between a test and the server and compares both sides of every exchange with the
// documents in docs/openapi. Wrap the handler once, where the test server is made:
//
//	srv := httptest.NewServer(servertest.Contract(t, handler))
//
// and the test fails on any answer that the document of the path does not promise: a status that is
// not declared, a member too many, a header that is missing. No document can drift from the code while
// tests pass.
//
// What is compared:
//
//	answer   always: status, media type, schema, required headers; no body where none is declared
//	request  if it was answered 2xx: path, parameters, form, presence of the right credentials;
//	         a request that was refused need not be right
//	method   one that the document does not have must be refused, in the form of the path's errors
//	path     one that no document has is none of our business
//
// [Start] starts a server that really listens, behind Contract, with a database of its own. When it
// ends, everything it has written is searched for the credentials that were issued ([Secrets]): its
// log, its error answers, the audit export, the database as the disk has it. So every test of the
// server is also a test that no credential leaks.
package servertest
