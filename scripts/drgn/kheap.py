#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Look into the heaps of the running kernel with drgn, without its help.

usage: kheap.py KHEAP.KO heaps            every heap
       kheap.py KHEAP.KO arenas HEAP      its arenas, as debugfs shows them
       kheap.py KHEAP.KO pools HEAP       its pools
       kheap.py KHEAP.KO blocks HEAP [CLASS]    its live blocks
       kheap.py KHEAP.KO pinned HEAP      pools that few blocks keep, and which
       kheap.py KHEAP.KO what ADDRESS     what an address is

KHEAP.KO is the module that is inserted, with the debugging information that it
was built with; the kernel's own is not needed. As a library: load(), then the
functions. Nothing is locked and nothing stops: of a busy heap, what is read may
be a moment old or torn; a list that does not end is cut off.
"""

import os
import struct
import sys

import drgn

PAGE = 4096
NR_SPANS = 4
CHUNK_POOLS = 8
LIST_MAX = 1 << 20      # a torn list could go round
STATES = ("hole", "empty", "moving", "used", "full", "quarantined")


class KheapError(Exception):
    """What was asked for cannot be read; the text says why."""


class Kcore:
    """The kernel's memory, through /proc/kcore."""

    def __init__(self):
        self.file = open("/proc/kcore", "rb", buffering=0)
        head = self.file.read(64)
        offset, size, nr = *struct.unpack_from("<Q", head, 32), \
            *struct.unpack_from("<HH", head, 54)
        data = os.pread(self.file.fileno(), size * nr, offset)
        # Type, flags, offset, address, -, bytes in the file, in memory, -.
        rows = struct.iter_unpack("<IIQQQQQQ", data)
        self.segments = [(row[3], row[3] + row[6], row[2])
                         for row in rows if row[0] == 1]

    def read(self, address, count, _offset, _physical):
        """Read for drgn."""
        for start, end, offset in self.segments:
            if start <= address and address + count <= end:
                return os.pread(self.file.fileno(), count,
                                offset + address - start)
        raise drgn.FaultError("no such memory", address)


def symbol(name):
    """Return the address of a variable of kheap.ko."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        for line in file:
            words = line.split()
            if words[2] == name and words[-1] == "[kheap]":
                return int(words[0], 16)
    raise KheapError(f"{name} is not in /proc/kallsyms: is kheap inserted?")


def load(module):
    """Return a drgn.Program that knows the running kernel's kheap.

    drgn itself finds modules only by the kernel's debugging information; here
    the types are the module's own, and addresses come from /proc/kallsyms.
    """
    prog = drgn.Program(drgn.host_platform)
    try:
        prog.load_debug_info([module])
        types = {"kheap_list": prog.type("struct list_head"),
                 "kheap_map": prog.type("struct kheap_map")}
    except (drgn.MissingDebugInfoError, LookupError):
        raise KheapError(f"{module}: no debugging information of kheap") \
            from None
    prog.add_memory_segment(0, (1 << 64) - 1, Kcore().read)

    def find(prog, name, _flags, _file):
        if name not in types:
            return None
        return drgn.Object(prog, types[name], address=symbol(name))

    prog.add_object_finder(find)
    return prog


def entries(head, kind, member):
    """Yield the structures in a list_head, each once."""
    prog, node = head.prog_, head.next
    kind = prog.type(kind)
    for _ in range(LIST_MAX):
        if node.value_() == head.address_of_().value_():
            return
        yield drgn.container_of(node, kind, member)
        node = node.next


def text(pointer):
    """Return the string at a char pointer."""
    return pointer.string_().decode()


def nr_node_ids():
    """Return how many memory nodes are possible."""
    with open("/sys/devices/system/node/possible", encoding="ascii") as file:
        return int(file.read().replace(",", "-").split("-")[-1]) + 1


# --- Heaps, arenas, pools ----------------------------------------------------

def heaps(prog):
    """Yield every heap."""
    yield from entries(prog["kheap_list"], "struct kheap", "list")


def find_heap(prog, name):
    """Return the heap of a name."""
    for heap in heaps(prog):
        if heap.name.string_().decode() == name:
            return heap
    raise KheapError(f"no heap '{name}'")


def arenas(heap):
    """Yield the heap's arenas."""
    for i in range(NR_SPANS * nr_node_ids()):
        arena_set = heap.sets[i]
        if arena_set.value_():
            yield from entries(arena_set.arenas, "struct kheap_arena", "list")


