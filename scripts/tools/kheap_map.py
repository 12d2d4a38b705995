# SPDX-License-Identifier: GPL-2.0
"""The map of a heap's arenas: as text, as SVG, and its colours.

One implementation for kheap-map, kheap-top and the demo. A pool is as full as
its character in the map says, and has the colour of its block size.
"""

import math
from xml.sax.saxutils import escape

from kheap_debugfs import human

SIZE_MAX = 8192         # the largest block that is not "large"
PAGE_KIB = 4
LEGEND = "# full   1-9 tenths in use   . empty   _ given back to the system"
QUARANTINED = " ! corrupt"

# 8, 16, 32, ... 8192 bytes.
ANCHORS = ("#5e2b97", "#4348c8", "#2f7fd6", "#19a9c9", "#1b8f7a", "#3aa343",
           "#9aba28", "#e0b41f", "#e5811f", "#d1432c", "#7d1f38")
HOLE_COLOUR = "#c9c9c9"
QUARANTINE_COLOUR = "#e00000"


# --- Text --------------------------------------------------------------------

def text_map(arenas, fold=True):
    """Return lines; neighbours that are all full are one line."""
    lines = []
    full = []

    def flush():
        if len(full) > 1:
            lines.append(f"{'':>5}  ({len(full)} arenas, all full)")
        elif full:
            lines.append(f"{full[0]['arena']:>5}  {full[0]['map']}")
        full.clear()

    for arena in arenas:
        if fold and set(arena["map"]) == {"#"}:
            full.append(arena)
            continue
        flush()
        lines.append(f"{arena['arena']:>5}  {arena['map']}")
    flush()
    return lines


def legend(arenas):
    """Return what the characters of these arenas mean."""
    if any("!" in arena["map"] for arena in arenas):
        return LEGEND + QUARANTINED
    return LEGEND


# --- Fill and colour ---------------------------------------------------------

def fill(char):
    """Return how full a pool is, 0 to 1; the middle of what is known."""
    if char in "#!":
        return 1.0
    return int(char) / 10 + 0.05 if char.isdigit() else 0.0


def mix(low, high, share):
    """Return the colour between two, as "#rrggbb"."""
    return "#" + "".join(
        f"{round((1 - share) * ends[0] + share * ends[1]):02x}"
        for ends in zip(bytes.fromhex(low[1:]), bytes.fromhex(high[1:])))


def colour(size):
    """Return the colour of a block size: between those of the powers of two
    around it."""
    if not size:
        return "#5b7fa6"
    place = min(math.log2(max(size, 8) / 8), len(ANCHORS) - 1)
    low = min(int(place), len(ANCHORS) - 2)
    return mix(ANCHORS[low], ANCHORS[low + 1], place - low)


def pools_of(arena):
    """Yield (index, character, block size) of an arena's pools."""
    sizes = arena["sizes"] or [0] * arena["pools"]
    return zip(range(arena["pools"]), arena["map"], sizes)


def totals(arenas):
    """Return numbers for the head of a picture."""
    pages = used = holes = empty = 0
    for arena in arenas:
        for _, char, _ in pools_of(arena):
            pages += arena["span"]
            used += arena["span"] * fill(char)
            holes += arena["span"] * (char == "_")
            empty += arena["span"] * (char == ".")
    return {"arenas": len(arenas), "pages": pages - holes, "holes": holes,
            "empty": empty, "used": used}


def by_size(arenas):
    """Return (block size, pages, pages in use), most pages first."""
    sums = {}
    for arena in arenas:
        for _, char, size in pools_of(arena):
            if char in "._":
                continue
            entry = sums.setdefault(size, [0, 0])
            entry[0] += arena["span"]
            entry[1] += arena["span"] * fill(char)
    return sorted(((size, pages, used) for size, (pages, used)
                   in sums.items()), key=lambda row: (-row[1], row[0]))


# --- SVG ---------------------------------------------------------------------

HEAD = 74
LABEL = 42
GROUP = 16              # a heading for each node and span
STYLE = """
text { font: 12px sans-serif; fill: #222 }
.title { font-size: 17px; font-weight: bold }
.small { font-size: 11px; fill: #555 }
.num { font: 10px monospace; fill: #777 }
"""


