#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The page of bench/peers, written from results.jsonl beside this file, which somebody made up."""
import json
import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.dont_write_bytecode = True
sys.path.insert(0, str(HERE.parents[3] / "bench/peers"))

import report  # noqa: E402
from systems import SYSTEMS, WORKLOADS, ours  # noqa: E402


def written(change=lambda lines: lines):
    lines = [json.loads(text) for text in (HERE / "results.jsonl").read_text(encoding="utf-8").splitlines()]
    return report.page(change(lines))


def section(page, heading):
    """Rows by system and store, and the remarks below them."""
    (text,) = [part for part in page.split("\n## ") if part.startswith(heading)]
    rows = {}
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] not in ("system", "---"):
            rows[cells[0].strip("*"), cells[1]] = cells[2:]
    return rows, [line for line in text.splitlines() if line.startswith("- ")]


class Page(unittest.TestCase):
    def test_a_ratio_is_the_median_of_the_ratios_of_each_round(self):
        rows, _ = section(written(), "W1: ten steps")

        # 20/2, 60/3, 40/10 and 20/4, 60/5, 40/8: neither is the ratio of the medians, 40/3 and 40/5.
        self.assertEqual(rows["Steady 1.0", "Postgres"], ["40", "20–60", "3", "10", "5", "0"])
        self.assertEqual(rows["Fermata", "SQLite"], ["3", "2–10", "3", "1", "0.6", "0"])

    def test_where_more_is_better_a_ratio_above_one_still_means_that_ours_is_better(self):
        rows, _ = section(written(), "W2: ten steps, 256")

        self.assertEqual(rows["Steady 1.0", "Postgres"], ["90", "50–100", "3", "100", "40", "0"])

    def test_a_system_that_failed_in_one_round_says_in_how_many_and_why(self):
        rows, remarks = section(written(), "W1: ten steps")

        self.assertEqual(rows["Shaky 1.0", "its own log"][:3], ["2,401", "1,200–3,601", "2"])
        self.assertIn("- Shaky (its own log): failed in 1 of 3 rounds: it ended with 1.", remarks)

    def test_what_was_lost_in_any_round_is_summed_and_stands_out(self):
        rows, _ = section(written(), "W1: ten steps")

        self.assertEqual(rows["Shaky 1.0", "its own log"][-1], "**2**")

    def test_a_system_that_could_not_be_installed_is_named_wherever_it_was_to_be(self):
        page = written()

        for heading in ("W1: ten steps", "W2: ten steps", "W2: from", "W2: processor"):
            rows, remarks = section(page, heading)
            self.assertNotIn(("Absent 1.0", "Redis"), rows)
            self.assertIn("- Absent (Redis): failed in 3 of 3 rounds: can't be installed: no such package.", remarks)

    def test_a_system_that_is_not_asked_says_why(self):
        _, remarks = section(written(), "W2: ten steps")

        self.assertIn("- Queue (Postgres): not asked, as jobs have no steps.", remarks)

    def test_a_run_that_was_cut_off_does_not_hide_it(self):
        rows, remarks = section(written(), "W5:")

        self.assertEqual(rows["Queue 1.0", "Postgres"], ["7,500", "5,000–10,000", "2", "3", "–", "–"])
        self.assertIn("- Fermata (SQLite), Queue (Postgres): 1 of 3 rounds are missing.", remarks)
        self.assertIn("- Queue (Postgres): up to 1,200 weren't executed in time; the speed is of those that were.",
                      remarks)
        self.assertIn("- Fermata (Postgres), Steady (Postgres), Shaky (its own log), Absent (Redis): wasn't measured.",
                      remarks)

    def test_repeated_steps_are_told(self):
        _, remarks = section(written(), "W2: ten steps")

        self.assertIn("- Steady (Postgres): up to 4 steps were executed again in a round.", remarks)

    def test_the_raw_probe_stands_beside_ours(self):
        rows, _ = section(written(), "W1: ten steps")

        self.assertEqual(rows["raw probe", "SQLite"], ["2", "1.6–9", "3", "0.8", "0.4", ""])

    def test_machine_versions_settings_and_what_was_left_out_are_told(self):
        page = written()

        for text in ("2 cores, Linux 6.1, ext4 on a virtual disk", "Postgres 15.0, Node 24.0.0.", "2026-01-02",
                     "| Shaky | 1.0 | its own log | set as shaky |", "by `--only`: other.",
                     "--rounds 3 --workloads W1,W2,W5 --seconds 3 --in-flight 256"):
            self.assertIn(text, page)

    def test_workloads_that_were_not_asked_have_no_table(self):
        self.assertNotIn("## W3", written())


class Systems(unittest.TestCase):
    def test_every_system_says_of_every_workload_what_it_does_or_why_it_does_not(self):
        measured = {metric.key for metric in report.METRICS}
        for system in SYSTEMS:
            self.assertLessEqual(set(system.lacks), measured | set(WORKLOADS), system.name)
            self.assertTrue(system.ours() or system.package, system.name)

    def test_what_fermata_bench_says_becomes_what_the_page_reads(self):
        said = [{"workload": "W4", "clients": clients, "starts_a_call": each, "starts_per_s": clients * each,
                 "probe_rows_per_s": 7, "lost": 1, "repeated": 0} for clients, each in ((1, 1), (64, 1), (4, 1000))]

        figures, probe = ours("W4", said)

        self.assertEqual(figures, {"one_by_one_per_s": 64, "batch_per_s": 4000, "lost": 3, "repeated": 0})
        self.assertEqual(probe, {"one_by_one_per_s": 7, "batch_per_s": 7})


if __name__ == "__main__":
    unittest.main()
