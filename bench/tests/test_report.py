#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""report.py: rounds become medians, faults add up, bars are judged against haproxy."""

import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import report  # noqa: E402


def systems(motet_us, haproxy_us=10.0, **more):
    return {"haproxy": {"c64": {"cpu_us_per_request": haproxy_us, "errors": 0}},
            "motet": {"c64": {"cpu_us_per_request": motet_us, "rss_peak_mb": 20.0, "errors": 0},
                      **more}}


def verdicts(found):
    return {bar["bar"]: (bar["verdict"], bar["value"]) for bar in report.bars(found)}


class Merge(unittest.TestCase):
    def test_rounds_become_median_and_range(self):
        rounds = [{"p50_us": v, "errors": e} for v, e in ((30.0, 0), (10.0, 2), (20.0, 1))]
        merged = report.merge(rounds, without_p99=False)
        self.assertEqual(merged["p50_us"], 20.0)
        self.assertEqual(merged["spread"]["p50_us"], [10.0, 30.0])
        self.assertEqual((merged["errors"], merged["rounds"]), (3, 3))

    def test_peaks_are_the_worst_and_aborts_the_fewest(self):
        rounds = [{"rss_peak_mb": 5.0, "seen": 50}, {"rss_peak_mb": 9.0, "seen": 49}]
        merged = report.merge(rounds, without_p99=False)
        self.assertEqual((merged["rss_peak_mb"], merged["seen"]), (9.0, 49))

    def test_noise_takes_every_p99_away(self):
        merged = report.merge([{"p99_us": 5.0, "forward_p99_us": 6.0, "p50_us": 1.0}], True)
        self.assertEqual((merged["p99_us"], merged["forward_p99_us"], merged["p50_us"]),
                         (None, None, 1.0))


class Bars(unittest.TestCase):
    PASS_THROUGH = "pass-through CPU per request, times haproxy's"

    def test_pass_through_is_held_against_haproxy(self):
        self.assertEqual(verdicts(systems(45.0))[self.PASS_THROUGH], ("PASS", 4.5))
        self.assertEqual(verdicts(systems(46.0))[self.PASS_THROUGH], ("FAIL", 4.6))

    def test_nothing_measured_is_skipped(self):
        self.assertEqual({v for v, _ in verdicts({}).values()}, {"SKIP"})
        self.assertEqual(verdicts({"motet": systems(1.0)["motet"]})[self.PASS_THROUGH][0], "SKIP")

    def test_what_the_driver_read_late_is_not_the_gateways(self):
        name = "coalesced tokens in paced streams"
        found = systems(1.0, streams={"coalesced_tokens": 3, "errors": 0})
        self.assertEqual(verdicts(found)[name], ("FAIL", 3))
        found["direct"] = {"streams": {"coalesced_tokens": 3}}
        self.assertEqual(verdicts(found)[name], ("PASS", 0))

    def test_an_upstream_answer_that_runs_on_fails(self):
        name = "upstream aborts missing after clients left"
        cut = {"n": 50, "seen": 50, "first_token_seen": 49, "whole_seen": 50, "delay_max_ms": 1.0}
        self.assertEqual(verdicts(systems(1.0, disconnect=cut))[name], ("FAIL", 1))

    def test_wrong_answers_of_any_workload_count(self):
        found = systems(1.0, sse={"errors": 2}, disconnect={"n": 0, "whole_errors": 1})
        self.assertEqual(verdicts(found)["wrong answers, all workloads"], ("FAIL", 3))


if __name__ == "__main__":
    unittest.main()
