#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# soak.sh: what takes too long for `make test`: every test with the label soak, under ASan and in
# the release build, and unit tests under ThreadSanitizer. Ends with "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
suite() { # suite PRESET CTEST-ARGUMENTS...
    local preset=$1 log summary status
    shift
    echo "== $preset: ctest $*"
    log=build/$preset/ctest-soak.log
    if ! { cmake --preset "$preset" >/dev/null && cmake --build --preset "$preset"; }; then
        failed=$((failed + 1))
        return
    fi
    MOTET_BIN=$PWD/build/$preset/bin/motet ctest --test-dir "build/$preset" --output-on-failure --timeout 7200 "$@" 2>&1 |
        tee "$log"
    status=${PIPESTATUS[0]}
    summary=$(grep -E 'tests failed out of' "$log" | tail -1)
    if [[ $summary =~ ,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
        failed=$((failed + BASH_REMATCH[1]))
        passed=$((passed + BASH_REMATCH[2] - BASH_REMATCH[1]))
    elif [ "$status" -ne 0 ]; then
        failed=$((failed + 1))
    fi
}

scripts/install-deps.sh build test || exit 1
suite release -L '^soak$'
suite dev -L '^soak$'
suite tsan -L '^unit$'
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
