#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Do a thing in a guest with each of the kernel's allocations refused once.

usage: provoke.py insmod FILE          the last 40 allocations of an insertion
       provoke.py read FILE...         open, read whole, close
       provoke.py write TEXT FILE...   open, write, close
       provoke.py wild FILE...         write from an address that is nobody's

The kernel must inject faults, and scripts/vm/faults.sh has set it up.  A thing
that is refused memory says ENOMEM or does without; nothing else may happen, and
with memory it succeeds.  A wild write says EFAULT.
"""

import ctypes
import errno
import os
import subprocess
import sys

SYS_INIT_MODULE = 175       # of x86-64; the C library has no function
LAST = 40
MOST = 5000
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


class Refusals:
    """Has the n-th allocation of this thread fail."""

    def __init__(self):
        self.file = os.open("/proc/thread-self/fail-nth", os.O_RDWR)

    def try_with(self, number, thing):
        """Return (was there a n-th allocation, the error or 0)."""
        error = 0
        os.pwrite(self.file, b"%d" % number, 0)
        try:
            thing()
        except OSError as err:
            error = err.errno
        left = int(os.pread(self.file, 20, 0).strip(b"\0\n "))
        os.pwrite(self.file, b"0", 0)
        return left == 0, error


def sweep(thing, name):
    """Refuse each allocation in turn; return how many were felt."""
    refusals, felt = Refusals(), 0
    for number in range(1, MOST):
        reached, error = refusals.try_with(number, thing)
        if error and (not reached or error != errno.ENOMEM):
            sys.exit(f"{name}: {os.strerror(error)}, with allocation "
                     f"{number} refused")
        if not reached:
            return felt
        felt += bool(error)
    sys.exit(f"{name}: no end of allocations")


def read_whole(path):
    """Open, read, close."""
    file = os.open(path, os.O_RDONLY)
    try:
        while os.read(file, 1 << 16):
            pass
    finally:
        os.close(file)


def write_text(path, text):
    """Open, write, close."""
    file = os.open(path, os.O_WRONLY)
    try:
        os.write(file, text.encode())
    finally:
        os.close(file)


def write_wild(path):
    """Write what is not there."""
    file = os.open(path, os.O_WRONLY)
    if libc.write(file, ctypes.c_void_p(8), 5) != -1 or \
            ctypes.get_errno() != errno.EFAULT:
        sys.exit(f"{path}: a wild write was taken")
    os.close(file)


def insert(image):
    """Insert a module that is in memory: no file system is to be refused."""
    if libc.syscall(SYS_INIT_MODULE, image,
                    ctypes.c_ulong(len(image)), b""):
        raise OSError(ctypes.get_errno(), "init_module")


def sweep_insertion(path):
    """Refuse the last allocations of an insertion, then insert for good."""
    name = os.path.basename(path).removesuffix(".ko")
    with open(path, "rb") as file:
        image = file.read()
    refusals, felt = Refusals(), 0

    def attempt(number):
        reached, error = refusals.try_with(number, lambda: insert(image))
        if not error:
            subprocess.run(["rmmod", name], check=True)
        elif os.path.exists(f"/sys/module/{name}"):
            sys.exit(f"{name}: is there, and was refused with {error}")
        return reached, error

    low, high = 0, 1
    while attempt(high)[0]:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if attempt(middle)[0]:
            low = middle
        else:
            high = middle
    for number in range(max(1, low - LAST), low + 1):
        felt += bool(attempt(number)[1])
    insert(image)
    print(f"{name}: {low} allocations, {felt} of the last {LAST} needed")
    if not felt:
        sys.exit(f"{name}: no refusal was felt")


def main():
    """Command line."""
    word, *args = sys.argv[1:] or [""]
    if word == "insmod" and len(args) == 1:
        sweep_insertion(args[0])
    elif word == "read" and args:
        felt = sum(sweep(lambda p=path: read_whole(p), path) for path in args)
        print(f"{len(args)} files read, {felt} refusals felt")
    elif word == "write" and len(args) > 1:
        felt = sum(sweep(lambda p=path: write_text(p, args[0]), path)
                   for path in args[1:])
        print(f"{len(args) - 1} files written, {felt} refusals felt")
    elif word == "wild" and args:
        for path in args:
            write_wild(path)
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
