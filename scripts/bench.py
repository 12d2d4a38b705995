#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measure kheap against the kernel's allocators, on stock kernels.

Each kernel is booted with -icount, where 1 ns is one instruction and nothing
else runs while something is measured, on one CPU and on two, and once more
with two CPUs in wall-clock time.  A full run writes build/bench.json and build/bench.svg.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "bench"), os.path.join(HERE, "vm")]
import chart  # noqa: E402
import common  # noqa: E402
import figures  # noqa: E402
from common import Fatal, say  # noqa: E402

USUAL = ("6.12", "6.1")
RECORDED = common.REPO / "module/bench/recorded.json"
TOLERANCE = 1.05
MODES = {
    # run.py's options, samples of a figure, seconds
    "icount": (["--icount"], 3, 900),
    "icount-2": (["--icount", "--cpus", "2"], 3, 900),
    "wall": (["--cpus", "2"], 9, 900),
    "bytes": (["--cpus", "2"], 1, 900),
}
# What is counted on two processors, of which one works at a time; and where:
# 6.1 spins while it waits for its second processor, and counting stands still.
REMOTE = ("empty_remote", "remote_free", "remote_free_kmalloc")
REMOTE_KERNELS = ("6.12",)
# What --check holds against its bar, being no count of instructions, and soon
# measured.
BYTES = ("retained_90", "retained_99", "retained_999", "density_uniform")
NOT_HERE = -95      # EOPNOTSUPP: the figure needs more processors
GUEST_DIED = 125    # as run.py says it
SIGNALLED = 128     # more than that: a program died of a signal
# A counted figure whose samples are further apart than this gets a remark.
REMARKABLE = 0.02


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    add = parser.add_argument
    add("--kernel", action="append", metavar="K",
        help="only on this kernel; may be repeated (default: "
        f"{' '.join(USUAL)})")
    add("--only", action="append", default=[], metavar="NAME",
        help="only this figure; may be repeated")
    add("--quick", action="store_true",
        help="count instructions on 6.12, nothing else: about a minute")
    add("--append", default="", metavar="ARGS",
        help="more words for the kernel's command line,\n"
        "such as init_on_alloc=0")
    add("--json", metavar="FILE", help="write the figures here as well")
    add("--record", action="store_true",
        help="keep the counted ratios in module/bench/recorded.json; with\n"
        "--only or --kernel, these, and leave the others as they are")
    add("--check", action="store_true",
        help="as --quick, and compare with recorded.json: a ratio that is\n"
        "more than 5 %% worse fails; and bytes held with their bars")
    args = parser.parse_args()
    if args.record and (args.quick or args.check or args.append):
        parser.error("--record is for figures as they are measured, and on "
                     "each kernel")
    args.quick = args.quick or args.check
    args.full = not (args.only or args.quick or args.kernel or args.append)
    args.kernel = args.kernel or (USUAL[:1] if args.quick else USUAL)
    return args


# --- Running ---------------------------------------------------------------

def build(kernel):
    """Build the modules for a kernel."""
    res = subprocess.run([str(common.REPO / "scripts/build.sh"), kernel],
                         stdin=subprocess.DEVNULL, check=False)
    if res.returncode:
        raise Fatal(f"the modules do not build for {kernel}")


def boot_command(kernel, mode, args, names):
    """Return the words that boot a kernel and measure in it."""
    options, nr_samples, limit = MODES[mode]
    log = common.build_dir() / "vm" / f"bench-{kernel}-{mode}.log"
    return [sys.executable, str(common.VM_DIR / "run.py"),
            "--kernel", kernel, *options, "--timeout", str(limit),
            "--console-log", str(log), "--append", args.append,
            "--env", f"KHEAP_MODULES={common.build_dir() / kernel}", "--",
            "bash", str(common.REPO / "scripts/bench/guest.sh"),
            str(nr_samples), *names]


def boot_once(kernel, mode, args, names):
    """Boot once for some names or all; return (lines of results, status)."""
    lines = []
    progress = common.Progress(f"{kernel}, {mode}")
    with subprocess.Popen(boot_command(kernel, mode, args, names),
                          stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, errors="replace") as proc:
        for text in proc.stdout:
            word, _, rest = text.strip().partition(" ")
            if word == "result":
                lines.append(figures.Line(kernel, mode, rest))
            elif word == "begin":
                progress.update(rest)
            else:
                say(text.rstrip())
    if proc.returncode:
        progress.fail()
    else:
        progress.done(f"{len({ln.name for ln in lines})} figures")
    return lines, proc.returncode


def measure(kernel, mode, args, names):
    """Run a boot for some names or all; return the lines of its results.

    QEMU 7.2, counting instructions of two processors, has killed a guest: its
    EFLAGS were no flags (a double fault, in code of the kernel's).  It has also
    killed a program in it, sed.  What is counted is the same each time, so a
    guest that kheap kills dies again.
    """
    lines, status = boot_once(kernel, mode, args, names)
    if (status == GUEST_DIED or status > SIGNALLED) and \
            mode.startswith("icount"):
        say(f"the guest of {kernel}, {mode} ended with {status}: once more")
        lines, status = boot_once(kernel, mode, args, names)
    if status:
        raise Fatal(f"the {mode} run on {kernel} ended with {status}")
    return [ln for ln in lines if ln.error != NOT_HERE]


