# SPDX-License-Identifier: Apache-2.0
"""The workloads: what is asked of a system, and what is read off it."""

import json
import os
import time

import proc
from systems import ANTHROPIC, body

WHOLE_MARK = "mock answer"
CUT_PERCENT = 30
CUT_LATENCY_MS, CUT_WAIT_MS = 1500, 300
ABORT_PATIENCE_S = 1.0


class Bench:
    """One run: the mock, the folder for request bodies, the driver's core, the lengths."""

    def __init__(self, mock, directory, tools, core, options):
        self.mock, self.directory, self.core = mock, directory, core
        self.load_path = os.path.join(tools, "load")
        self.seconds, self.streams_n, self.cuts_n = options.seconds, options.streams, options.cuts
        self.stream_tokens, self.stream_gap_ms = options.stream_tokens, 50

    def body_file(self, dialect, **shape):
        name = "-".join([dialect, *(f"{k}-{v}" for k, v in sorted(shape.items()))]) + ".json"
        path = os.path.join(self.directory, name)
        if not os.path.exists(path):
            with open(path, "w") as f:
                f.write(body(dialect, **shape))
        return path

    def load(self, system, dialect, shape, *flags):
        """Run the driver. @return its report, with the first wrong answer as "note"."""
        argv = [self.load_path, "--to", f"127.0.0.1:{system.port}", "--path", system.path[dialect],
                "--body", self.body_file(dialect, **shape)]
        for name, value in system.headers(dialect).items():
            argv += ["--header", f"{name}: {value}"]
        argv += [str(flag) for flag in flags]
        process = proc.start_piped(argv, self.core)
        out, err = process.communicate(timeout=300)
        if process.returncode != 0:
            raise RuntimeError(f"load ended with {process.returncode}: {err.strip()}")
        report = json.loads(out)
        report["note"] = err.strip()[:300]
        return report

    def warm(self, system, connections=8, seconds=1.0):
        """Work that is not counted: connections, caches, compilers that learn. Node needs
        thousands of requests before it is as fast as it gets."""
        self.mock.control(latency_ms=0, tokens=32, gap_ms=0)
        for is_stream in (False, True):
            self.load(system, system.dialect, {"prompt_bytes": 1000, "is_stream": is_stream},
                      "--connections", connections, "--milliseconds",
                      int(min(self.seconds, seconds) * 500))

    def metered(self, system, dialect, shape, *flags):
        """As load(), with the system's CPU time and peak memory over the same span."""
        proc.rss_peak_reset(system.pid)
        before = proc.Cpu(system.pid)
        report = self.load(system, dialect, shape, *flags)
        report["cpu_ns"] = proc.Cpu(system.pid).ns_since(before)
        report["rss_peak_kb"] = proc.rss_peak_kb(system.pid)
        return report


def answer_figures(report):
    """The figures of a closed-loop run."""
    n = report["requests"]
    figures = {"rps": report["rps"], "p50_us": report["answer"]["p50_us"],
               "p90_us": report["answer"]["p90_us"], "p99_us": report["answer"]["p99_us"],
               "rss_peak_mb": report["rss_peak_kb"] / 1024, "errors": report["errors"]}
    if n > 0:
        figures["cpu_us_per_request"] = report["cpu_ns"] / 1000 / n
    if report["errors"]:
        figures["wrong_answer"] = report["note"]
    return figures


class Closed:
    """Clients that ask again when they have been answered."""

    def __init__(self, connections, prompt_bytes=1000, latency_ms=0, dialect=None, tokens=0):
        self.connections, self.prompt_bytes, self.latency_ms = connections, prompt_bytes, latency_ms
        self.dialect, self.tokens = dialect, tokens

    def applies(self, system):
        return self.dialect is None or system.translates

    def run(self, bench, system):
        dialect = self.dialect or system.dialect
        shape = {"prompt_bytes": self.prompt_bytes, "is_stream": self.tokens > 0}
        flags = ["--connections", self.connections, "--milliseconds", int(bench.seconds * 1000)]
        if self.tokens:
            usage = f'"output_tokens":{self.tokens}' if dialect == ANTHROPIC else \
                    f'"completion_tokens":{self.tokens}'
            flags += ["--tokens", self.tokens, "--note", usage, "--expect",
                      "message_stop" if dialect == ANTHROPIC else "[DONE]"]
        else:
            flags += ["--expect", WHOLE_MARK]
        bench.mock.control(latency_ms=self.latency_ms, tokens=self.tokens or 32, gap_ms=0)
        report = bench.metered(system, dialect, shape, *flags)
        figures = answer_figures(report)
        if self.tokens and report["requests"]:
            figures["usage_right_percent"] = 100 * report["noted"] / report["requests"]
        return figures


