# SPDX-License-Identifier: GPL-2.0
"""The replay client, /sys/kernel/debug/kheap_replay: commands and figures.

The files are described at the top of module/samples/replay_main.c.
"""

import pathlib

import kheap_debugfs as debugfs

CLIENT = pathlib.Path("/sys/kernel/debug/kheap_replay")
HEAP = "replay"         # the name of the private heap
RIVALS = ("kheap", "kmalloc")
CHUNK = 1 << 20


class ReplayError(Exception):
    """The replay failed; the text says why."""


def read_values(path):
    """Return a dict of a file of "key: value" lines."""
    pairs = (line.split(": ", 1) for line in path.read_text().splitlines())
    return dict(pairs)


def write_client(name, chunks):
    """Write to a file of the client; raise ReplayError with its reason."""
    try:
        with open(CLIENT / name, "wb", buffering=0) as file:
            for chunk in chunks:
                file.write(chunk)
    except FileNotFoundError:
        raise ReplayError(f"{CLIENT} is not there: insert kheap.ko and "
                          "kheap_replay.ko, and mount debugfs") from None
    except OSError as error:
        status = read_values(CLIENT / "status")
        if status["error"] == "0":
            raise ReplayError(error.strerror) from None
        where = f"offset {status['offset']}: " \
            if status["state"] == "refused" or status["offset"] != "0" else ""
        raise ReplayError(f"{where}{status['reason']} "
                          f"({error.strerror})") from None


def load(path):
    """Load a trace into the client, which verifies it."""
    with open(path, "rb") as file:
        write_client("trace", iter(lambda: file.read(CHUNK), b""))
    if read_values(CLIENT / "status")["state"] != "loaded":
        raise ReplayError(f"offset {path.stat().st_size}: truncated")


def command(text):
    """Give the client a command."""
    write_client("run", [text.encode()])


def stops(nr_events, peak_event, count):
    """Return where to stop: count times evenly, and at the peak."""
    evenly = {nr_events * i // count for i in range(1, count + 1)}
    return sorted((evenly | {peak_event + 1}) - {0})


def record(tree, writer, path, count):
    """Replay a trace with both rivals, recording both along the way."""
    load(path)
    status = read_values(CLIENT / "status")
    where = stops(int(status["nr_events"]), int(status["peak_event"]), count)
    try:
        for rival in RIVALS:
            verb = rival
            for at in where:
                command(f"{verb} {at}")
                verb = "continue"
                now = debugfs.parse_values(CLIENT / "now",
                                           (CLIENT / "now").read_text())
                writer.rival(rival, at, now)
                if rival == "kheap":
                    writer.heap(tree, HEAP, at)
            command("continue")
    finally:
        command("abort")
