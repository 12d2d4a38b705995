#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""In the guest: run integration tests one after the other.

For each: its output, then the kernel log since its start is searched for
reports, then "ok NAME" or "not ok NAME: WHY" on a line of its own, which
scripts/integration.py on the host counts.
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kernellog  # noqa: E402


def mark(text):
    """Write a line to the kernel log."""
    with open("/dev/kmsg", "w", encoding="ascii") as kmsg:
        kmsg.write(f"kheap-test: {text}\n")


def log_since(text):
    """Return the raw kernel log's lines after the last such mark."""
    raw = subprocess.run(["dmesg", "-r"], stdout=subprocess.PIPE,
                         check=True).stdout
    lines = kernellog.clean(raw).splitlines()
    for at in range(len(lines) - 1, -1, -1):
        if lines[at].endswith(f"kheap-test: {text}"):
            return lines[at + 1:]
    return lines


def loaded():
    """Return the names of kheap's modules that are in the kernel."""
    with open("/proc/modules", encoding="ascii") as file:
        return [ln.split()[0] for ln in file if ln.startswith("kheap")]


def verdict(status, bad, left):
    """Return why a test failed, or an empty string."""
    why = []
    if status == "timeout":
        why.append("time-out")
    elif status:
        why.append(f"status {status}")
    if bad:
        why.append(f"{len(bad)} report lines in the kernel log")
    if left:
        why.append("modules left behind: " + " ".join(left))
    return ", ".join(why)


def run_script(path, env, seconds):
    """Run a script with its output in order; return status or "timeout"."""
    with subprocess.Popen(["bash", path], env=env, start_new_session=True,
                          stderr=subprocess.STDOUT) as proc:
        try:
            return proc.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(proc.pid, signal.SIGKILL)
            return "timeout"


def run_test(path, seconds):
    """Run one test; print and return whether it passed."""
    name = pathlib.Path(path).stem
    print(f"== {name} ({os.environ.get('KHEAP_VM_KERNEL', '')})",
          flush=True)
    mark(f"begin {name}")
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as tmp:
        env = {**os.environ, "KHEAP_TEST_NAME": name, "KHEAP_TEST_TMP": tmp}
        status = run_script(path, env, seconds)
        expected = pathlib.Path(tmp) / "expected"
        patterns = expected.read_text().splitlines() \
            if expected.exists() else []
    lines = log_since(f"begin {name}")
    bad = kernellog.complaints(lines, patterns)
    left = loaded()
    why = verdict(status, bad, left)
    took = time.monotonic() - start
    if why:
        print("--- the kernel log of this test ---")
        print("\n".join(lines[-80:]))
        print(f"not ok {name}: {why} ({took:.1f} s)", flush=True)
    else:
        print(f"ok {name} ({took:.1f} s)", flush=True)
    for module in left:
        subprocess.run(["rmmod", module], check=False)
    return not why


def main():
    """Command line: SECONDS:TEST..."""
    jobs = [arg.partition(":") for arg in sys.argv[1:]]
    results = [run_test(path, float(limit)) for limit, _, path in jobs]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
