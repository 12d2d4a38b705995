# SPDX-License-Identifier: GPL-2.0
"""kheap-top, kheap-map, kheap-plot: on files captured in a guest (data/,
written by ./capture), on damaged ones, and in a terminal with keys."""

import errno
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as ElementTree
import os

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parent
DATA = HERE / "data"
SERIES = DATA / "series.json"
NR_CLASSES = len((DATA / "exercise/classes").read_text().splitlines()) - 1
CLASSES = f"exercise: {NR_CLASSES} classes"
sys.path.insert(0, str(TOOLS))
sys.path.insert(0, str(HERE))
import kheap_debugfs as debugfs  # noqa: E402 (the path comes first)
import kheap_map  # noqa: E402
import kheap_recording as recording  # noqa: E402
import kheap_views as views  # noqa: E402
from terminal import Program  # noqa: E402


def run(tool, *args, stdin=subprocess.DEVNULL):
    """Run a tool; return its status, output and complaints."""
    result = subprocess.run([TOOLS / tool, *map(str, args)], text=True,
                            stdin=stdin, capture_output=True, check=False)
    return result.returncode, result.stdout, result.stderr


class Copy(unittest.TestCase):
    """A test with a copy of the data that it may damage."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name) / "kheap"
        shutil.copytree(DATA, self.root)

    def edit(self, name, old, new, count=1):
        """Replace text in a file, where it must be."""
        path = self.root / name
        text = path.read_text()
        edited = re.sub(old, new, text, count=count, flags=re.MULTILINE)
        self.assertTrue(edited != text, f"nothing in {name} is like {old}")
        path.write_text(edited)


class ParseCase(unittest.TestCase):
    """The real files."""

    def setUp(self):
        self.tree = debugfs.Tree(DATA)

    def test_heaps_have_their_creators(self):
        rows = {row["name"]: row for row in self.tree.heaps()}
        self.assertEqual(rows["replay"]["creator"],
                         "heap_begin [kheap_replay]")
        self.assertEqual(sorted(rows), ["exercise", "replay"])

    def test_classes_and_stats_agree(self):
        for heap in ("replay", "exercise"):
            stats, rows = self.tree.stats(heap), self.tree.classes(heap)
            self.assertEqual(stats["nr_allocated"],
                             sum(row["allocated"] for row in rows))
            self.assertEqual(stats["allocated_bytes"], sum(
                row["allocated"] * row["size"] for row in rows))

    def test_arenas_and_classes_agree(self):
        for heap in ("replay", "exercise"):
            pools = {}
            for arena in self.tree.arenas(heap):
                for _, char, size in kheap_map.pools_of(arena):
                    self.assertEqual(char in "._", size == 0)
                    pools[size] = pools.get(size, 0) + (char not in "._")
            sizes = {}
            for row in self.tree.classes(heap):
                if row["pools"]:
                    sizes[row["size"]] = sizes.get(row["size"], 0) + \
                        row["pools"]
            pools.pop(0, None)
            self.assertEqual(pools, sizes)

    def test_callsites_and_stats_agree(self):
        rows = self.tree.callsites("exercise")
        stats = self.tree.stats("exercise")
        self.assertEqual(stats["allocated_bytes"] + stats["large_bytes"],
                         sum(row["live_bytes"] for row in rows))
        self.assertEqual(stats["nr_allocated"] + stats["nr_large"],
                         sum(row["live_blocks"] for row in rows))
        for row in rows:
            self.assertTrue(row["stack"])
            self.assertNotIn("", row["stack"])
        self.assertIn("do_one_initcall+", "".join(rows[0]["stack"] +
                                                  rows[-1]["stack"]))
        self.assertEqual(self.tree.callsites("replay"), [])

    def test_pinned_agrees_with_classes(self):
        for heap in ("replay", "exercise"):
            names = {row["class"]: row for row in self.tree.classes(heap)}
            rows = self.tree.pinned(heap)
            self.assertTrue(rows)
            for row in rows:
                self.assertEqual(names[row["class"]]["size"], row["size"])
                self.assertLessEqual(2 * row["live"], row["blocks"])
                for pin in row["pins"]:
                    self.assertEqual(bool(pin["frames"]),
                                     heap == "exercise")

    def test_files_of_stacks_are_80_columns_wide(self):
        for path in DATA.glob("*/*"):
            if path.name in ("callsites", "pinned"):
                for line in path.read_text().splitlines():
                    self.assertLessEqual(len(line), 80, path)

    def test_unknown_columns_and_keys_are_ignored(self):
        rows = debugfs.parse_table("f", "# type size live bytes created "
                                   "released more\na 1 2 3 4 5 6\n", "types")
        self.assertEqual(rows[0]["more"], 6)

    def test_arenas_of_an_older_module_have_no_sizes(self):
        text = "# arena node span pools empty holes map\n1 0 1 3 1 1 #._\n"
        rows = debugfs.parse_arenas("arenas", text)
        self.assertEqual(rows[0]["sizes"], [])
        self.assertIn("<svg", kheap_map.draw("old", rows))

    def test_human_fits_in_six_characters(self):
        for power in range(62):
            for nr in (2 ** power - 1, 2 ** power):
                self.assertLessEqual(len(debugfs.human(nr)), 6, nr)
        self.assertEqual(debugfs.human(14293696), "13.6M")


class DamageCase(Copy):
    """What is not as promised is refused, with its file and line."""

    def refuse(self, tool, *args, say):
        """The tool must fail with one line that says this."""
        status, _, complaint = run(tool, "--root", self.root, *args)
        self.assertEqual(status, 1, complaint)
        self.assertRegex(complaint, say)
        self.assertEqual(complaint.count("\n"), 1, complaint)

    def test_parts_that_do_not_add_up(self):
        self.edit("replay/stats", r"^held_bytes: \d+", "held_bytes: 7")
        self.refuse("kheap-top", "--once", say=r"replay/stats: held_bytes is 7")

    def test_cut_off_line(self):
        path = self.root / "replay/arenas"
        path.write_text(path.read_text()[:-9])
        self.refuse("kheap-map", "text", "replay",
                    say=r"replay/arenas: line \d+: the line is cut off")

    def test_map_shorter_than_its_arena(self):
        self.edit("replay/arenas", r"^(\d+ \d+ 1 64 .*)#( .*)$", r"\1\2")
        self.refuse("kheap-map", "svg", "replay",
                    say=r"line \d+: 64 pools, but 63 characters")

    def test_unknown_map_character(self):
        self.edit("replay/arenas", r"##########", "####?#####")
        self.refuse("kheap-map", "text", "replay", say="character in the map")

    def test_sizes_that_overflow(self):
        self.edit("replay/arenas", r"^(1 .* )\S+$", r"\g<1>999999999999x8")
        self.refuse("kheap-map", "text", "replay",
                    say=r"line \d+: sizes and pools do not agree")

    def test_blocks_that_do_not_add_up(self):
        self.edit("replay/classes", r"^(size-32 32 32 1 128) 116",
                  r"\1 115")
        self.refuse("kheap-top", "--once", "-H", "replay",
                    say=r"classes: line \d+: size-32: the blocks do not add")

    def test_missing_column(self):
        self.edit("heaps", r"held_bytes", "holding_bytes")
        self.refuse("kheap-top", "--once", say="heaps: line 1: no column 'held")

    def test_call_sites_that_do_not_add_up(self):
        self.edit("exercise/callsites", r"^(\d+ \d+) \d+", r"\1 1")
        self.refuse("kheap-top", "--once", "-H", "exercise",
                    say=r"callsites: line \d+: live_bytes is not requested")

    def test_stacks_of_nobody(self):
        path = self.root / "exercise/callsites"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(lines[:3] + lines[5:]))
        self.refuse("kheap-top", "--once", "-H", "exercise",
                    say=r"callsites: line 4: it belongs to no row")

    def test_pinned_pools_that_do_not_add_up(self):
        self.edit("replay/pinned", r"^\d+", "7")
        self.refuse("kheap-top", "--once", "-H", "replay", "-v", "pinned",
                    say=r"pinned: line 3: unused_bytes is not what the live")

    def test_pinned_pools_cut_off(self):
        path = self.root / "replay/pinned"
        path.write_text(re.sub("# pools: .*\n", "", path.read_text()))
        self.refuse("kheap-top", "--json", say=r"pinned: the note of the pool")

    def test_no_number(self):
        self.edit("heaps", r"^replay \d+", "replay many")
        self.refuse("kheap-top", "--json", say=r"heaps: line \d: held_bytes")

    def test_binary_and_empty_files(self):
        (self.root / "heaps").write_bytes(b"\xff\x00\xff\n")
        self.refuse("kheap-top", "--once", say="heaps: not text")
        (self.root / "heaps").write_bytes(b"")
        self.refuse("kheap-top", "--once", say="heaps: line 1: no line '# ")

    def test_heap_that_goes_while_a_file_is_open(self):
        error = OSError(errno.EIO, "Input/output error")
        with unittest.mock.patch("pathlib.Path.read_text", side_effect=error):
            tree = debugfs.Tree(self.root)
            self.assertRaises(debugfs.Gone, tree.stats, "replay")
            self.assertRaises(OSError, tree.heaps)

    def test_nothing_there(self):
        (self.root / "heaps").unlink()
        self.refuse("kheap-top", "--once", say=r"heaps is not there: is that folder a copy")

    def test_no_such_heap(self):
        self.refuse("kheap-map", "text", "nobody", say="no heap 'nobody'")
        self.refuse("kheap-map", "text", say="heaps: exercise replay; name one")

    def test_recording_damaged(self):
        path = self.root / "series.json"
        whole = path.read_text()
        for text, say in (
                (whole[:-20], r"line \d+: damaged or cut off"),
                ("{}\n", "line 1: not a recording"),
                (whole.splitlines()[0] + "\n", "nothing was recorded"),
                (whole.replace("held_bytes: ", "held_bytes: 9", 1),
                 r"line \d+: stats: held_bytes is"),
                (whole.splitlines()[0] + '\n{"at":1,"heap":"a"}\n',
                 "line 2: no moment")):
            self.assertNotEqual(text, whole, say)
            path.write_text(text)
            status, _, complaint = run("kheap-plot", path)
            self.assertEqual(status, 1, say)
            self.assertRegex(complaint, say)


class MapCase(unittest.TestCase):
    """kheap-map and kheap-plot."""

    def parse_svg(self, text):
        """The picture must be whole XML; return its elements."""
        return ElementTree.fromstring(text)

    def test_text_has_every_arena_that_is_not_full(self):
        _, text, _ = run("kheap-map", "--root", DATA, "text", "replay")
        arenas = debugfs.Tree(DATA).arenas("replay")
        for arena in arenas:
            if set(arena["map"]) != {"#"}:
                self.assertIn(f"  {arena['map']}\n", text)
        folded = sum(int(n) for n in re.findall(r"\((\d+) arenas, all", text))
        shown = len(re.findall(r"^ *\d+  \S+$", text, re.MULTILINE))
        self.assertEqual(folded + shown, len(arenas))

    def test_svg_draws_every_page(self):
        tree = debugfs.Tree(DATA)
        arenas = tree.arenas("replay")
        picture = self.parse_svg(kheap_map.draw(
            "replay", arenas, tree.classes("replay"), tree.stats("replay")))
        area = 0
        for path in picture.iter("{http://www.w3.org/2000/svg}path"):
            if path.get("opacity") == "0.25":
                area += sum(float(w) + 1 for w in
                            re.findall(r"h([\d.]+)v13h", path.get("d")))
        used = sum(a["span"] for a in arenas for c in a["map"]
                   if c not in "._!")
        # A page is 13 wide; the legend has two samples of 14.
        self.assertAlmostEqual((area - 2 * 14) / 13, used, delta=0.01)

    def test_svg_of_a_thousand_arenas(self):
        arenas = debugfs.Tree(DATA).arenas("replay")
        many = [dict(arenas[i % len(arenas)], arena=i) for i in range(1000)]
        picture = self.parse_svg(kheap_map.draw("many", many))
        self.assertLess(int(picture.get("width")), 2000)
        self.assertLess(float(picture.get("height")), 2500)

    def test_output_that_is_full(self):
        for verb in ("svg", "text"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run(
                    [TOOLS / "kheap-map", "--root", DATA, verb, "exercise"],
                    stdout=full, stderr=subprocess.PIPE, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(done.stderr, b"kheap-map: the output: it "
                             b"cannot be written: No space left on device\n")

    def test_names_are_escaped(self):
        arenas = [{"arena": 1, "node": 0, "span": 1, "pools": 1, "empty": 0,
                   "holes": 0, "map": "#", "sizes": [64]}]
        classes = [{"class": "<&>", "size": 64}]
        self.parse_svg(kheap_map.draw("</text>&", arenas, classes))

    def test_page_stands_alone(self):
        status, page, _ = run("kheap-map", "html", SERIES)
        self.assertEqual(status, 0)
        self.assertNotRegex(page, r"(src|href)=|https?://")
        data = json.loads(re.search(r"const data = (.*);\n", page)[1])
        series = recording.Recording(SERIES)
        _, frames = series.one_heap(None)
        arenas = {}
        for packed, frame in zip(data["frames"], frames):
            for nr in packed["gone"]:
                del arenas[nr]
            arenas.update({int(nr): row for nr, row in packed["set"].items()})
            self.assertEqual({nr: row[2] for nr, row in arenas.items()},
                             {a["arena"]: a["map"] for a in frame[3]})
        self.assertEqual(len(data["frames"]), len(frames))

    def test_record_and_plot(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "series"
            status, _, said = run("kheap-map", "--root", DATA, "record",
                                  "-o", out, "-i", "0.01", "-n", "3")
            self.assertEqual((status, "6 readings" in said), (0, True), said)
            status, svg, said = run("kheap-plot", "-H", "exercise", out)
            self.assertEqual(status, 0, said)
            self.parse_svg(svg)
            status, _, said = run("kheap-plot", out)
            self.assertEqual(status, 1)
            self.assertIn("name one", said)

    def test_record_beside_a_command(self):
        with tempfile.TemporaryDirectory() as folder:
            out = pathlib.Path(folder) / "series"
            status, _, _ = run("kheap-map", "--root", DATA, "record", "-o",
                               out, "-i", "0.01", "--", "sh", "-c", "exit 3")
            self.assertEqual(status, 3)
            self.assertTrue(recording.Recording(out).frames["replay"])

    def test_plot_has_both_rivals(self):
        _, svg, _ = run("kheap-plot", SERIES)
        self.parse_svg(svg)
        for label in ("kheap: held", "kheap: live", "kmalloc: held",
                      "requested"):
            self.assertIn(f">{label}<", svg)
        values = recording.Recording(SERIES).rivals
        for (at, ours), (_, theirs) in zip(values["kheap"],
                                           values["kmalloc"]):
            self.assertEqual(ours["requested_bytes"],
                             theirs["requested_bytes"], at)


class TopCase(Copy):
    """kheap-top."""

    def test_sorting(self):
        view = views.classes_view(debugfs.Tree(DATA), "replay", views.Rates())
        for key in ("unused_bytes", "size", "fill"):
            view.sort(key, False)
            values = [r[key] for r in view.rows if r[key] is not None]
            self.assertEqual(values, sorted(values, reverse=True))
        view.sort("class", False)
        names = [row["class"] for row in view.rows]
        self.assertEqual(names, sorted(names))

    def test_rates(self):
        rates = views.Rates()
        rates.turn()
        self.assertIsNone(rates.of(5, "a"))
        rates.turn()
        self.assertGreater(rates.of(6, "a"), 0)

    def test_once(self):
        status, text, _ = run("kheap-top", "--root", DATA, "--once")
        self.assertEqual(status, 0)
        rows = [line.split()[0] for line in text.splitlines()[2:]]
        self.assertEqual(rows, ["replay", "exercise"])
        status, text, _ = run("kheap-top", "--root", DATA, "--once", "-H",
                              "replay", "-s", "size")
        self.assertIn("\nsize-8192 ", text)
        self.assertIn("held_bytes", text)

    def test_call_sites_by_waste_with_a_short_name(self):
        status, text, said = run("kheap-top", "--root", DATA, "--once", "-H",
                                 "exercise", "-v", "callsites", "-s", "waste")
        self.assertEqual(status, 0, said)
        waste = sorted((row["waste_bytes"] for row in
                        debugfs.Tree(DATA).callsites("exercise")),
                       reverse=True)
        shown = [line.split()[3] for line in text.splitlines()[2:]]
        self.assertEqual(shown, [debugfs.human(nr) for nr in waste])
        status, text, said = run("kheap-top", "--root", DATA, "--once", "-H",
                                 "exercise", "-v", "callsites", "--size",
                                 "104")
        self.assertEqual(status, 0, said)
        asked = [row for row in debugfs.Tree(DATA).callsites("exercise")
                 if row["least_bytes"] <= 104 <= row["most_bytes"]]
        self.assertIn(f", {len(asked)} ask for blocks of 104\n", text)
        self.assertEqual(len(text.splitlines()), 2 + len(asked))
        status, _, said = run("kheap-top", "--once", "-s", "wast_")
        self.assertEqual(status, 2)
        self.assertIn("no column", said)

    def test_json(self):
        status, text, _ = run("kheap-top", "--root", DATA, "--json")
        self.assertEqual(status, 0)
        heaps = {heap["name"]: heap for heap in json.loads(text)["heaps"]}
        tree = debugfs.Tree(DATA)
        self.assertEqual(heaps["replay"]["stats"], tree.stats("replay"))
        self.assertEqual(heaps["replay"]["arenas"], tree.arenas("replay"))
        self.assertEqual(heaps["exercise"]["pinned"], tree.pinned("exercise"))

    def test_no_terminal(self):
        status, _, said = run("kheap-top", "--root", DATA)
        self.assertEqual(status, 1)
        self.assertIn("not a terminal; use --once", said)

    def start(self, *args, **kwargs):
        """Start it on a terminal."""
        return Program([str(TOOLS / "kheap-top"), "--root", str(self.root),
                        "-d", "0.2", *args], **kwargs)

    def until(self, top, holds):
        """Wait until something holds of the screen."""
        for _ in range(300):
            if holds(top.expect("q:quit")):
                return
            top.pump(0.2)
        self.fail(top.screen.text())

    def test_keys_in_every_terminal(self):
        sites = debugfs.Tree(self.root).callsites("exercise")
        for term in ("xterm", "vt100", "linux", "screen", "ansi"):
            with self.subTest(term=term):
                top = self.start(term=term)
                text = top.expect("2 heaps", "[1:heaps]", "exercise")
                self.assertLess(text.index("\nreplay"),
                                text.index("\nexercise"))
                top.send(">")
                top.expect("sorted by LIVE")
                top.send("r")
                self.until(top, lambda text: 0 < text.find("\nexercise") <
                           text.find("\nreplay"))
                top.send("k\r")
                top.expect(CLASSES, "size-640")
                top.send("3")
                top.expect(f"exercise: {len(sites)} call sites",
                           "sorted by LIVE", "work_once < ")
                top.send("8")
                top.expect("pools, those that a block keeps most of",
                           " blocks of ")
                top.send("5")
                top.expect("exercise: ", " arenas", "#########")
                top.send("6")
                top.expect("exercise: every byte", "peak_held_bytes")
                top.send("7")
                top.expect("the collector of cycles", "nr_runs")
                top.send("\x1b")
                top.expect("[1:heaps]", "2 heaps")
                top.send("q")
                self.assertEqual(top.end(), 0)

    def test_resize_to_anything(self):
        top = self.start("-H", "exercise", "-s", "size")
        top.expect(CLASSES)
        for height, width in ((5, 20), (1, 1), (2, 300), (60, 200)):
            top.resize(height, width)
            top.pump(0.5)
        top.expect(CLASSES, "size-512", "q:quit")
        top.send("\x03")
        self.assertEqual(top.end(), 0)

    def test_ctrl_c_restores_the_terminal(self):
        top = self.start()
        top.expect("2 heaps")
        top.send("\x03")
        self.assertEqual(top.end(), 0)
        self.assertNotIn("Traceback", top.screen.text())

    def test_terminate(self):
        top = self.start()
        top.expect("2 heaps")
        os.kill(top.pid, signal.SIGTERM)
        self.assertEqual(top.end(), 0)

    def test_heap_that_vanishes_and_damage(self):
        top = self.start("-H", "exercise")
        top.expect(CLASSES)
        shutil.rmtree(self.root / "exercise")
        top.expect("no heap 'exercise' (any more)")
        (self.root / "heaps").write_text("garbage\n")
        top.send("1")
        top.expect("no line '# COLUMN")
        top.send("q")
        self.assertEqual(top.end(), 0)

    def test_terminal_without_a_cursor(self):
        top = self.start(term="dumb")
        self.assertEqual(top.end(), 1)
        self.assertIn("TERM=dumb", top.screen.text())


if __name__ == "__main__":
    unittest.main()
