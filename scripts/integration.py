#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Run the integration tests (scripts/vm/tests/*.sh) on stock kernels.

A test says in comment lines at its head where it runs:

    # kernels: 6.12 6.1           (6.12 stands for the newest one, and for
                                     6.12 of other architectures, too)
    # except: s390x newest        (not on these)
    # boot: --cpus 4 --nodes 2      (options of run.py; default --cpus 2
                                     --one-thread)
    # timeout: 300                  (seconds; default 600)

All tests of a kernel that boot alike share one boot.  When the guest dies,
the test at hand has failed and the rest goes on in a new boot.  The last
line is "N passed, N failed".
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                "vm"))
import arch  # noqa: E402
import common  # noqa: E402
from common import Fatal, say  # noqa: E402

TESTS = common.VM_DIR / "tests"
RESULT = re.compile(r"^(ok|not ok) ([\w.-]+)")
USUAL = ("6.12", "6.1")

# Variables that tests look at.
PASSED_ON = ("KHEAP_SEED", "KHEAP_MS")


class Test:
    """One guest script and what its head says."""

    def __init__(self, path):
        self.path = path
        self.name = path.stem
        head = path.read_text().splitlines()[:20]
        self.kernels = self.option(head, "kernels", "6.12 6.1").split()
        self.excepted = self.option(head, "except", "").split()
        self.boot = self.option(head, "boot", "--cpus 2 --one-thread")
        self.timeout = int(self.option(head, "timeout", "600"))

    @staticmethod
    def option(head, key, default):
        """Return the value of a "# key: value" line."""
        for line in head:
            if line.startswith(f"# {key}:"):
                return line.partition(":")[2].strip()
        return default

    def runs_on(self, kernel):
        """Return whether the head of the test allows a kernel."""
        name = arch.parse(kernel)
        flavour = "6.12" if name.flavour == common.NEWEST else name.flavour
        return flavour in self.kernels and not {
            name.flavour, name.arch.name, name.suffix} & set(self.excepted)


def groups(tests, kernels):
    """Yield (kernel, boot options, tests) for each boot that is needed."""
    for kernel in kernels:
        mine = [t for t in tests if t.runs_on(kernel)]
        for boot in sorted({t.boot for t in mine}):
            yield kernel, boot, [t for t in mine if t.boot == boot]


def boot_once(kernel, boot, tests):
    """Run tests in one boot; return ({name: passed}, status)."""
    total = 60 + sum(t.timeout for t in tests)
    log = common.build_dir() / "vm" / f"tests-{kernel}.log"
    command = [sys.executable, str(common.VM_DIR / "run.py"),
               "--kernel", kernel, *boot.split(), "--timeout", str(total),
               "--console-log", str(log), "--append", "log_buf_len=4M",
               "--env", f"KHEAP_MODULES={common.build_dir() / kernel}",
               *[word for name in PASSED_ON if name in os.environ
                 for word in ("--env", name)],
               "--", "python3", str(common.VM_DIR / "guest_tests.py"),
               *[f"{t.timeout}:{t.path}" for t in tests]]
    results = {}
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True,
                          errors="replace") as proc:
        for line in proc.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            found = RESULT.match(line)
            if found:
                results[found[2]] = found[1] == "ok"
    return results, proc.returncode


def run_group(kernel, boot, tests):
    """Run the tests of a group, in more boots when the guest dies."""
    passed, failed = 0, 0
    while tests:
        results, status = boot_once(kernel, boot, tests)
        passed += sum(results.values())
        failed += len(results) - sum(results.values())
        tests = [t for t in tests if t.name not in results]
        if tests:
            print(f"not ok {tests[0].name}: the guest ended with {status} "
                  f"({kernel})", flush=True)
            failed += 1
            tests = tests[1:]
    return passed, failed


def main():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0])
    parser.add_argument("names", nargs="*", metavar="TEST",
                        help="words in the names of tests (default: all)")
    parser.add_argument("--kernel", action="append", metavar="K",
                        help="only on this kernel; may be repeated "
                        f"(default: {' '.join(USUAL)})")
    args = parser.parse_args()
    tests = [Test(p) for p in sorted(TESTS.glob("*.sh"))]
    if args.names:
        tests = [t for t in tests if any(n in t.name for n in args.names)]
    plan = list(groups(tests, args.kernel or USUAL))
    if not plan:
        raise Fatal("no such test")
    passed, failed = 0, 0
    for kernel in dict.fromkeys(k for k, _, _ in plan):
        build = subprocess.run([str(common.REPO / "scripts/build.sh"),
                                kernel], stdin=subprocess.DEVNULL,
                               check=False)
        mine = [(b, t) for k, b, t in plan if k == kernel]
        if build.returncode:
            say(f"the modules do not build for {kernel}")
            failed += sum(len(t) for _, t in mine)
            continue
        for boot, chosen in mine:
            print(f"booting {kernel} ({boot}): "
                  f"{len(chosen)} tests", flush=True)
            good, bad = run_group(kernel, boot, chosen)
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    common.main_wrapper(main)
