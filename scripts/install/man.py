#!/usr/bin/python3 -IB
# SPDX-License-Identifier: GPL-2.0
"""Make a manual page of what a tool says of itself with --help.

usage: man.py TOOL NAME SECTION >NAME.SECTION

The page cannot say anything else than the tool does. Commands of the tool
(positional choices) get their options, too.
"""

import re
import subprocess
import sys

SEE_ALSO = ("kheap (7)", "kheap-top (8)", "kheap-map (8)", "kheap-plot (1)",
            "kheap-bpftrace (8)", "kheap-record (1)",
            "kheap-record-kernel (8)", "kheap-check-trace (1)",
            "kheap-replay (8)")


def help_of(tool, *words):
    """Return what a tool prints with --help, in wide lines."""
    done = subprocess.run([tool, *words, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE,
                          env={"COLUMNS": "1000", "PATH": "/usr/bin:/bin"})
    return done.stdout


def escaped(text):
    """Return text that troff prints as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def split(text):
    """Return usage, summary, list of (title, lines), and the last text."""
    parts = re.split(r"\n\n", text.strip())
    usage = " ".join(parts[0].removeprefix("usage: ").split())
    lists = [p.split("\n") for p in parts[1:] if re.match(r"[a-z ]+:\n", p)]
    rest = [p for p in parts[1:] if not re.match(r"[a-z ]+:(\n|$)", p)]
    titled = [(lines[0].rstrip(":"), lines[1:]) for lines in lists]
    return usage, rest[0] if rest else "", titled, rest[1:]


def items(lines):
    """Print the entries of a list: a name, and what it is."""
    for line in lines:
        name, _, what = line.strip().partition("  ")
        if line.startswith("   ") and not line.startswith("    -") \
                and len(line) - len(line.lstrip()) > 6:
            print(escaped(line.strip()))
            continue
        print(f".TP\n.B {escaped(name)}")
        print(escaped(what.strip()) or "\\&")


def options(titled):
    """Print the lists of arguments and options."""
    for title, lines in titled:
        if title == "positional arguments":
            lines = [ln for ln in lines if not ln.strip().startswith("{")]
        items(lines)


def page(tool, name, section):
    """Print the page."""
    usage, summary, titled, text = split(help_of(tool))
    words = re.search(r"\{([a-z,]+)\} \.\.\.", usage)
    print(f'.TH {name.upper()} {section} "" kheap')
    print(f".SH NAME\n{escaped(name)} \\- {escaped(summary.rstrip('.'))}")
    print(f".SH SYNOPSIS\n.B {escaped(name)}")
    print(escaped(usage.partition(" ")[2]))
    print(".SH DESCRIPTION")
    status = [p for p in text if p.startswith("The status is")]
    for paragraph in text:
        if paragraph.startswith("  "):      # as it stands
            print(f".PP\n.nf\n.ad l\n{escaped(paragraph)}\n.fi\n.ad b")
        elif paragraph not in status:
            print(".PP\n" + escaped(paragraph))
    print(".SH OPTIONS")
    options(titled)
    for word in words[1].split(",") if words else ():
        sub_usage, _, sub_titled, _ = split(help_of(tool, word))
        print(f".SS {word}\n.PP\n{escaped(sub_usage.partition(' ')[2])}")
        options(sub_titled)
    print(".SH EXIT STATUS")
    print("\n".join(escaped(p) for p in status) or "0 if all went well.")
    print(".SH SEE ALSO")
    others = [s for s in SEE_ALSO if s.split()[0] != name]
    for other in others:
        end = "" if other == others[-1] else " ,"
        print(f".BR {escaped(other)}{end}")


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    page(*sys.argv[1:])