class Streams:
    """Many streams at a reading pace. The system is fresh, so that memory grown by earlier
    work cannot hide what a stream needs."""

    def applies(self, system):
        return True

    def run(self, bench, system):
        n, tokens, gap_ms = bench.streams_n, bench.stream_tokens, bench.stream_gap_ms
        if system is not bench.mock:
            system.restart()
            bench.warm(system)
        bench.mock.control(latency_ms=0, tokens=tokens, gap_ms=gap_ms)
        before_kb = proc.rss_kb(system.pid)
        report = bench.metered(
            system, system.dialect, {"prompt_bytes": 1000, "is_stream": True}, "--mode", "streams",
            "--connections", n, "--ramp-ms", 20 * gap_ms, "--gap-ms", gap_ms, "--tokens", tokens,
            "--expect", "message_stop" if system.dialect == ANTHROPIC else "[DONE]",
            "--timeout-ms", 60000)
        figures = {
            "n": n, "errors": report["errors"],
            # CPU of all streams over the time one of them lasted: the load of n at once.
            # A saturated core makes them last longer, but never works more than all the time
            "core_percent": min(100, report["cpu_ns"] / 10 / max(1, report["answer"]["mean_us"])),
            "cpu_us_per_token": report["cpu_ns"] / 1000 / max(1, report["tokens"]),
            "rss_kb_each": max(0, report["rss_peak_kb"] - before_kb) / n,
            "rss_peak_mb": report["rss_peak_kb"] / 1024,
            "coalesced_tokens": report["coalesced_tokens"],
            "out_of_order": report["out_of_order"], "early_gaps": report["early_gaps"],
            "first_token_p50_us": report["first_token"]["p50_us"],
            "first_token_p99_us": report["first_token"]["p99_us"],
            "forward_p50_us": report["forward"]["p50_us"],
            "forward_p99_us": report["forward"]["p99_us"],
            "stream_ms": report["answer"]["p50_us"] / 1000,
        }
        if report["errors"]:
            figures["wrong_answer"] = report["note"]
        return figures


