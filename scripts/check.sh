#!/usr/bin/env bash
# Every check that needs no running server: one line per check, the findings below it, all of them
# even when one fails. Exit status 1 if any failed.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

failed=0
skipped=0

# check NAME COMMAND… runs one check. It passes with status 0; 75 means that it could not be made.
check() {
  local name=$1 out status=0 began=$SECONDS
  shift
  out=$("$@" 2>&1) || status=$?
  case $status in
    0) printf 'ok    %-12s %3ds\n' "$name" $((SECONDS - began)) ;;
    75)
      printf 'SKIP  %-12s %3ds  %s\n' "$name" $((SECONDS - began)) "$out"
      skipped=$((skipped + 1))
      ;;
    *)
      printf 'FAIL  %-12s %3ds\n' "$name" $((SECONDS - began))
      printf '%s\n' "$out" | sed 's/^/      /'
      failed=$((failed + 1))
      ;;
  esac
}

tool() { go tool -modfile=tools.mod "$@"; }

# The tracked files with this ending, and the new ones that are not ignored.
files() { git ls-files --cached --others --exclude-standard -- "$@" | sort -u; }

formatted() {
  local list found
  list=$(files '*.go') || return 1 # without git there is no list, and no answer
  # One that was removed is in the list until the removal is committed.
  found=$(printf '%s\n' "$list" | while IFS= read -r f; do [ ! -e "$f" ] || printf '%s\0' "$f"; done | xargs -0 gofmt -l 2>&1)
  [ -z "$found" ] || {
    say "$found"
    say 'not formatted; run: gofmt -w on them'
    return 1
  }
}

modernized() {
  go fix -diff ./... || {
    say 'go fix can modernize the code above; run: go fix ./...'
    return 1
  }
}

tidy() {
  local out
  out=$(go mod tidy -diff 2>&1) || {
    printf '%s\n' "$out" | sed -n 1,40p # go.sum follows from go.mod, whose part comes first
    say 'go.mod or go.sum is not tidy; run: go mod tidy'
    return 1
  }
}

# govulncheck ends with 3 when the code reaches a known vulnerability, and with 1 for anything that
# keeps it from looking. Only one such thing is let pass: that its database cannot be had.
vulnerabilities() {
  local out status=0
  out=$(tool govulncheck -test ./... 2>&1) || status=$?
  if [ "$status" -eq 1 ] && printf '%s\n' "$out" | grep -q '^govulncheck: fetching vulnerabilities: '; then
    say "not checked, since the vulnerability data cannot be reached: ${out##*govulncheck: fetching vulnerabilities: }"
    return 75
  fi
  [ "$status" -eq 0 ] || say "$out"
  return "$status"
}

scripts() {
  local f list status=0
  list=$(files '*.sh' .ci/run) || return 1
  while IFS= read -r f; do
    bash -n "$f" || status=1
    [ -x "$f" ] || [ "$f" = scripts/lib.sh ] || {
      say "$f: not executable; run: chmod +x $f"
      status=1
    }
  done <<<"$list"
  return "$status"
}

# The rules of repo_test.go that need nothing but a look at the files; make test runs all of them.
rules() { go test -count=1 -vet=off -run '^(TestRules|TestRepository)$' .; }

check gofmt formatted
check vet go vet ./...
check fix modernized
check staticcheck tool staticcheck ./...
check govulncheck vulnerabilities
check scripts scripts
check modules go mod verify
check tidy tidy
check repository rules

say
if [ "$failed" -gt 0 ]; then
  say "make check: $failed failed"
  exit 1
fi
[ "$skipped" -eq 0 ] || say "make check: $skipped could not be made here, see SKIP above"
say 'make check: all passed'
