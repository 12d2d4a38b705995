# SPDX-License-Identifier: GPL-2.0
"""Paths, messages, progress and locking shared by the runner's scripts."""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
VM_DIR = REPO / "scripts" / "vm"

# Debian's own kernels, by the names that the user types. The newest is whatever
# is offered to the users of the stable release.
NEWEST = "newest"
STOCK = ("6.12", "6.1", "6.12-rt", "6.1-rt", NEWEST)


class Fatal(Exception):
    """An error whose text is all that the user needs to see."""


def cache_dir():
    """Return the cache folder, which every clone of the user shares."""
    base = os.environ.get("XDG_CACHE_HOME")
    if not base or not os.path.isabs(base):
        base = os.path.join(os.path.expanduser("~"), ".cache")
    path = pathlib.Path(base) / "kheap"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise Fatal(f"cannot create the cache {path}: {err.strerror}; "
                    "set XDG_CACHE_HOME to a folder you can write") from err
    return path


def build_dir():
    """Return the folder for build output ($KHEAP_BUILD, default build/)."""
    return (REPO / os.environ.get("KHEAP_BUILD", "build")).resolve()


def say(text):
    """Print a message about what the scripts do themselves, on stderr."""
    print(text, file=sys.stderr, flush=True)


def main_wrapper(main):
    """Run main(), turn Fatal into one line and Ctrl-C into status 130."""
    prog = os.path.basename(sys.argv[0])
    try:
        status = main()
    except Fatal as err:
        say(f"{prog}: {err}")
        status = 1
    except KeyboardInterrupt:
        say(f"\n{prog}: interrupted")
        status = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        status = 141
    sys.exit(status)


def output_of(*cmd):
    """Return the stdout of a command, or None when it fails."""
    try:
        res = subprocess.run(cmd, stdin=subprocess.DEVNULL, check=True,
                             stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError):
        return None
    return res.stdout.decode(errors="replace")


def as_root(*cmd):
    """Prefix a command with sudo where the user is not root."""
    return list(cmd) if os.geteuid() == 0 else ["sudo", *cmd]


@contextlib.contextmanager
def locked(name):
    """Hold a lock file in the cache, so that two runs do not race."""
    with open(cache_dir() / f".{name}.lock", "w", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for another run that prepares {name}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


class Progress:
    """A progress line: live on a terminal, sparse lines elsewhere."""

    def __init__(self, label, every=20.0):
        self.label = label
        self.every = every
        self.tty = sys.stderr.isatty()
        self.start = time.monotonic()
        self.last = self.start
        if not self.tty:
            say(f"{label} ...")

    def update(self, text):
        """Show how far it is; text is short and without a line end."""
        now = time.monotonic()
        if self.tty:
            if now - self.last >= 0.1:
                self.last = now
                line = f"{self.label}: {text}"[:78]
                sys.stderr.write(f"\r\033[K{line}")
                sys.stderr.flush()
        elif now - self.last >= self.every:
            self.last = now
            say(f"  {text} ({now - self.start:.0f} s)")

    def done(self, text="done"):
        """Close the display with a last line that keeps the time."""
        if self.tty:
            sys.stderr.write("\r\033[K")
        say(f"{self.label}: {text} ({time.monotonic() - self.start:.0f} s)")

    def fail(self):
        """Leave the line as it is; the caller says what went wrong."""
        if self.tty:
            sys.stderr.write("\r\033[K")
            sys.stderr.flush()
