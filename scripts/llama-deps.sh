#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# llama.cpp for the local engine: libraries from @node-llama-cpp/linux-x64, headers from the
# source bundle inside node-llama-cpp of the same version, into deps/llama. Does nothing when
# they are there already.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
out=$root/deps/llama
stamp="$(grep -F 'node-llama-cpp' "$root/scripts/npm-packages.lock" | sha256sum | cut -c1-16) 1"

if [ "$(cat "$out/stamp" 2>/dev/null || true)" = "$stamp" ]; then
    echo "llama.cpp: deps/llama is up to date"
    exit 0
fi
[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || {
    echo "llama.cpp: no prebuilt libraries for $(uname -s) $(uname -m): set MOTET_LLAMA_DIR" >&2
    exit 1
}
mkdir -p "$root/deps"
tmp=$(mktemp -d "$root/deps/llama.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

"$root/scripts/npm-fetch.sh" @node-llama-cpp/linux-x64 "$tmp/bin"
"$root/scripts/npm-fetch.sh" node-llama-cpp "$tmp/source"
echo "llama.cpp: unpacking headers ..."
git -c advice.detachedHead=false clone --quiet "$tmp/source/llama/gitRelease.bundle" "$tmp/git"

mkdir -p "$tmp/out/lib" "$tmp/out/include/common"
cp "$tmp"/bin/bins/linux-x64/*.so "$tmp/out/lib/"
ln -s "$(cd "$tmp/out/lib" && ls libllama.v*.so)" "$tmp/out/lib/libllama.so"
ln -s "$(cd "$tmp/out/lib" && ls libggml.v*.so)" "$tmp/out/lib/libggml.so"
cp "$tmp"/git/include/*.h "$tmp"/git/ggml/include/*.h "$tmp/out/include/"
(cd "$tmp/git/common" && find . -name '*.h' -exec cp --parents {} "$tmp/out/include/common/" \;)
cp "$tmp/git/LICENSE" "$tmp/out/LICENSE"
echo "$stamp" >"$tmp/out/stamp"
rm -rf "$out"
mv "$tmp/out" "$out"
echo "llama.cpp: ready in deps/llama"