def arena_pools(arena):
    """Yield an arena's pools; None for a hole without a descriptor."""
    for i in range(arena.nr_totalpools.value_()):
        chunk = arena.chunks[i // CHUNK_POOLS]
        yield chunk[i % CHUNK_POOLS] if chunk.value_() else None


def pools(heap):
    """Yield the heap's pools that have a descriptor."""
    for arena in arenas(heap):
        yield from (pool for pool in arena_pools(arena)
                    if pool is not None)


def state(pool):
    """Return the name of a pool's state."""
    nr = pool.state.value_()
    return STATES[nr] if nr < len(STATES) else f"state {nr}"


def has_class(pool):
    """Tell if a pool has blocks."""
    return state(pool) in ("used", "full", "quarantined")


def class_name(pool):
    """Return the name of a pool's class."""
    if not has_class(pool):
        return "-"
    name = pool.member_("class").name
    return text(name) if name.value_() else \
        f"size-{pool.member_('class').size.value_()}"


def allocated(pool):
    """Return the numbers of the pool's blocks that the client has."""
    if not has_class(pool):
        return []
    prog = pool.prog_
    nr = pool.member_("class").nr_blocks.value_()
    first = pool.map_bit.value_()
    start = prog["kheap_map"].base.value_() + first // 8
    offset = first % 8
    data = int.from_bytes(prog.read(start, (offset + nr + 7) // 8), "little")
    return [i for i in range(nr) if data >> offset + i & 1]


def blocks(heap, name=None):
    """Yield (address, size, class) of the blocks that the client has."""
    for pool in pools(heap):
        if has_class(pool) and name in (None, class_name(pool)):
            size = pool.member_("class").size.value_()
            for i in allocated(pool):
                yield pool.base.value_() + i * size, size, class_name(pool)


def map_char(pool):
    """Return what the file arenas shows of a pool."""
    if not has_class(pool):
        return {"hole": "_"}.get(state(pool), ".")
    if state(pool) != "used":
        return "#" if state(pool) == "full" else "!"
    share = 10 * pool.nr_used.value_() // \
        pool.member_("class").nr_blocks.value_()
    return str(min(max(share, 1), 9))


def arena_map(arena):
    """Return a character a pool."""
    return "".join(map_char(pool) if pool is not None else "_"
                   for pool in arena_pools(arena))


def what(prog, address):
    """Return a line on what an address is."""
    for heap in heaps(prog):
        for pool in pools(heap):
            base = pool.base.value_()
            bytes_ = PAGE << pool.arena.set.span.value_()
            if state(pool) != "hole" and base <= address < base + bytes_:
                return describe(heap, pool, address - base)
    return f"{address:#x} is in no pool of a heap"


def describe(heap, pool, offset):
    """Return a line on a place in a pool."""
    where = (f"heap '{heap.name.string_().decode()}', arena "
             f"{pool.arena.serial.value_()}, pool {pool.base.value_():#x} "
             f"({state(pool)}, {class_name(pool)})")
    if not has_class(pool):
        return f"{where}: no block"
    size = pool.member_("class").size.value_()
    nr, inside = divmod(offset, size)
    if nr >= pool.member_("class").nr_blocks.value_():
        return f"{where}: behind the last block"
    live = "allocated" if nr in allocated(pool) else "free or cached"
    return f"{where}: byte {inside} of block {nr}, {size} bytes, {live}"


# --- Command line ------------------------------------------------------------

def show_heaps(prog):
    """kheap.py heaps"""
    print("# name held_bytes nr_arenas nr_blocks")
    for heap in heaps(prog):
        nr_arenas = sum(1 for _ in arenas(heap))
        nr_blocks = sum(len(allocated(pool)) for pool in pools(heap))
        print(heap.name.string_().decode(),
              heap.held_bytes.counter.value_(), nr_arenas, nr_blocks)


def show_arenas(prog, name):
    """kheap.py arenas"""
    print("# arena node span map")
    for arena in arenas(find_heap(prog, name)):
        print(arena.serial.value_(), arena.set.node.value_(),
              1 << arena.set.span.value_(), arena_map(arena))


def show_pools(prog, name):
    """kheap.py pools"""
    print("# base arena class state used allocated")
    for pool in pools(find_heap(prog, name)):
        print(f"{pool.base.value_():#x}", pool.arena.serial.value_(),
              class_name(pool), state(pool), pool.nr_used.value_(),
              len(allocated(pool)))


def show_blocks(prog, name, kind=None):
    """kheap.py blocks"""
    print("# address size class")
    for address, size, in_class in blocks(find_heap(prog, name), kind):
        print(f"{address:#x}", size, in_class)


def show_pinned(prog, name):
    """kheap.py pinned"""
    print("# arena base class allocated of blocks...")
    for pool in pools(find_heap(prog, name)):
        live = allocated(pool)
        nr = pool.member_("class").nr_blocks.value_()
        if 0 < len(live) <= max(nr // 10, 1) < nr:
            size = pool.member_("class").size.value_()
            print(pool.arena.serial.value_(), f"{pool.base.value_():#x}",
                  class_name(pool), len(live), nr,
                  *(f"{pool.base.value_() + i * size:#x}" for i in live))


def show_what(prog, address):
    """kheap.py what"""
    print(what(prog, int(address, 0)))


COMMANDS = {"heaps": (show_heaps, 0, 0), "arenas": (show_arenas, 1, 1),
            "pools": (show_pools, 1, 1), "blocks": (show_blocks, 1, 2),
            "pinned": (show_pinned, 1, 1), "what": (show_what, 1, 1)}


def main(args):
    """Command line."""
    run, least, most = COMMANDS.get(args[1] if len(args) > 1 else "",
                                    (None, 0, 0))
    if not run or not least <= len(args) - 2 <= most:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        run(load(args[0]), *args[2:])
    except (KheapError, OSError, ValueError, drgn.FaultError) as error:
        print(f"kheap.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