class Layout:
    """Where the arenas lie: smaller cells and more columns for more."""

    SCALES = ((32, 1, 13, 13), (110, 2, 8, 9), (320, 3, 6, 7),
              (700, 4, 4, 5), (10 ** 9, 5, 4, 4))

    def __init__(self, nr):
        for most, columns, width, height in self.SCALES:
            if nr <= most:
                break
        self.columns, self.cell_w, self.cell_h = columns, width, height
        self.detail = height >= 9
        self.gap = 3 if self.detail else 1
        self.pitch = LABEL + 64 * width + 24

    @property
    def width(self):
        """Pixels of all columns."""
        return max(20 + self.columns * self.pitch, 900)


def split_columns(arenas, layout):
    """Return the lines of each column: arenas, and headings as tuples."""
    lines = []
    last = None
    for arena in arenas:
        group = (arena["node"], arena["span"])
        if group != last:
            lines.append(group)
            last = group
        lines.append(arena)
    per_column = max(math.ceil(len(lines) / layout.columns), 1)
    return [lines[i:i + per_column] for i in range(0, len(lines), per_column)]


def rect_path(x, y, width, height):
    """Return a rectangle as a part of a path."""
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


class Picture:
    """Collects rectangles by colour, so that each colour is one path."""

    def __init__(self):
        self.paths = {}
        self.parts = []

    def rect(self, x, y, width, height, paint, opacity=1.0):
        """Add a rectangle."""
        key = (paint, round(opacity, 2))
        self.paths.setdefault(key, []).append(rect_path(x, y, width, height))

    def text(self, x, y, text, kind="", anchor="start"):
        """Add a text; y is its base line."""
        self.parts.append(f'<text x="{x:g}" y="{y:g}" class="{kind}" '
                          f'text-anchor="{anchor}">{escape(text)}</text>')

    def svg(self, width, height):
        """Return the document."""
        paths = "\n".join(
            f'<path fill="{paint}" opacity="{opacity:g}" d="{"".join(d)}"/>'
            for (paint, opacity), d in self.paths.items())
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:g}" '
                f'height="{height:g}" viewBox="0 0 {width:g} {height:g}">\n'
                f"<style>{STYLE}</style>\n"
                '<rect width="100%" height="100%" fill="white"/>\n'
                f"{paths}\n" + "\n".join(self.parts) + "\n</svg>\n")


def draw_pool(picture, layout, box, char, size):
    """Draw one pool into box (x, y, width, height)."""
    x, y, width, height = box
    if char == "_":
        picture.rect(x, y + height / 2 - 0.5, width, 1, HOLE_COLOUR)
    elif char == ".":
        picture.rect(x, y, width, height, "#d8d8d8")
        if layout.detail:
            picture.rect(x + 1, y + 1, width - 2, height - 2, "#ffffff")
    elif char == "!":
        picture.rect(x, y, width, height, QUARANTINE_COLOUR)
    elif layout.detail:
        level = height * fill(char)
        picture.rect(x, y, width, height, colour(size), 0.25)
        picture.rect(x, y + height - level, width, level, colour(size))
    else:
        picture.rect(x, y, width, height, colour(size),
                     0.25 + 0.75 * fill(char))


def runs_of(arena, layout):
    """Yield (first, count, char, size): neighbours of one look are merged
    where cells have no gap between them."""
    run = None
    for i, char, size in pools_of(arena):
        if run and not layout.detail and run[2:] == (char, size):
            run = (run[0], run[1] + 1, char, size)
            continue
        if run:
            yield run
        run = (i, 1, char, size)
    if run:
        yield run


def draw_arena(picture, layout, arena, x, y):
    """Draw a row; its pools are span cells wide."""
    width = arena["span"] * layout.cell_w
    gap = 1 if layout.detail else 0
    for first, count, char, size in runs_of(arena, layout):
        box = (x + first * width, y, count * width - gap, layout.cell_h)
        draw_pool(picture, layout, box, char, size)


