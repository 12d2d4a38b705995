#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""See that the folders of module/ call, include and look downwards only.

usage: scripts/layers.py [KERNEL]
       scripts/layers.py --self-test

scripts/layers is the table of the layers, from the top down. KERNEL is a name
that scripts/build.sh knows (default: 6.12), whose object files are looked at:
each name of kheap's that one of them uses is defined in its own layer, or in
one below. What an inline function calls counts for whoever is compiled with
it. In the sources, a file includes headers of its own layer, of those below,
and public ones; and of a heap it looks at no member of a layer above.
"""

import argparse
import fnmatch
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
MODULE = HERE.parent / "module"
TABLE = HERE / "layers"
BUILD = pathlib.Path(os.environ.get("KHEAP_BUILD") or HERE.parent / "build")

COMMENT = re.compile(r"/\*.*?\*/", re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)


def read_table():
    """Return the layers from the bottom up, each a list of patterns."""
    lines = [line.split("#")[0].split()
             for line in TABLE.read_text().splitlines()]
    return [patterns for patterns in lines if patterns][::-1]


def height_of(path, layers):
    """Return the height of a path below module/, or None: a client's."""
    path = pathlib.PurePath(path)
    for height, patterns in enumerate(layers):
        for pattern in patterns:
            if pattern.count("/") == len(path.parts) - 1 and \
                    fnmatch.fnmatch(str(path), pattern):
                return height
    return None


def names(objects, *options):
    """Yield (object, name) for the global names that nm prints of objects."""
    out = subprocess.run(["nm", "-A", "-P", "-g", *options, *objects],
                         check=True, text=True, stdout=subprocess.PIPE).stdout
    for line in out.splitlines():
        path, _, rest = line.partition(": ")
        yield pathlib.Path(path), rest.split()[0]


def upward_calls(folder, objects, layers):
    """Yield a line for each name that is used below where it is defined."""
    def source(path):
        return path.relative_to(folder).with_suffix(".c")

    at = {name: source(path)
          for path, name in names(objects, "--defined-only")}
    used = {(source(path), name)
            for path, name in names(objects, "--undefined-only")}
    for path, name in sorted(used):
        if name in at and \
                height_of(at[name], layers) > height_of(path, layers):
            yield (f"module/{path}: uses {name}, which is in {at[name]}, "
                   "a layer above")


def upward_looks(folder, layers):
    """Yield a line for each private header, or member of a heap, from above."""
    members = {pattern.split("/")[0]: height
               for height, patterns in enumerate(layers)
               for pattern in patterns if pattern.endswith("/*")}
    member = re.compile(r"\bheap->(" + "|".join(members) + r")\.")
    for path in sorted(folder.rglob("*.[ch]")):
        path = path.relative_to(folder)
        height = height_of(path, layers)
        if height is None:
            continue
        text = (folder / path).read_text()
        for header in INCLUDE.findall(text):
            if (folder / path.parent / header).exists():
                header = path.parent / header
            other = height_of(header, layers)
            if other is not None and other > max(height, 0):
                yield f"module/{path}: includes {header}, of a layer above"
        for name in sorted(set(member.findall(COMMENT.sub("", text)))):
            if members[name] > height:
                yield f"module/{path}: looks at heap->{name}, a layer above"


# A heap of two layers, in which the lower one does all that it must not.
SAMPLE = {
    "base/low.c": """#include "show/high.h"
struct heap { struct { int dir; } show; };
void up(void);
void down(void);
int look(struct heap *heap);
void down(void) { up(); }
int look(struct heap *heap) { return heap->show.dir; }
""",
    "show/high.c": """#include "show/high.h"
void down(void);
void up(void) { down(); }
""",
    "show/high.h": "void up(void);\n",
}
FOUND = ["module/base/low.c: uses up,",
         "module/base/low.c: includes show/high.h,",
         "module/base/low.c: looks at heap->show,"]


def self_test(layers):
    """Return whether an upward call, include and look are found."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        objects = []
        for name, text in SAMPLE.items():
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
        for path in sorted(folder.rglob("*.c")):
            objects.append(str(path.with_suffix(".o")))
            subprocess.run(["cc", "-c", "-I", folder, "-o", objects[-1],
                            path], check=True)
        found = [*upward_calls(folder, objects, layers),
                 *upward_looks(folder, layers)]
    right = [line.startswith(start) for line, start in zip(found, FOUND)]
    if right == [True] * len(FOUND) and len(found) == len(FOUND):
        return True
    print("\n".join(found) or "nothing found")
    return False


def objects_of(folder):
    """Return the object files that kheap.ko is linked of."""
    listed = (folder / "kheap.mod").read_text().split()
    return [str(folder.parent / path) for path in listed]


def main():
    """Print what goes upwards; exit 1 if anything does."""
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n", maxsplit=1)[0],
        epilog="\n\n".join(__doc__.split("\n\n")[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", nargs="?", default="6.12", metavar="KERNEL")
    parser.add_argument("--self-test", action="store_true",
                        help="see that an upward call, include and look are found")
    args = parser.parse_args()
    layers = read_table()
    if args.self_test:
        sys.exit(not self_test(layers))
    subprocess.run([HERE / "build.sh", args.kernel], check=True,
                   stdout=sys.stderr)
    folder = BUILD / args.kernel / "module"
    found = [*upward_calls(folder, objects_of(folder), layers),
             *upward_looks(MODULE, layers)]
    for line in found:
        print(line)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
