# SPDX-License-Identifier: GPL-2.0
"""Every error path of every tool: what it says, and with which status.

A message is one line with the tool's name in front. EveryPath reads from the
sources what else a tool could say, so that a new message needs a case here.
"""

import ast
import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

HERE = pathlib.Path(__file__).resolve().parent
TOOLS = HERE.parent
SCRIPTS = TOOLS.parent
DATA = HERE / "data"
NOBODY = 65534
FULL = "it cannot be written: No space left on device"
# What only a kernel with the replay client says: vm/tests/30-replay.sh.
ELSEWHERE = {"kheap_replay.py"}
SOURCES = [*TOOLS.glob("kheap_*.py"), *TOOLS.glob("kheap-*"),
           SCRIPTS / "bpftrace/kheap-bpftrace", SCRIPTS / "drgn/kheap.py"]
SAID = []               # by all cases, for EveryPath, which is the last

sys.path.insert(0, str(TOOLS))


def load(path):
    """Return a tool as a module."""
    name = path.name.replace("-", "_").removesuffix(".py") + "_tool"
    loader = importlib.machinery.SourceFileLoader(name, str(path))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


class Case(unittest.TestCase):
    """A test with a copy of the data, which it may damage."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.root = self.folder / "kheap"
        shutil.copytree(DATA, self.root)

    def check(self, tool, status, said, want):
        """What was said is one line of that tool, with this in it."""
        SAID.append(said)
        text, (got, wanted) = said, status
        self.assertEqual(got, wanted, said)
        self.assertNotRegex(text, r"Traceback|Errno|Exception|None\b|\(\)")
        if wanted == 2:         # argparse's usage comes first
            text = text[text.rfind(f"\n{tool}") + 1:]
        self.assertEqual(text.count("\n"), 1, said)
        self.assertRegex(text, f"^{tool}( [a-z]+)?: ")
        self.assertRegex(text, want)

    def refuse(self, want, tool, *args, status=1, user=None, **more):
        """A tool is run, and fails with one line."""
        more.setdefault("stdout", subprocess.DEVNULL)
        path = tool if isinstance(tool, pathlib.Path) else TOOLS / tool
        done = subprocess.run(
            [path, *map(str, args)], stdin=subprocess.DEVNULL, text=True,
            stderr=subprocess.PIPE, check=False, user=user, **more)
        self.check(path.name, (done.returncode, status), done.stderr, want)

    def damage(self, name, old, new):
        """Replace text in a file of the copy, where it must be."""
        path = self.root / name
        text = (DATA / name).read_text()
        edited = re.sub(old, new, text, count=1, flags=re.M)
        self.assertNotEqual(text, edited, f"nothing in {name} is like {old}")
        path.write_text(edited)


class FilesCase(Case):
    """Files of debugfs that are damaged, are not there, or go."""

    DAMAGES = (
        ("heaps", r"^replay \d+", "replay many", "held_bytes is 'many', not"),
        ("heaps", r"\n\Z", "", "line 3: the line is cut off"),
        ("heaps", r"^replay ", "replay 1 ", "8 values in 7 columns"),
        ("heaps", r"^# ", "", "no line '# COLUMN ...' at the start"),
        ("heaps", "held_bytes", "hold_bytes", "no column 'held_bytes'"),
        ("exercise/callsites", "peak_bytes", "peek_bytes",
         "no column 'peak_bytes'"),
        ("exercise/callsites", r"^\d(.*\n)*?    ", "    ",
         "line 4: it belongs to no row"),
        ("exercise/callsites", r"^(\d+ \d+) \d+", r"\1 1",
         "live_bytes is not requested and waste"),
        ("exercise/callsites", r"^\+ .*\n", "", "no line '\\+' follows"),
        ("exercise/callsites", r"^(\+ \S+ \S+) \d+", r"\1 9999",
         "least_bytes is more than most_bytes"),
        ("exercise/stats", ": ", " ", "no line 'key: value'"),
        ("exercise/stats", r"(?s).*", "", "the file is empty"),
        ("exercise/stats", "tail_bytes", "tale_bytes", "no key 'tail_bytes'"),
        ("exercise/stats", r"(?<=^held_bytes: )\d+", "7", "held_bytes is 7, "),
        ("exercise/classes", r"^(size-56 56 56 1 73 1) \d+", r"\1 9",
         "size-56: the blocks do not add up to pools"),
        ("exercise/arenas", r" 1x8,", " 1y8,", "sizes has '1y8'"),
        ("exercise/arenas", r" 1x8,", " 2x8,", "sizes and pools do not agree"),
        ("exercise/arenas", r"1123", "123", "64 pools, but 63 characters in"),
        ("exercise/arenas", r"1123", "11?3", "a character in the map is unk"),
        ("exercise/arenas", r"1123", "_123", "the map has not as many holes"),
        ("exercise/pinned", r"# pools: 16", "# pools: 15", "the note of the"),
        ("exercise/pinned", r"^(\d+ \S+ \d+) 1", r"\1 0",
         "the blocks do not add up"),
        ("exercise/pinned", r"^\d+", "7", "unused_bytes is not what the live"),
    )

    def test_damage(self):
        for name, old, new, want in self.DAMAGES:
            with self.subTest(name=name, want=want):
                self.damage(name, old, new)
                self.refuse(rf"/{name}: .*{want}", "kheap-top", "--json",
                            "--root", self.root)
                shutil.copy(DATA / name, self.root / name)

    def test_not_text(self):
        (self.root / "heaps").write_bytes(b"\xff\xfe\n")
        self.refuse("heaps: not text", "kheap-top", "--once", "--root",
                    self.root)

    def test_gone(self):
        for tool, args in (("kheap-top", ("--once", "-H", "nobody")),
                           ("kheap-top", ("--json", "-H", "nobody")),
                           ("kheap-map", ("text", "nobody"))):
            self.refuse(r"there is no heap 'nobody' \(any more\)", tool,
                        *args, "--root", self.root)

    def test_no_copy(self):
        for tool, *args in (("kheap-top", "--once"), ("kheap-top", "--json"),
                            ("kheap-top",), ("kheap-map", "text"),
                            ("kheap-map", "svg")):
            self.refuse("/heaps is not there: is that folder a copy of /sys",
                        tool, *args, "--root", self.folder)
        self.refuse("/heaps: Not a directory", "kheap-top", "--once",
                    "--root", __file__)

    def test_no_kheap(self):
        import kheap_debugfs as debugfs
        error = FileNotFoundError(2, "No", str(debugfs.ROOT / "heaps"))
        for has, want in ((False, "kheap is not inserted: modprobe kheap"),
                          (True, "mount -t debugfs debugfs /sys/kernel/debug")):
            with unittest.mock.patch("pathlib.Path.is_dir", return_value=has):
                self.assertEqual(debugfs.explain(error, debugfs.ROOT),
                                 f"{error.filename} is not there: {want}")
        error = PermissionError(13, "No", str(debugfs.ROOT / "heaps"))
        self.assertEqual(debugfs.explain(error, debugfs.ROOT),
                         f"{error.filename}: permission denied: run it as "
                         "root (sudo)")

    @unittest.skipIf(os.geteuid(), "needs root")
    def test_no_permission(self):
        os.chmod(self.folder, 0o755)
        (self.root / "heaps").chmod(0o600)
        self.refuse("/heaps: Permission denied", "kheap-top", "--once",
                    "--root", self.root, user=NOBODY)

    def test_older_kheap_has_fewer_files(self):
        (self.root / "exercise/types").unlink()
        done = subprocess.run([TOOLS / "kheap-top", "--once", "-H",
                               "exercise", "--root", self.root], text=True,
                              capture_output=True, check=True)
        self.assertIn("this kheap.ko has no file 'types'", done.stdout)


class OutputCase(Case):
    """Results that find no room."""

    def results(self):
        """Yield the tools that print."""
        for args in (("--once",), ("--json",), ("--once", "-H", "replay")):
            yield "kheap-top", *args, "--root", self.root
        yield "kheap-map", "text", "replay", "--root", self.root
        yield "kheap-map", "svg", "replay", "--root", self.root
        yield "kheap-map", "html", self.root / "series.json"
        yield "kheap-plot", self.root / "series.json"

    def test_full(self):
        for args in self.results():
            with self.subTest(args=args), open("/dev/full", "wb") as full:
                self.refuse(f"the output: {FULL}", *args, stdout=full)

    def test_full_file(self):
        for args in (("kheap-map", "svg", "replay", "--root", self.root),
                     ("kheap-map", "html", self.root / "series.json"),
                     ("kheap-plot", self.root / "series.json"),
                     ("kheap-map", "record", "-n", "1", "--root", self.root)):
            self.refuse(f"/dev/full: {FULL}", *args, "-o", "/dev/full")
            self.refuse("x/y: it cannot be written: No such file", *args,
                        "-o", self.folder / "x/y")

    def test_closed(self):
        for tool, *args in self.results():
            done = subprocess.run(
                ["sh", "-c", 'exec "$@" >&-', "sh", TOOLS / tool,
                 *map(str, args)], text=True, stderr=subprocess.PIPE,
                check=False)
            self.check(tool, (done.returncode, 1), done.stderr,
                       "the output: it is closed")

    def test_complaint_finds_no_room(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TOOLS / "kheap-top", "--once", "--root",
                                   self.folder], stdout=full, stderr=full,
                                  check=False)
        self.assertEqual(done.returncode, 1)

    def test_reader_ends(self):
        done = subprocess.run(
            ["bash", "-c", '"$0" --json --root "$1" | head -c 1; '
             'echo "${PIPESTATUS[0]}"', TOOLS / "kheap-top", self.root],
            text=True, capture_output=True, check=False)
        self.assertEqual((done.stdout, done.stderr), ("{141\n", ""))

    def test_out_of_memory(self):
        import kheap_command
        out = io.StringIO()
        with contextlib.redirect_stderr(out):
            status = kheap_command.run("x", mock(side_effect=MemoryError))
        self.check("x", (status, 1), out.getvalue(), "out of memory")


def mock(**what):
    """A function that does what it is told."""
    return unittest.mock.Mock(**what)


class WordsCase(Case):
    """Command lines that mean nothing, and terminals that cannot."""

    def test_top(self):
        self.refuse("not a terminal; use --once", "kheap-top", "--root",
                    self.root)
        for args, want in (
                (("-d", "0"), "--delay: at least 0.1 seconds"),
                (("-d", "nan"), "--delay: at least 0.1 seconds"),
                (("-s", "x"), "'x' is no column, nor the start of just one"),
                (("-v", "x"), "invalid choice: 'x'"),
                (("x",), "unrecognized arguments: x")):
            self.refuse(want, "kheap-top", *args, status=2)
        self.refuse("view classes: name a heap with --heap", "kheap-top",
                    "--once", "-v", "classes", "--root", self.root)

    def test_terminal_that_cannot(self):
        script = [f"{TOOLS}/kheap-top --root {self.root}"]
        for term, want in (("dumb", "TERM=dumb: it cannot move its cursor; "),
                           ("nonsense", "TERM=nonsense: .*; use --once")):
            done = subprocess.run(
                ["script", "-qec", *script, "/dev/null"], text=True,
                capture_output=True, stdin=subprocess.DEVNULL, check=False,
                env=dict(os.environ, TERM=term))
            self.check("kheap-top", (done.returncode, 1),
                       done.stdout.replace("\r", ""), want)

    def test_map(self):
        self.refuse("heaps: exercise replay; name one", "kheap-map", "text",
                    "--root", self.root)
        (self.root / "heaps").write_text(
            (DATA / "heaps").read_text().splitlines()[0] + "\n")
        self.refuse(f"{self.root}: no heap", "kheap-map", "text", "--root",
                    self.root)
        self.refuse("no heap was there", "kheap-map", "record", "-n", "1",
                    "-o", self.folder / "out", "--root", self.root)
        self.refuse("/nonexistent: it cannot be run: No such file",
                    "kheap-map", "record", "--root", self.root, "-o",
                    self.folder / "out", "--", "/nonexistent")
        self.refuse("arguments are required: verb", "kheap-map", status=2)
        self.refuse("argument -i/--interval: invalid float", "kheap-map",
                    "record", "-i", "x", "-o", "x", status=2)
        self.refuse("/nonexistent: No such file", "kheap-map", "record",
                    "--trace", "/nonexistent", "-o", self.folder / "out")

    def test_root_before_and_behind_the_verb(self):
        for args in (("--root", self.root, "svg", "replay"),
                     ("svg", "--root", self.root, "replay"),
                     ("svg", "replay", "--root", self.root)):
            subprocess.run([TOOLS / "kheap-map", *args], check=True,
                           stdout=subprocess.DEVNULL)

    def test_recordings(self):
        path = self.root / "series.json"
        whole = path.read_text()
        head = whole.splitlines()[0] + "\n"
        for text, want in (
                (whole[:-20], r"line \d+: damaged or cut off"),
                ("{}\n", "line 1: not a recording of kheap-map record"),
                ("", "line 1: damaged or cut off"),
                (head, "nothing was recorded"),
                (head + '{"at":1,"heap":"a"}\n',
                 "line 2: no moment of a heap or a rival")):
            path.write_text(text)
            self.refuse(want, "kheap-plot", path)
            self.refuse(want, "kheap-map", "html", path)
        path.write_bytes(b"\xff\xfe\n")
        self.refuse("not text: not a recording", "kheap-plot", path)
        path.write_text(whole)
        self.refuse("recorded heaps: replay; none is 'x'", "kheap-plot", "-H",
                    "x", path)
        self.refuse("/nonexistent: it cannot be read: No such file",
                    "kheap-plot", "/nonexistent")
        self.refuse("/: it cannot be read: Is a directory", "kheap-plot", "/")
        self.refuse("arguments are required: recording", "kheap-plot",
                    status=2)

    def test_recording_of_two_heaps(self):
        out = self.folder / "two"
        subprocess.run([TOOLS / "kheap-map", "record", "-n", "1", "--root",
                        self.root, "-o", out], check=True,
                       stderr=subprocess.DEVNULL)
        self.refuse("recorded heaps: exercise replay; name one",
                    "kheap-plot", out)


class BpftraceCase(Case):
    """kheap-bpftrace, on a machine that lacks this or that."""

    TOOL = SCRIPTS / "bpftrace/kheap-bpftrace"

    def setUp(self):
        super().setUp()
        self.tool = load(self.TOOL)
        self.events = self.folder / "events"
        self.text = (self.TOOL.parent / "kheap-gc.bt").read_text()

    def machine(self, want, user=0, program="/usr/bin/bpftrace"):
        """The machine is looked at, and found wanting."""
        with unittest.mock.patch("os.geteuid", return_value=user), \
                unittest.mock.patch("shutil.which", return_value=program), \
                unittest.mock.patch.object(self.tool, "EVENTS", self.events):
            with self.assertRaisesRegex(self.tool.Refused, want) as caught:
                self.tool.check_machine(self.text)
        SAID.append(str(caught.exception))

    def test_machine(self):
        self.machine("needs root: run it with sudo", user=NOBODY)
        self.machine("there is no bpftrace: apt install", program=None)
        self.machine("is not there: mount -t tracefs")
        self.events.mkdir()
        self.machine("kheap is not inserted: modprobe kheap")
        (self.events / "kheap").mkdir()
        self.machine("has no event kheap:kheap_gc_start: it is older than")

    def test_words(self):
        self.refuse("zzz: no such script; there are: arenas callers gc ",
                    self.TOOL, "zzz")
        self.refuse("--keys: at least 1", self.TOOL, "-k", "0", "gc",
                    status=2)
        self.refuse("arguments are required: SCRIPT", self.TOOL, status=2)
        with self.complaint("-c 'false' ended with status 1"):
            self.tool.run_command("false")
        with self.complaint("-c '/nonexistent' cannot be run: No such"):
            self.tool.run_command("/nonexistent")
        with self.complaint("cannot be run: No closing quotation"):
            self.tool.run_command("echo '")

    @contextlib.contextmanager
    def complaint(self, want):
        """This is said."""
        out = io.StringIO()
        with contextlib.redirect_stderr(out):
            yield
        self.check("kheap-bpftrace", (0, 0), out.getvalue(), want)

    def run_with(self, **fields):
        """Return a run of a script that has ended."""
        run = self.tool.Run.__new__(self.tool.Run)
        vars(run).update(fields)
        return run

    def test_missed_events(self):
        with self.assertRaisesRegex(self.tool.Refused,
                                    "nobody is named: 3 events") as caught:
            self.run_with(missed=3, needs_all=True).verdict(0)
        SAID.append(str(caught.exception))
        with self.complaint("without 3 events, which came in an interrupt"):
            self.run_with(missed=3, needs_all=False).verdict(0)

    def test_keys_are_bounded_by_memory(self):
        text = (self.TOOL.parent / "kheap-leaks.bt").read_text()
        for free, keys in ((1 << 10, 4096), (1 << 34, 1000000)):
            with unittest.mock.patch.object(self.tool, "field",
                                            return_value=free):
                self.assertEqual(self.tool.keys_for(text), keys)


class DrgnCase(Case):
    """scripts/drgn/kheap.py, where there is drgn."""

    TOOL = SCRIPTS / "drgn/kheap.py"

    def setUp(self):
        super().setUp()
        if subprocess.run(["/usr/bin/python3", "-c", "import drgn"],
                          stderr=subprocess.DEVNULL, check=False).returncode:
            self.skipTest("no drgn")

    def test_words(self):
        for words, want in (
                (("what", "zzz"), "what zzz: that is no address; write it"),
                (("dance",), "'dance': no such command; there are: heaps "),
                (("what", "1", "2"), "what takes 1 arguments; see --help"),
                (("blocks",), "blocks takes 1 or 2 arguments")):
            self.refuse(want, self.TOOL, "/bin/true", *words, status=2)

    def test_machine(self):
        self.refuse("/nonexistent: No such file", self.TOOL, "/nonexistent",
                    "heaps")
        if not os.path.exists("/sys/module/kheap"):
            self.refuse("kheap is not inserted", self.TOOL, "/bin/true",
                        "heaps", **({"user": 0} if not os.geteuid() else {}))
        if not os.geteuid():
            self.refuse("/proc/kcore is for root: run it with sudo",
                        self.TOOL, "/bin/true", "heaps", user=NOBODY)

    def test_inside(self):
        code = f"""
