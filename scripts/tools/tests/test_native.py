# SPDX-License-Identifier: GPL-2.0
"""The native benchmark's output: what is read of it and what is made of that."""

import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
PATHS = [str(HERE.parents[1]), str(HERE.parents[1] / "native"),
         str(HERE.parents[1] / "vm")]
sys.path[:0] = PATHS
import bench_native  # noqa: E402 (the path comes first)
import machine  # noqa: E402
import results  # noqa: E402

CONSOLE = """
Linux version 7.2.13+
kheap_native: begin hot_pair_64
kheap_native: result hot_pair_64 - kheap 0 100 400 0 1000 1100 1200 1500
kheap_native: result hot_pair_64 - slub 0 100 400 0 2000 2100 2400 2500
[    3.250000] kheap_native: begin hot_pair_64_2cpu
kheap_native: result hot_pair_64_2cpu hot_pair_64 kheap 0 100 300 7 9 1100 1300 1400
kheap_native: result hot_pair_64_2cpu hot_pair_64 kheap 0 100 350 0 9 1300 1500 3000
kheap_native: result hot_pair_64_2cpu hot_pair_64 slub 0 100 150 250 9 4000 4000 4000
kheap_native: result hot_pair_64_2cpu hot_pair_64 slub 0 100 500 0 9 8000 8000 8000
kheap_native: loop 10000 6000 6010
kheap_native: end
reboot: Power down
"""

CORES = """
kheap_native: result core - kheap 0 100 400 0 1000 1000 1000 1000
kheap_native: result core - slub 0 100 400 0 1000 1000 1000 1000
kheap_native: result core_2cpu core kheap 0 100 400 0 1 1800 1900 1900
kheap_native: result core_2cpu core kheap 0 100 400 0 1 1800 1900 1900
kheap_native: result core_2cpu core slub 0 100 400 0 1 1800 1900 1900
kheap_native: result core_2cpu core slub 0 100 400 0 1 1800 1900 1900
"""


def output_of(text):
    """Return what is read of a console."""
    output = results.Output()
    for line in text.splitlines():
        output.take(line)
    return output


class OutputCase(unittest.TestCase):
    """What is read of the console."""

    def test_figures_begin(self):
        output = results.Output()
        begun = [output.take(line) for line in CONSOLE.splitlines()]
        self.assertEqual([name for name in begun if name],
                         ["hot_pair_64", "hot_pair_64_2cpu"])
        self.assertTrue(output.ended)
        self.assertEqual(output.loop, (10000, 6000, 6010))

    def test_early_end(self):
        output = output_of(CONSOLE[:CONSOLE.index("kheap_native: end")])
        self.assertFalse(output.ended)
        self.assertEqual(output.under_way, "hot_pair_64_2cpu")

    def test_cut_line(self):
        with self.assertRaises(results.Malformed):
            output_of("kheap_native: result hot_pair_64 - kheap 0 100\n")

    def test_errors_are_refused(self):
        text = CONSOLE.replace("slub 0 100 400", "slub -12 100 400")
        with self.assertRaisesRegex(bench_native.Fatal, "hot_pair_64.*memory"):
            bench_native.verified(output_of(text))
        text = CONSOLE + "kheap_native: failed cold_64 -117\n"
        with self.assertRaisesRegex(bench_native.Fatal, "cold_64"):
            bench_native.verified(output_of(text))


