# SPDX-License-Identifier: GPL-2.0
"""The bar chart of the benchmark's ratios, as SVG."""

import re
from xml.sax.saxutils import escape

WIDTH = 900
LEFT = 230          # labels
RIGHT = 70          # figures behind the longest bar
TOP = 84
BAR = 13
GAP = 9
FOOT = 46
COLOURS = ("#2f6f9f", "#9dc3dd", "#d9a441")
STYLE = """
text { font: 12px sans-serif; fill: #222 }
.title { font-size: 16px; font-weight: bold }
.small { font-size: 11px; fill: #555 }
.figure { font-size: 11px }
.grid { stroke: #ddd }
.one { stroke: #b03030; stroke-width: 1.5 }
.bar { stroke: #111; stroke-width: 2.5 }
"""


class Chart:
    """Collects the elements of the picture."""

    def __init__(self, most):
        self.parts = []
        self.most = most

    def x(self, ratio):
        """Return where a ratio is on the axis."""
        return LEFT + min(ratio, self.most) / self.most * (
            WIDTH - LEFT - RIGHT)

    def text(self, x, y, text, kind="", anchor="start"):
        """Add a text; y is its base line."""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
                          f'text-anchor="{anchor}">{escape(text)}</text>')

    def line(self, ratio, top, bottom, kind):
        """Add a vertical line at a ratio."""
        x = self.x(ratio)
        self.parts.append(f'<line x1="{x:.1f}" y1="{top}" x2="{x:.1f}" '
                          f'y2="{bottom}" class="{kind}"/>')

    def rect(self, x, y, width, height, colour):
        """Add a filled rectangle."""
        self.parts.append(f'<rect x="{x:.1f}" y="{y:.1f}" '
                          f'width="{max(width, 1):.1f}" height="{height}" '
                          f'fill="{colour}"/>')

    def svg(self, height):
        """Return the document."""
        return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
                f'height="{height}" viewBox="0 0 {WIDTH} {height}">\n'
                f"<style>{STYLE}</style>\n"
                f'<rect width="100%" height="100%" fill="white"/>\n'
                + "\n".join(self.parts) + "\n</svg>\n")


def grid(chart, bottom, step):
    """Draw the axis."""
    tick = 0
    while tick * step <= chart.most + 1e-9:
        ratio = tick * step
        kind = "one" if abs(ratio - 1) < 1e-9 else "grid"
        chart.line(ratio, TOP, bottom, kind)
        chart.text(chart.x(ratio), bottom + 16, f"{ratio:g}", "small",
                   "middle")
        tick += 1


def legend(chart, kernels):
    """Say what the colours and marks mean."""
    x = LEFT
    for kernel, colour in zip(kernels, COLOURS):
        chart.rect(x, 44, 14, 12, colour)
        chart.text(x + 20, 54, f"Linux {kernel}")
        x += 120
    chart.parts.append(f'<line x1="{x}" y1="43" x2="{x}" y2="57" '
                       'class="bar"/>')
    chart.text(x + 8, 54, "bar to stay below (6.12)")
    x += 190
    chart.parts.append(f'<line x1="{x}" y1="43" x2="{x}" y2="57" '
                       'class="one"/>')
    chart.text(x + 8, 54, "as much as the rival")


def draw_row(chart, row, y, colour):
    """Draw one bar, its figure, and the mark it should stay below."""
    chart.rect(chart.x(0), y, chart.x(row.ratio) - chart.x(0), BAR, colour)
    bar = row.bar()
    if bar is not None:
        chart.line(bar, y - 3, y + BAR + 3, "bar")
    # The figure stands clear of the mark.
    end = chart.x(row.ratio)
    if bar is not None and end - 4 < chart.x(bar) < end + 42:
        end = chart.x(bar)
    sign = "> " if row.ratio > chart.most else ""
    chart.text(end + 5, y + BAR - 2, f"{sign}{row.ratio:.3f}", "figure")


def by_number(name):
    """Return a sort key that puts bulk_64 before bulk_250."""
    return [int(part) if part.isdigit() else part
            for part in re.split(r"(\d+)", name)]


def draw(rows):
    """Return the chart of some rows as the text of an SVG file."""
    kernels = list(dict.fromkeys(r.kernel for r in rows))
    names = sorted({r.label() for r in rows}, key=by_number)
    highest = max([1.0] + [r.ratio for r in rows])
    most = 1.2 if highest <= 1.2 else min(2.0, highest)
    chart = Chart(most)
    block = len(kernels) * BAR + GAP
    bottom = TOP + len(names) * block
    chart.text(20, 26, "kheap compared with its rivals: "
               "cost of an operation, or bytes held", "title")
    legend(chart, kernels)
    grid(chart, bottom, 0.1 if most <= 1.2 else 0.2)
    chart.text(WIDTH - RIGHT, bottom + 34, "ratio kheap / rival, lower is "
               "better; the rival is SLUB unless named", "small", "end")
    for place, name in enumerate(names):
        y = TOP + place * block + GAP / 2
        chart.text(LEFT - 8, y + (block - GAP) / 2 + 4, name, "", "end")
        for row in (r for r in rows if r.label() == name):
            index = kernels.index(row.kernel)
            draw_row(chart, row, y + index * BAR,
                     COLOURS[index % len(COLOURS)])
    return chart.svg(bottom + FOOT)
