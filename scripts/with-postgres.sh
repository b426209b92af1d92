#!/usr/bin/env bash
# Runs a command with TEST_POSTGRES set to the URL of a throw-away PostgreSQL server.
#
#   scripts/with-postgres.sh go test ./internal/store/...
#
# The server listens on a free loopback port, keeps its data in a temporary folder, and is stopped
# when the command ends, however it ends. HOLDFAST_TEST_POSTGRES_FSYNC=on makes its writes reach the
# disk. The exit status is that of the command, or 69 if no server could be started.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

if [ $# -eq 0 ]; then
  say 'usage: scripts/with-postgres.sh COMMAND [ARGUMENT…]' >&2
  exit 64
fi
trap postgres_stop EXIT
if ! postgres_start; then
  say "with-postgres: $why" >&2
  exit 69
fi
status=0
run_group "$@" || status=$?
exit "$status"
