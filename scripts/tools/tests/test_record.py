# SPDX-License-Identifier: GPL-2.0
"""What the recorder does to programs, and what it keeps of them."""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time
import unittest

from test_trace import TRACE, Folder, run

sys.path.insert(0, str(TRACE))
import kheap_collector  # noqa: E402 (the path comes first)
import kheap_raw  # noqa: E402
import kheap_trace as kt  # noqa: E402

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
GONE = 300              # seconds: a program that was to end does not

NOT_WHOLE = 123


def setUpModule():
    """Compile the programs."""
    global BUILT
    BUILT = tempfile.TemporaryDirectory()
    for name, source, flags in (("recorded", "recorded.c", ["-pthread"]),
                                ("static", "recorded.c", ["-pthread", "-static"]),
                                ("own_malloc", "own_malloc.c", ["-fno-builtin"])):
        subprocess.run(["gcc", "-O1", "-w", *flags, "-o", f"{BUILT.name}/{name}",
                        PROGRAMS / source], check=True)


def tearDownModule():
    """And away with them."""
    BUILT.cleanup()


def program(*args, name="recorded"):
    """The command for one of them."""
    return (f"{BUILT.name}/{name}", *args)


class Recorded(Folder):
    """A test that looks into traces."""

    def trace(self, name="t"):
        """The trace of this name, which is sound."""
        return kt.parse((self.root / name).read_bytes())

    def whole(self, name="t"):
        """The same, and it is whole."""
        trace = self.trace(name)
        self.assertEqual(kt.missing(trace), [])
        return trace

    def image(self, name="t"):
        """The program that a trace is of."""
        return re.search(r"^image: .*/(.*)$", self.trace(name).meta, re.MULTILINE)[1]

    def pairs(self, name="t"):
        """How many allocations a whole trace has, whose blocks are all freed."""
        head = self.whole(name).header
        self.assertEqual(head["nr_allocs"], head["nr_frees"])
        return head["nr_allocs"]

    def alone(self, *args):
        """How a program ends alone."""
        return run(args[0], *args[1:], cwd=self.root)


class BehaviourCase(Recorded):
    """A recorded program behaves as it does alone."""

    def both(self, *args, options=()):
        """Run a program alone and recorded; it ends the same way."""
        alone = self.alone(*program(*args))
        recorded = self.record(*options, "-o", "t", command=program(*args))
        self.assertEqual(recorded, alone)
        return alone

    def test_what_it_may_not_do_any_more(self):
        for mode, pairs in (("strict", 301000), ("filter", 301000), ("file-size", 300000)):
            for options in ((), ("--time",)):
                with self.subTest(mode=mode, options=options):
                    self.assertEqual(self.both(mode, options=options)[0], 0)
                    self.assertEqual(self.pairs(), pairs)

    def test_limits_and_descriptors(self):
        for mode in ("descriptors", "address-space", "alternate-stack"):
            with self.subTest(mode=mode):
                self.assertEqual(self.both(mode)[0], 0)
                self.whole()

    @unittest.skipIf(os.geteuid(), "root only")
    def test_another_user_and_another_root(self):
        for mode in ("other-user", "other-root", "locked"):
            with self.subTest(mode=mode):
                self.assertEqual(self.both(mode)[0], 0)
                self.assertEqual(self.pairs(), 300000)

    def test_forks_in_a_handler(self):
        for options in ((), ("--children",)):
            self.assertEqual(self.both("fork-in-handler", "200", options=options)[0], 0)
            for name in self.left():
                self.whole(name)
        self.assertGreater(len(self.left()), 60)

    def test_forks_of_every_kind(self):
        for mode, pairs in (("fork", 10 * 1000), ("raw-clone", 1000 + 20 * 2000),
                            ("vfork", 20 * 1001)):
            with self.subTest(mode=mode):
                self.assertEqual(self.both(mode, "10")[0], 0)
                self.assertEqual(self.pairs(), pairs)

    def test_killed_while_threads_make_requests(self):
        self.assertEqual(self.alone(*program("killed"))[0], -signal.SIGKILL)
        status, _, said = self.record("-o", "t", command=program("killed"))
        self.assertEqual((status, said), (128 + signal.SIGKILL, ""))
        self.assertGreater(self.whole().header["nr_events"], 1000)


