# SPDX-License-Identifier: GPL-2.0
"""Curves over time as SVG."""

import math
from xml.sax.saxutils import escape

from kheap_debugfs import human

WIDTH, HEIGHT = 900, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 56, 46
STYLE = """
text { font: 12px sans-serif; fill: #222 }
.title { font-size: 16px; font-weight: bold }
.small { font-size: 11px; fill: #555 }
.grid { stroke: #e2e2e2 }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round }
"""


def nice_step(most, nr):
    """Return a step of 1, 2 or 5 times a power of ten."""
    rough = max(most, 1) / nr
    power = 10 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10):
        if factor * power >= rough:
            return factor * power
    return 10 * power


def byte_step(most, nr):
    """Return a power of two, or three quarters of one."""
    power = 2 ** math.ceil(math.log2(max(most, nr) / nr))
    return power * 3 / 4 if power * 3 / 4 * nr >= most else power


class Curve:
    """One line: label, colour, dashes, points as (x, bytes)."""

    def __init__(self, label, colour, points, dashes=""):
        self.label, self.colour = label, colour
        self.points, self.dashes = points, dashes

    def peak(self):
        """Return the highest value."""
        return max(y for _, y in self.points)


class Axes:
    """Maps values to pixels."""

    def __init__(self, curves):
        xs = [x for curve in curves for x, _ in curve.points]
        self.first, self.last = min(xs), max(xs)
        self.most = max(max(curve.peak() for curve in curves), 1)

    def x(self, value):
        """Return the pixel of a moment."""
        span = max(self.last - self.first, 1)
        return LEFT + (value - self.first) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value):
        """Return the pixel of a number of bytes."""
        return HEIGHT - BOTTOM - value / self.most * (HEIGHT - TOP - BOTTOM)


def text(x, y, what, kind="", anchor="start"):
    """Return a text; y is its base line."""
    return (f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" '
            f'text-anchor="{anchor}">{escape(what)}</text>')


def line(x1, y1, x2, y2):
    """Return a line of the grid."""
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" '
            f'y2="{y2:.1f}" class="grid"/>')


def grid(axes, unit):
    """Return the axes' lines and numbers."""
    parts = []
    step = byte_step(axes.most, 6)
    value = 0
    while value <= axes.most:
        y = axes.y(value)
        parts.append(line(LEFT, y, WIDTH - RIGHT, y))
        parts.append(text(LEFT - 6, y + 4, human(round(value)), "small",
                          "end"))
        value += step
    scale = 1000 if unit == "ms" else 1
    step = nice_step((axes.last - axes.first) / scale, 8)
    tick = math.ceil(axes.first / scale / step)
    while tick * step * scale <= axes.last:
        x = axes.x(tick * step * scale)
        parts.append(line(x, TOP, x, HEIGHT - BOTTOM))
        parts.append(text(x, HEIGHT - BOTTOM + 16, f"{tick * step:g}"
                          if step < 10000 else f"{tick * step / 1000:g}k",
                          "small", "middle"))
        tick += 1
    parts.append(text(WIDTH - RIGHT, HEIGHT - 10, "seconds" if unit == "ms"
                      else "requests of the trace", "small", "end"))
    return parts


def draw_curve(axes, curve):
    """Return the line."""
    points = " ".join(f"{axes.x(x):.1f},{axes.y(y):.1f}"
                      for x, y in curve.points)
    dashes = f' stroke-dasharray="{curve.dashes}"' if curve.dashes else ""
    return (f'<polyline class="curve" stroke="{curve.colour}"{dashes} '
            f'points="{points}"/>')


def draw_legend(curves):
    """Return the labels, with the peaks, the highest first."""
    parts = []
    y = TOP + 8
    for curve in sorted(curves, key=Curve.peak, reverse=True):
        x = WIDTH - RIGHT + 14
        dashes = f' stroke-dasharray="{curve.dashes}"' if curve.dashes else ""
        parts.append(f'<line x1="{x}" y1="{y - 4}" x2="{x + 24}" '
                     f'y2="{y - 4}" stroke="{curve.colour}" '
                     f'stroke-width="3"{dashes}/>')
        parts.append(text(x + 30, y, curve.label))
        parts.append(text(x + 30, y + 14, f"peak {human(curve.peak())}, "
                          f"end {human(curve.points[-1][1])}", "small"))
        y += 40
    return parts


def draw(title, curves, unit):
    """Return the picture as the text of an SVG file."""
    axes = Axes(curves)
    parts = [text(20, 28, title, "title")] + grid(axes, unit)
    parts += [draw_curve(axes, curve) for curve in curves]
    parts += draw_legend(curves)
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" '
            f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">\n'
            f"<style>{STYLE}</style>\n"
            '<rect width="100%" height="100%" fill="white"/>\n'
            + "\n".join(parts) + "\n</svg>\n")
