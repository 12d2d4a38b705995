#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Put small faults into the module, one at a time, and see a test go red.

Each mutant of scripts/mutants/list is applied to a copy of the sources; its
suites run in the test kernel until one fails.  A mutant that no suite notices
is a survivor: a test is missing, or the fault is none, and then
Documentation/testing.rst says why.  Results are kept, and those of unchanged
mutants are not asked for again unless --again is given.
"""

import argparse
import hashlib
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "vm"))
import common  # noqa: E402
from common import Fatal, say  # noqa: E402

LIST = HERE / "mutants" / "list"


class Mutant:
    """A fault: a name, a file, suites, lines out, lines in."""

    def __init__(self, line):
        self.line = line
        self.name = self.file = ""
        self.suites = []
        self.out, self.into = [], []

    def add(self, number, text):
        """Take one line of the stanza."""
        if text[0] in "-+":
            (self.out if text[0] == "-" else self.into).append(text[1:])
            return
        key, colon, value = text.partition(":")
        if not colon or key not in ("mutant", "file", "suites"):
            raise Fatal(f"{LIST}:{number}: not understood: {text}")
        if key == "suites":
            self.suites = value.split()
        else:
            setattr(self, "name" if key == "mutant" else key, value.strip())

    def find(self, text):
        """Return where in @text the lines to take out are: (start, end)."""
        lines = [r"[ \t]*" + r"\s+".join(map(re.escape, line.split())) +
                 r"[ \t]*\n" for line in self.out]
        found = list(re.finditer("^" + "".join(lines), text, re.M))
        if len(found) != 1:
            raise Fatal(f"{LIST}:{self.line}: {self.name}: its lines are in "
                        f"{self.file} {len(found)} times, not once; "
                        "the code has changed, so must the mutant")
        return found[0].span()

    def apply(self, tree):
        """Put the fault into @tree; return the text that was there."""
        path = tree / self.file
        text = path.read_text()
        start, end = self.find(text)
        path.write_text(text[:start] + "\n".join(self.into) + "\n" +
                        text[end:])
        return text

    def key(self):
        """Return a hash of the fault and of all that is run."""
        digest = hashlib.sha256(repr((self.file, self.out, self.into,
                                      self.suites)).encode())
        for path in sources():
            if path.startswith(("module/", "kunit/")):
                digest.update((common.REPO / path).read_bytes())
        return digest.hexdigest()[:16]


def read_list():
    """Return the mutants of the list; each must fit the code as it is."""
    mutants, mutant = [], None
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line:
            mutant = None
            continue
        if mutant is None:
            mutant = Mutant(number)
            mutants.append(mutant)
        mutant.add(number, line)
    names = set()
    for mutant in mutants:
        if not (mutant.name and mutant.file and mutant.suites and mutant.out
                and mutant.into) or mutant.name in names:
            raise Fatal(f"{LIST}:{mutant.line}: incomplete, or not the first "
                        "of its name")
        names.add(mutant.name)
        mutant.find((common.REPO / mutant.file).read_text())
    return mutants


def sources():
    """Return the files that the copy needs."""
    out = subprocess.run(["git", "-C", str(common.REPO), "ls-files", "-z",
                          "module", "kunit", "scripts", "Kbuild"],
                         stdout=subprocess.PIPE, check=True).stdout
    return [name for name in out.decode().split("\0") if name]


def make_copy(tree):
    """Mirror the sources to @tree, touching only what differs."""
    tree.mkdir(parents=True, exist_ok=True)
    subprocess.run(["rsync", "-a", "--checksum", "--files-from=-",
                    f"{common.REPO}/", f"{tree}/"],
                   input="\n".join(sources()).encode(), check=True)


def stop(proc):
    """End a run with all that it has started."""
    try:
        os.killpg(proc.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


def run_suite(tree, build, kernel, suite, timeout):
    """Run one suite on the copy until a case fails; return (red, which)."""
    env = dict(os.environ, KHEAP_BUILD=str(build))
    # What the compiler said of the last mutant is no reason to start afresh.
    (build / kernel / ".said").unlink(missing_ok=True)
    hangs = threading.Event()
    text = ""
    with subprocess.Popen(
            [sys.executable, str(tree / "scripts/kunit.py"), suite,
             "--kernel", kernel, "--timeout", str(timeout)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, env=env, start_new_session=True,
            encoding="utf-8", errors="replace") as proc:
        timer = threading.Timer(timeout + 120,
                                lambda: (hangs.set(), stop(proc)))
        timer.start()
        first = None
        for line in proc.stdout:
            text += line
            first = re.search(r"FAILED (.*)", line)
            if first:
                # What comes after that is of no interest.
                stop(proc)
                break
        proc.stdout.read()
        timer.cancel()
    if hangs.is_set():
        return True, "the machine hangs"
    if "modules do not build" in text:
        raise Fatal("it does not compile:\n" + text)
    return proc.returncode != 0, first[1] if first else ""


def try_mutant(mutant, tree, build, args):
    """Return (killer, how) or ("", "") for a survivor."""
    text = mutant.apply(tree)
    try:
        for kernel in ("cover", "test") if args.quick else ("test",):
            for suite in mutant.suites:
                red, first = run_suite(tree, build, kernel, suite,
                                       args.timeout)
                if red:
                    return suite, first
        return "", ""
    finally:
        (tree / mutant.file).write_text(text)


def parse_args():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n\n")[0])
    add = parser.add_argument
    add("only", nargs="*", help="mutants whose name has one of these words")
    add("--list", action="store_true",
        help="check that every mutant fits the code, and stop")
    add("--again", action="store_true", help="results that are known, too")
    add("--quick", action="store_true",
        help="try in the kernel of make coverage first, which checks less and "
        "takes less time, and what survives there in the test kernel")
    add("--timeout", type=float, default=120,
        help="seconds for a suite (default 120)")
    return parser.parse_args()


def main():
    """Command line."""
    args = parse_args()
    mutants = [m for m in read_list() if not args.only or
               any(word in m.name for word in args.only)]
    if args.list:
        print(f"{len(mutants)} passed, 0 failed")
        return 0
    build = pathlib.Path(common.build_dir()).resolve() / "mutants"
    tree, known_path = build / "tree", build / "results.json"
    make_copy(tree)
    known = json.loads(known_path.read_text()) if known_path.exists() else {}
    survivors, start = [], time.monotonic()
    for number, mutant in enumerate(mutants, 1):
        key = mutant.key()
        if args.again or known.get(mutant.name, {}).get("key") != key:
            suite, how = try_mutant(mutant, tree, build, args)
            known[mutant.name] = {"key": key, "suite": suite, "how": how}
            known_path.write_text(json.dumps(known, indent=1))
        result = known[mutant.name]
        word = "killed  " if result["suite"] else "SURVIVED"
        print(f"{number:3}/{len(mutants)} {word} {mutant.name}\n"
              f"        {result['how'][:70]}".rstrip(), flush=True)
        if not result["suite"]:
            survivors.append(mutant.name)
    say(f"took {time.monotonic() - start:.0f} s")
    for name in survivors:
        print(f"survivor: {name}")
    print(f"{len(mutants) - len(survivors)} passed, {len(survivors)} failed")
    return 1 if survivors else 0


if __name__ == "__main__":
    common.main_wrapper(main)