class ChildrenCase(Recorded):
    """--children."""

    def test_each_child_has_its_own(self):
        for mode, nr, pairs in (("fork", 10, 1000), ("raw-clone", 20, 2000)):
            done = self.record("--children", "-o", "t", command=program(mode, "10"))
            self.assertEqual(done, (0, "", ""))
            names = [name for name in self.left() if name != "t"]
            self.assertEqual([self.pairs(name) for name in names], [pairs] * nr)
            for name in self.left():
                (self.root / name).unlink()

    def test_a_parent_without_a_request(self):
        done = self.record("--children", "-o", "t", command=program("spawn"))
        self.assertEqual(done, (0, "", ""))
        self.assertEqual([self.pairs(name) for name in self.left()], [500, 500])

    def many(self, nr, **options):
        """Many at once, of two images each, that have what is theirs."""
        script = f'for i in $(seq {nr}); do "$0" churn 10 & done; wait'
        done = self.record("--children", "-o", "t", **options,
                           command=("bash", "-c", script, *program()))
        self.assertEqual(done, (0, "", ""))
        names = [name for name in self.left() if re.fullmatch(r"t\.\d+", name)]
        pairs = [self.whole(name).header["nr_frees"] for name in names]
        self.assertEqual(pairs.count(10), nr)
        self.assertEqual([self.image(name) for name in names].count("recorded"), nr)
        shells = [name for name in self.left() if re.fullmatch(r"t\.\d+\.0", name)]
        self.assertEqual([self.image(name) for name in shells], ["bash"] * len(shells))
        self.assertGreaterEqual(len(shells), nr)

    def test_many_at_once(self):
        self.many(800)          # more than there are chunks of memory for

    def test_late_with_the_head_of_a_chunk(self):
        env = dict(os.environ, KHEAP_BUILD=BUILT.name,
                   CC=f"gcc -I{TRACE} -include {PROGRAMS}/late.h -w")
        self.many(120, env=env)

    def test_who_outlives_the_command_is_cut(self):
        command = ("sh", "-c", "$0 daemon 3000; exit 4", *program())
        status, _, said = self.record("--children", "-o", "t", command=command)
        self.assertEqual(status, NOT_WHOLE)
        self.assertIn("still running", said)
        cut = [name for name in self.left() if kt.missing(self.trace(name))]
        self.assertEqual(len(cut), 1)
        status, shown, said = run("check", *self.left(), cwd=self.root)
        self.assertEqual((status, said.count("not whole: cut")), (3, 1))
        self.assertIn(f"{cut[0]}: not whole\n", shown)

    def test_who_is_waited_for_is_whole(self):
        command = ("sh", "-c", "$0 daemon 1500; exit 4", *program())
        done = self.record("--children", "--wait", "-o", "t", command=command)
        self.assertEqual(done, (4, "", ""))
        self.assertIn(15000, [self.pairs(name) for name in self.left() if name != "t"])


