#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the KUnit suites in the test kernel and say how they ended.

The test kernel boots; inserting kheap_kunit.ko runs the suites.  All suites
are shared out between two machines that run side by side.  They leave out the
cases that KUnit calls slow, and try some sizes, not all, unless --all is given
or a suite is named.  Results are read from the kernel log as they appear.  A
report of KASAN, lockdep, kmemleak or any other checker fails the run, and so
does a run in which no suite was seen.  The last line is "N passed, N failed".
"""

import argparse
import bisect
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "vm"))
import common  # noqa: E402
import kernellog  # noqa: E402
from common import Fatal, say  # noqa: E402

RESULT = re.compile(r"^( *)(not ok|ok) \d+ (\S+)(?: # (SKIP.*))?")
SUBTEST = re.compile(r"^( *)# Subtest: (\S+)")

# The suites, in parts that take about as long as each other.
PARTS = ("kheap_[a-g]*", "kheap_[!a-g]*")

# The machine's clock is slow, its timer slower: a test that waits for a grace
# period is not to wait for idle processors.
APPEND = "log_buf_len=16M watchdog_thresh=60 rcupdate.rcu_expedited=1"


class Ktap:
    """Follows KTAP in a kernel log; counts leaves, prints suites."""

    def __init__(self, verbose):
        self.verbose = verbose
        self.suites = []
        self.passed = self.failed = self.skipped = 0
        self.suite = None
        self.counts = [0, 0, 0]
        self.inner = False      # the case at hand has parameters
        self.recent = []        # lines since the last result
        self.start = time.monotonic()

    def feed(self, line):
        """Take one message of the log."""
        sub = SUBTEST.match(line)
        if sub and len(sub[1]) == 4:
            self.suite, self.counts = sub[2], [0, 0, 0]
            self.recent = []
            self.start = time.monotonic()
            return
        if self.suite is None:
            return
        res = RESULT.match(line)
        if not res:
            self.recent.append(line)
            return
        depth = len(res[1]) // 4
        if depth == 0 and res[3] == self.suite:
            self.close_suite(res[2] == "ok")
        elif depth == 1:
            if not self.inner:
                self.count(res)
            self.inner = False
            self.show_case(res)
        elif depth >= 2:
            self.inner = True
            self.count(res)
            if res[2] != "ok":
                self.show_case(res)

    def count(self, res):
        """Count a leaf."""
        self.counts[0 if res[2] != "ok" else 2 if res[4] else 1] += 1

    def show_case(self, res):
        """Print a case that failed with its messages, or every case."""
        name = f"{self.suite}.{res[3]}"
        if res[2] != "ok":
            print(f"  FAILED {name}")
            for line in self.recent[-30:]:
                if not re.match(r"^ *(KTAP version|1\.\.|# Subtest)", line):
                    print("    " + line.strip())
        elif self.verbose:
            print(f"  ok {name}" + (f" ({res[4]})" if res[4] else ""))
        self.recent = []
        sys.stdout.flush()

    def close_suite(self, okay):
        """Print a suite's line and add up."""
        failed, passed, skipped = self.counts
        if not okay and not failed:
            failed = 1          # the suite's own set-up or exit
            for line in self.recent[-20:]:
                print("    " + line.strip())
        took = time.monotonic() - self.start
        print(f"{'ok    ' if okay else 'FAILED'} {self.suite:<28} "
              f"{passed:4} passed {failed:3} failed"
              + (f" {skipped:3} skipped" if skipped else "")
              + f"  {took:5.1f} s", flush=True)
        self.counts[0] = failed
        self.add_up()

    def add_up(self):
        """Add the counts of the suite at hand to the totals."""
        self.failed += self.counts[0]
        self.passed += self.counts[1]
        self.skipped += self.counts[2]
        self.suites.append(self.suite)
        self.suite = None
        self.recent = []


class ConsoleTail:
    """Reads whole lines of a growing console log."""

    def __init__(self, path):
        self.path = path
        self.offset = 0
        self.rest = b""
        self.lines = []

    def read(self):
        """Return the new lines since the last call."""
        try:
            with open(self.path, "rb") as file:
                file.seek(self.offset)
                data = file.read()
        except FileNotFoundError:
            return []
        self.offset += len(data)
        whole, sep, rest = (self.rest + data).rpartition(b"\n")
        self.rest = rest
        new = kernellog.clean(whole + sep).splitlines()
        self.lines += new
        return new


def globs_of(name):
    """Return KUnit's filters for what the user typed as a suite."""
    if not name:
        return PARTS
    suite, dot, case = name.partition(".")
    if not suite.startswith(("kheap_", "*")):
        suite = "kheap_" + suite
    return (suite + dot + case,)


