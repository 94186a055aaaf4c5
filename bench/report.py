# SPDX-License-Identifier: Apache-2.0
"""From the rounds to medians, the bars, the table and the file."""

import statistics

# (what, workload, figure, kind, limit, goal); kind: times haproxy's c64, times own c64, plain
BARS = [
    ("pass-through CPU per request, times haproxy's", "c64", "cpu_us_per_request", "haproxy",
     4.5, 3.0),
    ("translating CPU per request, times haproxy's", "translate", "cpu_us_per_request", "haproxy",
     6.5, 4.5),
    ("100 KB prompt's CPU, times a 1 KB prompt's", "prompt_100k", "cpu_us_per_request", "own",
     4.0, None),
    ("peak RSS at c=64 [MB]", "c64", "rss_peak_mb", "plain", 25.0, None),
    ("RSS per paced stream [KB]", "streams", "rss_kb_each", "plain", 30.0, None),
    ("coalesced tokens in paced streams", "streams", "coalesced_tokens", "direct", 0, None),
    ("wrong answers, all workloads", None, "errors", "errors", 0, None),
    ("upstream aborts missing after clients left", "disconnect", "missing", "missing", 0, None),
    ("slowest upstream abort after a client left [ms]", "disconnect", "delay", "delay", 100, None),
]

COLUMNS = [ # head, workload, figure, format
    ("c1 p50", "c1", "p50_us", "{:.0f}"),
    ("c1 p99", "c1", "p99_us", "{:.0f}"),
    ("CPU us", "c64", "cpu_us_per_request", "{:.1f}"),
    ("10K us", "prompt_10k", "cpu_us_per_request", "{:.1f}"),
    ("100K us", "prompt_100k", "cpu_us_per_request", "{:.1f}"),
    ("transl us", "translate", "cpu_us_per_request", "{:.1f}"),
    ("SSE us", "sse", "cpu_us_per_request", "{:.1f}"),
    ("tr SSE us", "translate_sse", "cpu_us_per_request", "{:.1f}"),
    ("rps c64", "c64", "rps", "{:.0f}"),
    ("60ms rps", "c50_60ms", "rps", "{:.0f}"),
    ("RSS MB", "c64", "rss_peak_mb", "{:.1f}"),
    ("str core%", "streams", "core_percent", "{:.1f}"),
    ("str KB", "streams", "rss_kb_each", "{:.1f}"),
    ("merged", "streams", "coalesced_tokens", "{:.0f}"),
    ("cut seen", "disconnect", "seen", "{:.0f}"),
    ("cut ms", "disconnect", "delay_max_ms", "{:.1f}"),
    ("slow KB", "slow_reader", "rss_kb_each", "{:.0f}"),
]
ADDED_UP = {"errors", "coalesced_tokens", "out_of_order", "early_gaps"}
WORST = {"rss_peak_mb", "delay_max_ms", "first_token_delay_max_ms", "whole_delay_max_ms"}
LEAST = {"seen", "first_token_seen", "whole_seen"}


def rounded(value):
    if isinstance(value, float):
        return round(value, 1) if abs(value) >= 10 else round(value, 3)
    return value


def merge(rounds, without_p99):
    """Figures of several rounds to one: medians, but sums of faults and worst peaks; the
    range of every figure that varied goes to "spread"."""
    merged, spread = {}, {}
    for name in dict.fromkeys(key for figures in rounds for key in figures):
        values = [figures[name] for figures in rounds if name in figures]
        if isinstance(values[0], str):
            merged[name] = values[0]
            continue
        if without_p99 and "p99" in name:
            merged[name] = None
            continue
        pick = (sum if name in ADDED_UP or name.endswith("errors") else max if name in WORST
                else min if name in LEAST else statistics.median)
        merged[name] = rounded(pick(values))
        if min(values) != max(values):
            spread[name] = [rounded(min(values)), rounded(max(values))]
    merged["rounds"] = len(rounds)
    if spread:
        merged["spread"] = spread
    return merged


def value(systems, name, workload, figure):
    return (systems.get(name, {}).get(workload) or {}).get(figure)


def errors_of(figures):
    return sum(v or 0 for w in figures.values() if isinstance(w, dict)
               for k, v in w.items() if k.endswith("errors"))


def missing_of(figures):
    """Upstream answers that ran on to their end."""
    cut = figures.get("disconnect") or {}
    return sum(max(0, cut["n"] - cut[k]) for k in cut if k.endswith("seen"))


def delay_of(figures):
    cut = figures.get("disconnect") or {}
    return max((v for k, v in cut.items() if k.endswith("delay_max_ms")), default=None)


def bar_value(systems, name, bar):
    """@return the number to hold against the limit, or None when it was not measured"""
    _, workload, figure, kind, _, _ = bar
    own = systems.get(name)
    if own is None:
        return None
    if kind == "errors":
        return errors_of(own)
    if kind in ("missing", "delay"):
        was_run = "seen" in (own.get(workload) or {})
        return (missing_of if kind == "missing" else delay_of)(own) if was_run else None
    number = value(systems, name, workload, figure)
    if number is None:
        return None
    if kind == "direct":  # what the driver itself read late in this run is not the gateway's
        return max(0, number - (value(systems, "direct", workload, figure) or 0))
    if kind in ("haproxy", "own"):
        base = value(systems, "haproxy" if kind == "haproxy" else name, "c64", "cpu_us_per_request")
        return number / base if base else None
    return number


def bars(systems, name="motet"):
    judged = []
    for bar in BARS:
        number = bar_value(systems, name, bar)
        limit, goal = bar[4], bar[5]
        verdict = "SKIP" if number is None else "PASS" if number <= limit else "FAIL"
        judged.append({"bar": bar[0], "value": rounded(number), "limit": limit, "goal": goal,
                       "verdict": verdict})
    return judged


def table(systems):
    lines = [["", *(column[0] for column in COLUMNS), "errors"]]
    for name, figures in systems.items():
        row = [name]
        for _, workload, figure, form in COLUMNS:
            number = value(systems, name, workload, figure)
            row.append("-" if number is None else form.format(number))
        lines.append([*row, str(errors_of(figures))])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(cell.rjust(w) if i else cell.ljust(w)
                               for i, (cell, w) in enumerate(zip(line, widths)))
                     for line in lines)


def ratios(systems):
    lines = []
    for name in systems:
        parts = []
        for workload in ("c64", "sse", "translate"):
            number = value(systems, name, workload, "cpu_us_per_request")
            base = value(systems, "haproxy", "sse" if workload == "sse" else "c64",
                         "cpu_us_per_request")
            if number and base and name != "direct":
                parts.append(f"{workload} {number / base:.1f}x")
        if parts:
            lines.append(f"  {name:8} {', '.join(parts)}")
    return "\n".join(lines)


def bars_table(judged):
    lines = []
    for j in judged:
        found = "not measured" if j["value"] is None else f"{j['value']:g}"
        goal = f" (goal {j['goal']:g})" if j["goal"] is not None else ""
        lines.append(f"  {j['verdict']}  {j['bar']}: {found}, at most {j['limit']:g}{goal}")
    return "\n".join(lines)
