#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# test-deps.sh - install what the end-to-end tests need: Node 22 and the official clients, both
# from npm, pinned. Running it again costs nothing.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/node22.sh

# npm ci empties node_modules first, so it runs only when the lock file has changed
stamp=tests/clients/node_modules/.installed
if ! cmp -s tests/clients/package-lock.json "$stamp"; then
    echo "test-deps: installing the official clients (about 100 MB, once)" >&2
    npm ci --prefix tests/clients --ignore-scripts --omit=optional --no-audit --no-fund \
        --loglevel=error >&2
    cp tests/clients/package-lock.json "$stamp"
fi
echo "test-deps: ready" >&2
