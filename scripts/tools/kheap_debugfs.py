# SPDX-License-Identifier: GPL-2.0
"""Reading /sys/kernel/debug/kheap, or a copy of it. The formats are described
in Documentation/ABI/testing/debugfs-kheap, and what it promises is checked:
a damaged file is refused with its line, never shown half.
"""

import errno
import pathlib
import re

ROOT = pathlib.Path("/sys/kernel/debug/kheap")

# The summands of held_bytes.
PARTS = ("allocated_bytes", "cached_bytes", "free_bytes", "virgin_bytes",
         "quarantined_bytes", "empty_bytes", "tail_bytes", "metadata_bytes",
         "large_bytes")
BLOCK_STATES = ("allocated", "cached", "free", "virgin", "lost")
MAP_CHARS = frozenset("#123456789._!")

# Columns that are no numbers.
WORDS = frozenset(("name", "creator", "class", "type", "map", "sizes",
                   "cpus", "task", "pool", "block"))
# What a reader cannot do without, by file.
NEEDED = {
    "heaps": ("name", "held_bytes", "allocated_bytes", "large_bytes",
              "nr_allocated", "nr_large"),
    "classes": ("class", "size", "usable", "span", "blocks", "pools")
               + BLOCK_STATES,
    "arenas": ("arena", "node", "span", "pools", "empty", "holes", "map"),
    "types": ("type", "size", "live", "bytes", "created", "released"),
    "callsites": ("live_bytes", "live_blocks", "requested_bytes",
                  "waste_bytes", "peak_bytes"),
    "pinned": ("unused_bytes", "class", "size", "live", "cached", "blocks",
               "pool", "arena", "node", "span"),
}


class FormatError(Exception):
    """A file is not what its description promises."""

    def __init__(self, path, line, reason):
        where = f"line {line}: " if line else ""
        super().__init__(f"{path}: {where}{reason}")


class Gone(Exception):
    """The heap was destroyed while it was looked at."""


def number(path, line, name, text):
    """Return the number that a value is."""
    try:
        return int(text)
    except ValueError:
        raise FormatError(path, line,
                          f"{name} is '{text[:40]}', not a number") from None


def lines_of(path, text):
    """Split a file; the last line must be whole."""
    if text and not text.endswith("\n"):
        raise FormatError(path, text.count("\n") + 1, "the line is cut off")
    return text.splitlines()


def join_bracket(words):
    """Join "function [module]", the only value with a blank in it."""
    out = []
    for word in words:
        if out and word.startswith("["):
            out[-1] += " " + word
        else:
            out.append(word)
    return out


def parse_row(path, line, columns, words):
    """Return the values of a row by the names of their columns."""
    words = join_bracket(words)
    if len(words) != len(columns):
        raise FormatError(path, line, f"{len(words)} values in "
                          f"{len(columns)} columns")
    return {name: word if name in WORDS else number(path, line, name, word)
            for name, word in zip(columns, words)}


def parse_table(path, text, kind):
    """Return the rows of a table as dicts."""
    lines = lines_of(path, text)
    if not lines or not lines[0].startswith("# "):
        raise FormatError(path, 1, "no line '# COLUMN ...' at the start")
    columns = lines[0][2:].split(" ")
    for name in NEEDED[kind]:
        if name not in columns:
            raise FormatError(path, 1, f"no column '{name}'")
    return [parse_row(path, line, columns, text_line.split(" "))
            for line, text_line in enumerate(lines[1:], 2)]


def parse_tree(path, text, kind):
    """Parse a file whose rows have more below them: lines that start with
    "+", and stacks. Return the rows, each with its "line", a list "plus" of
    rows and a list "frames", and a dict of the comments at the end."""
    columns, plus, rows, notes = [], [], [], {}
    lines = lines_of(path, text)
    head = next((n for n, line in enumerate(lines)
                 if not line.startswith("# ") or ": " in line), len(lines))
    for line in lines[:head]:
        if line.startswith("# + "):
            plus = line[4:].split(" ")
        else:
            columns += line[2:].split(" ")
    for name in NEEDED[kind]:
        if name not in columns:
            raise FormatError(path, 1, f"no column '{name}'")
    for nr, line in enumerate(lines[head:], head + 1):
        if line.startswith("# "):
            key, _, notes[key] = line[2:].partition(": ")
        elif not line.startswith((" ", "+ ")):
            row = parse_row(path, nr, columns, line.split(" "))
            rows.append(dict(row, line=nr, plus=[], frames=[]))
        elif not rows:
            raise FormatError(path, nr, "it belongs to no row")
        elif line.startswith("+ "):
            words = ["0" if word == "-" and name not in WORDS else word
                     for name, word in zip(plus, line[2:].split(" "))]
            rows[-1]["plus"].append(dict(parse_row(path, nr, plus, words),
                                         frames=[]))
        else:
            place = rows[-1]["plus"][-1] if rows[-1]["plus"] else rows[-1]
            place["frames"].append(line.strip())
    return rows, notes


