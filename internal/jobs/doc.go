// Package jobs is durable work that follows from a change: River behind a small interface, on both
// databases.
//
// A job is enqueued in the transaction of its cause. If that commits, the job will run, also after a
// crash; if not, it never was. A job may run more than once, so handlers must converge: the second
// run of a job that has taken effect changes nothing.
//
// Retries back off by River's policy; what can never succeed is given up with [Discard]. A job whose
// process died is taken over by another after [rescueAfter].
//
// The kind of a job is a stable name such as "directory.release_hold": jobs of an older version are
// still in the database after an upgrade.
package jobs
