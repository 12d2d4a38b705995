# SPDX-License-Identifier: GPL-2.0
"""The program whose requests `make demo` records.

Parses and compiles a part of Python's standard library, as an installer does,
indexes the names in it, and sends the index through JSON and back.
"""

import ast
import collections
import json
import pathlib
import sys


def names_in(tree):
    """Yield (name, line) of everything a module defines."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name, node.lineno


def index_module(path, index):
    """Compile one module and add its definitions to the index."""
    tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
    for name, line in names_in(tree):
        index[name].append({"module": path.stem, "line": line})
    return compile(tree, str(path), "exec")


def main(patterns):
    """Index the modules of the standard library that match."""
    library = pathlib.Path(ast.__file__).parent
    paths = sorted({path for pattern in patterns for path in library.glob(pattern)})
    index = collections.defaultdict(list)
    code = [index_module(path, index) for path in paths]
    text = json.dumps(index, sort_keys=True)
    again = json.loads(text)
    print(f"{len(code)} modules compiled, {len(again)} names indexed, "
          f"{len(text)} bytes of JSON")


if __name__ == "__main__":
    main(sys.argv[1:] or ["[a-c]*.py"])
