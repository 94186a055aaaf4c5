#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test.sh: build the dev preset (ASan, UBSan) and run every test but benchmarks and soaks; those
# of rooms with threads run under ThreadSanitizer as well; then tests/e2e/run.sh, which ends with
# "N passed, N failed" too, or counts as one case. The last line is the sum of all in these
# words, the exit status is 0 when none failed.
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

suite() { # suite PRESET CTEST-ARGUMENTS...: run tests, add to passed and failed
    local preset=$1 log status summary bad=0
    shift
    log=build/$preset/ctest.log
    ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j"$(nproc)" \
        --timeout 600 "$@" 2>&1 | tee "$log"
    status=${PIPESTATUS[0]}
    # "98% tests passed, 2 tests failed out of 100"
    summary=$(grep -E 'tests passed, [0-9]+ tests failed out of [0-9]+' "$log" | tail -1)
    if [[ $summary =~ ,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        bad=${BASH_REMATCH[1]}
        passed=$((passed + BASH_REMATCH[2] - bad))
    fi
    if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
        bad=1
    fi
    failed=$((failed + bad))
}

step "what the tests need" scripts/install-deps.sh build test
step "configure" cmake --preset dev
step "build with ASan and UBSan" cmake --build --preset dev

echo "== unit tests, replayed inputs"
suite dev -LE '^(bench|soak)$'

# The rooms that have threads; the others know of none.
step "configure" cmake --preset tsan
step "build with ThreadSanitizer" cmake --build --preset tsan
echo "== unit tests of rooms with threads"
# Exams of the shipped embedder are held above; here they take minutes and show no other thread.
suite tsan -L '/(system|net|local|ledger|gateway|train)$' -E '^test_(embed_shipped|embed_exam)$'

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
