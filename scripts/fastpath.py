#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Look at the machine code of the fast paths: no lock, no call.

usage: scripts/fastpath.py [-v] [KERNEL | FILE.ko]...
       scripts/fastpath.py --self-test

KERNEL is a name that scripts/build.sh knows (default: 6.12 and 6.1), which is
built if need be; FILE.ko is a kheap.ko.

What a warm magazine serves returns without calling anybody: whatever else can
happen, a miss, a refusal, the scheduler, is a call, or a jump out of the
function. So the fast paths of a function are the paths from its start to a
return on which nobody is called. There has to be one, and on none of them may
there be an instruction that locks: one with a lock prefix, an exchange with
memory, which locks without one, or a fence. -v prints the instructions.
"""

import argparse
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.environ.get("KHEAP_BUILD") or os.path.join(HERE, "..", "build")

# Functions, and the fewest instructions that one pass through each can take.
FUNCTIONS = {
    "__kheap_alloc": 15,
    "__kheap_alloc_words": 15,
    "kheap_free": 20,
    "__kheap_cache_alloc": 15,
    "kheap_cache_free": 20,
    "kheap_object_new": 20,
    "__kheap_object_put": 20,
}

LINE = re.compile(r"^\s+([0-9a-f]+):\t(.*)$")
HEAD = re.compile(r"^[0-9a-f]+ <(.+)>:$")
RELOC = re.compile(r"^\s+[0-9a-f]+: (R_X86_64_\w+)\s+(\S+)$")
TARGET = re.compile(r"^(\S+)\s+([0-9a-f]+) <([^>+]+)(\+0x[0-9a-f]+)?>$")
LOCKS = re.compile(r"^(lock\b|[lms]fence\b|xchg\b.*\()")


class Insn:
    """One instruction: its text, the relocation, and where it may go on."""

    def __init__(self, addr, text):
        self.addr = addr
        self.text = text.split("#")[0].strip()
        self.reloc = None
        self.next = []
        self.ends = False    # a return
        self.leaves = False  # somebody is called, or the function is left

    def name(self):
        """Return the mnemonic."""
        return self.text.split()[0] if self.text else ""


def disassemble(path):
    """Return {function: [Insn]} of a module's object file."""
    out = subprocess.run(
        ["objdump", "-dr", "--no-show-raw-insn", "-j", ".text",
         "-j", ".text.unlikely", path],
        check=True, text=True, stdout=subprocess.PIPE).stdout
    found, insns = {}, None
    for line in out.splitlines():
        head = HEAD.match(line)
        if head:
            insns = found.setdefault(head[1], [])
            continue
        reloc = RELOC.match(line)
        if reloc and insns:
            insns[-1].reloc = reloc[2]
            continue
        insn = LINE.match(line)
        if insn and insns is not None:
            insns.append(Insn(int(insn[1], 16), insn[2]))
    return found


def link(function, insns):
    """Say of each instruction where it may go on."""
    by_addr = {insn.addr: insn for insn in insns}
    for insn, after in zip(insns, insns[1:] + [None]):
        name = insn.name()
        jump = TARGET.match(insn.text)
        inside = jump and not insn.reloc and jump[3] == function
        fentry = insn.reloc and insn.reloc.startswith("__fentry__")
        if name == "call" and not fentry:
            insn.leaves = True
        elif name == "ret" or (name == "jmp" and insn.reloc and
                               "return_thunk" in insn.reloc):
            insn.ends = True
        elif name == "jmp":
            if inside:
                insn.next = [by_addr.get(int(jump[2], 16))]
            else:
                insn.leaves = True
        else:
            insn.next = [after]
            if name.startswith("j") and inside:
                insn.next.append(by_addr.get(int(jump[2], 16)))
        insn.next = [n for n in insn.next if n]


def fast_insns(insns):
    """Return the instructions on paths from start to return without calls."""
    reached, todo = set(), [insns[0]]
    while todo:
        insn = todo.pop()
        if insn in reached or insn.leaves:
            continue
        reached.add(insn)
        todo += insn.next
    ending = {insn for insn in reached if insn.ends}
    grown = True
    while grown:
        more = {insn for insn in reached - ending
                if any(n in ending for n in insn.next)}
        grown = bool(more)
        ending |= more
    return [insn for insn in insns if insn in ending]


def shortest(insns):
    """Return how many instructions the shortest of these paths takes."""
    among, steps, at = set(insns), 1, {insns[0]}
    while at and not any(insn.ends for insn in at):
        at = {n for insn in at for n in insn.next if n in among}
        steps += 1
    return steps if at else 0


def look_at(function, insns, fewest, verbose):
    """Return what is wrong with a function, as a list of lines."""
    link(function, insns)
    fast = fast_insns(insns)
    if verbose:
        for insn in fast:
            print(f"    {insn.addr:6x} {insn.text}")
    if not fast or fast[0] is not insns[0]:
        return ["it never returns without a call"]
    wrong = [f"{insn.text} at {insn.addr:x}" for insn in fast
             if LOCKS.match(insn.text)]
    if shortest(fast) < fewest:
        wrong.append(f"{shortest(fast)} instructions: something else than "
                     "the fast path returns without a call")
    return wrong


# A fast path with a locked instruction, one that always calls, and a good one
# whose slow side has both.
SAMPLES = (
    ("lock", ["lock btr %rax,(%rdi)", "ret"], False),
    ("call", ["call   40 <other>", "ret"], False),
    ("good", ["test   %rdi,%rdi", "je     4 <good+0x4>", "ret", "nop",
              "lock incl (%rdi)", "call   40 <other>", "ret"], True),
)


def self_test():
    """Return whether what has to be found is found."""
    right = True
    for function, texts, good in SAMPLES:
        insns = [Insn(addr, text) for addr, text in enumerate(texts)]
        wrong = look_at(function, insns, 1, False)
        if bool(wrong) == good:
            print(f"{function}: {wrong or 'nothing found'}")
            right = False
    return right


def module_of(name):
    """Return the path of a kheap.ko, which is built if a kernel is named."""
    if name.endswith(".ko"):
        return name
    subprocess.run([os.path.join(HERE, "build.sh"), name], check=True,
                   stdout=sys.stderr)
    return os.path.join(BUILD, name, "module", "kheap.ko")


def main():
    """Look at every function of every module; exit 1 if one is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0],
        epilog="\n\n".join(__doc__.split("\n\n")[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["6.12", "6.1"],
                        metavar="KERNEL | FILE.ko")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--self-test", action="store_true",
                        help="see that a lock and a call are found")
    args = parser.parse_args()
    if args.self_test:
        sys.exit(not self_test())
    passed = failed = 0
    for name in args.what:
        try:
            found = disassemble(module_of(name))
        except (OSError, subprocess.CalledProcessError) as err:
            sys.exit(f"fastpath.py: {name}: {err}")
        for function, fewest in FUNCTIONS.items():
            if args.verbose:
                print(f"  {function}:")
            wrong = (look_at(function, found[function], fewest, args.verbose)
                     if found.get(function) else ["there is no such function"])
            for line in wrong:
                print(f"{name}: {function}: {line}")
            failed += bool(wrong)
            passed += not wrong
    print(f"{passed} passed, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