class RowCase(unittest.TestCase):
    """Figures made of lines."""

    def setUp(self):
        self.one, self.two, self.core, self.cores = results.rows_of(
            output_of(CONSOLE + CORES).lines)

    def test_one_cpu_counts_its_least_sample(self):
        self.assertEqual(self.one.kheap.best, 10.0)
        self.assertEqual(self.one.kheap.median, 12.0)
        self.assertEqual((self.one.ratio, self.one.ratio_median), (0.5, 0.5))
        self.assertIsNone(self.one.own)

    def test_two_cpus_count_the_mean_of_their_tenths(self):
        self.assertEqual(self.two.kheap.best, 12.0)
        self.assertEqual(self.two.kheap.median, 14.0)
        self.assertEqual(self.two.rival.best, 60.0)
        self.assertEqual(self.two.ratio, 0.2)

    def test_two_cpus_to_one(self):
        self.assertAlmostEqual(self.two.own, 1.2)
        self.assertAlmostEqual(self.two.own_median, 14 / 12)

    def test_spread_is_the_widest(self):
        self.assertAlmostEqual(self.one.spread, 4 / 12)
        self.assertAlmostEqual(self.two.spread, 17 / 15)

    def test_few_samples_are_said(self):
        self.assertFalse(self.one.few())
        self.assertTrue(self.two.few())
        said = results.remarks([self.one, self.two], (10000, 6000, 6010))
        self.assertEqual(len(said), 1)
        self.assertIn("hot_pair_64_2cpu (slub): only 150", said[0])

    def test_changed_speed_is_said(self):
        said = results.remarks([self.one], (10000, 6000, 6400))
        self.assertEqual(len(said), 1)
        self.assertIn("speed changed", said[0])

    def test_dictionary(self):
        entry = self.two.as_dict("7.2.13-1", 2)
        for key in ("name", "unit", "kernel", "cpus", "kheap", "slub", "ratio",
                    "spread", "kheap_median", "slub_median", "ratio_median"):
            self.assertIn(key, entry)
        self.assertEqual(entry["unit"], "tick/op")
        self.assertEqual(entry["own_ratio"], 1.2)
        self.assertNotIn("own_ratio", self.one.as_dict("7.2.13-1", 2))

    def test_hindrance_is_no_figure(self):
        rows = [self.one, self.core, self.cores]
        self.assertEqual(results.shown(rows), [self.one])
        self.assertIn("1.80   1.90", results.hindrance(rows)[0])
        self.assertEqual(results.hindrance([self.one]), [])

    def test_no_sample_is_no_figure(self):
        text = CONSOLE.replace("0 100 350 0 9", "0 100 0 350 9")
        rows = results.rows_of(output_of(text).lines)
        self.assertEqual([row.name for row in results.shown(rows)],
                         ["hot_pair_64"])
        self.assertIsNone(rows[1].own)
        self.assertIn("only 0 samples", results.remarks(rows, None)[0])

    def test_tables_fit(self):
        rows = [self.one, self.two, self.core, self.cores]
        self.two.name = max(bench_native.known_figures(), key=len)
        lines = results.table(rows) + results.own_table(rows)
        lines += results.hindrance(rows)
        for line in lines:
            self.assertLessEqual(len(line), 80)
        self.assertTrue(any("0.20" in line and line.endswith("!")
                            for line in lines))


class MachineCase(unittest.TestCase):
    """What is said of the machine."""

    def test_others_and_theft(self):
        watch = machine.Watch()
        watch.start -= 100.0
        watch.busy -= 60.0
        self.assertEqual(len(watch.remarks(0.0, "meanwhile")), 1)
        self.assertEqual(watch.remarks(59.9, "meanwhile"), [])
        watch.stolen -= 50.0
        self.assertIn("host", watch.remarks(60.0, "meanwhile")[0])

    def test_differences_fit(self):
        for line in machine.differences([0, 1]):
            self.assertLessEqual(len(line), 78)


FAKE = """#!/bin/bash
echo "kheap_native: begin hot_pair_64"
sleep 300 &
echo $! >"{pid}"
wait
"""


class EndCase(unittest.TestCase):
    """Nothing that was started outlives the runner."""

    def start(self, folder):
        """Run a kernel that is none; return the runner and the child's pid."""
        binary, pid = folder / "linux", folder / "pid"
        binary.write_text(FAKE.format(pid=pid))
        binary.chmod(0o755)
        runner = subprocess.Popen(
            [sys.executable, "-B", "-c",
             "import pathlib, sys; sys.path[:0] = sys.argv[2:]\n"
             "import bench_native as b, common\n"
             "b.end_when_told()\n"
             "common.main_wrapper(lambda: b.run(pathlib.Path(sys.argv[1]), []))",
             binary, *PATHS], stderr=subprocess.DEVNULL)
        for _ in range(900):
            if pid.exists() and pid.read_text():
                return runner, int(pid.read_text())
            time.sleep(0.1)
        runner.kill()
        self.fail("the kernel that is none did not start")

    def assert_ended(self, pid):
        for _ in range(50):
            try:
                state = pathlib.Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                return
            if state.rpartition(")")[2].split()[0] == "Z":
                return
            time.sleep(0.1)
        self.fail("a process is left")

    def test_signals(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with tempfile.TemporaryDirectory() as folder:
                runner, child = self.start(pathlib.Path(folder))
                runner.send_signal(number)
                self.assertEqual(runner.wait(20), status)
                self.assert_ended(child)


class NamesCase(unittest.TestCase):
    """The figures' names are those of the benchmark's source."""

    def test_known_figures(self):
        names = bench_native.known_figures()
        self.assertEqual(len(names), len(set(names)))
        for name in ("hot_pair_64", "cold_mixed", "remote_free",
                     "object_release_2cpu"):
            self.assertIn(name, names)
