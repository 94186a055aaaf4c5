#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# cli.sh [MOTET]: every command against a node of its own, on a free port, in a temporary home.
# Ends with "N passed, N failed"; 77 when this build has no llama.cpp and so no local model.
set -uo pipefail
cd "$(dirname "$0")/../.."

motet=${1:-build/dev/bin/motet}
home=$(mktemp -d)
export MOTET_HOME=$home
unset MOTET_HOST MOTET_API_KEY MOTET_CONFIG OPENAI_API_KEY ANTHROPIC_API_KEY GEMINI_API_KEY
node_pid=

finish() {
    [ -z "$node_pid" ] || kill "$node_pid" 2>/dev/null
    rm -rf "$home"
}
trap finish EXIT

passed=0
failed=0
out=$home/out
err=$home/err

fail() { # fail NAME WHY
    failed=$((failed + 1))
    echo "not ok - $1: $2"
    sed 's/^/    out: /' "$out" | head -20
    sed 's/^/    err: /' "$err" | head -20
}

# check NAME STATUS PATTERN COMMAND...: run it without input; its status, and a pattern (extended)
# that standard output, or "!" and a pattern that standard error holds
check() {
    local name=$1 want=$2 pattern=$3 where=$out status=0
    shift 3
    "$@" >"$out" 2>"$err" </dev/null || status=$?
    if [ "${pattern:0:1}" = '!' ]; then
        where=$err
        pattern=${pattern:1}
    fi
    if [ "$status" -ne "$want" ]; then
        fail "$name" "exit $status, expected $want"
    elif [ -n "$pattern" ] && ! grep -qE -- "$pattern" "$where"; then
        fail "$name" "no '$pattern'"
    else
        passed=$((passed + 1))
        echo "ok - $name"
    fi
}

wait_for() { # wait_for PATTERN FILE: until the file holds it, 30 seconds at most
    local n
    for ((n = 0; n < 300; n++)); do
        grep -qE -- "$1" "$2" && return 0
        sleep 0.1
    done
    return 1
}

piped() { # piped TEXT COMMAND...
    local text=$1
    shift
    printf '%s' "$text" | "$@"
}

mkdir -p "$home/config"
cat >"$home/config/motet.yaml" <<YAML
listen: 127.0.0.1:0
discover: false
models:
  - name: lab
    path: $PWD/lab/lab-mini.gguf
  - name: smart
    targets: [dead/nothing, lab]
    retries: 0
endpoints:
  - {name: dead, dialect: openai, url: "http://127.0.0.1:1", api_key: sk-never-shown, models: [nothing]}
prices:
  - {model: "*", input: 1USD, output: 2USD}
YAML

if command -v python3 >/dev/null; then
    check "a conversation on a terminal" 0 '' python3 tests/e2e/terminal.py "$motet"
fi
check "config check" 0 '!motet.yaml is fine' "$motet" config check
check "config show hides secrets" 0 'api_key: "\(set\)"' "$motet" config show
check "no node yet" 14 '!start one with: motet up' "$motet" ls

touch "$home/up.err"
setpriv --pdeathsig KILL -- "$motet" up >"$home/up.out" 2>"$home/up.err" &
node_pid=$!
wait_for 'is up at' "$home/up.err" || {
    cat "$home/up.err"
    echo "0 passed, 1 failed"
    exit 1
}
if grep -q 'local models are off' "$home/up.err"; then
    echo "this build has no llama.cpp"
    exit 77
fi

