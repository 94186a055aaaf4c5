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
need nginx nginx-light
need wrk wrk
need python3 python3
need unshare util-linux
need npm npm

if [ ${#packages[@]} -gt 0 ]; then
    echo "bench-deps: installing ${packages[*]}" >&2
    root=()
    if [ "$(id -u)" -ne 0 ]; then
        command -v sudo >/dev/null || {
            echo "bench-deps: install as root: apt-get install ${packages[*]}" >&2
            exit 1
        }
        root=(sudo)
    fi
    export DEBIAN_FRONTEND=noninteractive
    "${root[@]}" apt-get update -qq
    "${root[@]}" apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
fi

# npm ci empties node_modules first, so it runs only when the lock file has changed
stamp=bench/peers/node_modules/.installed
if ! cmp -s bench/peers/package-lock.json "$stamp"; then
    echo "bench-deps: installing the peers (about 330 MB, once)" >&2
    npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    cp bench/peers/package-lock.json "$stamp"
fi
echo "bench-deps: ready" >&2
