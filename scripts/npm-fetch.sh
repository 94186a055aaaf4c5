#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# npm-fetch.sh NAME DIR: unpack the pinned npm package NAME below DIR (which is replaced).
# The tarball is checked against scripts/npm-packages.lock and kept in .cache/npm. No dependency
# is installed and no script of the package runs.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
name=$1
dir=$2
line=$(grep -F "$name " "$root/scripts/npm-packages.lock" | awk -v n="$name" '$1 == n')
[ -n "$line" ] || { echo "npm-fetch: '$name' is not in scripts/npm-packages.lock" >&2; exit 1; }
version=$(echo "$line" | awk '{print $2}')
wanted=$(echo "$line" | awk '{print $3}')
cache=$root/.cache/npm
file=$cache/$(echo "$name" | sed 's/^@//; s,/,-,g')-$version.tgz

digest() {
    echo "sha512-$(openssl dgst -sha512 -binary "$1" | base64 -w0)"
}

mkdir -p "$cache"
if [ ! -f "$file" ] || [ "$(digest "$file")" != "$wanted" ]; then
    echo "fetching $name $version ..." >&2
    tmp=$(mktemp -d "$cache/tmp.XXXXXX")
    trap 'rm -rf "$tmp"' EXIT
    (cd "$tmp" && npm pack --silent --ignore-scripts "$name@$version" >/dev/null)
    got=$(digest "$tmp"/*.tgz)
    [ "$got" = "$wanted" ] || {
        echo "npm-fetch: $name $version: expected $wanted, found $got" >&2
        exit 1
    }
    mv "$tmp"/*.tgz "$file"
fi
rm -rf "$dir"
mkdir -p "$dir"
tar -xzf "$file" -C "$dir" --strip-components=1 --no-same-owner
