# SPDX-License-Identifier: GPL-2.0
"""The benchmark's figures: names, bars, and how rows are made of them."""

# Highest ratio to the rival that is good enough, on stock 6.12.
BARS = {
    "hot_pair_64": 0.38,
    "kmalloc_pair_64": 0.45,
    "kmalloc_pair_var": 0.45,
    "fifo_1000": 0.40,
    "shuffled_1000": 0.40,
    "mixed_shuffled_1000": 0.45,
    "bulk_16": 0.60,
    "bulk_64": 0.60,
    "bulk_250": 0.60,
    "remote_free": 0.50,
    "destroy_1m": 0.02,
    "retained_90": 0.90,
    "retained_99": 0.90,
    "retained_999": 0.90,
    "retained_999_whole_arenas": 0.10,
    "density_uniform": 0.84,
    "density_trace": 1.00,
    "object_get_put": 1.30,
    "object_new_put": 0.55,
    "gc_live_object": 0.60,
    "gc_dead_object": 0.80,
    "gc_candidates": 1.05,
    "gc_longest_wait": 0.001,
}
BAR_KERNEL = "6.12"
# Bars of kheap's own figure, beside that of the ratio.
MOST = {
    "density_uniform": 1.08,
}

# Rivals that are not in the kernel: measured once, with valgrind's counts.
# CPython's collector stops everybody for all of its work, which on the graph
# of gc_live_object is a million times that of an object: 40 ms.
REFERENCES = {
    "gc_live_object": ("cpython-3.13", 410.0),
    "gc_dead_object": ("cpython-3.13", 670.0),
    "gc_longest_wait": ("cpython-3.13", 410.0e6),
}

# Bytes are no matter of a clock. They are counted where there are two CPUs:
# with one, SLUB takes smaller slabs than on nearly any machine.
BYTE_UNITS = ("KiB", "byte/byte")
# What is counted with interrupts on.
INTERRUPTIBLE = ("destroy_1m", "gc_live_object", "gc_dead_object",
                 "gc_candidates", "gc_longest_wait")
# By the clock: two threads at once, each sample a median already.
TWO_THREADS = ("remote_free", "remote_free_kmalloc")


class Line:
    """A line of the module's result file: one side of one figure."""

    def __init__(self, kernel, mode, text):
        fields = text.split()
        self.kernel = kernel
        self.mode = mode
        self.name, self.side, self.unit = fields[:3]
        self.error, self.nr_ops, *samples = map(int, fields[3:8])
        scale = self.nr_ops or 1
        self.least, self.median, self.most = (s / scale for s in samples)

    def value(self):
        """Return what stands for the samples.

        On a busy host the least sample is the one that was disturbed least.
        What two processors do together is a median to start with. What has
        to sleep cannot keep interrupts off, and the kernel's own work may
        come between.
        """
        if self.mode == "wall" and self.name not in TWO_THREADS:
            return self.least
        if self.name in INTERRUPTIBLE:
            return self.least
        return self.median

    def spread(self):
        """Return how far the samples are apart, relative to the median."""
        return (self.most - self.least) / (self.median or 1)


class Row:
    """One allocator's figure beside kheap's."""

    def __init__(self, name, kernel, unit, kheap, rival, figure):
        self.name, self.kernel, self.unit = name, kernel, unit
        self.kheap, self.rival, self.figure = kheap, rival, figure
        self.ratio = kheap / figure if figure else float("inf")
        self.first = True       # the rival that the bar is about
        self.wall = None        # the same in wall-clock time

    def label(self):
        """Return a name that no other row of the kernel has."""
        return self.name if self.first else f"{self.name}_{self.rival}"

    def bar(self):
        """Return the highest good ratio, or None."""
        return BARS.get(self.label()) if self.kernel == BAR_KERNEL else None

    def most(self):
        """Return the bar of kheap's own figure, or None."""
        return MOST.get(self.label()) if self.kernel == BAR_KERNEL else None

    def over(self):
        """Return whether a bar is missed."""
        return bool(self.bar() and self.ratio > self.bar() or
                    self.most() and self.kheap > self.most())

    def as_dict(self):
        """Return the row as it goes into bench.json."""
        entry = {"name": self.label(), "unit": self.unit,
                 "kernel": self.kernel, "kheap": round(self.kheap, 3)}
        if self.rival == "slub":
            entry["slub"] = round(self.figure, 3)
        else:
            entry["rival"] = self.rival
            entry["rival_figure"] = round(self.figure, 3)
        entry["ratio"] = round(self.ratio, 4)
        if self.wall:
            entry["wall_kheap_ns"] = round(self.wall.kheap, 1)
            entry["wall_rival_ns"] = round(self.wall.figure, 1)
            entry["wall_ratio"] = round(self.wall.ratio, 4)
        return entry


def rows_of(lines):
    """Make rows of the lines of one boot, in the order of the figures."""
    rows = []
    for name in dict.fromkeys(ln.name for ln in lines):
        sides = {ln.side: ln for ln in lines if ln.name == name}
        kheap = sides.pop("kheap", None)
        if not kheap:
            continue
        unit = kheap.unit if kheap.unit in BYTE_UNITS else f"{kheap.unit}/op"
        rivals = [(side, ln.value()) for side, ln in sides.items()]
        if name in REFERENCES and kheap.unit == "insn":
            rivals.append(REFERENCES[name])
        for place, (rival, figure) in enumerate(rivals):
            row = Row(name, kheap.kernel, unit, kheap.value(), rival, figure)
            row.first = place == 0
            rows.append(row)
    return rows


def merged(counted, timed):
    """Join the rows of both boots: instructions, and wall-clock beside."""
    rows = list(counted)
    have = {(r.name, r.kernel, r.rival): r for r in rows}
    for row in timed:
        key = (row.name, row.kernel, row.rival)
        if key in have:
            have[key].wall = row
        elif row.unit in BYTE_UNITS or row.name in TWO_THREADS:
            rows.append(row)
    return rows


def number(value):
    """Format a figure in at most nine characters."""
    if value < 10:
        return f"{value:.3f}"
    return f"{value:.2f}" if value < 10000 else f"{value:.0f}"


def table(rows):
    """Return the lines of the table, at most 80 columns wide."""
    out = [f"{'name':27}{'kernel':7}{'unit':10}{'kheap':>9}{'rival':>10}"
           f"{'ratio':>8}{'bar':>7}"]
    for row in rows:
        bar, mark = row.bar(), ""
        if bar is not None:
            mark = f"{bar:7.2f}" + (" !" if row.ratio > bar else "")
        out.append(f"{row.label():27}{row.kernel:7}{row.unit:10}"
                   f"{number(row.kheap):>9}{number(row.figure):>10}"
                   f"{row.ratio:8.3f}{mark}")
    return out


def wall_table(rows):
    """Return the lines of the second table."""
    out = [f"{'name':27}{'kernel':7}{'unit':10}{'kheap':>9}{'rival':>10}"
           f"{'ratio':>8}"]
    out += [f"{row.label():27}{row.kernel:7}{row.wall.unit:10}"
            f"{number(row.wall.kheap):>9}{number(row.wall.figure):>10}"
            f"{row.wall.ratio:8.3f}" for row in rows if row.wall]
    return out