def parse_values(path, text):
    """Return a dict of "key: value" lines; numbers where they are."""
    values = {}
    for line, text_line in enumerate(lines_of(path, text), 1):
        key, sep, value = text_line.partition(": ")
        if not sep or not re.fullmatch(r"\w+", key):
            raise FormatError(path, line, "no line 'key: value'")
        if key == "uncollectable":
            values.setdefault(key, []).append(value)
        else:
            values[key] = number(path, line, key, value)
    if not values:
        raise FormatError(path, 0, "the file is empty")
    return values


def parse_stats(path, text):
    """Return the stats, whose parts add up."""
    stats = parse_values(path, text)
    for key in ("held_bytes", "peak_held_bytes") + PARTS:
        if key not in stats:
            raise FormatError(path, 0, f"no key '{key}'")
    total = sum(stats[key] for key in PARTS)
    if total != stats["held_bytes"]:
        raise FormatError(path, 0, f"held_bytes is {stats['held_bytes']}, "
                          f"but its parts are {total}")
    return stats


def parse_classes(path, text):
    """Return the classes; the blocks of each add up."""
    rows = parse_table(path, text, "classes")
    for line, row in enumerate(rows, 2):
        if sum(row[s] for s in BLOCK_STATES) != row["pools"] * row["blocks"]:
            raise FormatError(path, line, f"{row['class']}: the blocks do "
                              "not add up to pools * blocks")
    return rows


def parse_sizes(path, line, text, nr_pools):
    """Return the block size of each pool of an arena from its runs."""
    sizes = []
    for run in text.split(","):
        match = re.fullmatch(r"(\d+)x(\d+)", run)
        if not match:
            raise FormatError(path, line, f"sizes has '{run[:20]}'")
        # A damaged count must not fill the memory.
        sizes += min(int(match[1]), nr_pools + 1) * [int(match[2])]
    if len(sizes) != nr_pools:
        raise FormatError(path, line, "sizes and pools do not agree")
    return sizes


def parse_arenas(path, text):
    """Return the arenas; "sizes" becomes a list, empty where it is not
    printed."""
    rows = parse_table(path, text, "arenas")
    for line, row in enumerate(rows, 2):
        if len(row["map"]) != row["pools"]:
            raise FormatError(path, line, f"{row['pools']} pools, but "
                              f"{len(row['map'])} characters in the map")
        if not MAP_CHARS.issuperset(row["map"]):
            raise FormatError(path, line, "a character in the map is unknown")
        if row["map"].count("_") != row["holes"]:
            raise FormatError(path, line, "the map has not as many holes")
        sizes = row.get("sizes")
        row["sizes"] = parse_sizes(path, line, sizes, row["pools"]) \
            if sizes else []
    return rows


def parse_callsites(path, text):
    """Return the call sites; the stack of each is a list, innermost first."""
    rows, _ = parse_tree(path, text, "callsites")
    out = []
    for row in rows:
        if row["live_bytes"] != row["requested_bytes"] + row["waste_bytes"]:
            raise FormatError(path, row["line"], "live_bytes is not "
                              "requested and waste")
        if len(row["plus"]) != 1:
            raise FormatError(path, row["line"], "no line '+' follows")
        merged = dict(row, **row["plus"][0])
        if not 0 < merged["least_bytes"] <= merged["most_bytes"]:
            raise FormatError(path, row["line"], "least_bytes is more than "
                              "most_bytes")
        merged["stack"] = merged.pop("frames")
        out.append({key: value for key, value in merged.items()
                    if key not in ("plus", "line")})
    return out