class Disconnect:
    """All clients leave at once; how many upstream answers end, and how soon."""

    def applies(self, system):
        return True

    def run(self, bench, system):
        tokens, gap_ms, n = bench.stream_tokens, bench.stream_gap_ms, bench.cuts_n
        rest_s = tokens * gap_ms * (100 - CUT_PERCENT) / 100 / 1000
        bench.mock.control(latency_ms=0, tokens=tokens, gap_ms=gap_ms)
        result = {"n": n}
        result.update(self.leave(bench, system, "", True, rest_s, "--cut-tokens",
                                 tokens * CUT_PERCENT // 100))
        bench.mock.control(latency_ms=CUT_LATENCY_MS, tokens=tokens, gap_ms=0)
        for prefix, is_stream in (("first_token_", True), ("whole_", False)):
            result.update(self.leave(bench, system, prefix, is_stream,
                                     (CUT_LATENCY_MS - CUT_WAIT_MS) / 1000, "--cut-ms",
                                     CUT_WAIT_MS))
        bench.mock.control(latency_ms=0, tokens=32, gap_ms=0)
        return result

    def leave(self, bench, system, prefix, is_stream, rest_s, *cut):
        bench.mock.get("/stats?reset=1")
        report = bench.load(system, system.dialect, {"prompt_bytes": 1000, "is_stream": is_stream,
                                                     "is_numbered": True},
                            "--mode", "cut", "--connections", bench.cuts_n, *cut)
        deadline = time.monotonic() + rest_s + ABORT_PATIENCE_S
        while time.monotonic() < deadline:
            stats = bench.mock.get("/stats")
            if stats["aborts"] >= len(report["cuts"]) or stats["busy"] == 0:
                break
            time.sleep(0.02)
        aborts = dict(reversed(stats["abort_log"]))
        delays_ms = sorted((aborts[who] - at) / 1000 for who, at in report["cuts"] if who in aborts)
        figures = {prefix + "seen": len(delays_ms), prefix + "errors": report["errors"]}
        if delays_ms:
            figures[prefix + "delay_p50_ms"] = delays_ms[len(delays_ms) // 2]
            figures[prefix + "delay_max_ms"] = delays_ms[-1]
        return figures


class SlowReader:
    """Clients that stop reading in the middle of a long answer. A gateway must stop reading
    from the upstream too; one that does not keeps the rest of the answer in memory."""

    TOKENS, CLIENTS, PAUSE_MS = 9000, 20, 1000

    def applies(self, system):
        return True

    def run(self, bench, system):
        if system is not bench.mock:
            system.restart()
            bench.warm(system)
        bench.mock.control(latency_ms=0, tokens=self.TOKENS, gap_ms=0)
        before_kb = proc.rss_kb(system.pid)
        report = bench.metered(
            system, system.dialect, {"prompt_bytes": 1000, "is_stream": True}, "--mode", "streams",
            "--connections", self.CLIENTS, "--tokens", self.TOKENS, "--pause-ms", self.PAUSE_MS)
        bench.mock.control(tokens=32)
        grown_kb = max(0, report["rss_peak_kb"] - before_kb)
        figures = {"n": self.CLIENTS, "errors": report["errors"],
                   "answer_kb": report["body_bytes"] / 1024 / self.CLIENTS,
                   "rss_kb_each": grown_kb / self.CLIENTS}
        if report["errors"]:
            figures["wrong_answer"] = report["note"]
        return figures


class Faults:
    """What a client gets to see of an upstream that fails. Nothing here is an error of the
    system; the figures describe it."""

    N = 4

    def applies(self, system):
        return True

    def run(self, bench, system):
        figures = {}
        for fault, is_stream in (("429", False), ("500", False), ("reset", True)):
            bench.mock.control(latency_ms=0, tokens=32, gap_ms=5, fault=fault)
            bench.mock.get("/stats?reset=1")
            began = time.monotonic()
            report = bench.load(system, system.dialect,
                                {"prompt_bytes": 1000, "is_stream": is_stream}, "--mode", "streams",
                                "--connections", self.N, "--timeout-ms", 20000, "--note", "error")
            figures[f"upstream_{fault}_ms"] = (time.monotonic() - began) * 1000
            figures[f"upstream_{fault}_attempts"] = bench.mock.get("/stats")["requests"] / self.N
            figures[f"upstream_{fault}"] = self.ending(report)
        bench.mock.control(tokens=32, gap_ms=0, fault="none")
        return figures

    def ending(self, report):
        if report["statuses"].keys() - {"200"}:
            return "status " + ",".join(report["statuses"])
        if "timeout" in report["error_kinds"]:
            return "no answer"
        if "closed_early" in report["error_kinds"]:
            return "connection cut"
        return "error event" if report["noted"] else "ends as if whole"


# in this order: the last ones start a system anew or may leave it ill
WORKLOADS = {
    "c1": Closed(1),
    "c64": Closed(64),
    "prompt_10k": Closed(64, prompt_bytes=10_000),
    "prompt_100k": Closed(64, prompt_bytes=100_000),
    "c50_60ms": Closed(50, latency_ms=60),
    "c1000_60ms": Closed(1000, latency_ms=60),
    "sse": Closed(32, tokens=32),
    "translate": Closed(64, dialect=ANTHROPIC),
    "translate_sse": Closed(32, dialect=ANTHROPIC, tokens=32),
    "streams": Streams(),
    "disconnect": Disconnect(),
    "slow_reader": SlowReader(),
    "faults": Faults(),
}
