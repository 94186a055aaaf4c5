#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The benchmark's tools against each other, without a gateway: usage smoke.py TOOLS_FOLDER.

Every answer must be right, no token may be lost, merged or late in the mock and the driver
themselves, and every abort must be seen; otherwise the benchmark could not tell."""

import json
import os
import subprocess
import sys
import tempfile

BENCH = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main(tools):
    with tempfile.TemporaryDirectory() as directory:
        out = os.path.join(directory, "result.json")
        subprocess.run([sys.executable, "-B", os.path.join(BENCH, "gateway.py"), "--quick",
                        "--tools", tools, "--out", out, "--systems", "direct", "--seconds", "0.1",
                        "--only",
                        "c1,prompt_100k,c50_60ms,sse,streams,disconnect,slow_reader,faults"], check=True)
        with open(out) as f:
            result = json.load(f)
    direct = result["systems"]["direct"]
    wrong = [f"{name}: {figures.get('wrong_answer', figures['errors'])}"
             for name, figures in direct.items() if isinstance(figures, dict) and figures.get("errors")]
    for name in ("c1", "prompt_100k", "c50_60ms", "sse"):
        if not direct[name]["rps"] > 0:
            wrong.append(f"{name}: nothing answered")
    if direct["sse"]["usage_right_percent"] != 100:
        wrong.append("sse: usage missing")
    if direct["streams"]["out_of_order"]:
        wrong.append("streams: tokens out of order")
    for seen in ("seen", "first_token_seen", "whole_seen"):
        if direct["disconnect"][seen] != direct["disconnect"]["n"]:
            wrong.append(f"disconnect: {seen} {direct['disconnect'][seen]}")
    for fault, seen in (("429", "status 429"), ("500", "status 500"), ("reset", "connection cut")):
        if direct["faults"][f"upstream_{fault}"] != seen:
            wrong.append(f"faults: {fault} is seen as {direct['faults'][f'upstream_{fault}']}")
    print("\n".join(wrong) or "smoke: all right")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