def parse_pinned(path, text):
    """Return the pools, each with its "pins": blocks with their stacks."""
    rows, notes = parse_tree(path, text, "pinned")
    shown = re.fullmatch(r"(\d+) shown, (\d+) cut", notes.get("pools", ""))
    if not shown or int(shown[1]) != len(rows):
        raise FormatError(path, 0, "the note of the pools is not right")
    out = []
    for row in rows:
        if row["live"] + row["cached"] > row["blocks"] or \
                not 0 < len(row["plus"]) <= row["live"]:
            raise FormatError(path, row["line"], "the blocks do not add up")
        if row["unused_bytes"] != row["span"] * 4096 - \
                row["live"] * row["size"]:
            raise FormatError(path, row["line"], "unused_bytes is not what "
                              "the live blocks leave")
        pins = row["plus"]
        # A stack is that of all the recorded blocks right above it.
        for one, other in zip(pins[-2::-1], pins[:0:-1]):
            if one["requested_bytes"] and not one["frames"]:
                one["frames"] = other["frames"]
        out.append(dict({key: value for key, value in row.items()
                         if key not in ("plus", "line", "frames")},
                        pins=pins))
    return out


class Tree:
    """The folder of all heaps, or a copy of it."""

    def __init__(self, root=ROOT):
        self.root = pathlib.Path(root)

    def read(self, *parts):
        """Return the text of a file."""
        path = self.root.joinpath(*parts)
        try:
            return path, path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise FormatError(path, 0, "not text") from None
        except FileNotFoundError:
            if len(parts) > 1:
                raise Gone(parts[0]) from None
            raise
        except OSError as error:
            # What debugfs says when a file went after it was opened.
            if error.errno == errno.EIO and len(parts) > 1:
                raise Gone(parts[0]) from None
            raise

    def has(self, heap, name):
        """Tell if a heap has a file; older modules have fewer."""
        return (self.root / heap / name).exists()

    def heaps(self):
        """Return a row for each heap."""
        path, text = self.read("heaps")
        return parse_table(path, text, "heaps")

    def stats(self, heap):
        """Return the values of a heap."""
        return parse_stats(*self.read(heap, "stats"))

    def classes(self, heap):
        """Return a row for each class of a heap."""
        return parse_classes(*self.read(heap, "classes"))

    def arenas(self, heap):
        """Return a row for each arena of a heap."""
        return parse_arenas(*self.read(heap, "arenas"))

    def callsites(self, heap):
        """Return a row for each stack that allocates; none while off."""
        path, text = self.read(heap, "callsites")
        return parse_callsites(path, text)

    def pinned(self, heap):
        """Return the pools that few blocks keep."""
        path, text = self.read(heap, "pinned")
        return parse_pinned(path, text)

    def types(self, heap):
        """Return a row for each object type of a heap."""
        path, text = self.read(heap, "types")
        return parse_table(path, text, "types")

    def gc(self, heap):
        """Return the collector's values."""
        return parse_values(*self.read(heap, "gc"))


def why_no_heaps(root):
    """Return why there is no file of heaps, and what to do."""
    if pathlib.Path(root) != ROOT:
        return f"is that folder a copy of {ROOT}?"
    if not pathlib.Path("/sys/module/kheap").is_dir():
        return "kheap is not inserted: modprobe kheap"
    return "mount -t debugfs debugfs /sys/kernel/debug"


def explain(error, root):
    """Return one line on why something cannot be read."""
    if isinstance(error, PermissionError) and \
            str(error.filename).startswith("/sys/"):
        return f"{error.filename}: permission denied: run it as root (sudo)"
    if isinstance(error, FileNotFoundError) and \
            pathlib.Path(error.filename) == pathlib.Path(root) / "heaps":
        return f"{error.filename} is not there: {why_no_heaps(root)}"
    if isinstance(error, Gone):
        return f"there is no heap '{error}' (any more)"
    if isinstance(error, OSError):
        if not error.filename:
            return f"the output: it cannot be written: {error.strerror}"
        return f"{error.filename}: {error.strerror}"
    return str(error)


def human(nr_bytes):
    """Return bytes in at most six characters."""
    if abs(nr_bytes) < 10000:
        return str(nr_bytes)
    for unit in "KMGTPE":
        nr_bytes /= 1024
        if abs(nr_bytes) < 1023.5:
            break
    digits = 1 if abs(nr_bytes) < 99.95 else 0
    return f"{nr_bytes:.{digits}f}{unit}"