check "a second node is refused" 11 '!already' "$motet" up
check "ls" 0 '^lab' "$motet" ls
check "ls --names" 0 '^lab' "$motet" ls --names
check "ls --json" 0 '"models":' "$motet" ls --json
check "ask" 0 '^MOTET$' "$motet" ask --model lab --temperature 0 "upper motet"
check "ask without a model" 0 '^MOTET$' "$motet" ask -t 0 upper motet
check "ask a pipe" 0 '^MOTET$' piped "upper motet" "$motet" ask -m lab -t 0
check "ask --no-stream" 0 '^MOTET$' "$motet" ask -m lab -t 0 --no-stream "upper motet"
check "ask --json" 0 '"content":"MOTET"' "$motet" ask -m lab -t 0 --json "upper motet"
check "ask --json --stream" 0 '"done":false' "$motet" ask -m lab -t 0 --json --stream "upper motet"
check "ask --max-tokens" 0 '^MO$' "$motet" ask -m lab -t 0 -n 2 "upper motet"
check "ask falls back" 0 '^MOTET$' "$motet" ask -m smart -t 0 "upper motet"
check "ask an unknown model" 6 '!lba' "$motet" ask -m lba "hello"
check "ask --verbose" 0 '!receipt [0-9A-Z]{26}' "$motet" ask -v -m smart -t 0 "upper motet"
receipt=$(grep -oE 'receipt [0-9A-Z]{26}' "$err" | cut -d' ' -f2)
check "run, one shot" 0 '^MOTET$' "$motet" run lab --temperature 0 "upper motet"
check "run a pipe" 0 '^MOTET$' piped "upper motet" "$motet" run lab -t 0
check "ps" 0 '^lab' "$motet" ps
check "show" 0 'context_length +512' "$motet" show lab
check "show --json" 0 '"model_info"' "$motet" show lab --json
check "show an unknown model" 6 '!nope' "$motet" show nope
check "stop MODEL" 0 '' "$motet" stop lab
unloaded() {
    local n
    for ((n = 0; n < 100; n++)); do
        "$motet" ps | grep -q '^lab' || return 0
        sleep 0.1
    done
    return 1
}
check "it has left the memory" 0 '' unloaded

written() { # the ledger's table is written a moment after the answer
    local n
    for ((n = 0; n < 100; n++)); do
        "$motet" explain "$1" >"$home/row" 2>/dev/null && break
        sleep 0.1
    done
    "$motet" explain "$@"
}
check "explain RECEIPT" 0 'attempts +1\. dead/nothing' written "$receipt"
check "explain names who answered" 0 '2\. .*lab' "$motet" explain "$receipt"
check "explain --json" 0 '"outcome":"ok"' "$motet" explain "$receipt" --json
check "explain lists the newest" 0 "$receipt" "$motet" explain
check "explain a wrong receipt" 2 '!receipt' "$motet" explain nonsense
check "usage" 0 '^total' "$motet" usage
check "usage --by day --json" 0 '"total":\{' "$motet" usage --by day --json
check "routes" 0 '/api/chat' "$motet" routes
check "doctor finds the dead endpoint" 2 'BAD +endpoint dead' "$motet" doctor
check "doctor --json" 2 '"check":"node","ok":true' "$motet" doctor --json

# keys: from now on only who has one is let in; the administrator's lies in the data folder
"$motet" key new ada --json >"$home/key"
key=$(grep -oE 'mk-[a-z0-9]+' "$home/key")
hash=$(grep -oE 'sha256:[0-9a-f]+' "$home/key")
printf 'keys:\n  - name: ada\n    hash: %s\n    models: [lab]\n' "$hash" >>"$home/config/motet.yaml"
check "reload" 0 '!reads its configuration again' "$motet" reload
wait_for 'reloaded' "$home/up.err" || fail "reload" "the node does not say so"
check "key list" 0 '^ada +lab +none' "$motet" key list
check "the administrator may" 0 '^lab' "$motet" ls
check "a wrong key may not" 4 '!MOTET_API_KEY' env MOTET_API_KEY=mk-wrong "$motet" ls
check "a key may" 0 '^MOTET$' env MOTET_API_KEY="$key" "$motet" ask -m lab -t 0 "upper motet"
check "but not every model" 5 '!smart' env MOTET_API_KEY="$key" "$motet" ask -m smart "hello"
check "nor end the node" 5 '!' env MOTET_API_KEY="$key" "$motet" stop --node

