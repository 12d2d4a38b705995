#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Say which lines and branches of the module the tests run.

Boots a kernel that counts (gcov), runs the suites, the torture, the samples and
integration tests in it, and makes build/coverage/html/index.html and lists of
what did not run, build/coverage/missing.txt and missing-branches.txt.  Samples,
torture and benchmark are not counted.  Fails when less is covered than --lines
and --branches say.
"""

import argparse
import base64
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "vm"))
import common  # noqa: E402
from common import Fatal, say  # noqa: E402

KERNEL = "cover"
LEFT_OUT = ("samples", "torture", "bench")

# Its branches are those of the kernel's macros: for each event a probe of perf
# and one of ftrace, with filters and triggers.
GENERATED = tuple(f"module/{layer}/trace.h" for layer in (
    "base", "raw", "block", "object", "gc", "watch"))

# Not arena, bulk and cpu_cache: they count what there is on one memory node.
MANY_NODES = "kheap_[c-z][!p]*"

# What runs where: a part of cover-guest.sh, and the machine.
PARTS = (("suites", ("--cpus", "4", "--mem", "2048")),
         ("clients", ("--cpus", "4", "--mem", "1024",
                      "--append", "init_on_free=1")),
         ("integration", ("--cpus", "4", "--mem", "1024")),
         ("nodes", ("--cpus", "4", "--nodes", "2", "--mem", "2048",
                    "--append", f"kunit.filter_glob={MANY_NODES}")))


def run_guest(part, machine, moddir, ops, timeout):
    """Run a part in a guest; return the counts, and if all passed."""
    command = [sys.executable, str(common.VM_DIR / "run.py"),
               "--kernel", KERNEL, *machine,
               "--timeout", str(timeout), "--append",
               "log_buf_len=16M rcupdate.rcu_expedited=1", "--",
               "bash", str(common.VM_DIR / "cover-guest.sh"), str(moddir),
               part, str(ops)]
    archive, inside, passed = [], False, False
    with subprocess.Popen(command, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True) as proc:
        for line in proc.stdout:
            if inside:
                archive.append(line.strip())
            elif line.startswith("cover: archive"):
                inside = True
            else:
                print(line, end="", flush=True)
                passed = passed or line.strip() == "cover: 0 failed"
    if proc.returncode or not archive:
        raise Fatal(f"the guest ended with {proc.returncode}")
    return base64.b64decode("".join(archive)), passed


def put_counts(archive, moddir):
    """Put the counts beside the notes that the compiler made."""
    for old in moddir.rglob("*.gcda"):
        old.unlink()
    strip = len(pathlib.PurePath(moddir).parts)
    subprocess.run(["tar", "-xzf", "-", "-C", str(moddir),
                    f"--strip-components={strip}"], input=archive, check=True)
    if not list(moddir.rglob("*.gcda")):
        raise Fatal("the kernel counted nothing")


def lcov(*words):
    """Run lcov with branches counted."""
    done = subprocess.run(["lcov", "--rc", "lcov_branch_coverage=1", "-q",
                           *words], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False, text=True)
    if done.returncode:
        raise Fatal("lcov: " + done.stdout)


def collect(moddir, out, part):
    """Make the tracefile of a part, of module/ alone; return its path."""
    raw, info = out / "all.info", out / f"{part}.info"
    lcov("--capture", "--directory", str(moddir / "module"),
         "--output-file", str(raw))
    lcov("--extract", str(raw), f"{moddir}/module/*",
         "--output-file", str(info))
    lcov("--remove", str(info),
         *[f"{moddir}/module/{name}/*" for name in LEFT_OUT],
         "--output-file", str(info))
    return info


def merge(infos, out):
    """Add up tracefiles; return the path of the sum."""
    info = out / "module.info"
    lcov(*[word for part in infos for word in ("--add-tracefile", str(part))],
         "--output-file", str(info))
    return info


def write_html(info, out, prefix):
    """Make the pages."""
    subprocess.run(["genhtml", "-q", "--branch-coverage", "--prefix",
                    str(prefix), "--title", "kheap", "--output-directory",
                    str(out / "html"), str(info)], check=True)


class File:
    """What ran in one file."""

    def __init__(self, name):
        self.name = name
        self.lines, self.branches = {}, {}

    def take(self, key, value):
        """Take one record of the tracefile."""
        numbers = value.split(",")
        if key == "DA":
            line = int(numbers[0])
            self.lines[line] = self.lines.get(line, 0) + int(numbers[1])
        elif key == "BRDA":
            where = tuple(numbers[:3])
            taken = numbers[3] not in ("-", "0")
            if self.name not in GENERATED:
                self.branches[where] = (self.branches.get(where, False) or
                                        taken)

    def missing(self):
        """Return the lines that did not run."""
        return sorted(n for n, count in self.lines.items() if not count)

    def missing_branches(self):
        """Return (line, branches not taken, branches) of each line of some."""
        sums = {}
        for where, taken in self.branches.items():
            missing, total = sums.get(int(where[0]), (0, 0))
            sums[int(where[0])] = missing + (not taken), total + 1
        return [(n, *sums[n]) for n in sorted(sums) if sums[n][0]]


def read_info(info, prefix):
    """Return the files of a tracefile."""
    files = {}
    current = None
    for record in info.read_text().splitlines():
        key, _, value = record.partition(":")
        if key == "SF":
            name = str(pathlib.Path(value).relative_to(prefix))
            current = files.setdefault(name, File(name))
        elif current:
            current.take(key, value)
    return [files[name] for name in sorted(files)]


def percent(part, whole):
    """Return a percentage; of nothing, everything is covered."""
    return 100.0 * part / whole if whole else 100.0


def list_missing(files, out, moddir):
    """Write the lists of what did not run."""
    with open(out / "missing.txt", "w", encoding="utf-8") as lines, \
            open(out / "missing-branches.txt", "w",
                 encoding="utf-8") as branches:
        for file in files:
            text = [re.sub(r"\s+", " ", line).strip() for line in
                    (moddir / file.name).read_text().splitlines()]
            for number in file.missing():
                lines.write(f"{file.name}:{number}: {text[number - 1]}\n")
            for number, missing, total in file.missing_branches():
                branches.write(f"{file.name}:{number}: {missing} of {total}: "
                               f"{text[number - 1]}\n")


def report(files):
    """Print a table; return (lines, branches) in percent."""
    totals = [0, 0, 0, 0]
    print(f"{'file':<34} {'lines':>13} {'branches':>15}")
    for file in files:
        counts = [sum(map(bool, file.lines.values())), len(file.lines),
                  sum(file.branches.values()), len(file.branches)]
        totals = [a + b for a, b in zip(totals, counts)]
        print(f"{file.name:<34} {counts[0]:5}/{counts[1]:<5}"
              f"{percent(*counts[:2]):3.0f}% {counts[2]:5}/"
              f"{counts[3]:<5}{percent(*counts[2:]):3.0f}%")
    print(f"{'all':<34} {totals[0]:5}/{totals[1]:<5}     "
          f"{totals[2]:5}/{totals[3]:<5}")
    return percent(*totals[:2]), percent(*totals[2:])


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("--lines", type=float, default=95.0,
        help="least percentage of lines (default 95)")
    add("--branches", type=float, default=85.0,
        help="least percentage of branches (default 85)")
    add("--ops", type=int, default=500000,
        help="mutations of the torture (default 500000)")
    add("--timeout", type=float, default=900, help="seconds (default 900)")
    return parser.parse_args()


def main():
    """Command line."""
    args = parse_args()
    build = subprocess.run([str(common.REPO / "scripts/build.sh"), KERNEL],
                           stdin=subprocess.DEVNULL, check=False)
    if build.returncode:
        raise Fatal("the modules do not build")
    moddir = (pathlib.Path(common.build_dir()) / KERNEL).resolve()
    out = pathlib.Path(common.build_dir()).resolve() / "coverage"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    say("running the tests in the kernel that counts")
    infos, failed = [], []
    for part, machine in PARTS:
        archive, passed = run_guest(part, machine, moddir, args.ops,
                                    args.timeout)
        put_counts(archive, moddir)
        infos.append(collect(moddir, out, part))
        failed += [] if passed else [part]
    info = merge(infos, out)
    write_html(info, out, moddir)
    files = read_info(info, moddir)
    list_missing(files, out, moddir)
    lines, branches = report(files)
    print(f"pages: {out}/html/index.html; not run: {out}/missing*.txt")
    print(f"covered: {lines:.1f} % of lines, {branches:.1f} % of branches")
    if failed:
        raise Fatal("a test failed: " + ", ".join(failed))
    return 0 if lines >= args.lines and branches >= args.branches else 1


if __name__ == "__main__":
    common.main_wrapper(main)