class Guest(threading.Thread):
    """A virtual machine that runs the suites that fit a filter."""

    def __init__(self, args, number, glob):
        super().__init__()
        self.args = args
        self.glob = glob
        self.ktap = Ktap(args.verbose)
        self.status, self.out, self.lines = None, "", []
        self.console = common.build_dir() / "vm" / \
            f"kunit-{args.kernel}-{number}.log"

    def command(self):
        """Return the command that boots it."""
        args = self.args
        append = f"{APPEND} {args.append} kunit.filter_glob={self.glob}"
        param = args.param
        machine = ["--cpus", str(args.cpus or 4), "--mem", args.mem or "1024"]
        if not (args.all or args.suite):
            append += " kunit.filter=speed>slow"
            param = ["sweep=0", *param]
            # What is left has little to do at once: a thread a machine.
            machine = ["--cpus", str(args.cpus or 2), "--one-thread",
                       "--mem", args.mem or "256"]
        return [sys.executable, str(common.VM_DIR / "run.py"),
                "--kernel", args.kernel, *machine,
                "--timeout", str(args.timeout),
                "--console-log", str(self.console), "--append", append,
                "--", "bash", str(common.VM_DIR / "kunit-guest.sh"),
                str(common.build_dir() / args.kernel), *param]

    def run(self):
        """Boot, follow the log."""
        self.console.parent.mkdir(parents=True, exist_ok=True)
        self.console.unlink(missing_ok=True)
        tail = ConsoleTail(self.console)
        out = []
        with subprocess.Popen(self.command(), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE) as proc:
            reader = threading.Thread(
                target=lambda: out.append(proc.stdout.read()), daemon=True)
            reader.start()
            while proc.poll() is None:
                follow(tail, self.ktap)
                time.sleep(0.1)
            reader.join()
        follow(tail, self.ktap)
        self.status = proc.returncode
        self.out = kernellog.clean(b"".join(out))
        self.lines = tail.lines

    def report(self):
        """Print what is left to say; return the number of problems."""
        problems = 0
        if self.status == 0 and show_complaints(self.lines):
            print(f"FAILED the kernel log is not clean ({self.console})")
            problems += 1
        if "unreferenced object" in self.out:
            print("FAILED kmemleak:")
            print(with_names(self.out))
            problems += 1
        elif self.status:
            print(self.out, end="")
            print(f"FAILED the run ended with {self.status} in suite "
                  f"{self.ktap.suite or '(none)'}; log: {self.console}")
            problems += 1
            if self.ktap.suite:
                self.ktap.add_up()
        if not self.ktap.suites:
            print(f"FAILED no suite ran (filter {self.glob})")
            problems += 1
        return problems


def follow(tail, ktap):
    """Feed the new lines of the console to the KTAP reader."""
    for line in tail.read():
        ktap.feed(kernellog.message(line)[1])


def show_complaints(lines):
    """Print each report of the kernel's checkers with what follows it."""
    bad = kernellog.complaints(lines)
    shown = -1
    for line in bad[:5]:
        at = lines.index(line)
        if at <= shown:
            continue
        print("--- the kernel log reports ---")
        for text in lines[max(0, at - 2):at + 30]:
            print(text)
        shown = at + 30
    return len(bad)


def with_names(out):
    """Put the names of functions into a report made without the modules."""
    table = sorted((int(addr, 16), f"{name} {module}") for addr, name, module
                   in re.findall(r"^symbol (\w+) \w (\S+)\s+(\S+)$", out,
                                 re.M))

    def name_of(match):
        addr = int(match[0], 16)
        at = bisect.bisect(table, (addr, "~")) - 1
        if at < 0 or addr - table[at][0] > 0x10000:
            return match[0]
        return f"{table[at][1]}+{addr - table[at][0]:#x}"

    text = re.sub(r"^symbol .*\n?", "", out, flags=re.M)
    return re.sub(r"(?<=^    )0x[0-9a-f]{16}$", name_of, text, flags=re.M)


def report(guests):
    """Print how all went; return the exit status."""
    failed = sum(guest.report() for guest in guests)
    passed = sum(guest.ktap.passed for guest in guests)
    skipped = sum(guest.ktap.skipped for guest in guests)
    failed += sum(guest.ktap.failed for guest in guests)
    if skipped and guests[0].args.verbose:
        print(f"({skipped} skipped)")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("suite", nargs="?", default="",
        help="suite, glob or suite.case; kheap_ may be left out")
    add("--kernel", default="test",
        help="test (default), kcsan, kmsan, or bare-arm64 and the like")
    add("--cpus", type=int, metavar="N",
        help="processors (default 4; 2 without slow cases)")
    add("--mem", metavar="M",
        help="memory in MiB (default 1024; 256 without slow cases)")
    add("--timeout", type=float, default=900,
        help="seconds (default 900)")
    add("--param", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter of kheap_kunit, as model_seed=7; may be repeated")
    add("--append", default="", help="more for the kernel's command line")
    add("--all", action="store_true", help="slow cases as well")
    add("-v", "--verbose", action="store_true", help="print every case")
    return parser.parse_args()


def main():
    """Command line."""
    args = parse_args()
    build = subprocess.run([str(common.REPO / "scripts/build.sh"),
                            args.kernel], stdin=subprocess.DEVNULL,
                           check=False)
    if build.returncode:
        raise Fatal("the modules do not build")
    say(f"booting the {args.kernel} kernel")
    guests = [Guest(args, number, glob)
              for number, glob in enumerate(globs_of(args.suite), 1)]
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.join()
    return report(guests)


if __name__ == "__main__":
    common.main_wrapper(main)