class ImageCase(Recorded):
    """What was recorded is what was asked for."""

    def test_emptied_environment(self):
        done = self.record("-o", "t", command=("env", "-i", *program("churn", "100")))
        self.assertEqual((done, self.image(), self.pairs()), ((0, "", ""), "recorded", 100))

    def test_every_way_to_become_another(self):
        self.assertEqual(self.record("-o", "t", command=program("exec", "0")), (0, "", ""))
        self.assertEqual(self.pairs(), 1100)
        done = self.record("--children", "-o", "t", command=program("exec", "0"))
        self.assertEqual(done, (0, "", ""))
        self.assertEqual([self.pairs(name) for name in self.left()], [1100] + [100] * 9)

    def test_one_that_is_lost(self):
        command = ("sh", "-c", "exec $0 churn 5", *program(name="static"))
        status, _, said = self.record("-o", "t", command=command)
        self.assertEqual(status, NOT_WHOLE)
        self.assertRegex(said, "became .*/static, which was not recorded: .* static")
        self.assertEqual(len(kt.missing(self.trace())), 1)
        self.assertEqual(run("check", "-q", "t", cwd=self.root)[0], 3)

    def test_none(self):
        for name, why in (("static", "statically linked"), ("own_malloc", "malloc() of its own")):
            status, _, said = self.record("-o", "t", command=program("churn", "5", name=name))
            self.assertEqual((status, said.count("\n")), (125, 1), said)
            self.assertIn(why, said)
        self.assertEqual(self.left(), [])


class KeptCase(Recorded):
    """What was recorded is kept."""

    def partly(self, status, said, reason):
        """There is a trace that says why it is not whole."""
        self.assertEqual(status, NOT_WHOLE, said)
        self.assertIn(reason, said)
        self.assertIn(reason, kt.missing(self.trace())[0])
        self.assertGreater(self.trace().header["nr_events"], 1000)
        self.assertEqual(run("check", "-q", "t", cwd=self.root)[0], 3)
        self.assertEqual(self.left(), ["t"])

    def limited(self, prefix):
        """Record much behind a shell's words; return status and complaints."""
        done = run("/bin/sh", "-c", f'{prefix} exec "$0" -q -o t -- "$@"', TRACE / "record",
                   *program("churn", "400000"), cwd=self.root)
        return done[0], done[2]

    def test_files_may_not_grow(self):
        self.partly(*self.limited("ulimit -f 1000;"), "File too large")

    @unittest.skipIf(os.geteuid(), "root only")
    def test_full_disk(self):
        shell = ('mount -t tmpfs -o size=2M none disk && "$0" -q -o disk/t -- "$@"; '
                 'status=$?; cp disk/t kept; exit $status')
        (self.root / "disk").mkdir()
        done = subprocess.run(["unshare", "-m", "sh", "-c", shell, TRACE / "record",
                               *program("churn", "400000")],
                              cwd=self.root, capture_output=True, check=False)
        (self.root / "disk").rmdir()
        (self.root / "kept").rename(self.root / "t")
        self.partly(done.returncode, done.stderr.decode(), "No space left on device")

    def test_collector_is_killed(self):
        script = "kill -9 $(pgrep -P $PPID -f kheap_collector); exec $0 churn 300000"
        status, _, said = self.record("-o", "t", command=("sh", "-c", script, *program()))
        self.assertEqual((status, said.count("\n")), (125, 1), said)
        self.assertIn("collector is gone (signal 9)", said)
        self.assertEqual(self.left(), [])

    def test_recorder_is_killed(self):
        script = "kill -9 $PPID; sleep 0.3; $0 churn 300000 && touch done"
        status, _, _ = self.record("-o", "t", command=("sh", "-c", script, *program()))
        self.assertEqual(status, -signal.SIGKILL)
        deadline = time.monotonic() + GONE
        while self.left() != ["done"] and time.monotonic() < deadline:
            time.sleep(0.05)
        self.assertEqual(self.left(), ["done"])


