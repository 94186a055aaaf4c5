#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# fuzz.sh [SECONDS [TARGET...]]: build the fuzz preset with clang and let every target look for
# new inputs, 60 seconds each. Finds go to build/fuzz/corpus; a crash ends it and is kept there.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=${1:-60}
shift || true
scripts/install-deps.sh build fuzz
cmake --preset fuzz >/dev/null
cmake --build --preset fuzz
targets=("$@")
[ ${#targets[@]} -gt 0 ] || mapfile -t targets < <(cd build/fuzz/bin && ls -d fuzz_*)
for target in "${targets[@]}"; do
    name=${target#fuzz_}
    found=build/fuzz/corpus/$name
    mkdir -p "$found"
    seeds=()
    [ -d "fuzz/corpus/$name" ] && seeds=("fuzz/corpus/$name")
    echo "== fuzz_$name, $seconds s"
    "build/fuzz/bin/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 -verbosity=0 \
        -rss_limit_mb=2048 -artifact_prefix="$found/" "$found" "${seeds[@]}"
done
