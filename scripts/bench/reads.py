#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""How long reading debugfs holds a lock that an allocation could wait for.

In the guest, where the processor's clock counts instructions:

    scripts/vm/run.py --kernel 6.12 --icount -- scripts/bench/reads.py

Two clients are there: one allocates from all size classes and records its call
sites, one has a graph of objects. The kernel's function tracer notes when the
reader takes and releases spinlocks in kheap's functions. For each file, the
number of times, and the longest: from the call of the lock's function to that
of the unlock's, the tracer's own work, some hundred instructions, included.

With --most N the status is 1 if a lock was held for more.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parent.parent.parent
TRACING = pathlib.Path("/sys/kernel/tracing")
HEAPS = pathlib.Path("/sys/kernel/debug/kheap")
LOCKS = "_raw_spin_lock", "_raw_spin_lock_irqsave", "_raw_spin_lock_irq"
UNLOCKS = ("_raw_spin_unlock", "_raw_spin_unlock_irqrestore",
           "_raw_spin_unlock_irq")
# The third letter of the state says that it is in an interrupt.
EVENT = re.compile(r"\] ..(.)\S* +(\d+): (_raw_spin_\w+) <-(\S+)$")


def modules():
    """Return the folder of the modules that were built."""
    return pathlib.Path(os.environ.get(
        "KHEAP_MODULES", pathlib.Path(os.environ.get(
            "KHEAP_BUILD", REPO / "build")) / os.environ["KHEAP_VM_KERNEL"]))


def insert(name, *args):
    """Start inserting a module."""
    file = next(modules().rglob(f"{name}.ko"))
    return subprocess.Popen(["insmod", file, *args])


def kheap_functions():
    """Return the names of kheap's functions."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        return {line.split()[2] for line in file
                if line.rstrip().endswith("[kheap]")}


def trace_setup():
    """Have the tracer look at spinlocks, in this process only."""
    (TRACING / "tracing_on").write_text("0")
    (TRACING / "buffer_size_kb").write_text("8192")
    (TRACING / "trace_clock").write_text("x86-tsc")
    (TRACING / "set_ftrace_filter").write_text(" ".join(LOCKS + UNLOCKS))
    (TRACING / "set_ftrace_pid").write_text(str(os.getpid()))
    (TRACING / "current_tracer").write_text("function")


def traced_read(path):
    """Read a file once; return the events."""
    (TRACING / "trace").write_text("")
    (TRACING / "tracing_on").write_text("1")
    text = path.read_bytes()
    (TRACING / "tracing_on").write_text("0")
    lines = (TRACING / "trace").read_text().splitlines()
    return text, [EVENT.search(line).groups() for line in lines
                  if EVENT.search(line)]


def holds(events, ours):
    """Yield (ticks, function) of each lock that a function of ours held.

    What interrupts do is not the reader's. One that comes while a lock is being
    taken, between the event and the moment that keeps them out, spoils it."""
    taken = []
    for context, at, what, caller in events:
        if context in "hHsZz":
            taken = [(None, holder) for _, holder in taken]
        elif what in LOCKS:
            taken.append((int(at), caller))
        elif taken:
            start, holder = taken.pop()
            if holder in ours and start is not None:
                yield int(at) - start, holder


def measure(path, ours, times):
    """Read a file so often; return a line of the table."""
    longest, nr = (0, "-"), 0
    for _ in range(times):
        text, events = traced_read(path)
        found = list(holds(events, ours))
        nr = max(nr, len(found))
        longest = max([longest, *found])
    print(f"{str(path.relative_to(HEAPS)):26} {len(text):8} {nr:6} "
          f"{longest[0]:8}  {longest[1]}", flush=True)
    return longest[0]


class Client:
    """What allocates, again and again, until it is stopped."""

    def __init__(self):
        insert("kheap", "callsites=1").wait()
        insert("kheap_graph", "nr_hosts=3000").wait()
        self.child = None

    def keep_busy(self):
        """Start it if it has ended."""
        if self.child and self.child.poll() is None:
            return
        self.stop()
        self.child = insert("kheap_exercise", "ms=3000", "nr_keep=20000")
        while not (HEAPS / "exercise/stats").exists():
            time.sleep(0.1)
        time.sleep(0.5)

    def stop(self):
        """Wait for its end; its heap goes."""
        if self.child:
            self.child.wait()
            subprocess.run(["rmmod", "kheap_exercise"], check=True)


def main():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--most", type=int, metavar="N",
                        help="the longest that is right")
    parser.add_argument("--times", type=int, default=3, metavar="N",
                        help="readings of each file (default: %(default)s)")
    args = parser.parse_args()
    client = Client()
    client.keep_busy()
    ours = kheap_functions()
    trace_setup()
    print(f"{'FILE':26} {'BYTES':>8} {'LOCKS':>6} {'LONGEST':>8}  IN")
    files = [HEAPS / "heaps"] + sorted(
        path for heap in ("exercise", "graph")
        for path in (HEAPS / heap).iterdir() if path.stat().st_mode & 0o400)
    longest = 0
    for path in files:
        client.keep_busy()
        longest = max(longest, measure(path, ours, args.times))
    (TRACING / "current_tracer").write_text("nop")
    print(f"longest: {longest} instructions")
    client.stop()
    subprocess.run(["rmmod", "kheap_graph", "kheap"], check=True)
    return args.most is not None and longest > args.most


if __name__ == "__main__":
    sys.exit(main())
