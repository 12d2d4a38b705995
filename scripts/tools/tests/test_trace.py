# SPDX-License-Identifier: GPL-2.0
"""The recorder and the checker of traces: where they write, how they end."""

import os
import pathlib
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
TRACE = HERE.parent.parent / "trace"
sys.path.insert(0, str(TRACE))
import kheap_trace as kt  # noqa: E402 (the path comes first)

# A job in the background ignores Ctrl-C, and one under nohup that its terminal
# goes, and so would what gets these signals here.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

WORKS = ("sh", "-c", ":")
# A command that has started when there is a file, and waits for a signal; not for
# ever, as nobody kills it if the recorder is lost.
WAITS = ("sh", "-c", "touch started; for i in $(seq 900); do sleep 0.1; done")


def run(tool, *args, **options):
    """Run a tool of scripts/trace; return its status, output and complaints."""
    result = subprocess.run([tool if "/" in str(tool) else TRACE / tool, *args],
                            stdin=subprocess.DEVNULL, capture_output=True, check=False,
                            timeout=300, **options)
    return result.returncode, result.stdout.decode(), result.stderr.decode()


class Folder(unittest.TestCase):
    """A test with a folder that must hold what it says at the end."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def record(self, *args, command=WORKS, **options):
        """Record a command with -o and other options."""
        return run("record", "-q", *args, "--", *command, cwd=self.root, **options)

    def refused(self, reason, *args):
        """It says one line, and has not run the command."""
        status, _, said = self.record(*args, command=("touch", "ran"))
        self.assertEqual((status, said.count("\n")), (125, 1), said)
        self.assertIn(reason, said)
        self.assertFalse((self.root / "ran").exists())

    def left(self):
        """What is in the folder."""
        return sorted(path.name for path in self.root.iterdir())


class OutputCase(Folder):
    """-o FILE."""

    def test_what_is_no_file_is_refused_and_stays(self):
        os.mkfifo(self.root / "fifo")
        (self.root / "folder").mkdir()
        (self.root / "link").symlink_to("fifo")
        for name in ("fifo", "folder", "link"):
            self.refused("not a regular file", "-o", name)
        self.assertTrue(stat.S_ISFIFO((self.root / "link").stat().st_mode))
        self.assertEqual(self.left(), ["fifo", "folder", "link"])

    def test_link_to_a_file_stays_one(self):
        (self.root / "link").symlink_to("file")
        self.assertEqual(self.record("-o", "link"), (0, "", ""))
        self.assertTrue((self.root / "link").is_symlink())
        kt.parse((self.root / "file").read_bytes())
        self.assertEqual(self.left(), ["file", "link"])

    def test_names_that_cannot_be_are_refused_before_the_start(self):
        self.refused("too long", "-o", "n" * 256)
        self.refused("too long", "--children", "-o", "n" * 250)
        self.refused("no such directory", "-o", "nowhere/file")
        self.assertEqual(self.left(), [])

    def test_longest_name(self):
        self.assertEqual(self.record("-o", "n" * 255), (0, "", ""))
        self.assertEqual(self.left(), ["n" * 255])

    def test_arguments_of_any_bytes(self):
        self.assertEqual(self.record("-o", "t", command=(*WORKS, b"\xff\x1b[31m")),
                         (0, "", ""))
        meta = kt.parse((self.root / "t").read_bytes()).meta
        self.assertIn("command: sh -c : ?\x1b[31m\n", meta)
        status, shown, _ = run("check", self.root / "t")
        self.assertEqual(status, 0)
        self.assertIn("command: sh -c : ?\\x1b[31m\n", shown)


class DamageCase(Folder):
    """scripts/trace/damage, on what it cannot damage."""

    def test_no_trace(self):
        (self.root / "text").write_text("text")
        for name, why in (("nothing", "No such file"), ("text", "not a kheap trace")):
            status, _, said = run("damage", self.root / name, self.root / "to")
            self.assertEqual((status, said.count("\n")), (1, 1), said)
            self.assertIn(why, said)


class EndCase(Folder):
    """How it ends."""

    def ended_by(self, number):
        """Its status, when it is sent a signal while the command waits."""
        with subprocess.Popen([TRACE / "record", "-q", "-o", "t", "--", *WAITS],
                              cwd=self.root) as child:
            while not (self.root / "started").exists() and child.poll() is None:
                signal.sigtimedwait((), 0.05)
            child.send_signal(number)
            try:
                return child.wait(timeout=60)
            finally:
                child.kill()

    def test_signals_are_passed_on(self):
        for number in (signal.SIGTERM, signal.SIGHUP):
            self.assertEqual(self.ended_by(number), 128 + number)
            self.assertEqual(self.left(), ["started", "t"])
            kt.parse((self.root / "t").read_bytes())
            for name in self.left():
                (self.root / name).unlink()

    def test_sigpipe_is_as_it_was(self):
        command = ("sh", "-c", "grep SigIgn /proc/self/status")
        _, mask, _ = self.record("-o", "t", command=command)
        self.assertEqual(int(mask.split()[1], 16) & 1 << signal.SIGPIPE - 1, 0)

    def test_statuses(self):
        self.assertEqual(self.record("-o", "t", command=("sh", "-c", "exit 1")), (1, "", ""))
        status, _, said = self.record("-o", "u", command=("./nothing",))
        self.assertEqual((status, said), (127, "record: ./nothing: No such file or directory\n"))
        self.assertEqual(self.left(), ["t"])


class InstalledCase(Folder):
    """A copy of scripts/trace elsewhere."""

    def copied(self, name):
        """The recorder, in a folder of an installation."""
        shutil.copytree(TRACE, self.root / name / "lib/kheap/trace")
        return self.root / name / "lib/kheap/trace/record"

    def test_nothing_is_written_outside_the_cache(self):
        env = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.root / "cache")}
        done = run(self.copied("usr"), "-q", "-o", "t", "--", *WORKS, cwd=self.root, env=env)
        self.assertEqual(done, (0, "", ""))
        self.assertEqual(self.left(), ["cache", "t", "usr"])
        self.assertEqual(os.listdir(self.root / "usr/lib"), ["kheap"])

    def test_paths_that_ld_so_would_split(self):
        env = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(self.root / "a b:c")}
        done = run("record", "-q", "-o", "t", "--", *WORKS, cwd=self.root,
                   env=dict(env, KHEAP_BUILD=str(self.root / "a b:c")))
        self.assertEqual(done, (0, "", ""))
        kt.parse((self.root / "t").read_bytes())

    def test_no_path_that_ld_so_takes(self):
        bad = str(self.root / "a b:c")
        os.mkdir(bad)
        status, _, said = run("record", "-o", "t", "--", *WORKS, cwd=self.root,
                              env=dict(os.environ, KHEAP_BUILD=bad, TMPDIR=bad))
        self.assertEqual(status, 125)
        self.assertIn("set TMPDIR", said)


if __name__ == "__main__":
    unittest.main()
