#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# run.sh memory|kill [NUMBERS]: one soak. MOTET_BIN names the program (default: the release build);
# the mock provider and the load driver lie beside it.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/test-deps.sh >&2
export MOTET_BIN=${MOTET_BIN:-$PWD/build/release/bin/motet}
what=$1
shift
exec deps/node22/bin/node --disable-warning=ExperimentalWarning "tests/soak/$what.mjs" "$@"
