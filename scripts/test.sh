#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test.sh: build the dev preset (ASan, UBSan), run every test but benchmarks and soaks, then
# tests/e2e/run.sh. The last line is "N passed, N failed"; the exit status is 0 when none failed.
# A script of e2e ends with such a line too; without one it counts as one case.
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" -eq 0 ]
    exit
}

step() { # step WORDS COMMAND...: a step that everything behind it needs
    local words=$1
    shift
    echo "== $words"
    "$@" || {
        failed=$((failed + 1))
        finish
    }
}

step "what the tests need" scripts/install-deps.sh build test
step "configure" cmake --preset dev
step "build" cmake --build --preset dev

echo "== unit tests"
log=build/dev/ctest.log
ctest --test-dir build/dev -LE '^(bench|soak)$' --output-on-failure --no-tests=error \
    -j"$(nproc)" --timeout 600 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
# "98% tests passed, 2 tests failed out of 100"
summary=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -1)
if [[ $summary =~ ,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
    failed=${BASH_REMATCH[1]}
    passed=$((BASH_REMATCH[2] - failed))
fi
if [ "$status" -ne 0 ] && [ "$failed" -eq 0 ]; then
    failed=1
fi

if [ -x tests/e2e/run.sh ]; then
    echo "== end to end"
    log=build/dev/e2e.log
    tests/e2e/run.sh 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    if [[ $(tail -1 "$log") =~ ([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1]))
        failed=$((failed + BASH_REMATCH[2]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || failed=$((failed + 1))
    elif [ "$status" -eq 0 ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
fi
finish
