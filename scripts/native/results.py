# SPDX-License-Identifier: GPL-2.0
"""What the native benchmark printed: lines, rows of figures, the table."""

import re

UNIT = "tick/op"
LEAST_SAMPLES = 200
LOOP_TOLERANCE = 1.05
PREFIX = "kheap_native: "
CORE = "core"       # a loop that is no figure, and its like on two CPUs


class Malformed(Exception):
    """A line that is not what the benchmark prints."""


class Line:
    """What one CPU measured of one side of a figure."""

    def __init__(self, text):
        fields = text.split()
        if len(fields) != 11:
            raise Malformed(f"not a line of results: {text!r}")
        self.name, self.base, self.side = fields[:3]
        numbers = [int(field) for field in fields[3:]]
        self.error, nr_ops, self.nr, self.left_out = numbers[:4]
        self.least, self.tenth, self.median, self.ninetieth = (
            ticks / (nr_ops or 1) for ticks in numbers[4:])

    def best(self):
        """Return the figure of the samples that nothing disturbed.

        The least one, but of two CPUs the tenth in a hundred: the least may
        be one in which the host stopped the other CPU, unseen.
        """
        return self.least if self.base == "-" else self.tenth


class Output:
    """All that a run printed, as far as it is for the runner."""

    def __init__(self):
        self.lines, self.failed = [], []
        self.under_way = ""
        self.loop = None        # (additions, least ticks, worst median)
        self.ended = False

    def take(self, text):
        """Take a line of the console; return the figure that begins, if any."""
        text = re.sub(r"^\[ *\d+\.\d+\] ", "", text.strip())
        if not text.startswith(PREFIX):
            return None
        word, _, rest = text[len(PREFIX):].partition(" ")
        if word == "begin":
            self.under_way = rest
            return rest
        if word == "result":
            self.lines.append(Line(rest))
        elif word == "failed":
            self.failed.append(rest)
        elif word == "loop":
            self.loop = tuple(int(field) for field in rest.split())
        elif word == "end":
            self.ended = True
        return None


class Side:
    """One side of a figure: the mean of its CPUs."""

    def __init__(self, lines):
        self.name = lines[0].side
        self.base = lines[0].base
        self.errors = [line.error for line in lines if line.error]
        self.nr = min(line.nr for line in lines)
        self.left_out = sum(line.left_out for line in lines)
        nr = len(lines)
        self.best = sum(line.best() for line in lines) / nr
        self.median = sum(line.median for line in lines) / nr
        self.spread = max(
            (line.ninetieth - line.tenth) / (line.median or 1)
            for line in lines)


class Row:
    """A figure: kheap beside its rival."""

    def __init__(self, name, kheap, rival):
        self.name, self.kheap, self.rival = name, kheap, rival
        self.ratio = _ratio(kheap.best, rival.best)
        self.ratio_median = _ratio(kheap.median, rival.median)
        self.spread = max(kheap.spread, rival.spread)
        self.own = self.own_median = None   # kheap's, to one CPU's

    def nr(self):
        """Return how many samples counted, on the side and CPU with fewest."""
        return min(self.kheap.nr, self.rival.nr)

    def few(self):
        """Return whether too few samples counted."""
        return self.nr() < LEAST_SAMPLES

    def as_dict(self, kernel, cpus):
        """Return the row as it goes into bench-native.json."""
        entry = {
            "name": self.name, "unit": UNIT, "kernel": kernel, "cpus": cpus,
            "kheap": round(self.kheap.best, 2),
            "kheap_median": round(self.kheap.median, 2),
            "slub": round(self.rival.best, 2),
            "slub_median": round(self.rival.median, 2),
            "ratio": round(self.ratio, 4),
            "ratio_median": round(self.ratio_median, 4),
            "spread": round(self.spread, 4),
            "samples": self.nr(),
        }
        if self.own:
            entry["own_ratio"] = round(self.own, 4)
            entry["own_ratio_median"] = round(self.own_median, 4)
        return entry


def _ratio(figure, other):
    return figure / other if other else float("inf")


def rows_of(lines):
    """Make rows of the lines, in the order of the figures."""
    rows = {}
    for name in dict.fromkeys(line.name for line in lines):
        sides = {}
        for line in lines:
            if line.name == name:
                sides.setdefault(line.side, []).append(line)
        kheap = sides.pop("kheap", None)
        if kheap and sides:
            rows[name] = Row(name, Side(kheap),
                             Side(next(iter(sides.values()))))
    for row in rows.values():
        one = rows.get(row.kheap.base)
        if one and row.nr() and one.nr():
            row.own = _ratio(row.kheap.best, one.kheap.best)
            row.own_median = _ratio(row.kheap.median, one.kheap.median)
    return list(rows.values())


def shown(rows):
    """Return the rows that are figures: measured, and of an allocator."""
    return [row for row in rows if row.nr() and not row.name.startswith(CORE)]


def table(rows):
    """Return the lines of the table, at most 80 columns wide."""
    out = [f"{'':31}{'kheap':>12}{'SLUB':>14}{'ratio':>13}",
           f"{'name':31}" + f"{'best':>7}{'median':>7}" * 2 +
           f"{'best':>6}{'median':>7}{'spread':>7}"]
    for row in shown(rows):
        out.append(
            f"{row.name:31}"
            f"{row.kheap.best:7.1f}{row.kheap.median:7.1f}"
            f"{row.rival.best:7.1f}{row.rival.median:7.1f}"
            f"{row.ratio:6.2f}{row.ratio_median:7.2f}"
            f"{row.spread:7.0%}" + ("!" if row.few() else ""))
    return out


def own_table(rows):
    """Return the lines of the table of two CPUs against one, if there is one."""
    own = [row for row in shown(rows) if row.own]
    if not own:
        return []
    out = [f"{'kheap on two CPUs, to itself on one':43}{'best':>7}{'median':>7}"]
    out += [f"{row.name:43}{row.own:7.2f}{row.own_median:7.2f}" for row in own]
    return out


def hindrance(rows):
    """Return how two CPUs hinder each other that share no memory, as lines."""
    for row in rows:
        if row.name == CORE + "_2cpu" and row.own:
            return [f"{'a loop without memory on two CPUs, to one':43}"
                    f"{row.own:7.2f}{row.own_median:7.2f}"]
    return []


def remarks(rows, loop):
    """Return what there is to say about the samples."""
    out = []
    if loop and loop[2] > loop[1] * LOOP_TOLERANCE:
        out.append(f"a loop of {loop[0]} additions took {loop[1]} to "
                   f"{loop[2]} ticks: the core's speed changed")
    for row in rows:
        for side in (row.kheap, row.rival):
            if side.nr < LEAST_SAMPLES:
                out.append(f"{row.name} ({side.name}): only {side.nr} samples "
                           f"count, {side.left_out} were left out")
    return out
