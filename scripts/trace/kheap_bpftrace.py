# SPDX-License-Identifier: GPL-2.0
"""The kernel's allocations and frees while a command runs, seen with bpftrace.

bpftrace prints one line an event, each CPU's in a buffer of its own; sorted by
time they are in the order in which they happened. What its own process asks of
the kernel is left out.
"""

import os
import pathlib
import re
import shlex
import subprocess
import tempfile

EVENT = re.compile(r"^([af]) (\d+) (\d+) ([0-9a-f]+)(?: (\d+) (\d+))?$")
LOST = re.compile(r"^Lost (\d+) events")
GFP_ZERO = 1 << 8       # ___GFP_ZERO of 6.1 and of 6.12

ALLOC = """tracepoint:kmem:%s /comm != "bpftrace"/ {
printf("a %%d %%llu %%llx %%llu %%llu\\n", cpu, nsecs, args->ptr, args->bytes_req,
(uint64)args->gfp_flags) }
"""
FREE = """tracepoint:kmem:%s /comm != "bpftrace"/ {
printf("f %%d %%llu %%llx\\n", cpu, nsecs, args->ptr) }
"""
PROGRAM = ALLOC % "kmalloc" + ALLOC % "kmem_cache_alloc" + \
    FREE % "kfree" + FREE % "kmem_cache_free"


class BpftraceError(Exception):
    """bpftrace did not do what it should; the text says what."""


def parse(lines):
    """Return sorted [(time, CPU, address, size or None, zeroed)]; no event is lost."""
    events = []
    for line in lines:
        found = EVENT.match(line)
        lost = LOST.match(line)
        if lost:
            raise BpftraceError(f"{lost[1]} events were lost: give a larger --buffer, "
                                "or record without --bpftrace")
        if found:
            size = found[5] and int(found[5])
            zeroed = bool(int(found[6] or 0) & GFP_ZERO)
            events.append((int(found[3]), int(found[2]), int(found[4], 16), size, zeroed))
    events.sort(key=lambda event: event[0])
    return events


def run_bpftrace(folder, command, buffer_mb):
    """Run both; return (bpftrace's status, what it said)."""
    ours = os.dup(1), os.dup(2)
    # bpftrace splits what -c is given at spaces, wants an ELF file in front, keeps
    # no status, and prints lines of its own.
    (folder / "child").write_text(f"({shlex.join(command)}) >&{ours[0]} 2>&{ours[1]}\n"
                                  f"echo $? >'{folder}/status'\n")
    pages = buffer_mb << 20 >> 12
    env = dict(os.environ, BPFTRACE_PERF_RB_PAGES=str(1 << pages.bit_length() - 1))
    try:
        ended = subprocess.run(["bpftrace", "-q", "-o", folder / "events", "-e", PROGRAM,
                                "-c", f"/bin/sh {folder}/child"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, pass_fds=ours,
                               env=env, encoding="ascii", errors="replace", check=False)
    except FileNotFoundError:
        raise BpftraceError("bpftrace is not installed") from None
    finally:
        os.close(ours[0])
        os.close(ours[1])
    return ended.returncode, ended.stdout


def record(command, buffer_mb):
    """Run a command under bpftrace; return (events, the command's status)."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        status, said = run_bpftrace(folder, command, buffer_mb)
        if status or not (folder / "status").exists():
            raise BpftraceError(f"bpftrace ended with {status}: {said.strip()[-500:]}")
        with open(folder / "events", encoding="ascii", errors="replace") as file:
            events = parse(file)
        parse(said.splitlines())        # it may tell of lost events here
        return events, int((folder / "status").read_text())
