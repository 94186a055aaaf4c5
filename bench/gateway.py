#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measure gateways side by side: the same mock upstream, the same driver, the same run.

See bench/README.md for the protocol and for what each figure means."""

import argparse
import datetime
import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile

import proc
import report
import systems
from workloads import WORKLOADS, Bench

BENCH = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(BENCH)
IN_NAMESPACE = "MOTET_BENCH_IN_NAMESPACE"
LOAD_MAX = 0.3        # load average before the run
NEIGHBOURS_MAX = 0.1  # cores that others used during the run


def say(text):
    print(text, file=sys.stderr, flush=True)


def options_read():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true",
                        help="one short round of everything: does it work, not how fast")
    parser.add_argument("--rounds", type=int, help="rounds (5; quick: 1)")
    parser.add_argument("--seconds", type=float, help="length of a closed-loop run (5; quick: 0.5)")
    parser.add_argument("--streams", type=int, help="paced streams at once (1000; quick: 200)")
    parser.add_argument("--systems", help=f"comma list of {','.join(systems.NAMES)}")
    parser.add_argument("--only", help=f"comma list of {','.join(WORKLOADS)}")
    parser.add_argument("--motet", help="the motet program (default: build/release)")
    parser.add_argument("--tools", default=os.path.join(ROOT, "build", "release", "bin"),
                        help="folder with mock_upstream and load (%(default)s)")
    parser.add_argument("--out", help="result file (bench/results/gateway.json; quick: "
                                      "build/bench-quick.json)")
    parser.add_argument("--check", action="store_true", help="exit 1 when a bar is not met")
    parser.add_argument("--wrk", action="store_true", help="cross-check c64 with wrk")
    parser.add_argument("--unpinned", action="store_true", help="let the kernel place everybody")
    parser.add_argument("--no-namespace", action="store_true", help="use the host's loopback")
    options = parser.parse_args()
    quick = options.quick
    options.rounds = options.rounds or (1 if quick else 5)
    options.seconds = options.seconds or (0.5 if quick else 5.0)
    options.streams = options.streams or (200 if quick else 1000)
    options.stream_tokens = 20 if quick else 60
    options.cuts = 20 if quick else 50
    options.out = options.out or (os.path.join(ROOT, "build", "bench-quick.json") if quick else
                                  os.path.join(BENCH, "results", "gateway.json"))
    options.tools = os.path.abspath(options.tools)
    options.motet = options.motet and os.path.abspath(options.motet)
    options.systems = chosen(parser, options.systems, systems.NAMES)
    options.only = chosen(parser, options.only, list(WORKLOADS))
    return options


def chosen(parser, text, known):
    names = text.split(",") if text else known
    for name in names:
        if name not in known:
            parser.error(f"'{name}' is not one of {', '.join(known)}")
    return [name for name in known if name in names]


def namespace_enter(options):
    """Run again inside a network namespace of our own; where that is refused, say so."""
    if options.no_namespace or os.environ.get(IN_NAMESPACE):
        return
    how = ["--net"] if os.geteuid() == 0 else ["--map-current-user", "--net", "--keep-caps"]
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, *how, "true"], stderr=subprocess.DEVNULL,
                                  check=False).returncode == 0:
        os.environ[IN_NAMESPACE] = "1"
        os.execv(unshare, [unshare, *how, sys.executable, *sys.argv])
    say("bench: no network namespace here; using the host's loopback")


def loopback_up():
    """Inside a new namespace the loopback is down."""
    SIOCSIFFLAGS, IFF_UP = 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def cores():
    """@return the driver's and mock's core, and the gateway's"""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        say("bench: one core only: the gateway shares it with driver and mock")
    return allowed[0], allowed[1 % len(allowed)]


def port_free():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def tools_check(folder):
    for name in ("mock_upstream", "load"):
        if not os.access(os.path.join(folder, name), os.X_OK):
            sys.exit(f"bench: {name} is not built in {folder}: run cmake --preset release && "
                     "ninja -C build/release mock_upstream load")


def systems_start(options, directory, gateway_core, mock):
    running, missing = [], {}
    if mock.name in options.systems:
        running.append(mock)
    for kind in systems.PEER_SYSTEMS:
        if kind.name not in options.systems:
            continue
        system = kind(directory, port_free(), mock.port, gateway_core)
        try:
            system.start()
            system.rss_idle_mb = round(proc.rss_kb(system.pid) / 1024, 1)
            running.append(system)
        except systems.Missing as why:
            missing[kind.name] = str(why)
            say(f"bench: without {kind.name}: {why}")
    mock.rss_idle_mb = round(proc.rss_kb(mock.pid) / 1024, 1)
    return running, missing


def headline(figures):
    keys = ("cpu_us_per_request", "rps", "p50_us", "core_percent", "rss_kb_each", "seen",
            "delay_max_ms", "upstream_429", "upstream_500", "upstream_reset", "errors")
    return "  ".join(f"{k} {report.rounded(figures[k])}" for k in keys if k in figures)


def one_run(workload, bench, system):
    """@return the figures, and whether the system had to be started again"""
    try:
        figures = workload.run(bench, system)
    except (RuntimeError, OSError, systems.Missing) as why:
        say(f"bench: {system.name}: {why}")
        figures = {"errors": 1, "wrong_answer": str(why)[:300]}
    try:
        return figures, system.revive()
    except systems.Missing as why:
        say(f"bench: {system.name} does not come back: {why}")
        return figures, True


