# SPDX-License-Identifier: GPL-2.0
"""Where a trace goes: looked at before a recording, put in its place after it. And
where a tool's words go, which may be a full disk."""

import os
import pathlib
import stat
import sys


class OutputError(Exception):
    """The file cannot be written; the text says why and what to do."""


def part_of(path):
    """The file that becomes path once it is whole; as short as names can be."""
    return path.with_name(f".kheap-{os.getpid()}.part")


def try_part(path):
    """See that a file can be made beside path."""
    part = part_of(path)
    try:
        part.touch()
        part.unlink()
    except FileNotFoundError:
        raise OutputError(f"{path.parent}: no such directory; create it, or give "
                          "-o FILE") from None
    except OSError as error:
        raise OutputError(f"{path.parent}: {error.strerror}; give -o FILE in a "
                          "directory that can be written") from None


def look_at(name, suffix=""):
    """Return the file that name leads to, if name + suffix can be written there."""
    path = pathlib.Path(os.path.realpath(name))
    try:
        path.with_name(path.name + suffix).exists()     # a name too long
        if path.exists() or path.is_symlink():
            if not stat.S_ISREG(path.stat().st_mode):
                raise OutputError(f"{path} is not a regular file; give another -o FILE")
            if not os.access(path, os.W_OK):
                raise OutputError(f"{path} cannot be written; give another -o FILE")
    except (OSError, ValueError) as error:
        raise OutputError(f"{name}: {getattr(error, 'strerror', None) or error}") from None
    try_part(path)
    return path


def take(path, part):
    """Put a file that was written elsewhere on the same disk in its place."""
    try:
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; give another -o FILE") from None


def put(path, data):
    """Write a file as a whole, or not at all."""
    part = part_of(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)


def flush(tool):
    """Print what a tool has said; return True if it could be. Where nobody reads it
    any more, nobody wants it; what else stops it is told."""
    try:
        sys.stdout.flush()
        return True
    except BrokenPipeError:
        pass
    except OSError as error:
        print(f"{tool}: standard output: {error.strerror}; not all of the output was "
              "written", file=sys.stderr)
    # Or Python tries it once more when it ends.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return False
