# SPDX-License-Identifier: GPL-2.0
"""How the tools end: with a status, and one line on why if it is not 0."""

import os
import signal
import sys

import kheap_debugfs as debugfs


def let_go(stream):
    """Have Python not try again to write what cannot be written."""
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
    except (OSError, ValueError, AttributeError):
        pass


def complain(text):
    """Print one line on standard error, if that can be written to."""
    try:
        print(text, file=sys.stderr, flush=True)
    except (OSError, AttributeError):
        let_go(sys.stderr)


def run(name, act, errors=(), root=""):
    """Call act(); return its status, or 1 when it failed, with the reason
    printed. What was printed is written when this returns."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        if sys.stdout is None:
            raise debugfs.FormatError("the output", 0, "it is closed")
        status = act() or 0
        sys.stdout.flush()
        return status
    except (OSError, debugfs.FormatError, debugfs.Gone, *errors) as error:
        complain(f"{name}: {debugfs.explain(error, root)}")
        if isinstance(error, OSError) and not error.filename:
            let_go(sys.stdout)
        return 1
    except MemoryError:
        complain(f"{name}: out of memory")
        return 1
    except KeyboardInterrupt:
        return 130


def write_out(path, text):
    """Write a result to a file, or to standard output for "-"."""
    if path == "-":
        sys.stdout.write(text)
        return
    with Output(path) as file:
        file.write(text)


class Output:
    """A file that is written to: what goes wrong has its name."""

    def __init__(self, path):
        self.path = path
        self.file = None

    def __enter__(self):
        try:
            self.file = open(self.path, "w", encoding="utf-8")
        except OSError as error:
            self.fail(error)
        return self.file

    def __exit__(self, kind, error, _trace):
        try:
            self.file.close()
        except OSError as other:
            error = error or other
        if isinstance(error, OSError) and not error.filename:
            self.fail(error)

    def fail(self, error):
        """Say that it cannot be written, and why."""
        raise debugfs.FormatError(self.path, 0, "it cannot be written: "
                                  f"{error.strerror}") from None
