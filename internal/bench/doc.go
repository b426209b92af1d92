// Package bench measures Holdfast on the machine at hand, beside a floor: a bare net/http server on a
// copy of the same database, which answers the same requests with the same JSON and does nothing that
// is not needed for that. The ratio of the two is worth more than either figure, since it says what
// Holdfast itself costs, on whatever machine, and since the two are measured in turns of a second: what
// else runs on the machine slows both down.
//
//	orchestrator ──orders──► load ──16 connections, loopback──► serve-holdfast
//	      │                                └──────────────────► serve-floor
//	      └─ makes the data, starts the three, takes the median of the rounds
//
// Each of the four is a process: this program runs itself with hidden commands ([ServeHoldfast],
// [ServeFloor], [Load]). A child reads its settings from standard input, so that no secret is in a list
// of arguments, answers on standard output, one JSON value a line, and ends when its input does.
//
// Pages of the console ([Console]) are measured inside one process, one request after the other, since
// their time is the question and not how many there are: the served Holdfast, a floor that renders a
// page of the same length without a database, and a browser with the owner's session.
//
// # What keeps it honest
//
//   - Every answer is checked: status, size, and whether it says what was asked for. One that is wrong
//     ends the benchmark.
//   - Every write changes a row: only people who are active are suspended, and between the rounds,
//     unmeasured, they are reactivated.
//   - The generator does little (requests ready made, answers searched and not parsed), because its time
//     counts as much on both sides and would bring the ratio closer to 1.
//   - The served Holdfast is the whole server with its defaults: audit log, jobs, limits, metrics, and its
//     log written to a file.
//   - The floor keeps the same promises about the disk: suspending is synced before the answer, issuing
//     a token is not.
//
// This package must never open a database that it has not made.
package bench
