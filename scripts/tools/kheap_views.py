# SPDX-License-Identifier: GPL-2.0
"""What kheap-top shows, without a terminal: views as tables of text."""

import time

import kheap_debugfs as debugfs
import kheap_map
from kheap_debugfs import human

PAGE = 4096


class Column:
    """One column: title, key in the rows, width, and how it is printed."""

    def __init__(self, title, key, width, show=str):
        self.title, self.key, self.width, self.show = title, key, width, show

    def cell(self, row):
        """Return the text; words to the left, numbers to the right."""
        value = row.get(self.key)
        text = "-" if value is None else self.show(value)
        return self.place(text)

    def place(self, text):
        """Fit a text into the column; the last column is as long as it is."""
        if not self.width:
            return text
        if self.show is str:
            return f"{cut(text, self.width):<{self.width}}"
        return f"{text:>{self.width}}"


def cut(text, width):
    """Cut a text that is too long in its middle: namesakes differ at the
    end."""
    if len(text) <= width:
        return text
    return f"{text[:width - 6]}~{text[-5:]}"


def few(value):
    """A number in five characters."""
    if value < 100000:
        return f"{value:.0f}"
    return f"{value / 1e3:.0f}k" if value < 9999500 else f"{value / 1e6:.0f}M"


def count(value):
    """A number that may be long."""
    return f"{value:.0f}" if value < 10000000 else f"{value / 1e6:.0f}e6"


def percent(value):
    """A share."""
    return f"{100 * value:.0f}%"


def share(part, whole):
    """Return part / whole, None of nothing."""
    return part / whole if whole else None


def right(text):
    """A text that is placed as a number."""
    return text


def age(value):
    """Milliseconds as seconds."""
    return f"{value / 1000:.1f}s" if value else "-"


HEAPS = (
    Column("HEAP", "name", 20), Column("HELD", "held_bytes", 7, human),
    Column("LIVE", "live_bytes", 7, human), Column("FILL", "fill", 5, percent),
    Column("BLOCKS", "nr_blocks", 8, count),
    Column("CACHED", "cached_bytes", 7, human),
    Column("FREE", "spare_bytes", 7, human),
    Column("META", "metadata_bytes", 7, human),
    Column("PEAK", "peak_held_bytes", 7, human),
    Column("REFUSED", "nr_refused", 7, count),
    Column("CREATOR", "creator", 0))
CLASSES = (
    Column("CLASS", "class", 16), Column("SIZE", "size", 5, few),
    Column("POOLS", "pools", 5, few), Column("HELD", "held_bytes", 6, human),
    Column("BLOCKS", "allocated", 6, few), Column("FILL", "fill", 4, percent),
    Column("CACHED", "cached", 6, few), Column("FREE", "spare", 5, few),
    Column("UNUSED", "unused_bytes", 6, human),
    Column("RFL/s", "refill_rate", 5, few),
    Column("DRN/s", "drain_rate", 5, few))
CALLSITES = (
    Column("LIVE", "live_bytes", 7, human),
    Column("BLOCKS", "live_blocks", 7, count),
    Column("SIZE", "sizes", 9, right),
    Column("WASTE", "waste_bytes", 6, human),
    Column("PEAK", "peak_bytes", 6, human),
    Column("TOTAL", "total_blocks", 7, count),
    Column("OLDEST", "oldest_ms", 7, age), Column("STACK", "stack", 0))
TYPES = (
    Column("TYPE", "type", 20), Column("SIZE", "size", 5, few),
    Column("LIVE", "live", 8, count), Column("BYTES", "bytes", 6, human),
    Column("CREATED", "created", 9, count),
    Column("RELEASED", "released", 9, count),
    Column("NEW/s", "new_rate", 6, few), Column("HELD", "held", 5, few))


