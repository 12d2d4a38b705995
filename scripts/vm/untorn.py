#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Read every file of a heap again and again while somebody uses the heap.

usage: untorn.py HEAP COMMAND...

Until COMMAND ends, each reading must be what Documentation/ABI/testing/
debugfs-kheap promises: columns and keys are there, sums hold, tables are in
order, and counters do not go back. The number of readings of each file is
printed; the status is 1 when one was torn, or a file was never read.
"""

import collections
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent /
                       "tools"))
import kheap_debugfs as debugfs  # noqa: E402 (the path comes first)


class Torn(Exception):
    """A reading contradicts itself, or the one before."""


def expect(holds, what):
    """It must hold."""
    if not holds:
        raise Torn(what)


def check_heaps(rows, _before):
    """heaps: what clients have is part of what is held."""
    for row in rows:
        expect(row["held_bytes"] >= row["allocated_bytes"] +
               row["large_bytes"], "held_bytes is less than its parts")


def check_stats(stats, before):
    """stats, whose sum the parser has checked."""
    expect(stats["peak_held_bytes"] >= stats["held_bytes"], "peak_held_bytes")
    expect(stats["nr_pools_empty"] <= stats["nr_pools"], "nr_pools_empty")
    expect(stats["nr_refused"] == sum(
        stats[key] for key in stats if key.startswith("nr_refused_")),
           "nr_refused is not the sum of its reasons")
    not_back(stats, before, ("peak_held_bytes", "nr_refused", "nr_failed"))


def check_classes(rows, before):
    """classes, whose blocks the parser has counted."""
    old = {row["class"]: row for row in before or ()}
    for row in rows:
        not_back(row, old.get(row["class"]), ("refills", "drains"))


def check_arenas(rows, _before):
    """arenas, whose maps and holes the parser has counted."""
    for row in rows:
        expect(row["map"].count(".") >= row["empty"],
               "arenas: more pools are empty than the map has")
        for char, size in zip(row["map"], row["sizes"]):
            expect((size == 0) == (char in "._"), "arenas: map and sizes")
    numbers = [row["arena"] for row in rows]
    expect(len(set(numbers)) == len(numbers), "an arena comes twice")


def check_types(rows, before):
    """types: live is created less released."""
    old = {row["type"]: row for row in before or ()}
    for row in rows:
        expect(row["live"] == row["created"] - row["released"], "types: live")
        not_back(row, old.get(row["type"]), ("created",))


def check_callsites(rows, _before):
    """callsites: in order, and no number beyond its whole."""
    live = [row["live_bytes"] for row in rows]
    expect(live == sorted(live, reverse=True), "callsites: the order")
    for row in rows:
        expect(row["peak_bytes"] >= row["live_bytes"], "callsites: the peak")
        expect(row["total_blocks"] >= row["live_blocks"], "callsites: total")
        expect(row["oldest_ms"] >= row["newest_ms"], "callsites: ages")
        expect(row["live_blocks"] * row["least_bytes"] <= row["live_bytes"]
               <= row["live_blocks"] * row["most_bytes"], "callsites: sizes")
        expect(row["stack"], "callsites: a site without a stack")


def check_state(values, _before):
    """callsites_state."""
    expect(values["nr_recorded"] <= values["nr_total"], "nr_recorded")
    expect(bool(values["recorded_bytes"]) == bool(values["nr_recorded"]),
           "recorded_bytes")


def check_pinned(rows, _before):
    """pinned, whose blocks the parser has added up."""
    worth = [row["unused_bytes"] / row["live"] for row in rows]
    expect(worth == sorted(worth, reverse=True), "pinned: the order")


def check_objects(text, _before):
    """objects: as many nodes and edges as the comments say."""
    nodes = text.count("[label=")
    edges = re.findall(r"^  o(\d+) -> o(\d+);$", text, re.M)
    if "// objects" not in text:
        expect(nodes == 0, "objects: the end is missing")
        return
    expect(f"// objects: {nodes} shown," in text, "objects: nodes")
    expect(f"// edges: {len(edges)} shown," in text, "objects: edges")
    expect(all(0 < int(end) <= nodes for edge in edges for end in edge),
           "objects: an edge to nowhere")


def check_gc(values, before):
    """gc: sums, which only grow."""
    not_back(values, before, ("nr_runs", "nr_full_runs", "nr_reclaimed",
                              "nr_visited", "nr_suspects", "lock_max_ns"))
    expect(values["nr_full_runs"] <= values["nr_runs"], "nr_full_runs")


def check_inject(values, _before):
    """inject: no more failures than requests."""
    expect(values["nr_failed"] <= values["nr_seen"], "inject: nr_failed")


def check_debug(text, _before):
    """debug: letters."""
    expect(re.fullmatch(r"(-|[FZPUT]+)\n", text), "debug: letters")


def not_back(values, before, keys):
    """Counters do not go back."""
    for key in keys:
        expect(not before or values[key] >= before[key], f"{key} went back")


def plain(name):
    """Return a reader of a file as text."""
    return lambda tree, heap: tree.read(heap, name)[1]


def values_of(name):
    """Return a reader of a file of "key: value" lines."""
    return lambda tree, heap: debugfs.parse_values(*tree.read(heap, name))


FILES = {
    "heaps": (lambda tree, heap: tree.heaps(), check_heaps),
    "stats": (debugfs.Tree.stats, check_stats),
    "classes": (debugfs.Tree.classes, check_classes),
    "arenas": (debugfs.Tree.arenas, check_arenas),
    "types": (debugfs.Tree.types, check_types),
    "callsites": (debugfs.Tree.callsites, check_callsites),
    "callsites_state": (values_of("callsites_state"), check_state),
    "pinned": (debugfs.Tree.pinned, check_pinned),
    "objects": (plain("objects"), check_objects),
    "gc": (debugfs.Tree.gc, check_gc),
    "inject": (values_of("inject"), check_inject),
    "debug": (plain("debug"), check_debug),
}


def all_files_are_known(tree, heap):
    """No file of a heap that can be read is left out."""
    for path in (tree.root / heap).iterdir():
        if path.stat().st_mode & 0o400:
            expect(path.name in FILES, f"nobody checks {path.name}")


def read_all(tree, heap, before):
    """Read each file once; return those that were there."""
    done = []
    for name, (read, check) in FILES.items():
        try:
            values = read(tree, heap)
            check(values, before.get(name))
        except debugfs.Gone:
            break               # not there yet, or not any more
        except (Torn, debugfs.FormatError, KeyError) as error:
            raise Torn(f"{name}: {error}") from None
        before[name] = values
        done.append(name)
    if len(done) == len(FILES) and tree.has(heap, "debug"):
        try:
            all_files_are_known(tree, heap)
        except FileNotFoundError:
            pass                # it went a moment ago
    return done


def main(heap, *command):
    """Command line."""
    tree, readings, before = debugfs.Tree(), collections.Counter(), {}
    with subprocess.Popen(command) as child:
        try:
            while child.poll() is None:
                readings.update(read_all(tree, heap, before))
        except Torn as error:
            print(f"torn: {error}", file=sys.stderr)
            return 1
    print("    readings:", ", ".join(f"{name} {readings[name]}"
                                     for name in FILES))
    return child.returncode or not all(readings[name] for name in FILES)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
