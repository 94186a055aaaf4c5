#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# bench-deps.sh - install what `make bench` needs: haproxy, nginx, wrk, python3 and npm from
# Debian, and the gateways motet is compared with from npm (pinned by bench/peers).
# Running it again costs nothing. Needs root or sudo only when a Debian package is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/install-deps.sh bench

# npm ci empties node_modules first, so it runs only when the lock file has changed
stamp=bench/peers/node_modules/.installed
if ! cmp -s bench/peers/package-lock.json "$stamp"; then
    echo "bench-deps: installing the peers (about 330 MB, once)" >&2
    npm ci --prefix bench/peers --ignore-scripts --no-audit --no-fund --loglevel=error >&2
    cp bench/peers/package-lock.json "$stamp"
fi
echo "bench-deps: ready" >&2
