#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install-deps.sh GROUP...: install what is missing of the groups in debian-packages.txt (build,
# test, bench, lint, fuzz); with build also llama.cpp, with test also the clients that tests drive.
# Running it again costs nothing. Needs root or sudo only when a Debian package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
PATH=$PATH:/usr/sbin:/sbin

say() { echo "install-deps: $*" >&2; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        say "no root and no sudo: as root, type: apt-get install ${missing[*]}"
        exit 1
    fi
}

is_installed() { # is_installed PACKAGE
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null || true)" = installed ]
}

missing=()
collect() { # collect GROUP
    local group package command
    while read -r group package command; do
        [ "$group" = "$1" ] || continue
        if [ -n "$command" ] && command -v "$command" >/dev/null; then
            continue
        fi
        is_installed "$package" || missing+=("$package")
    done <scripts/debian-packages.txt
}

# haproxy and nginx come with services, which nobody asked for: neither now nor at the next boot
policy=/usr/sbin/policy-rc.d
services_forbid() {
    [ -e "$policy" ] && return
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
    trap 'as_root rm -f "$policy"' EXIT
}
services_disable() {
    local service
    command -v systemctl >/dev/null || return 0
    for service in haproxy nginx; do
        case " ${missing[*]} " in
        *" $service "*) as_root systemctl disable --quiet "$service" 2>/dev/null || true ;;
        esac
    done
}

apt_install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${missing[@]}" >/dev/null
}

groups=("$@")
for group in "${groups[@]}"; do
    collect "$group"
done
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get >/dev/null || {
        say "no apt-get here; please install what these Debian packages hold: ${missing[*]}"
        exit 1
    }
    say "installing ${missing[*]} (a few minutes at most)"
    services_forbid
    # the lists may be absent or old: fetch them only when it does not work without
    apt_install 2>/dev/null || {
        as_root apt-get update -qq
        apt_install
    }
    services_disable
fi

run_if_there() { # run_if_there SCRIPT
    if [ -x "$1" ]; then
        "$1" >&2
    fi
}
for group in "${groups[@]}"; do
    case $group in
    build) run_if_there scripts/llama-deps.sh ;;
    test)
        run_if_there scripts/node22.sh
        run_if_there scripts/test-deps.sh
        ;;
    esac
done