class SizeCase(Recorded):
    """Large recordings."""

    def test_more_threads_than_numbers(self):
        done = self.record("-o", "t", command=program("threads", "66000"))
        self.assertEqual(done, (0, "", ""))
        trace = self.whole()
        self.assertIn("nr_threads: 66005\n", trace.meta)
        self.assertNotIn("nr_foreign", trace.meta)
        self.assertEqual(trace.header["nr_allocs"] - trace.header["nr_frees"],
                         trace.header["end_live"])
        self.assertLess(trace.header["end_live"], 20)

    def test_memory_does_not_grow_with_the_events(self):
        kheap_collector.build("collector")
        # A process begins with the largest size of whoever forked it: not this one.
        script = ("import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True);"
                  "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)")
        status, largest, _ = run(sys.executable, "-c", script, TRACE / "record", "-q", "-o",
                                 "t", "--", *program("churn", "1500000"), cwd=self.root)
        self.assertEqual(status, 0)
        self.assertEqual(self.trace().header["nr_events"], 3000000)
        # 48 MB of events; all that shares memory with the programs is 32 MiB.
        self.assertLess(int(largest), 46 * 1024)

    def test_times(self):
        self.record("--time", "-o", "t", command=program("daemon", "0"))
        self.record("--time", "-o", "t", command=("sh", "-c", "sleep 0.2; exec $0 churn 9",
                                                  *program()))
        trace = self.whole()
        self.assertEqual(trace.header["flags"], kt.FLAG_TIME)
        self.assertLess(sum(event[5] for event in trace), 100_000_000)


class CheckerCase(Recorded):
    """What check finds in traces that break no rule."""

    def made(self, meta, thread):
        """A trace of one block, and what check says of it."""
        events = kt.EVENT.pack(kt.ALLOC, 0, thread, 0, 8, 0)
        (self.root / "t").write_bytes(kt.assemble(events, meta))
        return run("check", "-q", "t", cwd=self.root)

    def test_threads_that_share_a_number(self):
        status, _, said = self.made("source: malloc\n", 65535)
        self.assertEqual(status, 3)
        self.assertIn("frees may be missing", said)
        self.assertEqual(self.made("source: malloc\nnr_threads: 70000\n", 65535),
                         (0, "", ""))

    def test_frees_that_were_not_seen(self):
        status, _, said = self.made("source: malloc\nnr_missed_frees: 3\n", 0)
        self.assertEqual((status, said), (3, "check: t: not whole: 3 blocks were freed unseen\n"))
        self.assertEqual(self.made("source: kernel\nnr_missed_frees: 3\n", 0), (0, "", ""))

    def test_a_realloc_inside_another(self):
        for ends in ((48, 64), (64, 48)):
            conv = kheap_raw.Converter()
            for addr in (16, 32):
                conv.alloc(0, 7, addr, 100)
            conv.realloc_begin(7, 16)
            conv.realloc_begin(7, 32)
            for addr in ends:
                conv.realloc_end(7, addr, 200)
                conv.free(7, addr)
            ops = [event[0] for event in kt.EVENT.iter_unpack(conv.events)]
            self.assertEqual((ops.count(kt.ALLOC), ops.count(kt.FREE), conv.nr_foreign),
                             (2, 2, 0))


class WordsCase(Recorded):
    """What the tools say when they cannot."""

    def test_output_that_cannot_be_written(self):
        self.record("-o", "t")
        with open("/dev/full", "wb") as full:
            done = subprocess.run([TRACE / "check", "t"], cwd=self.root, stdout=full,
                                  stderr=subprocess.PIPE, check=False)
        self.assertEqual((done.returncode, done.stderr.decode()),
                         (1, "check: standard output: No space left on device; not all "
                             "of the output was written\n"))

    def test_files_that_are_not_there(self):
        for tool in ("check", "replay"):
            self.assertEqual(run(tool, "/nonexistent", cwd=self.root),
                             (1, "", f"{tool}: /nonexistent: No such file or directory\n"))
            self.assertEqual(run(tool, "/", cwd=self.root),
                             (1, "", f"{tool}: /: Is a directory\n"))

    def test_wait_without_children(self):
        status, _, said = self.record("--wait", "-o", "t")
        self.assertEqual(status, 2)
        self.assertIn("--wait is for the processes that --children records", said)


if __name__ == "__main__":
    unittest.main()