class View:
    """A view that has been read: head lines, columns and rows.

    Without columns, rows are plain lines. Rows have a dict; "id" names what
    a row is about, so that the cursor can follow it.
    """

    def __init__(self, title, columns, rows):
        self.title, self.columns, self.rows = title, columns, rows

    def sort(self, key, reverse):
        """Sort; biggest numbers and first letters at the top."""
        if not self.columns or key not in [c.key for c in self.columns]:
            return
        words = any(isinstance(row.get(key), str) for row in self.rows)
        blank = "" if words else -1
        self.rows.sort(key=lambda row: row["id"])
        self.rows.sort(key=lambda row: blank if row.get(key) is None
                       else row[key], reverse=words == reverse)

    def header(self):
        """Return the line of titles."""
        return " ".join(c.place(c.title) for c in self.columns)

    def lines(self):
        """Return the rows as text."""
        if not self.columns:
            return self.rows
        return [" ".join(c.cell(row) for c in self.columns).rstrip()
                for row in self.rows]


class Rates:
    """How fast counters grow, from one reading to the next."""

    def __init__(self):
        self.before = {}
        self.now = {}

    def turn(self):
        """Begin another reading."""
        self.before, self.now = self.now, {}

    def of(self, value, *key):
        """Return the growth a second of a counter, None at first."""
        at = time.monotonic()
        self.now[key] = (value, at)
        old = self.before.get(key)
        if not old or at <= old[1]:
            return None
        return (value - old[0]) / (at - old[1])


def heap_rows(tree):
    """Return the rows of all heaps; what vanishes meanwhile is left out."""
    rows = []
    for row in tree.heaps():
        try:
            stats = tree.stats(row["name"])
        except debugfs.Gone:
            continue
        live = stats["allocated_bytes"] + stats["large_bytes"]
        rows.append(dict(
            stats, id=row["name"], name=row["name"],
            creator=row.get("creator", "-"), live_bytes=live,
            fill=share(live, stats["held_bytes"]),
            nr_blocks=stats["nr_allocated"] + stats["nr_large"],
            spare_bytes=stats["free_bytes"] + stats["virgin_bytes"] +
            stats["empty_bytes"]))
    return rows


def heaps_view(tree, _heap, _rates):
    """All heaps."""
    rows = heap_rows(tree)
    held = sum(row["held_bytes"] for row in rows)
    live = sum(row["live_bytes"] for row in rows)
    return View(f"{len(rows)} heaps, {human(held)} held, {human(live)} live",
                HEAPS, rows)


def classes_view(tree, heap, rates):
    """The classes of a heap."""
    rows = []
    for row in tree.classes(heap):
        name, held = row["class"], row["pools"] * row["span"] * PAGE
        rows.append(dict(
            row, id=name, held_bytes=held,
            fill=share(row["allocated"], row["pools"] * row["blocks"]),
            spare=row["free"] + row["virgin"],
            unused_bytes=held - row["allocated"] * row["size"],
            refill_rate=rates.of(row["refills"], heap, name, "refills"),
            drain_rate=rates.of(row["drains"], heap, name, "drains")))
    unused = sum(row["unused_bytes"] for row in rows)
    return View(f"{heap}: {len(rows)} classes, {human(unused)} of their "
                "pools not in the client's hands", CLASSES, rows)


def between(least, most):
    """Return a range of sizes as text."""
    return str(least) if least == most else f"{least}-{most}"


def short(frame):
    """Return the function of a frame, without offset and module."""
    return frame.partition("+")[0].partition(" ")[0]


def callsites_view(tree, heap, _rates):
    """Who allocated what a heap holds."""
    rows = [dict(row, id=";".join(row["stack"]),
                 stack=" < ".join(short(frame) for frame in row["stack"]),
                 sizes=between(row["least_bytes"], row["most_bytes"]))
            for row in tree.callsites(heap)]
    live = sum(row["live_bytes"] for row in rows)
    title = f"{heap}: {len(rows)} call sites, {human(live)} live"
    if not rows:
        title = f"{heap}: none recorded; echo on >{tree.root}/{heap}/callsites"
    return View(title, CALLSITES, rows)


