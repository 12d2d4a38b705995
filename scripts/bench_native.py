#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Measure kheap against SLUB on this machine's CPUs, on a newer kernel.

The kernel is User-Mode Linux, built from Debian's source with kheap and the
benchmark in it: a process with two CPUs, that needs no privileges.  What is
measured is ticks of the time stamp counter.  The first run downloads 160 MB
and builds for minutes; later ones build what changed.  A run of all figures
writes build/bench-native.json.  A quiet machine is needed, and said to be
missing.

variables:
  KHEAP_NATIVE_VERSION  version of the linux-source package (default: {usual})
  KHEAP_BUILD           folder for output (default: build)
  XDG_CACHE_HOME        where the kernel is built, in kheap/native
"""

import argparse
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE / "native"), str(HERE / "vm")]
import common  # noqa: E402
import kernel  # noqa: E402
import machine  # noqa: E402
import results  # noqa: E402
import source  # noqa: E402
from common import Fatal, say  # noqa: E402

NR_CPUS = 2
MEMORY = "768M"
SILENCE_SECONDS = 300


def known_figures():
    """Return the names of all figures, from the benchmark's source."""
    text = (common.REPO / "module/bench/native/kheap_native.c").read_text()
    table = text[text.index("figures[] = {"):]
    return re.findall(r'^\t\{ "(\w+)"', table[:table.index("\n};")], re.M)


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.format(usual=source.USUAL),
        formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="only this figure; may be repeated")
    parser.add_argument("--json", metavar="FILE",
                        help="write the figures here as well")
    parser.add_argument("--build", action="store_true",
                        help="build the kernel, do not run it")
    args = parser.parse_args()
    known = known_figures()
    for name in args.only:
        if name not in known:
            parser.error(f"no figure {name}; there are: {' '.join(known)}")
    return args


def usable_cpus():
    """Return the first CPUs that we may run on."""
    cpus = sorted(os.sched_getaffinity(0))
    if len(cpus) < NR_CPUS:
        raise Fatal(f"{NR_CPUS} CPUs are needed, and there is {len(cpus)}")
    return cpus[:NR_CPUS]


# --- Running ---------------------------------------------------------------

def command(binary, scratch, names):
    """Return the words that start the kernel."""
    words = [str(binary), f"mem={MEMORY}", f"ncpus={NR_CPUS}", "seccomp=on",
             "con=null", "con0=null,fd:1", "panic=-1",
             f"uml_dir={scratch}"]
    return words + ([f"kheap_native.only={','.join(names)}"] if names else [])


def lines_of(proc):
    """Yield what a process prints; Fatal when it has nothing to say."""
    rest = b""
    while True:
        if not select.select([proc.stdout], [], [], SILENCE_SECONDS)[0]:
            raise Fatal(f"the kernel said nothing for {SILENCE_SECONDS} s; "
                        "its console is in native/console.log")
        data = os.read(proc.stdout.fileno(), 65536)
        if not data:
            break
        *whole, rest = (rest + data).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)


def end_when_told():
    """Have a signal that ends us end what we started, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))


def kill_group(proc):
    """End the kernel and all that it started, if anything is left."""
    try:
        os.killpg(proc.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def follow(proc, log, progress, nr_figures):
    """Read the console until it ends; return what was on it."""
    output, nr = results.Output(), 0
    for line in lines_of(proc):
        print(line, file=log)
        name = output.take(line)
        if name:
            nr += 1
            progress.update(f"{nr} of {nr_figures}: {name}")
    return output


def run(binary, names):
    """Run the kernel; return (what it printed, remarks about the machine)."""
    remarks = machine.look_around()
    console = binary.with_name("console.log")
    progress = common.Progress("measuring")
    watch = machine.Watch()
    before = os.times()
    with tempfile.TemporaryDirectory(prefix="kheap-") as scratch, \
            open(console, "w", encoding="utf-8") as log, \
            subprocess.Popen(command(binary, scratch, names),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT,
                             start_new_session=True) as proc:
        try:
            output = follow(proc, log, progress,
                            len(names or known_figures()))
        finally:
            kill_group(proc)
            proc.wait()
    after = os.times()
    if not output.ended:
        progress.fail()
        raise Fatal("the kernel ended early"
                    + (f", at {output.under_way}" if output.under_way else "")
                    + f"; its console is in {console}")
    progress.done(f"{len({ln.name for ln in output.lines})} figures")
    own = (after.children_user - before.children_user +
           after.children_system - before.children_system)
    return output, remarks + watch.remarks(own, "meanwhile")


def verified(output):
    """Refuse figures that are none."""
    bad = list(output.failed)
    for line in output.lines:
        if line.error:
            bad.append(f"{line.name} ({line.side}) {line.error}")
    if bad:
        names = [f"{text.rsplit(' ', 1)[0]}: "
                 f"{os.strerror(-int(text.rsplit(' ', 1)[1]))}"
                 for text in bad]
        raise Fatal("not measured: " + "; ".join(names))
    return output.lines


# --- Results ---------------------------------------------------------------

def show(rows, output, version, cpus, remarks):
    """Print the tables and what is to be known about them."""
    adds, least, _ = output.loop
    print(f"Ticks per operation. Linux {version}, SMP, CPUs "
          f"{' and '.join(map(str, cpus))} of {machine.processor()};\n"
          f"the core makes {adds / least:.2f} cycles a tick.\n")
    print("\n".join(results.table(rows)))
    own = results.own_table(rows)
    if own:
        print()
        print("\n".join(own + results.hindrance(rows)))
    print("\nOther than on a machine with a kernel of its own:")
    print("\n".join(f"  {line}" for line in machine.differences(cpus)))
    if remarks:
        print("\nDISTURBED, so measure again on a quiet machine:")
        print("\n".join(f"  {line}" for line in remarks))
    sys.stdout.flush()


def write_json(path, rows, version, cpus):
    """Write the figures, one a line."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    entries = [json.dumps(row.as_dict(version, len(cpus)))
               for row in results.shown(rows)]
    path.write_text("[\n " + ",\n ".join(entries) + "\n]\n", encoding="ascii")
    say(f"written: {path}")


def main():
    """Command line."""
    args = parse_args()
    end_when_told()
    cpus = usable_cpus()
    binary = common.build_dir() / "native" / "linux"
    binary.parent.mkdir(parents=True, exist_ok=True)
    version = kernel.build(binary)
    if args.build:
        say(f"built: {binary}")
        return 0
    output, remarks = run(binary, args.only)
    rows = results.rows_of(verified(output))
    remarks += results.remarks(rows, output.loop)
    show(rows, output, version, cpus, remarks)
    if args.json:
        write_json(args.json, rows, version, cpus)
    if not args.only:
        write_json(common.build_dir() / "bench-native.json", rows, version,
                   cpus)
    return 0


if __name__ == "__main__":
    common.main_wrapper(main)
