#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Look whether two CPUs at once take longer than one alone, each with its blocks.

Stock 6.12 is booted with two CPUs that are threads of the host, so its cores
fight for a line that both write to.  What two CPUs take longer for arithmetic,
because the host has other work for its cores, is divided out.  In the same run
both set and clear bits of one word in each operation: where that does not come
out clearly over the limit, nothing could be measured, and nothing passes.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "vm"))
import common  # noqa: E402
from common import Fatal, say  # noqa: E402

KERNEL = "6.12"
LIMIT = 1.3
CLEARLY = 1.5           # where the control has to be, for a try to say anything
SAMPLES = 5
NOT_AT_ONCE = 2**64 - 1
CORE = "core_2cpu"
CONTROL = "shared_bits_2cpu"
GUARDED = ("hot_pair_64_2cpu", "interleaved_64_2cpu")
FIGURES = (CORE, *GUARDED, CONTROL)


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tries", type=int, default=5, metavar="N",
                        help="measure up to N times, until all is well "
                        "(default: %(default)s)")
    parser.add_argument("--limit", type=float, default=LIMIT, metavar="R",
                        help="the highest good ratio (default: %(default)s)")
    return parser.parse_args()


def boot_command():
    """Return the words that boot a guest which measures once."""
    log = common.build_dir() / "vm" / "two-cpus.log"
    return [sys.executable, str(common.VM_DIR / "run.py"),
            "--kernel", KERNEL, "--cpus", "2", "--timeout", "300",
            "--console-log", str(log),
            "--env", f"KHEAP_MODULES={common.build_dir() / KERNEL}", "--",
            "bash", str(HERE / "guest.sh"), str(SAMPLES), *FIGURES]


class Try:
    """The figures, measured once, one after the other."""

    def __init__(self):
        self.ns = {}            # ns an operation, by (name, side)
        self.failed = set()     # names of what could not be measured

    def add(self, text):
        """Take a line of the module's results."""
        name, side, _, error, nr_ops, least = text.split()[:6]
        if int(error):
            raise Fatal(f"{name} ({side}): {os.strerror(-int(error))}")
        if int(least) == NOT_AT_ONCE:
            self.failed.add(name)
        else:
            self.ns[name, side] = int(least) / int(nr_ops)

    def ratio(self, name):
        """Return how much longer both take than one, or None."""
        if name in self.failed:
            return None
        return self.ns[name, "both"] / self.ns[name, "alone"]

    def beside_core(self, name):
        """Return the ratio without what arithmetic takes longer, or None."""
        ratio, core = self.ratio(name), self.ratio(CORE)
        return ratio / max(core, 1) if ratio and core else None

    def shows(self):
        """Return whether the CPUs were seen to get in each other's way."""
        return (self.beside_core(CONTROL) or 0) > CLEARLY

    def is_good(self, limit):
        """Return whether there is nothing to look for in another try."""
        ratios = [self.beside_core(name) for name in GUARDED]
        return self.shows() and all(r and r <= limit for r in ratios)

    def tell(self, number):
        """Print a line for each figure."""
        for name in FIGURES:
            what = f"  try {number}: {name:20}"
            ratio, beside = self.ratio(name), self.beside_core(name)
            if ratio is None:
                print(f"{what} the host did not run both CPUs at once")
                continue
            print(f"{what} one CPU {self.ns[name, 'alone']:7.1f} ns/op, "
                  f"two at once {self.ns[name, 'both']:7.1f}: {ratio:.2f}"
                  + (f", {beside:.2f} of arithmetic's"
                     if beside and name != CORE else ""), flush=True)


def measure():
    """Boot a guest; return what was measured."""
    found = Try()
    with subprocess.Popen(boot_command(), text=True, errors="replace",
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE) as guest:
        for text in guest.stdout:
            word, _, rest = text.strip().partition(" ")
            if word == "result":
                found.add(rest)
            elif word != "begin":
                say(text.rstrip())
    if guest.returncode:
        raise Fatal(f"the guest ended with {guest.returncode}")
    return found


def measure_until_good(args):
    """Return the tries that were made."""
    tries = []
    while len(tries) < args.tries:
        tries.append(measure())
        tries[-1].tell(len(tries))
        if tries[-1].is_good(args.limit):
            break
    return tries


def judge(tries, limit):
    """Print what became of it; return the status."""
    shown = [one for one in tries if one.shows()]
    if not shown:
        print(f"skipped: {CONTROL} did not come out over {CLEARLY}: this host "
              "does not show whether two CPUs share a line\n"
              "0 passed, 0 failed")
        return 0
    most = max(one.beside_core(CONTROL) for one in shown)
    print(f"ok {CONTROL} {most:.2f} is found (over {CLEARLY})")
    passed, failed = 1, 0
    for name in GUARDED:
        ratios = [one.beside_core(name) for one in shown]
        best = min((r for r in ratios if r), default=None)
        good = best is not None and best <= limit
        passed, failed = passed + good, failed + (not good)
        print(f"{'ok' if good else 'not ok'} {name} "
              + (f"{best:.2f}" if best else "could not be measured")
              + f" (limit: {limit})")
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


def main():
    """Command line."""
    args = parse_args()
    res = subprocess.run([str(common.REPO / "scripts/build.sh"), KERNEL],
                         stdin=subprocess.DEVNULL, check=False)
    if res.returncode:
        raise Fatal(f"the modules do not build for {KERNEL}")
    return judge(measure_until_good(args), args.limit)


if __name__ == "__main__":
    common.main_wrapper(main)
