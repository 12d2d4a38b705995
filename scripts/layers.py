#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""See that the folders of module/ call, include and look downwards only.

usage: scripts/layers.py [KERNEL]
       scripts/layers.py --self-test

scripts/layers is the table of the layers, from the top down; a file that it
does not know is told. KERNEL is a name that scripts/build.sh knows (default:
6.12), whose object files are looked at, as its configuration has them made:
each name of kheap's that one of them uses is defined in its own layer, or in
one below. What an inline function calls counts for whoever is compiled with
it. In the sources, all of them, a file includes headers of its own layer, of
those below, and public ones; and of a heap it looks at no member of a layer
above. The headers that say what a heap is made of have no function.
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

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
DIRECTIVE = re.compile(r"^\s*#(?:[^\n]*\\\n)*[^\n]*", re.M)
BODY = re.compile(r"\{[^{}]*\}")
HEAP = re.compile(r"\bstruct\s+kheap\s*\{(.*?)\n\}", re.S)
MEMBER = re.compile(r"\bstruct\s+\w+\s+(\w+)\b[^;]*;")
# A variable, parameter or member that is a heap or leads to one.
DECLARED = re.compile(r"\bstruct\s+kheap\b(?!\s*\{)"
                      r"((?:[\s*,]|\bconst\b|\b__\w+\b|"
                      r"\b\w+\b(?=\s*[;,=)\[]))*)")
EXTERN = re.compile(r"\bextern\b[^;(]*?\b(\w+)\s*[;\[(]")
FUNCTION = re.compile(r"\b(?!__|static_assert\b)(\w+)\s*\(")


def read_table():
    """Return the layers from the bottom up, each a list of patterns."""
    lines = [line.split("#")[0].split()
             for line in TABLE.read_text().splitlines()]
    return [patterns for patterns in lines if patterns][::-1]


def height_of(path, layers):
    """Return the height of a path below module/, or None: in no layer."""
    path = pathlib.PurePath(path)
    for height, patterns in enumerate(layers):
        for pattern in patterns:
            if pattern.count("/") == len(path.parts) - 1 and \
                    fnmatch.fnmatch(str(path), pattern):
                return height
    return None


def sources(folder):
    """Return the C files below a folder, as paths there."""
    return [path.relative_to(folder) for path in sorted(folder.rglob("*.[ch]"))]


def without_comments(path):
    """Return the text of a file, each comment a space."""
    return COMMENT.sub(" ", path.read_text())


def strangers(paths, layers):
    """Yield a line for each path that the table does not know."""
    for path in sorted(set(paths)):
        if height_of(path, layers) is None:
            yield f"module/{path}: is in no layer"


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
        return pathlib.Path(path).relative_to(folder).with_suffix(".c")

    if not objects:
        yield "no object file: nothing was looked at"
        return
    at = {name: source(path)
          for path, name in names(objects, "--defined-only")}
    used = {(source(path), name)
            for path, name in names(objects, "--undefined-only")}
    known = {path: height for path in map(source, objects)
             if (height := height_of(path, layers)) is not None}
    for path, name in sorted(used):
        if at.get(name) in known and path in known and \
                known[at[name]] > known[path]:
            yield (f"module/{path}: uses {name}, which is in {at[name]}, "
                   "a layer above")


def included(folder, path, text):
    """Yield the headers below a folder that a file includes."""
    for quote, header in INCLUDE.findall(text):
        places = [path.parent] if quote == '"' else []
        for place in [*places, pathlib.Path(), pathlib.Path("include")]:
            found = os.path.normpath(place / header)
            if (folder / found).exists():
                yield found
                break


def heap_members(folder, layers):
    """Return the height of each member of struct kheap, by name.

    It is that of the folder of this name, or else of the file: the top.
    """
    body = HEAP.search(without_comments(folder / "heap.h"))
    members = {}
    for name in MEMBER.findall(body[1] if body else ""):
        height = height_of(f"{name}/part.c", layers)
        members[name] = height_of(f"{name}.c", layers) \
            if height is None else height
    return members


def looked_at(text, members):
    """Return the members of a heap that a text names, in whatever way."""
    heaps = {name for found in DECLARED.findall(text)
             for name in re.findall(r"\w+", found)}
    any_heap = "|".join([r"\w*heap", *map(re.escape, sorted(heaps))])
    any_member = "|".join(members)
    ways = re.compile(
        # heap->show, and h->show, with h declared as a heap
        rf"\b(?:{any_heap})\s*(?:->|\.)\s*({any_member})\b"
        # whatever it is: it has such a member, which is a structure
        rf"|(?:->|\.)\s*({any_member})\s*\.\s*\w"
        # container_of(), offsetof()
        rf"|\bstruct\s+kheap\s*,\s*({any_member})\b")
    return {name for found in ways.findall(text) for name in found if name}


def upward_looks(folder, layers):
    """Yield a line for each private header, or member of a heap, from above."""
    members = heap_members(folder, layers)
    if not members:
        yield "module/heap.h: no member of struct kheap was found"
        return
    for path in sources(folder):
        height = height_of(path, layers)
        if height is None:
            continue
        text = without_comments(folder / path)
        for header in included(folder, path, text):
            other = height_of(header, layers)
            if other is not None and other > height:
                yield f"module/{path}: includes {header}, of a layer above"
        for name in sorted(looked_at(text, members)):
            if members[name] > height:
                yield f"module/{path}: looks at heap->{name}, a layer above"


