#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The local engine as clients see it, through HTTP, beside a bare libllama loop.

A model of random weights (>= 100 M parameters), 16 clients at once, each answer exactly as many
tokens as the bare loop makes per sequence. Rounds alternate: bare, node, bare, node. Written to
bench/results/local.json; the bar is a ratio of the medians >= 0.95."""

import argparse
import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

import proc

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
BIN = os.path.join(ROOT, "build", "release", "bin")
LIBRARY = os.path.join(ROOT, "deps", "llama", "lib")
PARALLEL, TOKENS, BAR, PORT = 16, 128, 0.95, 7798


def run(*argv):
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(f"local.py: {argv[0]} failed: {done.stderr.strip()[-400:]}")
    return done.stdout


def bare_round(model):
    out = run(os.path.join(BIN, "local_bench"), LIBRARY, model, str(PARALLEL), str(TOKENS), "1",
              "bare")
    told = json.loads(out.strip().splitlines()[-1])
    return told["bare_tps"], told["prompt_tokens"]


def question(number):
    """No two prompts share more than their first words: the round stands in front, the driver
    numbers the zeros. The bare loop reads the same words (local_bench.c)."""
    return {"model": "m", "temperature": 0, "max_tokens": TOKENS, "logit_bias": {"2": -100},
            "messages": [{"role": "system", "content": f"{number:04d}"},
                         {"role": "user", "content": "cut-000000 asks: say something long about "
                                                     "voices, and of the next"}]}


def node_round(directory, number, prompt_tokens):
    """16 requests at once, to the end of the last: what the bare loop does in one round, with as
    many tokens of prompt."""
    body = os.path.join(directory, "body.json")
    with open(body, "w") as f:
        json.dump(question(number), f)
    out = json.loads(run(
        os.path.join(BIN, "load"), "--mode", "closed", "--to", f"127.0.0.1:{PORT}", "--path",
        "/v1/chat/completions", "--body", body, "--header", "content-type: application/json",
        "--connections", str(PARALLEL), "--milliseconds", "1", "--timeout-ms",
        "120000", "--expect", f'"completion_tokens":{TOKENS}',
        "--expect", f'"prompt_tokens":{prompt_tokens}'))
    if out["errors"] or out["requests"] != PARALLEL:
        sys.exit(f"local.py: wrong answers from the node: {out['error_kinds']}")
    return out["requests"] * TOKENS / out["elapsed_s"]


def write_config(directory, model):
    config = os.path.join(directory, "motet.yaml")
    with open(config, "w") as f:
        f.write(f"listen: 127.0.0.1:{PORT}\ndata_dir: {directory}/data\ndiscover: false\n"
                f"models:\n  - name: m\n    path: {model}\n    context: 512\n"
                f"    parallel: {PARALLEL}\n    keep_alive: 1h\n")
    return config


def wait_until_up(process):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    sys.exit("local.py: the node did not start")


def measure(rounds, megaparameters):
    directory = tempfile.mkdtemp(prefix="motet-local-")
    model = os.path.join(directory, "random.gguf")
    run(os.path.join(BIN, "random_gguf"), model, str(megaparameters))
    config = write_config(directory, model)
    log = open(os.path.join(directory, "log"), "w")
    node = proc.start([os.path.join(BIN, "motet"), "up", "--config", config], log=log)
    bare, through = [], []
    try:
        wait_until_up(node)
        for i in range(rounds + 1):
            tps, prompt_tokens = bare_round(model)
            node_tps = node_round(directory, i, prompt_tokens)
            if i == 0:
                continue  # the model was loaded
            bare.append(tps)
            through.append(node_tps)
            print(f"round {i}: bare {bare[-1]:.1f} tokens/s, node {through[-1]:.1f} tokens/s",
                  file=sys.stderr, flush=True)
    finally:
        node.terminate()
        node.wait(30)
        shutil.rmtree(directory)
    return bare, through


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--million-parameters", type=int, default=100)
    parser.add_argument("--check", action="store_true", help="exit status 1 below the bar")
    parser.add_argument("--out", default=os.path.join(BENCH, "results", "local.json"))
    options = parser.parse_args()
    load = os.getloadavg()[0]
    bare, through = measure(options.rounds, options.million_parameters)
    ratio = statistics.median(through) / statistics.median(bare)
    result = {
        "machine": {"cpu": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                    "load_before": load},
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "model": {"million_parameters": options.million_parameters, "weights": "random, f16"},
        "parallel": PARALLEL, "tokens_per_answer": TOKENS,
        "bare_tokens_per_s": {"median": statistics.median(bare), "rounds": bare},
        "node_tokens_per_s": {"median": statistics.median(through), "rounds": through},
        "ratio": round(ratio, 4), "bar": BAR, "is_met": ratio >= BAR,
    }
    os.makedirs(os.path.dirname(options.out), exist_ok=True)
    with open(options.out, "w") as f:
        json.dump(result, f, indent=2)
        f.write("\n")
    print(f"{'PASS' if ratio >= BAR else 'FAIL'} local engine through HTTP: {ratio:.3f} of a bare "
          f"libllama loop (bar {BAR})")
    return 1 if options.check and ratio < BAR else 0


if __name__ == "__main__":
    sys.exit(main())