import sys, importlib.util, unittest.mock as mock
spec = importlib.util.spec_from_file_location("kheap", {str(self.TOOL)!r})
tool = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tool)
for act in (lambda: tool.find_heap(None, "x"), lambda: tool.symbol("x"),
            lambda: tool.depot(), lambda: tool.load("/bin/true"),
            lambda: tool.check_machine("/bin/true")):
    with mock.patch.object(tool, "heaps", return_value=[]), \\
            mock.patch.object(tool, "kallsyms", return_value=""), \\
            mock.patch("os.geteuid", return_value=0), \\
            mock.patch("os.path.exists", return_value=True), \\
            mock.patch.object(tool, "NOTES", "/bin/ls"):
        try:
            act()
        except tool.KheapError as error:
            print(error)
run = mock.Mock(side_effect=tool.drgn.FaultError("no such memory", 9))
with mock.patch.dict(tool.COMMANDS, heaps=(run, 0, 0)):
    assert tool.answer(None, ["heaps"]) == 1
"""
        done = subprocess.run(["/usr/bin/python3", "-B", "-c", code],
                              text=True, capture_output=True, check=True)
        SAID.append(done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        for line, want in zip(lines, (
                "no heap 'x'", "x is not in /proc/kallsyms: this kernel, or ",
                "the kernel has no stack depot that is known here",
                "/bin/true: no debugging information of kheap: name",
                "/bin/true is not the kheap.ko that is inserted")):
            self.assertIn(want, line)
        self.assertEqual(len(lines), 5)
        self.assertRegex(done.stderr, "^kheap.py: heaps: the heap changed "
                         "while it was read: .*; ask again\n$")


def constants(node):
    """Return the texts in an expression that are always there."""
    return [leaf.value for leaf in ast.walk(node)
            if isinstance(leaf, ast.Constant) and isinstance(leaf.value, str)]


def messages(path):
    """Yield (line, longest constant part) of what a source can say."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            texts = [constants(arg) for arg in node.exc.args]
        elif isinstance(node, ast.Call) and \
                getattr(node.func, "id", getattr(node.func, "attr", "")) in \
                ("error", "say", "complain", "refuse"):
            texts = [constants(arg) for arg in node.args]
        else:
            continue
        texts = sum(texts, [])
        if texts and len(max(texts, key=len)) > 3:
            yield node.lineno, max(texts, key=len)


class ZEveryPath(unittest.TestCase):
    """The last: nothing can be said that no case has heard."""

    def test_every_message_was_heard(self):
        heard = "\n".join(SAID)
        if not heard:
            self.skipTest("it looks at what the other cases heard")
        silent = [f"{path.name}:{line}: {text}" for path in SOURCES
                  if path.name not in ELSEWHERE
                  for line, text in messages(path) if text not in heard]
        self.assertEqual(silent, [])


if __name__ == "__main__":
    unittest.main()
