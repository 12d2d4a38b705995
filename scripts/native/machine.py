# SPDX-License-Identifier: GPL-2.0
"""Whether the machine is quiet, and what it is."""

import os
import pathlib
import time

TICKS = os.sysconf("SC_CLK_TCK")
OTHERS_TOLERANCE = 0.03     # of the CPUs' time
STEAL_TOLERANCE = 0.01
LOOK_SECONDS = 1.0


def cpu_times():
    """Return (seconds in use, seconds stolen) of all CPUs since the boot."""
    fields = pathlib.Path("/proc/stat").read_text(encoding="ascii")
    user, nice, system, _, _, irq, softirq, steal = map(
        int, fields.splitlines()[0].split()[1:9])
    return (user + nice + system + irq + softirq) / TICKS, steal / TICKS


class Watch:
    """What others did on the machine since this was made."""

    def __init__(self):
        self.start = time.monotonic()
        self.busy, self.stolen = cpu_times()

    def remarks(self, own, when):
        """Return what disturbed; own is the CPU time of what we started."""
        seconds = (time.monotonic() - self.start) * (os.cpu_count() or 1)
        busy, stolen = cpu_times()
        others = max(0.0, busy - self.busy - own) / seconds
        steal = (stolen - self.stolen) / seconds
        out = []
        if others > OTHERS_TOLERANCE:
            out.append(f"{when}, other processes used {others:.0%} of the CPUs")
        if steal > STEAL_TOLERANCE:
            out.append(f"{when}, the host of this machine took {steal:.0%} of "
                       "the CPUs' time")
        return out


def look_around():
    """Return what goes on while we do nothing."""
    watch = Watch()
    time.sleep(LOOK_SECONDS)
    return watch.remarks(0.0, "before the start")


def _cpuinfo(key):
    text = pathlib.Path("/proc/cpuinfo").read_text(errors="replace")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def processor():
    """Return the processor's name."""
    return _cpuinfo("model name") or "unknown processor"


def has_flag(flag):
    """Return whether the processor has a feature."""
    return flag in _cpuinfo("flags").split()


def share_a_core(cpus):
    """Return whether the first two of these CPUs are threads of one core."""
    try:
        text = pathlib.Path(f"/sys/devices/system/cpu/cpu{cpus[0]}/topology/"
                            "thread_siblings_list").read_text(encoding="ascii")
    except OSError:
        return False
    siblings = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        siblings.update(range(int(first), int(last or first) + 1))
    return cpus[1] in siblings


def differences(cpus):
    """Return how this is not a machine with a kernel of its own, as lines."""
    out = [
        "The kernel is a process: its memory is in pages of 4 KiB and mapped",
        "by the host, so what is cold misses the TLB more often; one flat memory",
        "map, and no code for NUMA.",
        "Debian's, but not here: stack protector, KFENCE's checks, return",
        "thunks and retpolines, ftrace's no-ops, lazy and dynamic preemption.",
        "Interrupts are signals: turning them off and on is a function call",
        "and cheap. CPU features are tested, not patched in.",
    ]
    if has_flag("fsrs"):
        out.append("memset() stores words, where this CPU's would be rep stosb.")
    if share_a_core(cpus):
        out.append("The two CPUs are threads of one core.")
    return out
