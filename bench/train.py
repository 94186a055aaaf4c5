#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training steps beside PyTorch's: the same shapes, batch and optimiser, interleaved in one run.

Rounds go sgemm, motet, torch for each shape, in float and then in bfloat16 (torch's autocast).
Figures are medians with the smallest and largest; ratios are medians of the ratios within a round.
The bars are for float. Written to bench/results/train.json."""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
TOOL = os.path.join(ROOT, "build", "release", "bin", "train_bench")
PYTHON = "/usr/bin/python3"  # the one that Debian packages are installed for

# layers, width, ff, heads, kv heads, head width, vocabulary; sequences and length of the batch
SHAPES = {
    "pico": ((2, 64, 176, 2, 2, 32, 264), (64, 64)),
    "nano": ((4, 128, 352, 4, 2, 32, 264), (64, 64)),
    "mini": ((5, 192, 512, 6, 3, 32, 264), (64, 64)),
}
PRECISIONS = ("f32", "bf16")
RATIO_BARS = {"pico": 2.5, "nano": 1.5, "mini": 1.1}
SGEMM_BAR = 0.70


def core_type():
    """OpenBLAS 0.3.21 does not know newer processors and falls back to its slowest kernels. Named
    the family, it is fast; so it is told, for motet and for PyTorch alike."""
    with open("/proc/cpuinfo") as f:
        return "SkylakeX" if " avx512bw " in f.read() else None


def run(*argv):
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C"}
    if core_type() is not None:
        env["OPENBLAS_CORETYPE"] = core_type()
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True, env=env)
    if done.returncode != 0:
        sys.exit(f"train.py: {argv[0]} failed: {done.stderr.strip()[-400:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def spread(values):
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def measure_round(name, threads, seconds, precision, sgemm, rows):
    model, batch = SHAPES[name]
    args = (*model, *batch, threads, seconds, precision)
    ours = run(TOOL, *args)
    peer = run(PYTHON, os.path.join(BENCH, "train_torch.py"), *args)
    if ours["params"] != peer["params"]:
        sys.exit(f"train.py: {name}: {ours['params']} parameters beside {peer['params']}")
    rows["motet"].append(ours["tokens_per_s"])
    rows["torch"].append(peer["tokens_per_s"])
    rows["share"].append(ours["flops"] / sgemm)
    rows["ratio"].append(ours["tokens_per_s"] / peer["tokens_per_s"])
    print(f"{name:5} {precision:4} {ours['tokens_per_s']:9.0f} tokens/s, torch "
          f"{peer['tokens_per_s']:9.0f}, {100 * rows['share'][-1]:.0f} % of sgemm", flush=True)
    return ours, peer


def measure(name, threads, seconds, rounds):
    rows = {p: {"motet": [], "torch": [], "share": [], "ratio": []} for p in PRECISIONS}
    rates = []
    out = {"sequences": SHAPES[name][1][0], "length": SHAPES[name][1][1]}
    for _ in range(rounds):
        rates.append(run(TOOL, "sgemm", threads)["sgemm_flops"])
        for precision in PRECISIONS:
            ours, peer = measure_round(name, threads, seconds, precision, rates[-1],
                                       rows[precision])
            out["params"], out["torch_version"] = ours["params"], peer["version"]
            out.setdefault("computed_as_said", {})[precision] = ours["has_precision"]
    out["sgemm"] = spread(rates)
    for precision in PRECISIONS:
        out[precision] = {k: spread(v) for k, v in rows[precision].items()}
    return out


def verdicts(results):
    yield ("mini: share of the sgemm rate", results["mini"]["f32"]["share"]["median"], SGEMM_BAR)
    for name, bar in RATIO_BARS.items():
        yield (f"{name}: tokens/s, times PyTorch's", results[name]["f32"]["ratio"]["median"], bar)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--out", default=os.path.join(BENCH, "results", "train.json"))
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is not met")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    results = {name: measure(name, args.threads, args.seconds, args.rounds) for name in SHAPES}
    failed = False
    for what, found, bar in verdicts(results):
        failed |= found < bar
        print(f"  {'FAIL' if found < bar else 'PASS'}  {what}: {found:.2f}, at least {bar}")
    with open(args.out, "w") as f:
        json.dump({"machine": platform.processor() or platform.machine(),
                   "cores": os.cpu_count(), "load_before": load, "threads": args.threads,
                   "openblas_coretype": core_type(),
                   "date": datetime.date.today().isoformat(), "rounds": args.rounds,
                   "seconds": args.seconds, "shapes": {n: s[0] for n, s in SHAPES.items()},
                   "results": results}, f, indent=1)
        f.write("\n")
    sys.exit(args.check and failed)


if __name__ == "__main__":
    main()