def types_view(tree, heap, rates):
    """The object types of a heap."""
    rows = [dict(row, id=row["type"],
                 new_rate=rates.of(row["created"], heap, row["type"], "new"))
            for row in tree.types(heap)]
    return View(f"{heap}: {len(rows)} object types", TYPES, rows)


def arenas_view(tree, heap, _rates):
    """The map of a heap."""
    arenas = tree.arenas(heap)
    return View(f"{heap}: {len(arenas)} arenas", (),
                [f"    {kheap_map.legend(arenas)}"] +
                kheap_map.text_map(arenas))


def values_view(title, values):
    """Keys and values as two columns of text."""
    lines = [f"{key:<28} {value}" for key, value in values.items()
             if not isinstance(value, list)]
    for key, value in values.items():
        if isinstance(value, list):
            lines += [f"{key}: {text}" for text in value]
    return View(title, (), lines)


def of_size(view, size):
    """Leave those call sites that ask for blocks of a size."""
    view.rows = [row for row in view.rows
                 if row["least_bytes"] <= size <= row["most_bytes"]]
    view.title += f", {len(view.rows)} ask for blocks of {size}"


def pinned_view(tree, heap, _rates):
    """The pools that few blocks keep, and by whom these are."""
    lines = []
    rows = tree.pinned(heap)
    for row in rows:
        lines.append(f"{human(row['unused_bytes']):>6} kept by {row['live']} "
                     f"of {row['blocks']} blocks of {row['class']} "
                     f"in pool {row['pool']}, arena {row['arena']}")
        for pin in row["pins"]:
            who = " < ".join(short(frame) for frame in pin["frames"])
            lines.append(f"       {pin['block']} {age(pin['age_ms']):>8} "
                         f"{who or 'not recorded'}")
    return View(f"{heap}: {len(rows)} pools, those that a block keeps most of",
                (), lines)


def stats_view(tree, heap, _rates):
    """Every byte of a heap."""
    return values_view(f"{heap}: every byte", tree.stats(heap))


def gc_view(tree, heap, _rates):
    """The collector of a heap."""
    return values_view(f"{heap}: the collector of cycles", tree.gc(heap))


# Name, key that leads there, reader, the file it needs, first sort column.
VIEWS = {
    "heaps": ("1", heaps_view, None, "held_bytes"),
    "classes": ("2", classes_view, "classes", "unused_bytes"),
    "callsites": ("3", callsites_view, "callsites", "live_bytes"),
    "types": ("4", types_view, "types", "bytes"),
    "arenas": ("5", arenas_view, "arenas", None),
    "stats": ("6", stats_view, "stats", None),
    "gc": ("7", gc_view, "gc", None),
    "pinned": ("8", pinned_view, "pinned", None),
}


def read(tree, name, heap, rates):
    """Read a view; raises as the readers of kheap_debugfs do."""
    _, reader, file, _ = VIEWS[name]
    if file and not tree.has(heap, file):
        if not tree.has(heap, "stats"):
            raise debugfs.Gone(heap)
        return View(f"{heap}: this kheap.ko has no file '{file}'", (), [])
    return reader(tree, heap, rates)


def everything(tree, only=None):
    """Return all there is, for --json."""
    heaps = []
    for row in tree.heaps():
        name = row["name"]
        if only and name != only:
            continue
        try:
            row = dict(row, stats=tree.stats(name))
            for kind in ("classes", "callsites", "arenas", "types", "gc",
                         "pinned"):
                if tree.has(name, kind):
                    row[kind] = getattr(tree, kind)(name)
        except debugfs.Gone:
            continue
        heaps.append(row)
    if only and not heaps:
        raise debugfs.Gone(only)
    return {"heaps": heaps}