def verified(lines):
    """Refuse figures that are none: errors, and a clock that does not count."""
    bad = [ln for ln in lines if ln.error]
    if bad:
        raise Fatal("; ".join(f"{ln.name} ({ln.side}, {ln.kernel}): "
                              f"{os.strerror(-ln.error)}" for ln in bad))
    for ln in lines:
        if ln.mode != "wall" and ln.unit == "ns":
            raise Fatal(f"the clock on {ln.kernel} does not count "
                        "instructions")
    return lines


def measure_kernel(kernel, args):
    """Measure everything on one kernel; return (rows, empty loops)."""
    build(kernel)
    remote = [name for name in REMOTE if name in (args.only or REMOTE)]
    counted, timed = [], []
    if not args.only or set(args.only) - set(remote):
        counted = verified(measure(kernel, "icount", args, args.only))
    if remote and kernel in REMOTE_KERNELS:
        counted += verified(measure(kernel, "icount-2", args, remote))
    if args.check:
        timed = verified(measure(kernel, "bytes", args, BYTES))
    elif not args.quick:
        timed = verified(measure(kernel, "wall", args, args.only))
    empty = [ln for ln in counted + timed if ln.side == "none"]
    remark_spread(counted)
    return figures.merged(figures.rows_of(counted),
                          figures.rows_of(timed)), empty


def remark_spread(lines):
    """Say which counts did not repeat."""
    for ln in lines:
        if ln.spread() > REMARKABLE:
            say(f"  {ln.name} ({ln.side}): samples from {ln.least:.2f} "
                f"to {ln.most:.2f}")


# --- Results ---------------------------------------------------------------

def show(rows, empty):
    """Print what was measured."""
    print("Measured first, and not subtracted from anything:")
    for ln in empty:
        print(f"  {ln.name:20}{ln.kernel:6}{ln.value():10.2f} {ln.unit}")
    print("\nInstructions with interrupts off, one CPU at work, -icount")
    print("\n".join(figures.table(rows)))
    if any(row.wall for row in rows):
        print("\nWall clock, two CPUs, the least of "
              f"{MODES['wall'][1]} samples")
        print("\n".join(figures.wall_table(rows)))
    over = [row for row in rows if row.over()]
    if over:
        print(f"\n! {len(over)} over the bar: "
              + ", ".join(row.label() for row in over))
    return len(over)


def write_json(path, data):
    """Write a JSON file, one entry a line where it is a list."""
    text = json.dumps(data, indent=1, sort_keys=isinstance(data, dict))
    if isinstance(data, list):
        text = "[\n" + ",\n".join(" " + json.dumps(e) for e in data) + "\n]"
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n", encoding="ascii")


def write_results(rows, args):
    """Write the files that a run leaves behind."""
    entries = [row.as_dict() for row in rows]
    if args.json:
        write_json(args.json, entries)
    if args.full:
        where = common.build_dir() / "bench.json"
        write_json(where, entries)
        where.with_suffix(".svg").write_text(chart.draw(rows),
                                             encoding="utf-8")
        say(f"written: {where} and bench.svg")


# --- The guard -------------------------------------------------------------

def counted_ratios(rows):
    """Return {kernel: {label: ratio}} of what --quick counts."""
    ratios = {}
    for row in rows:
        if row.unit == "insn/op":
            ratios.setdefault(row.kernel, {})[row.label()] = \
                round(row.ratio, 4)
    return ratios


def record(rows, whole):
    """Keep the counted ratios, in place of all others or beside them."""
    kept = {}
    if not whole and RECORDED.exists():
        kept = json.loads(RECORDED.read_text(encoding="ascii"))
    for kernel, now in counted_ratios(rows).items():
        kept.setdefault(kernel, {}).update(now)
    write_json(RECORDED, kept)
    say(f"recorded: {RECORDED}")


def guard(rows):
    """Compare with recorded ratios, bytes with bars; return the status."""
    recorded = json.loads(RECORDED.read_text(encoding="ascii"))
    passed, failed = 0, 0
    for kernel, now in counted_ratios(rows).items():
        for name, was in recorded.get(kernel, {}).items():
            ratio = now.get(name)
            good = ratio is not None and ratio <= was * TOLERANCE
            passed, failed = passed + good, failed + (not good)
            text = "is missing" if ratio is None else f"{ratio:.3f}"
            print(f"{'ok' if good else 'not ok'} {name} {text} "
                  f"(recorded: {was:.3f})")
    held = [row for row in rows
            if row.unit in figures.BYTE_UNITS and row.bar()]
    for row in held:
        print(f"{'not ok' if row.over() else 'ok'} {row.label()} "
              f"{row.ratio:.3f} (bar: {row.bar():.2f})"
              + (f", {row.kheap:.3f} (bar: {row.most():.2f})"
                 if row.most() else ""))
        passed, failed = passed + (not row.over()), failed + row.over()
    have = {row.name for row in rows}
    for name in [name for name in BYTES if name not in have]:
        print(f"not ok {name} is missing")
        failed += 1
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def main():
    """Command line."""
    args = parse_args()
    if args.check and not RECORDED.exists():
        raise Fatal(f"nothing is recorded: {RECORDED} is missing; "
                    "make bench-record writes it")
    rows, empty = [], []
    for kernel in args.kernel:
        new_rows, new_empty = measure_kernel(kernel, args)
        rows, empty = rows + new_rows, empty + new_empty
    over = show(rows, empty)
    write_results(rows, args)
    if args.record:
        record(rows, args.full)
    return guard(rows) if args.check else int(args.full and over > 0)


if __name__ == "__main__":
    common.main_wrapper(main)
