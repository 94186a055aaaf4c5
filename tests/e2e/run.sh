#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh [FILE.test.mjs ...] - end-to-end tests: official clients against a running node. Ends
# with one line "e2e: N passed, N failed". MOTET_BIN names the program (default: the dev build).
set -euo pipefail
cd "$(dirname "$0")/../.."

scripts/test-deps.sh
export MOTET_BIN=${MOTET_BIN:-$PWD/build/dev/bin/motet}
[ -x "$MOTET_BIN" ] || { echo "e2e: $MOTET_BIN is not there: build first" >&2; exit 1; }

files=("$@")
[ ${#files[@]} -gt 0 ] || files=(tests/e2e/*.test.mjs)
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# A pipe would hide the exit status. The deadline is for a file that hangs, on a busy machine too:
# a test that waits has its own.
status=0
deps/node22/bin/node --disable-warning=ExperimentalWarning --test --test-concurrency=2 \
    --test-timeout=600000 --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$log" "${files[@]}" || status=$?
passed=$(awk '/^# pass /{n = $3} END {print n + 0}' "$log")
failed=$(awk '/^# (fail|cancelled) /{n += $3} END {print n + 0}' "$log")
echo "e2e: $passed passed, $failed failed"
[ "$status" -eq 0 ] && [ "$failed" -eq 0 ]
