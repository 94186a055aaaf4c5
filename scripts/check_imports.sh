#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# check_imports.sh [BUILD]: what the objects of a build without sanitizers import (default
# build/release), one complaint per line. Three laws:
#   heap    only base asks libc for memory
#   unsafe  nobody calls what has no bound, hidden state, or a sleep in it
#   pure    the objects of $pure see no clock, no chance, no file, no socket, no thread: they
#           import each other and the functions of $libc, nothing else
set -uo pipefail
cd "$(dirname "$0")/.."
build=${1:-build/release}
[ -d "$build/src" ] || { echo "$build: not built"; exit 1; }

heap='(malloc|calloc|realloc|reallocarray|free|strdup|strndup|v?asprintf|__v?asprintf_chk)'
unsafe='((__)?(strcpy|strcat|stpcpy|sprintf|vsprintf|gets)(_chk)?|strtok|atoi|atol|atof|s?rand'
unsafe+='|random|system|popen|tmpnam|mktemp|gmtime|localtime|asctime|ctime|_?setjmp|longjmp'
unsafe+='|u?sleep|nanosleep)'

# Of crypto, ledger, config, engines: the files that decide or translate. The rest does.
pure='(foundation/(base|wire)/[^/]*|interop/(chat|route|engine)/[^/]*|foundation/crypto/encode\.c'
pure+='|mining/ledger/(account|limits|meter|price|row)\.c|app/config/(docs|keys)\.c'
pure+='|foundation/settings/(page|set|show|table|units|value)\.c'
pure+='|interop/engine/remote/remote_url\.c'
pure+='|interop/engine/local/(gguf|json_[a-z]+|text_out)\.c'
pure+='|compute/curriculum/[^/]*|compute/train/(items|job_table|job_words|vocab)\.c)'
libc='(mem(chr|cmp|cpy|mem|move|set)|mempcpy|bcmp|str(chr|cspn|len|ncmp|nlen|rchr|spn)|strtod'
libc+='|v?snprintf|__(memcpy|mempcpy|memmove|memset|v?snprintf)_chk|expf|log|sqrt'
libc+='|__u?(div|mod)ti3|__stack_chk_fail|__tls_get_addr|_GLOBAL_OFFSET_TABLE_)'
# What else a folder may have: base owns the heap and the crash report, wire stands on simdjson,
# encode on libsodium, the ledger's account is a monitor under one mutex, and a model's thread
# that has to hand its last words to a loop that is behind looks again after a while.
own='(foundation/base/.* (calloc|realloc|free|abort|std(err|out)|__fprintf_chk|strerror'
own+='|backtrace|backtrace_symbols_fd|mallopt|malloc_trim)'
own+='|foundation/wire/.* (_ZN8simdjson.*|_ZSt(8to_chars|10from_chars).*)'
own+='|foundation/crypto/encode\.c sodium_(bin2hex|hex2bin)'
own+='|mining/ledger/account\.c pthread_mutex_(init|destroy|lock|unlock)'
own+='|interop/engine/local/worker\.c nanosleep)'

find "$build/src" -path '*/CMakeFiles/mt_*.dir/*.o' -print0 | xargs -0 nm -A -g |
    sed -E "s,^$build/src/,,; s,CMakeFiles/mt_[a-z_]*\.dir/,,; s,\.o: *[0-9a-f]* +, ," |
    HEAP="^$heap\$" UNSAFE="^$unsafe\$" PURE="^$pure\$" LIBC="^$libc\$" OWN="^$own\$" awk '
        function complain(law) { print law ": " $1 " calls " $3; failed = 1 }
        $2 != "U" { if ($1 ~ ENVIRON["PURE"]) ours[$3] = 1; next }
        $3 ~ ENVIRON["HEAP"] && $1 !~ "^foundation/base/" { complain("heap") }
        $3 ~ ENVIRON["UNSAFE"] && $1 " " $3 !~ ENVIRON["OWN"] { complain("unsafe") }
        $1 ~ ENVIRON["PURE"] && $3 !~ ENVIRON["LIBC"] && $1 " " $3 !~ ENVIRON["OWN"] {
            asked[$0] = 1
        }
        END {
            for (line in asked) {
                $0 = line
                if (!($3 in ours))
                    complain("pure")
            }
            exit failed
        }'