printf 'cache:\n  ttl: 10\n' >>"$home/config/motet.yaml"
check "reload names a mistake" 2 '!motet.yaml:[0-9]+:8: cache.ttl: expected a duration' "$motet" reload
sed -i '/^cache:/,$d' "$home/config/motet.yaml"
check "stop --node" 0 '!the node is ending' "$motet" stop --node
ended() {
    local n
    for ((n = 0; n < 300; n++)); do
        kill -0 "$node_pid" 2>/dev/null || break
        sleep 0.1
    done
    wait "$node_pid"
}
check "the node has ended well" 0 '' ended
node_pid=
check "explain without a node" 0 'attempts +1\. dead/nothing' "$motet" explain "$receipt"
if grep -rq 'sk-never-shown' "$home/up.err" "$home/up.out" "$home/data" 2>/dev/null; then
    fail "secrets stay secret" "the endpoint's key was written somewhere"
fi

# training: a run that is interrupted goes on where it was, and what it wrote is a model
cat >"$home/tiny.yaml" <<YAML
name: tiny
shape: {layers: 1, width: 32, ff: 64, heads: 2}
data: [{skill: copy, difficulty: easy}]
train: {batch: 512, steps: 1000}
outputs: [{path: tiny.gguf}]
card: {path: tiny.md, items: 5}
YAML
interrupted() {
    "$motet" train --recipe "$home/tiny.yaml" --out "$home" --json >"$home/train.out" &
    local pid=$! status=0
    wait_for '"event":"step"' "$home/train.out"
    kill -TERM "$pid"
    wait "$pid" || status=$?
    return "$status"
}
check "train, interrupted" 13 '!the same command goes on there' interrupted
sed 's/steps: 1000/steps: 900/' "$home/tiny.yaml" >"$home/other.yaml"
check "train another recipe" 7 '!tiny.checkpoint.*train.steps' \
    "$motet" train --recipe "$home/other.yaml" --out "$home"
check "train goes on" 0 'tiny.gguf$' "$motet" train --recipe "$home/tiny.yaml" --out "$home" --resume
check "its card" 0 'copy' cat "$home/tiny.md"
check "train --card" 0 '"copy"' "$motet" train --card "$home/tiny.gguf" --items 5 --json

# jobs: the same recipe under a budget, and another program in its place
cat >"$home/own.yaml" <<YAML
name: own
recipe: {path: tiny.yaml}
budget: {time: 1h}
output: {path: tiny.gguf}
YAML
cat >"$home/other-trainer.yaml" <<YAML
name: other
base: {path: tiny.gguf}
trainer: [sh, -c, 'echo "\$0" && cp "\$0" "\$1"', "{base}", "{output}"]
budget: {time: 1m, disk: 64MiB}
output: {path: copy.gguf}
YAML
check "train --job" 0 'own.result.json$' "$motet" train --job "$home/own.yaml" --out "$home"
check "train --job, another trainer" 0 '"status":"ok"' \
    "$motet" train --job "$home/other-trainer.yaml" --out "$home" --json
check "its output" 0 '' cmp "$home/tiny.gguf" "$home/copy.gguf"
sed 's/cp /false /' "$home/other-trainer.yaml" >"$home/failing.yaml"
check "a trainer that fails" 14 '!trainer: exit status 1: .*tiny.gguf' \
    "$motet" train --job "$home/failing.yaml" --out "$home"
interrupted_job() {
    sed 's/name: tiny/name: long/; s/steps: 1000/steps: 1M/' "$home/tiny.yaml" >"$home/long.yaml"
    sed 's/tiny.yaml/long.yaml/' "$home/own.yaml" >"$home/long-job.yaml"
    "$motet" train --job "$home/long-job.yaml" --out "$home" --json >"$home/job.out" &
    local pid=$! status=0
    wait_for '"event":"step"' "$home/job.out"
    kill -INT "$pid"
    wait "$pid" || status=$?
    return "$status"
}
check "train --job, interrupted" 13 '!the same command goes on there' interrupted_job
check "its result" 0 '"status":"canceled"' cat "$home/own.result.json"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