def draw_columns(picture, arenas, layout):
    """Draw all arenas; return the bottom."""
    bottom = HEAD
    pitch = layout.cell_h + layout.gap
    every = max(1, math.ceil(11 / pitch))
    for nr, lines in enumerate(split_columns(arenas, layout)):
        x = 20 + nr * layout.pitch
        y = HEAD
        row = 0
        for line in lines:
            if isinstance(line, tuple):
                y += GROUP
                picture.text(x + LABEL, y - 4, f"node {line[0]}, pools of "
                             f"{line[1]} page" + "s" * (line[1] > 1), "small")
                row = 0
                continue
            if row % every == 0:
                picture.text(x + LABEL - 6, y + min(layout.cell_h, 9),
                             str(line["arena"]), "num", "end")
            draw_arena(picture, layout, line, x + LABEL, y)
            y += pitch
            row += 1
        bottom = max(bottom, y)
    return bottom


def draw_states(picture, layout, y):
    """Say what the cells mean."""
    x = 20
    sample = colour(64)
    for label, char in (("full", "#"), ("half full", "5"), ("empty", "."),
                        ("hole: given back", "_"), ("corrupted", "!")):
        box = (x, y, 13, 13)
        big = Layout(1) if char in "5." and layout.detail else layout
        if char in "#5" and not layout.detail:
            picture.rect(*box, sample, 0.25 + 0.75 * fill(char))
        else:
            draw_pool(picture, big, box, char, 64)
        picture.text(x + 19, y + 11, label, "small")
        x += 32 + 6.5 * len(label)


def draw_scale(picture, x, y):
    """The colours of the block sizes."""
    picture.text(x, y + 11, "block size", "small")
    x += 62
    size = 8
    while size <= SIZE_MAX:
        picture.rect(x, y, 30, 13, colour(size))
        picture.text(x + 15, y + 25, str(size), "num", "middle")
        x += 32
        size *= 2


def names_by_size(classes):
    """Return the names of the classes with blocks of a size."""
    names = {}
    for row in classes:
        names.setdefault(row["size"], []).append(row["class"])
    return names


def draw_classes(picture, arenas, classes, layout, y):
    """The sizes that take the most pages; return the bottom."""
    names = names_by_size(classes)
    rows = by_size(arenas)
    shown = rows[:24]
    per_line = max(1, (layout.width - 40) // 215)
    picture.text(20, y + 12, f"Block sizes by pages: {len(shown)} of "
                 f"{len(rows)}", "")
    for nr, (size, pages, used) in enumerate(shown):
        x = 20 + nr % per_line * 215
        line = y + 24 + nr // per_line * 17
        label = " ".join(names.get(size, [f"size-{size}" if size else "all"]))
        picture.rect(x, line, 13, 13, colour(size))
        picture.text(x + 18, line + 11, f"{label[:18]}: {pages} pages, "
                     f"{100 * used / pages:.0f} %", "small")
    return y + 24 + math.ceil(len(shown) / per_line) * 17


def draw(name, arenas, classes=(), stats=None):
    """Return the picture of a heap's arenas as the text of an SVG file."""
    picture = Picture()
    layout = Layout(len(arenas))
    sums = totals(arenas)
    held = f"{human(stats['held_bytes'])} held, " \
        f"{human(stats['allocated_bytes'] + stats['large_bytes'])} live, " \
        if stats else ""
    picture.text(20, 26, f"Arenas of the heap {name}", "title")
    in_use = 100 * sums["used"] / sums["pages"] if sums["pages"] else 0
    picture.text(20, 45, f"{held}{sums['arenas']} arenas: {sums['pages']} "
                 f"pages, {in_use:.0f} % in use or cached, "
                 f"{sums['empty']} empty, {sums['holes']} holes")
    draw_states(picture, layout, 54)
    draw_scale(picture, layout.width - 450, 10)
    bottom = draw_columns(picture, arenas, layout) + 10
    bottom = draw_classes(picture, arenas, classes, layout, bottom)
    return picture.svg(layout.width, bottom + 12)
