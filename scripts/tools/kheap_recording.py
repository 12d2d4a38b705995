# SPDX-License-Identifier: GPL-2.0
"""Recordings: a heap's files, again and again.

A recording is lines of JSON. The first is {"kheap_recording": 1, "unit": U},
U being "ms" (since the start) or "events" (of a replayed trace). Then one line
for each heap and moment, with the files as they were read:

    {"at": N, "heap": NAME, "files": {"stats": TEXT, "arenas": TEXT, ...}}

and, where a trace was replayed, one for each rival and moment:

    {"at": N, "rival": "kheap" or "kmalloc", "values": {KEY: NUMBER, ...}}
"""

import json
import time

import kheap_debugfs as debugfs

VERSION = 1
FILES = ("stats", "classes", "arenas")
PARSERS = {"stats": debugfs.parse_stats, "classes": debugfs.parse_classes,
           "arenas": debugfs.parse_arenas}
RIVAL_KEYS = ("held_bytes", "usable_bytes", "requested_bytes", "nr_live")


class Writer:
    """Writes a recording."""

    def __init__(self, file, unit, source):
        self.file = file
        self.nr = 0
        self.put({"kheap_recording": VERSION, "unit": unit, "source": source})

    def put(self, value):
        """Write one line."""
        json.dump(value, self.file, separators=(",", ":"))
        self.file.write("\n")

    def heap(self, tree, name, at):
        """Record a heap's files; False when it is gone."""
        try:
            files = {kind: tree.read(name, kind)[1] for kind in FILES}
        except debugfs.Gone:
            return False
        for kind in FILES:
            PARSERS[kind](f"{name}/{kind}", files[kind])
        self.put({"at": at, "heap": name, "files": files})
        self.nr += 1
        return True

    def rival(self, name, at, values):
        """Record what an allocator holds."""
        self.put({"at": at, "rival": name, "values": values})
        self.nr += 1


class Recording:
    """A recording in memory.

    frames: heap name -> list of (at, stats, classes, arenas)
    rivals: rival -> list of (at, values)
    """

    def __init__(self, path):
        self.path = path
        self.frames = {}
        self.rivals = {}
        try:
            with open(path, encoding="utf-8") as file:
                self.read(file)
        except OSError as error:
            raise debugfs.FormatError(path, 0, "it cannot be read: "
                                      f"{error.strerror}") from None
        except UnicodeDecodeError:
            raise debugfs.FormatError(path, 0, "not text: not a recording of "
                                      "kheap-map record") from None
        if not self.frames and not self.rivals:
            raise debugfs.FormatError(path, 0, "nothing was recorded")

    def read(self, file):
        """Take in all lines."""
        self.head = self.parse_line(1, file.readline())
        if self.head.get("kheap_recording") != VERSION or \
                self.head.get("unit") not in ("ms", "events"):
            raise debugfs.FormatError(self.path, 1, "not a recording of "
                                      "kheap-map record")
        for line, text in enumerate(file, 2):
            self.take(line, self.parse_line(line, text))

    @property
    def unit(self):
        """What "at" counts."""
        return self.head["unit"]

    def parse_line(self, line, text):
        """Return the object of a line."""
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = None
        if not isinstance(value, dict) or not text.endswith("\n"):
            raise debugfs.FormatError(self.path, line, "damaged or cut off")
        return value

    def take(self, line, value):
        """Take in one moment."""
        try:
            if "heap" in value:
                parsed = [PARSERS[kind](f"{self.path}: line {line}: {kind}",
                                        value["files"][kind])
                          for kind in FILES]
                self.frames.setdefault(value["heap"], []).append(
                    (value["at"], *parsed))
            else:
                values = {key: int(value["values"][key])
                          for key in RIVAL_KEYS}
                self.rivals.setdefault(value["rival"], []).append(
                    (value["at"], values))
        except (KeyError, TypeError, ValueError, AttributeError):
            raise debugfs.FormatError(self.path, line, "no moment of a heap "
                                      "or a rival") from None

    def one_heap(self, name):
        """Return the name and the frames of a heap, the only one if None."""
        if name is None and len(self.frames) == 1:
            name = next(iter(self.frames))
        if name not in self.frames:
            raise debugfs.FormatError(
                self.path, 0, "recorded heaps: " + " ".join(self.frames) +
                ("; name one" if name is None else f"; none is '{name}'"))
        return name, self.frames[name]


def record(tree, writer, heaps, interval, count, go_on):
    """Record until count moments are there or go_on() says no."""
    start = time.monotonic()
    nr = 0
    while True:
        at = round(1000 * (time.monotonic() - start))
        for name in heaps or [row["name"] for row in tree.heaps()]:
            writer.heap(tree, name, at)
        nr += 1
        if count and nr >= count or not go_on():
            return nr
        next_at = start + nr * interval
        time.sleep(max(0, next_at - time.monotonic()))
