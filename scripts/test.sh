#!/usr/bin/env bash
# Every test, with the race detector, on SQLite and PostgreSQL, with a browser and the Node clients.
#
#   scripts/test.sh [PACKAGE | FLAG OF go test]…      default: ./...
#
# Installs what is missing with apt and npm where it may, starts a PostgreSQL server of its own
# (none if TEST_POSTGRES is set), and stops it at the end. A part that cannot be had is reported at
# the end; with CI=true it is a failure, and so is a skipped test, but for those of data of others.
# TIMEOUT (default 20m, per package) and P (packages at a time, default 3, since browsers are waited for) tune the run.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

json=$artifacts/go-test.json
result=$artifacts/test-result
mkdir -p "$artifacts"
rm -f "$json" "$result"

# Tests of data that others have made, which stands beside the repository or nowhere, as patterns of names.
optional='detect TestSigma[A-Za-z]*|signals TestSamples'

missing=()
lacks() { missing+=("$1: $2"); }

# --- what the tests need ---

if ! have go; then
  say 'go is not here; install Go 1.26 or newer' >&2
  exit 69
fi
cc=$(go env CC)
if ! have "${cc%% *}"; then
  apt_install gcc libc6-dev || lacks compiler "the race detector needs a C compiler: $why"
fi
have curl || apt_install curl || lacks curl "$why"

if [ -z "${TEST_POSTGRES:-}" ] && ! postgres_bin >/dev/null; then
  apt_install postgresql || lacks postgres "$why"
fi

browser() { have chromium || have chromium-browser || have google-chrome || have google-chrome-stable; }
if ! browser; then
  apt_install chromium || lacks chromium "$why"
fi

have python3 || apt_install python3 || lacks python "$why"

# node_modules is as the lock file says if the copy of that file which we leave in it is the same.
node_clients() {
  local dir=test/clients
  [ -e "$dir/package-lock.json" ] || return 0
  cmp -s "$dir/package-lock.json" "$dir/node_modules/.installed-lock.json" && return 0
  if ! have npm || ! have node; then
    apt_install nodejs npm || return 1
  fi
  # Checked here, since npm only warns and the tests would then fail in ways that say nothing.
  why=$(cd "$dir" && node -e '
    const want = require("./package.json").engines.node, v = s => s.match(/[0-9]+/g).map(Number)
    const [a, b] = v(process.versions.node), [c, d = 0] = v(want)
    if (a < c || (a === c && b < d)) console.log(`Node.js ${process.versions.node} is here, ${want} is needed`)')
  [ -z "$why" ] || return 1
  say "installing the Node clients: npm ci in $dir"
  if ! (cd "$dir" && npm ci --no-audit --no-fund) >"$artifacts/npm.log" 2>&1 </dev/null; then
    why="npm ci failed; the end of $artifacts/npm.log says: $(tail -n 1 "$artifacts/npm.log")"
    return 1
  fi
  cp "$dir/package-lock.json" "$dir/node_modules/.installed-lock.json"
}
node_clients || lacks npm "$why"

# --- the run ---

if in_ci; then
  export HOLDFAST_TEST_REQUIRE=postgres,chromium,npm,python
fi

trap postgres_stop EXIT
if [ -n "${TEST_POSTGRES:-}" ]; then
  say 'PostgreSQL: the server of TEST_POSTGRES'
elif ! postgres_bin >/dev/null; then
  : # reported as missing above
elif postgres_start; then
  say "PostgreSQL: $("$pg_bin/postgres" --version), throw-away, fsync ${HOLDFAST_TEST_POSTGRES_FSYNC:-off}"
else
  lacks postgres "$why"
fi

# Those that take minutes begin first, or one of them would run alone at the end.
if [ $# -eq 0 ]; then
  for long in internal/server internal/console cmd/holdfast internal/store internal/signin; do
    [ ! -d "$long" ] || set -- "$@" "./$long"
  done
  set -- "$@" ./...
fi

# The race detector looks at all code but at SQLite and the C library below it, which are C made into Go:
# their memory is not the heap of Go, so it would see nothing there, and takes two thirds of the time of
# tests with a database. What we hand to the driver, which is Go, is looked at.
race=(-race -gcflags=modernc.org/sqlite/lib=-race=false -gcflags=modernc.org/libc/...=-race=false)
# A program with the race detector sleeps for a second before it ends, and tests start hundreds of them.
export GORACE="atexit_sleep_ms=50${GORACE:+ $GORACE}"

# vet is one of the checks of make check. No result is taken from the cache: files, servers and
# clients that a test uses are not all known to it.
status=0
run_group go tool -modfile=tools.mod gotestsum --format pkgname --format-hide-empty-pkg --jsonfile "$json" \
  -- "${race[@]}" -count=1 -vet=off -p "${P:-3}" -timeout "${TIMEOUT:-20m}" "$@" || status=$?
postgres_stop
if [ "$status" -gt 128 ]; then
  say "interrupted; what was started is stopped"
  exit "$status"
fi

# --- what came of it ---

# results ACTION prints "package test" for each test that ended so. The fields of a line of
# go test -json come in one order, and quotes within a value are escaped.
results() {
  [ -e "$json" ] || return 0
  sed -n 's/^{"Time":"[^"]*","Action":"'"$1"'","Package":"\([^"]*\)","Test":"\(.*\)","Elapsed":[^"]*}$/\1 \2/p' "$json"
}
passed=$(results pass | wc -l | tr -d ' ')
failures=$(results fail | wc -l | tr -d ' ')
skips=$(results skip)
skipped=0
[ -z "$skips" ] || skipped=$(printf '%s\n' "$skips" | wc -l | tr -d ' ')

say
if [ "$status" -ne 0 ] && [ "$failures" -eq 0 ]; then
  failures=1 # a package that did not compile, or ended outside a test
fi
if [ "$passed" -eq 0 ] && [ "$failures" -eq 0 ]; then
  say 'NO TEST RAN'
  failures=1
fi
if [ "$skipped" -gt 0 ]; then
  say "SKIPPED: $skipped tests (the reasons are above)"
  printf '%s\n' "$skips" | sed 's/^/  /'
  # Data of others is not in the repository; where it does not stand beside it, what needs it cannot run.
  # grep counts, and says 1 when it has counted nothing.
  required=$(printf '%s\n' "$skips" | grep -Evc "^holdfast/internal/($optional)(/|$)" || true)
  if in_ci && [ "$required" -gt 0 ]; then
    say "With CI=true nothing that is required may be skipped: $required of them count as failed."
    failures=$((failures + required))
  fi
fi
if [ ${#missing[@]} -gt 0 ]; then
  say "MISSING on this machine, so not tested:"
  printf '  %s\n' "${missing[@]}"
  if in_ci; then
    failures=$((failures + ${#missing[@]}))
  fi
fi
line="$passed passed, $failures failed"
[ "$skipped" -eq 0 ] || in_ci || line="$line, $skipped skipped"
say "$line" | tee "$result"
[ "$failures" -eq 0 ]
