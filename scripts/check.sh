#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check.sh: what a tool can see of the style. Gates fail: format, SPDX lines, headers that do not
# compile alone, the heap outside base, paths of a machine. The size report only reports.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=0
gate() { # gate NAME: reads complaints, one per line
    local lines
    lines=$(cat)
    if [ -z "$lines" ]; then
        echo "ok    $1"
        return
    fi
    echo "FAIL  $1"
    echo "${lines//$'\n'/$'\n'      }" | sed '1s/^/      /'
    failed=$((failed + 1))
}

mapfile -t code < <(git ls-files -- '*.c' '*.h')
mapfile -t sources < <(git ls-files -- '*.c' '*.h' '*.cpp' '*.sh' '*.cmake' '*CMakeLists.txt' '*.py')

format() {
    clang-format --dry-run "${code[@]}" 2>&1 | grep -o '^[^ ]*: warning' | cut -d: -f1 | sort -u
}

spdx() {
    local file
    for file in "${sources[@]}"; do
        head -3 "$file" | grep -q 'SPDX-License-Identifier: Apache-2.0' || echo "$file"
    done
}

# Every header compiles alone, with what its module and those below it declare.
headers() {
    local header flags=()
    while read -r header; do
        flags+=("-I$header")
    done < <(git ls-files -- 'src/*/include/*.h' | sed 's,/include/.*,/include,' | sort -u)
    for header in $(git ls-files -- 'src/*.h'); do
        ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -fsyntax-only -x c -Wall -Wextra -Werror \
            -Wno-pragma-once-outside-header -I"$(dirname "$header")" "${flags[@]}" \
            -Itests -Ideps/llama/include -include "$header" /dev/null >/dev/null 2>&1 || echo "$header"
    done
}

# Memory goes through mt_alloc. What a library gives us to free carries "their heap".
heap() {
    grep -nE '(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|free|strdup|strndup|v?asprintf)\(' \
        $(git ls-files -- 'src/*.c' 'src/*.h' | grep -vE '^src/foundation/base/|/(tests|bench)/') |
        grep -v 'their heap' | grep -vE '^[^:]*:[0-9]+: *(/?\*|//)'
}

# Paths are built from the names that must not appear, or this file would be found.
machine_paths() {
    git grep -nE "(^|[^A-Za-z0-9_.])/(work|root|tmp/w)/" -- ':!scripts/check.sh' ':!*package-lock.json' |
        cut -c1-160
}

sizes() {
    awk '
        FNR == 1 { start = 0 }
        /LONG:/ { long_at = FNR; long_file = FILENAME }
        /^\{/ { start = FNR }
        /^\}/ && start {
            n = FNR - start
            count++
            if (n <= 15) small++
            if (n <= 40) medium++
            if (n > 70 && !(long_file == FILENAME && long_at >= start - 5))
                printf "      %s:%d: a function of %d lines\n", FILENAME, start, n
            start = 0
        }
        END {
            if (count)
                printf "      %d functions: %d %% within 15 lines, %d %% within 40\n", count,
                    100 * small / count, 100 * medium / count
        }' $(git ls-files -- 'src/*.c' | grep -v /tests/)
    wc -l $(git ls-files -- 'src/*.c' 'src/*.h' | grep -v /tests/) | awk '$1 > 700 && $2 != "total" {
        printf "      %s: %d lines\n", $2, $1 }'
}

format | gate "format (clang-format)"
spdx | gate "SPDX line in the first three"
headers | gate "headers compile alone"
heap | gate "no heap outside base"
machine_paths | gate "no path of a machine"
echo "size  (functions over 70 lines, files over 700)"
sizes
exit $((failed > 0))
