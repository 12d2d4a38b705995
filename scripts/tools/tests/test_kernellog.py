# SPDX-License-Identifier: GPL-2.0
"""What a kernel log must fail a test run for: data races."""

import pathlib
import sys
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "vm"))
import kernellog  # noqa: E402 (the path comes first)

RULER = "=" * 66
TITLE = "BUG: KCSAN: data-race in one / other"
WRITE = "write to 0xffffffff820c2cf0 of 56 bytes by interrupt on cpu 2:"
READ = "read to 0xffffffff820c2cf0 of 8 bytes by task 118 on cpu 3:"
TICK = [" update_wall_time+0xb/0x20", " asm_sysvec_apic_timer_interrupt+0x1b/0x20"]
KERNEL = [" ksys_write+0x9a/0x120"]
HEAP = [" kheap_pool_get+0xb0/0xa60 [kheap]"]


def log(*lines):
    """Return the lines with levels and times, as dmesg -r prints them."""
    return [f"<{4 if line.startswith(' ') else 3}>[   86.{at:06}] {line}"
            for at, line in enumerate(lines)]


def report(written, read):
    """Return a report of two accesses with the stacks, and a line after it."""
    return log(RULER, TITLE, "", WRITE, *written, "", READ, *read, "",
               "Reported by Kernel Concurrency Sanitizer on:", RULER, "a line")


class RaceCase(unittest.TestCase):
    """A report is ours when a function of kheap is one that made the access."""

    def assert_ours(self, lines, is_ours=True):
        titles = [ln for ln in lines if TITLE in ln]
        self.assertEqual(kernellog.complaints(lines), titles * is_ours)

    def test_kernel_with_itself(self):
        self.assert_ours(report(KERNEL, KERNEL), False)

    def test_either_side(self):
        self.assert_ours(report(HEAP, KERNEL))
        self.assert_ours(report(KERNEL, KERNEL + HEAP))

    def test_interrupted_heap(self):
        self.assert_ours(report(TICK + HEAP, KERNEL), False)
        self.assert_ours(report(TICK + HEAP, HEAP))

    def test_heap_in_interrupt(self):
        self.assert_ours(report(HEAP + TICK, KERNEL))

    def test_unknown_origin(self):
        lines = log(TITLE, "", "race at unknown origin, with " + READ, *HEAP,
                    RULER)
        self.assert_ours(lines)

    def test_no_names(self):
        self.assert_ours(report([" 0xffffffffc0012345"], KERNEL))

    def test_unfinished(self):
        self.assert_ours(report(KERNEL, KERNEL)[:6])

    def test_what_comes_after(self):
        lines = report(KERNEL, KERNEL) + log("WARNING: CPU: 1 PID: 2 at foo")
        self.assertEqual(kernellog.complaints(lines), lines[-1:])


if __name__ == "__main__":
    unittest.main()
