#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check.sh: what a tool can see of the style, on the sources and on build/release. Gates fail;
# the two reports at the end (sizes, functions nobody uses) are a reason to look.
set -uo pipefail
shopt -s lastpipe # gate counts in this shell, not in one of its own
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
    git ls-files -- 'src/*.h' | xargs -P "$(nproc)" -I{} sh -c 'header=$1; shift
        "$@" -I"$(dirname "$header")" -I"$(dirname "$header")/.." -include "$header" /dev/null >/dev/null 2>&1 ||
            echo "$header"' sh {} "${CC:-cc}" -std=gnu17 -D_GNU_SOURCE -fsyntax-only -x c -Wall \
        -Wextra -Werror -DMT_HAVE_LLAMA=1 "${flags[@]}" -Itests -isystem deps/llama/include
}

# clang's warnings on every file that the build has, tests and benchmarks too.
other_compiler() {
    python3 scripts/clang_check.py build/release
}

# Memory goes through mt_alloc; decisions see no clock. Objects cannot lie.
imports() {
    scripts/check_imports.sh build/release
}

# The same in words, for files that this build leaves out.
heap() {
    grep -nE '(^|[^A-Za-z0-9_.>])(malloc|calloc|realloc|free|strdup|strndup|v?asprintf)\(' \
        $(git ls-files -- 'src/*.c' 'src/*.h' | grep -vE '^src/foundation/base/|/(tests|bench)/') |
        grep -v 'their heap' | grep -vE '^[^:]*:[0-9]+: *(/?\*|//)'
}

# Paths of a machine, and work that was put off. This file has to name them.
words() {
    git grep -nE "(^|[^A-Za-z0-9_.])/(work|root|tmp/w)/" -- ':!scripts/check.sh' \
        ':!*package-lock.json' | cut -c1-160
    git grep -nwE 'TODO|FIXME|XXX' -- ':!scripts/check.sh' ':!*package-lock.json' \
        ':!fuzz/corpus' | cut -c1-160
}

# A file over 1 MB needs a word in the README beside it.
big_files() {
    local file
    git ls-files -z | xargs -0 find 2>/dev/null -size +1024k -type f | while read -r file; do
        grep -qF "$(basename "$file")" "$(dirname "$file")/README.md" 2>/dev/null ||
            echo "$file: no word of it in $(dirname "$file")/README.md"
    done
}

# A function that other files can see and none uses: static ("its own file") or dead.
lonely() {
    find build/release/src build/release/bench build/release/fuzz -name '*.o' -print0 |
        xargs -0 nm -A -g | awk '
            { file = $1; sub(/:.*/, "", file); tests = file ~ "/(tests|fuzz)/" }
            $(NF - 1) == "T" && $NF ~ /^mt_/ && !tests { made[$NF] = file }
            $(NF - 1) == "U" { if (tests) tested[$NF] = 1; else used[$NF] = 1 }
            END {
                for (name in made)
                    if (!(name in used))
                        print made[name] ": " name (name in tested ? " (tests only)" : "")
            }' | sed -E 's,build/release/,,; s,CMakeFiles/[^/]*/,,; s,\.o:,:,' | sort |
        while IFS=': ' read -r file name rest; do
            [ "$(grep -cwF "$name" "$file")" -lt 2 ] || rest="$rest (its own file)"
            echo "      $file: $name $rest"
        done
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
other_compiler | gate "clang has no warning"
imports | gate "imports: no heap outside base, nothing unsafe, pure stays pure"
heap | gate "no heap outside base, in words"
words | gate "no path of a machine, nothing put off"
big_files | gate "files over 1 MB are explained"
echo "size  (functions over 70 lines, files over 700)"
sizes
echo "seen  (functions that no other file of the product uses)"
lonely
exit $((failed > 0))