def functions(folder, layers):
    """Yield a line for each function where there is to be data only."""
    for path in sources(folder):
        if height_of(path, layers) != height_of("heap.h", layers):
            continue
        text = DIRECTIVE.sub("", without_comments(folder / path))
        text, nr = BODY.subn(" ", text)
        while nr:
            text, nr = BODY.subn(" ", text)
        for name in sorted({*EXTERN.findall(text), *FUNCTION.findall(text)}):
            yield f"module/{path}: has {name}, and is for data only"


def look(tree, built, objects, layers):
    """Return a line for each thing that is not as it must be.

    It looks at the sources of a tree, and at the object files of a folder that
    they were built in.
    """
    made_of = [pathlib.Path(path).relative_to(built).with_suffix(".c")
               for path in objects]
    return [*strangers([*sources(tree), *made_of], layers),
            *upward_calls(built, objects, layers),
            *upward_looks(tree, layers), *functions(tree, layers)]


# A heap of two layers, of which the lower one does all that it must not, in
# each way that there is: files, and what is to be found in them.
SAMPLE = {
    "heap.h": ("""#include "show/part.h"
#include "raw/part.h"
struct kheap_limit_part { void (*on_limit)(int); int ctx; };
struct kheap {
	struct kheap_raw_part raw;
	struct kheap_show_part show __attribute__((aligned(64)));
	struct kheap_limit_part limit;
};
""", []),
    "show/part.h": ("struct kheap_show_part { int dir; };\n", []),
    "raw/part.h": ("""struct kheap_raw_part { int (*get)(int); };
/* int comment(void); */
#define NR_ARENAS (1 + 2)
int prototype(struct kheap_raw_part *raw);
static inline int defined(void) { if (1) { return 0; } return 1; }
extern int variable;
""", ["has defined,", "has prototype,", "has variable,"]),
    "show/high.h": ("void up(void);\n", []),
    "show/high.c": ("""#include <show/high.h>
#include "heap.h"
void down(void);
int look(struct kheap *heap);
void up(void) { down(); }
int look(struct kheap *heap) { return heap->show.dir + heap->raw.get(1); }
""", []),
    "base/low.c": ("""#include "show/high.h"
#include "heap.h"
void down(void);
int low(struct kheap *heap);
void down(void) { up(); }
int low(struct kheap *heap) { return heap->show.dir; }
""", ["uses up,", "includes show/high.h,", "looks at heap->show,"]),
    "base/angle.h": ("#include <show/high.h>\n", ["includes show/high.h,"]),
    "base/dots.h": ('#include "../show/high.h"\n', ["includes show/high.h,"]),
    "base/short.h": ("int f(struct kheap *a, struct kheap *h)\n"
                     "{ return use(h->show); }\n", ["looks at heap->show,"]),
    "base/second.h": ("struct kheap *a, *b;\nint f(void)\n"
                      "{ return use(b->show); }\n", ["looks at heap->show,"]),
    "base/any.h": ("#define DIR(h) ((h)->show.dir)\n",
                   ["looks at heap->show,"]),
    "base/address.h": ("#define SHOW(class) use(&(class)->heap->show)\n",
                       ["looks at heap->show,"]),
    "base/container.h": ("#define HEAP(p) "
                         "container_of(p, struct kheap, show.dir)\n",
                         ["looks at heap->show,"]),
    "base/limit.h": ("#define CTX(heap) heap->limit.ctx\n",
                     ["looks at heap->limit,"]),
    "base/innocent.h": ("""/* heap->show.dir, #include "show/high.h" */
// heap->show.dir
int f(struct pool *pool, struct kheap *heap)
{
	return pool->limit + pool->show + heap->shown + use(heap, limit);
}
""", []),
    "limit.c": ("#include \"heap.h\"\nint top(struct kheap *heap);\n"
                "int top(struct kheap *heap) { return heap->limit.ctx; }\n",
                []),
    "raw/sub/deep.c": ("void deep(void);\nvoid up(void);\n"
                       "void deep(void) { up(); }\n", ["is in no layer"]),
    "newlayer/new.c": ("void fresh(void);\nvoid deep(void);\n"
                       "void fresh(void) { deep(); }\n", ["is in no layer"]),
    "newlayer/new.h": ("", ["is in no layer"]),
    "include/kheap/kheap.h": ("struct kheap;\n", []),
    "include/kheap/up.h": ('#include "../../show/high.h"\n',
                           ["includes show/high.h,"]),
    "samples/client.c": ("#include <kheap/kheap.h>\n", []),
}


def self_test(layers):
    """Return whether all that SAMPLE does is found, and no more."""
    expected = sorted(f"module/{path}: {start}"
                      for path, (_, starts) in SAMPLE.items()
                      for start in starts)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        objects = []
        for name, (text, _) in SAMPLE.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        for path in sorted(folder.rglob("*.c")):
            objects.append(str(path.with_suffix(".o")))
            subprocess.run(["cc", "-c", "-I", folder, "-I", folder / "include",
                            "-o", objects[-1], path], check=True)
        found = sorted(look(folder, folder, objects, layers))
        nothing = list(upward_calls(folder, [], layers))
    if len(found) == len(expected) and nothing and \
            all(map(str.startswith, found, expected)):
        return True
    print("found:", *found, "expected:", *expected, sep="\n")
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
                        help="see that each way to go upwards is found")
    args = parser.parse_args()
    layers = read_table()
    if args.self_test:
        sys.exit(not self_test(layers))
    subprocess.run([HERE / "build.sh", args.kernel], check=True,
                   stdout=sys.stderr)
    folder = BUILD / args.kernel / "module"
    found = look(MODULE, folder, objects_of(folder), layers)
    for line in found:
        print(line)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
