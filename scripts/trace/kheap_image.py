# SPDX-License-Identifier: GPL-2.0
"""Programs as files and as processes: why one was not recorded, which one lives."""

import os
import pathlib
import shutil
import stat
import struct

PT_INTERP = 3


def is_static(head):
    """Whether an ELF file of this machine's kind asks for no dynamic linker."""
    wide = struct.calcsize("P") == 8
    at, = struct.unpack_from("Q" if wide else "I", head, 0x20 if wide else 0x1c)
    size, nr = struct.unpack_from("HH", head, 0x36 if wide else 0x2a)
    return not any(struct.unpack_from("I", head, at + size * index)[0] == PT_INTERP
                   for index in range(nr))


def has_privileges(path):
    """Whether a file gives who runs it more than that has: ld.so then preloads none."""
    if path.stat().st_mode & (stat.S_ISUID | stat.S_ISGID):
        return True
    try:
        return bool(os.getxattr(path, "security.capability"))
    except OSError:
        return False


def why_not_recorded(name):
    """Why nothing is known of a program, as far as its file tells."""
    found = shutil.which(name)
    if not found:
        return "its file cannot be looked at"
    path = pathlib.Path(found).resolve()
    try:
        with open(path, "rb") as file, open("/proc/self/exe", "rb") as own:
            head, ours = file.read(65536), own.read(64)
        if head[:2] == b"#!":
            return f"it is a script of {head[2:].split()[0].decode(errors='replace')}"
        if head[:4] != b"\x7fELF":
            return "it is no program that the kernel can run by itself"
        if (head[4:6], head[18:20]) != (ours[4:6], ours[18:20]):
            return "it is for another kind of machine than the recorder"
        if is_static(head):
            return "it is statically linked"
        if has_privileges(path):
            return "it is setuid, or has capabilities"
    except (OSError, struct.error) as error:
        return f"its file cannot be looked at: {getattr(error, 'strerror', None) or error}"
    return ("the recorder could not be loaded or found its memory there: another root "
            "folder, another user, or an environment without it")


def own_numbers(pid):
    """A process's number as the process itself knows it."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        for line in file:
            if line.startswith("NSpid:"):
                return int(line.split()[-1])
    return pid


def maps_file(pid, path):
    """Whether a process has a file in its memory; True if it may not be asked."""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8", errors="replace") as file:
            return any(path in line for line in file)
    except PermissionError:
        return None
    except OSError:
        return False


def living(path, but):
    """Return (pids that have a file in their memory, pids that may have it)."""
    has, may_have = set(), set()
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == but:
            continue
        found = maps_file(name, path)
        if found is False:
            continue
        try:
            (may_have if found is None else has).add(own_numbers(int(name)))
        except OSError:
            continue
    return has, has | may_have
