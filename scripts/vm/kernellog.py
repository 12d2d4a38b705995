# SPDX-License-Identifier: GPL-2.0
"""Recognise reports in a kernel log that must fail a test run."""

import re

# What the kernel's own checkers print when they find something.
REPORTS = re.compile(
    r"BUG:|BUG at|WARNING:|Oops|Kernel panic|general protection fault"
    r"|unable to handle|KASAN:|KCSAN:|KMSAN:|UBSAN:|ODEBUG:|kmemleak: [1-9]\d* new"
    r"|unreferenced object|possible recursive locking"
    r"|possible circular locking|possible irq lock inversion"
    r"|inconsistent lock state|suspicious RCU|DEBUG_LOCKS|held lock freed"
    r"|lock held when returning|unlock balance|Invalid wait context"
    r"|lockdep is turned off|turning off the locking correctness"
    r"|sleeping function called|scheduling while atomic"
    r"|voluntary context switch within|rcu:.*(?:stall|detected)"
    r"|soft lockup|hard LOCKUP|blocked for more than"
    r"|refcount_t:|list_(?:add|del) corruption|page allocation failure"
    r"|bad page|Bad page|Objects remaining"
    r"|^kheap.*: (?:loading out-of-tree module fail|disagrees)")

# A bad request that kheap refused, and the end of what it prints about it.
REFUSED = re.compile(r"^kheap: heap '[^']*': refused: ")
TRACE = re.compile(r"^Call Trace:")

# A data race, its two (or one known) accesses, and the end of the report. What
# interrupted a function is not called by it.
RACE = re.compile(r"^BUG: KCSAN: data-race ")
ACCESS = re.compile(r" to 0x[0-9a-f]+ of \d+ bytes by ")
RULER = re.compile(r"^={20,}$")
INTERRUPT = re.compile(r"^ asm_")
OURS = re.compile(r"^ (?:.* \[kheap|0x)")

# A line of the console, as far as a message goes.
STAMP = re.compile(r"^(?:<(\d+)>)?\[\s*\d+\.\d+\](?:\[[^\]]*\])? ?")


def clean(raw):
    """Return console bytes as text, without NUL, CR and escape codes."""
    raw = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]|[^\t\n -~]", b"", raw)
    return raw.decode("ascii")


def message(line):
    """Return (level or None, text) of one line of a kernel log."""
    found = STAMP.match(line)
    if not found:
        return None, line
    level = int(found[1]) & 7 if found[1] else None
    return level, line[found.end():]


def is_others_race(texts):
    """Say of KCSAN's report, up to its ruler, whether kheap has no part in it.

    The kernel has races of its own, which a storm meets sooner or later. An
    address without a name may be anybody's. What the kernel does to a timer of
    kheap's by itself, or for a function that ended in a tail call, is not seen.
    """
    called = False
    for text in texts:
        if RULER.search(text):
            return True
        if ACCESS.search(text):
            called = True
        elif INTERRUPT.search(text):
            called = False
        elif called and OURS.search(text):
            return False
    return False


def complaints(lines, expected=()):
    """Return the lines that report a fault, less those that are expected.

    With levels at hand (dmesg -r), whatever kheap prints at level "err" or
    worse counts as well; a test that provokes one must say so beforehand.
    The stack that follows a refused request is a part of that message. A data
    race of the kernel with itself is none of ours.
    """
    bad = []
    refused = False
    messages = [message(line) for line in lines]
    for at, (level, text) in enumerate(messages):
        if REFUSED.search(text):
            refused = True
        elif refused and TRACE.search(text):
            refused = False
            continue
        if RACE.search(text) and is_others_race(
                ln for _, ln in messages[at + 1:]):
            continue
        loud = level is not None and level <= 3 and "kheap" in text
        if not (loud or REPORTS.search(text)):
            continue
        if not any(re.search(pattern, text) for pattern in expected):
            bad.append(lines[at])
    return bad
