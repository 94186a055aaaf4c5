#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The lab's models from nothing, recipe by recipe in an order in which each finds what it goes on
# from: what ships into lab/, what only figures in cards into build/lab/. A recipe that was begun
# goes on where it ended; with --fresh all begin anew. Recipes that are named: only those.
set -euo pipefail
cd "$(dirname "$0")/.."

motet=build/release/bin/motet
shipped="pico nano mini words calc finder chain embed embed-unseen"
aside="nano-short nano-taught nano-words nano-calc merged-linear merged-spherical
       team-alone nano-alone nano-router-10 nano-router-20 nano-router-40 nano-router-50"
last="nano-router team" # their cards speak of those before

fresh=()
[ "${1:-}" = --fresh ] && fresh=(--fresh) && shift
wanted=" $* "
mkdir -p build/lab

make_into() # FOLDER RECIPE...
{
    local folder=$1 name
    shift
    for name in "$@"; do
        [ "$wanted" = "  " ] || [[ "$wanted" == *" $name "* ]] || continue
        [ -f "lab/recipes/$name.yaml" ] || continue
        echo "== $name"
        "$motet" train --recipe "lab/recipes/$name.yaml" --out "$folder" "${fresh[@]}"
    done
}

# shellcheck disable=SC2086 # lists of words
make_into lab $shipped
# shellcheck disable=SC2086
make_into build/lab $aside
# shellcheck disable=SC2086
make_into lab $last
