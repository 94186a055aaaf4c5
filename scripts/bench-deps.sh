#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench-deps.sh - install what `make bench` needs: haproxy, nginx, wrk, python3 and npm from
# Debian, and the gateways motet is compared with from npm (pinned by bench/peers).
# Running it again costs nothing. Needs root or sudo only when a Debian package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
need() { # need COMMAND PACKAGE
    PATH="$PATH:/usr/sbin:/sbin" command -v "$1" >/dev/null || packages+=("$2")
}
need haproxy haproxy
need nginx nginx
need wrk wrk
need python3 python3
need unshare util-linux
need npm npm

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "bench-deps: as root, type: apt-get install ${packages[*]}" >&2
        exit 1
    fi
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
        case " ${packages[*]} " in
        *" $service "*) as_root systemctl disable --quiet "$service" 2>/dev/null || true ;;
        esac
    done
}

if [ ${#packages[@]} -gt 0 ]; then
    echo "bench-deps: installing ${packages[*]}" >&2
    export DEBIAN_FRONTEND=noninteractive
    services_forbid
    as_root apt-get update -qq
    as_root apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
    services_disable
fi

# npm ci empties node_modules first, so it runs only when the lock file has changed
stamp=bench/peers/node_modules/.installed
if ! cmp -s bench/peers/package-lock.json "$stamp"; then
    echo "bench-deps: installing the peers (about 330 MB, once)" >&2
    npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    cp bench/peers/package-lock.json "$stamp"
fi
echo "bench-deps: ready" >&2
