#!/usr/bin/env bash
# Runs each fuzz target for FUZZTIME (default 20s). A failing input is left in testdata/fuzz/ of its
# package, where it stays as a test case.
#
#   scripts/fuzz.sh [PATTERN]      only targets whose "folder name" matches the regular expression
set -euo pipefail
. "$(dirname "$0")/lib.sh"

ran=0
failed=()
while IFS=: read -r file name; do
  target="./$(dirname "$file") $name"
  printf '%s\n' "$target" | grep -qE -- "${1:-.}" || continue
  ran=$((ran + 1))
  say "--- $target, ${FUZZTIME:-20s}"
  go test -vet=off -run '^$' -fuzz "^$name\$" -fuzztime "${FUZZTIME:-20s}" "./$(dirname "$file")" </dev/null || failed+=("$target")
done < <(git ls-files --cached --others --exclude-standard -- '*_test.go' | sort -u |
  xargs grep -oHE '^func Fuzz[A-Za-z0-9_]*' /dev/null | sed 's/:func /:/')

if [ "$ran" -eq 0 ]; then
  say "no fuzz target${1:+ matches $1}"
  exit 1
fi
if [ ${#failed[@]} -gt 0 ]; then
  say "${#failed[@]} of $ran fuzz targets failed:"
  printf '  %s\n' "${failed[@]}"
  exit 1
fi
say "$ran fuzz targets, none failed"
