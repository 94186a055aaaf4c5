#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""clang_check.py BUILD: compile every file of a gcc build once more with clang, without output;
prints what clang says. Flags come from compile_commands.json, less what only gcc knows."""
import json
import os
import shlex
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

GCC_ONLY = {"-Wjump-misses-init", "-ftrivial-auto-var-init=zero"}
# clang-format breaks long texts in two, so neighbours without a comma are its doing.
CLANG_ONLY = ["-Wno-string-concatenation"]
CLANG = {".c": "clang", ".cpp": "clang++"}


def check(entry):
    words = [w for w in shlex.split(entry["command"]) if w not in GCC_ONLY]
    output = words.index("-o")
    del words[output : output + 2]
    while not words[0].startswith("-"):  # ccache, cc
        del words[0]
    compiler = CLANG[os.path.splitext(entry["file"])[1]]
    run = subprocess.run(
        [compiler, *words, *CLANG_ONLY, "-fsyntax-only", "-fno-color-diagnostics"],
        cwd=entry["directory"],
        capture_output=True,
        text=True,
    )
    return [line for line in run.stderr.splitlines() if "error:" in line or "warning:" in line]


def main():
    with open(os.path.join(sys.argv[1], "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    unique = {(e["file"]): e for e in entries}.values()
    root = os.getcwd() + "/"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = {line.replace(root, "") for lines in pool.map(check, unique) for line in lines}
    print("\n".join(sorted(found)))
    return 1 if found else 0


sys.exit(main())