def rounds_run(options, bench, running):
    """A B C A B C: every system once per workload, then again."""
    results = {system.name: {} for system in running}
    for number in range(options.rounds):
        for system in running:
            bench.warm(system, connections=64, seconds=options.seconds)
        for name in options.only:
            for system in running:
                if not WORKLOADS[name].applies(system):
                    continue
                figures, died = one_run(WORKLOADS[name], bench, system)
                results[system.name].setdefault(name, []).append(figures)
                say(f"round {number + 1}/{options.rounds}  {name:13} {system.name:8} "
                    f"{headline(figures)}{'  DIED' if died else ''}")
    return results


def wrk_check(options, bench, running):
    """Requests per second of c64 as wrk sees them, beside the driver's own."""
    wrk = systems.program("wrk")
    found = {}
    for system in running:
        script = os.path.join(bench.directory, f"{system.name}.lua")
        with open(bench.body_file(system.dialect, prompt_bytes=1000, is_stream=False)) as f:
            body = f.read()
        headers = {"Content-Type": "application/json", **system.headers(system.dialect)}
        with open(script, "w") as f:
            f.write('wrk.method = "POST"\n' + f"wrk.body = [==[{body}]==]\n")
            for key, text in headers.items():
                f.write(f'wrk.headers["{key}"] = "{text}"\n')
        process = proc.start_piped([wrk, "-t1", "-c64", f"-d{max(1, int(options.seconds))}s", "-s",
                                    script, f"http://127.0.0.1:{system.port}"
                                    + system.path[system.dialect]], bench.core)
        out, _ = process.communicate()
        rate = [line.split()[1] for line in out.splitlines() if line.startswith("Requests/sec")]
        found[system.name] = float(rate[0]) if rate else None
        say(f"wrk c64  {system.name:8} rps {found[system.name]}")
    return found


def noise_of(machine):
    """@return why times of single requests cannot be trusted, or None"""
    if machine["load_before"] > LOAD_MAX:
        return f"load average before the run was {machine['load_before']}, above {LOAD_MAX}"
    if machine["neighbour_cores"] > NEIGHBOURS_MAX:
        return (f"other processes used {machine['neighbour_cores']} cores during the run, above "
                f"{NEIGHBOURS_MAX}")
    return None


def result_make(options, running, missing, results, machine):
    noise = noise_of(machine)
    found = {}
    for system in running:
        figures = {name: report.merge(rounds, noise is not None)
                   for name, rounds in results[system.name].items()}
        found[system.name] = {"version": system.version(), "rss_idle_mb": system.rss_idle_mb,
                              "crashes": system.crashes, **figures}
        for name in ("c1", "c64", "translate", "streams"):
            found[system.name].setdefault(name, None)
    result = {"machine": machine, "date": datetime.datetime.now(datetime.timezone.utc)
              .isoformat(timespec="seconds"),
              "features": {system.name: system.features for system in running},
              "systems": found, "missing": missing, "bars": report.bars(found),
              "protocol": {"rounds": options.rounds, "seconds": options.seconds,
                           "streams": options.streams, "stream_tokens": options.stream_tokens,
                           "namespace": bool(os.environ.get(IN_NAMESPACE)),
                           "is_quick": options.quick}}
    if noise:
        result["p99_note"] = "no p99: " + noise
    return result


def result_write(result, path):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path + ".new", "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")
    os.replace(path + ".new", path)


def run(options, directory):
    machine, neighbours = proc.machine(), proc.Neighbours()
    driver_core, gateway_core = (None, None) if options.unpinned else cores()
    machine["driver_core"], machine["gateway_core"] = driver_core, gateway_core
    if machine["load_before"] > LOAD_MAX:
        say(f"bench: load average is {machine['load_before']}, above {LOAD_MAX}: p99 will not be "
            "reported, and rates are doubtful; CPU per request is the figure to read")
    systems.Motet.binary = options.motet
    mock = systems.Mock(directory, port_free(), driver_core, options.tools)
    running = []
    try:
        mock.start()
        running, missing = systems_start(options, directory, gateway_core, mock)
        bench = Bench(mock, directory, options.tools, driver_core, options)
        results = rounds_run(options, bench, running)
        machine["neighbour_cores"] = neighbours.cores()
        result = result_make(options, running, missing, results, machine)
        if options.wrk:
            result["wrk_c64_rps"] = wrk_check(options, bench, running)
        return result
    finally:
        for system in [*running, mock]:
            system.stop()


def main():
    options = options_read()
    tools_check(options.tools)
    namespace_enter(options)
    if os.environ.get(IN_NAMESPACE):
        loopback_up()
    with tempfile.TemporaryDirectory(prefix="motet-bench-") as directory:
        result = run(options, directory)
    result_write(result, options.out)
    print(report.table(result["systems"]))
    print("\nCPU per request, times haproxy's:\n" + report.ratios(result["systems"]))
    print("\nbars for motet:\n" + report.bars_table(result["bars"]))
    if "p99_note" in result:
        print("\n" + result["p99_note"])
    print(f"\nwritten to {os.path.relpath(options.out)}")
    failed = [bar for bar in result["bars"] if bar["verdict"] != "PASS"]
    return 1 if options.check and failed else 0


if __name__ == "__main__":
    sys.exit(main())
