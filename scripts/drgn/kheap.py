#!/usr/bin/python3 -B
# SPDX-License-Identifier: GPL-2.0
"""Look into the heaps of the running kernel with drgn, without its help.

usage: kheap.py KHEAP.KO heaps            every heap
       kheap.py KHEAP.KO arenas HEAP      its arenas, as debugfs shows them
       kheap.py KHEAP.KO pools HEAP       its pools
       kheap.py KHEAP.KO blocks HEAP [CLASS]    its live blocks, large ones too
       kheap.py KHEAP.KO objects HEAP [TYPE]    its objects and their counts
       kheap.py KHEAP.KO callsites HEAP   who allocated, while that is recorded
       kheap.py KHEAP.KO pinned HEAP      pools that few blocks keep, and which
       kheap.py KHEAP.KO what ADDRESS     what an address is, and who has it
       kheap.py KHEAP.KO -                such commands from standard input,
                                          one a line; an empty line ends each
                                          answer

KHEAP.KO is the module that is inserted, with the debugging information that it
was built with; the kernel's own is not needed. As a library: load(), then the
functions. Nothing is locked and nothing stops: of a busy heap, what is read may
be a moment old or torn; a list that does not end is cut off.
"""

import bisect
import functools
import itertools
import os
import re
import struct
import sys

if __name__ == "__main__" and {"-h", "--help"} & set(sys.argv[1:]):
    print(__doc__)
    sys.exit()

try:
    import drgn
    from drgn.helpers.linux.rbtree import rbtree_inorder_for_each_entry
except ImportError:
    sys.exit("kheap.py: no drgn: apt-get install python3-drgn")

PAGE = os.sysconf("SC_PAGE_SIZE")
NR_SPANS = 4
CHUNK_POOLS = 8
MARK_LINK = 0xffff      # what of a free block's mark says what follows it
LIST_MAX = 1 << 20      # a torn list could go round
# Where the kernel's stack depot, lib/stackdepot.c, keeps a stack: the array of
# pools, bits of the index into it, the first index, where a record has its size
# and its frames. Since v6.9, and in v6.1; kernels between have others. What a
# larger page needs for the offset in a pool, the index has less.
DEPOT_ALIGN, DEPOT_MAX = 4, 64
DEPOT_OFFSET_BITS = 2 + (PAGE.bit_length() - 1) - DEPOT_ALIGN
DEPOTS = (("stack_pools", 27 - DEPOT_OFFSET_BITS, 1, 20, 32),
          ("stack_slabs", 26 - DEPOT_OFFSET_BITS, 0, 12, 24))
NOTES = "/sys/module/kheap/notes/.note.gnu.build-id"
GOLDEN_RATIO_64 = 0x61C8864680B583EB    # of hash_ptr()
STATES = ("hole", "empty", "moving", "used", "full", "quarantined")


class KheapError(Exception):
    """What was asked for cannot be read; the text says why."""


class Kcore:
    """The kernel's memory, through /proc/kcore."""

    def __init__(self):
        self.file = open("/proc/kcore", "rb", buffering=0)
        head = self.file.read(64)
        offset, size, nr = *struct.unpack_from("=Q", head, 32), \
            *struct.unpack_from("=HH", head, 54)
        data = os.pread(self.file.fileno(), size * nr, offset)
        # Type, flags, offset, address, -, bytes in the file, in memory, -.
        rows = struct.iter_unpack("=IIQQQQQQ", data)
        self.segments = [(row[3], row[3] + row[6], row[2])
                         for row in rows if row[0] == 1]

    def read(self, address, count, _offset, _physical):
        """Read for drgn."""
        for start, end, offset in self.segments:
            if start <= address and address + count <= end:
                return os.pread(self.file.fileno(), count,
                                offset + address - start)
        raise drgn.FaultError("no such memory", address)


@functools.lru_cache(maxsize=None)
def kallsyms():
    """Return the kernel's symbols as the kernel writes them."""
    with open("/proc/kallsyms", encoding="ascii") as file:
        return file.read()


@functools.lru_cache(maxsize=None)
def symbols():
    """Return [(address, name, module)] of the kernel, by address."""
    rows = [line.split() for line in kallsyms().splitlines()]
    return sorted((int(row[0], 16), row[2], row[3][1:-1] if len(row) > 3
                   else "") for row in rows)


def symbol(name, module="kheap"):
    """Return the address of a variable, of kheap.ko or another module.

    There are too many symbols to take all apart for one.
    """
    table = kallsyms()
    at = table.find(f" {name}\t[{module}]\n" if module else f" {name}\n")
    if at < 0:
        raise KheapError(f"{name} is not in /proc/kallsyms: this kernel, or "
                         "this version of kheap, is not known here")
    return int(table[table.rfind("\n", 0, at) + 1:at].split()[0], 16)


def function(address):
    """Return "name+offset" of an address in the kernel's code."""
    place = bisect.bisect_right(symbols(), (address, "\xff")) - 1
    start, name, module = symbols()[place]
    return f"{name}+{address - start:#x}" + (f" [{module}]" if module else "")


def check_machine(module):
    """What is needed must be there, and be what is inserted."""
    with open(module, "rb") as file:
        built = file.read()
    if os.geteuid() != 0:
        raise KheapError("/proc/kcore is for root: run it with sudo")
    if not os.path.exists("/sys/module/kheap"):
        raise KheapError("kheap is not inserted: there is no heap to look at")
    if os.path.exists(NOTES):
        with open(NOTES, "rb") as file:
            if file.read() not in built:
                raise KheapError(f"{module} is not the kheap.ko that is "
                                 "inserted: name the one that is")


def take_types(prog, module):
    """Have a program take its types from a file."""
    if hasattr(prog, "extra_module"):
        # Since 0.0.31, load_debug_info() is for what it finds in the kernel.
        prog.extra_module("kheap", create=True).try_file(module, force=True)
    else:
        prog.load_debug_info([module])


def load(module):
    """Return a drgn.Program that knows the running kernel's kheap.

    drgn itself finds modules only by the kernel's debugging information; here
    the types are the module's own, and addresses come from /proc/kallsyms.
    """
    prog = drgn.Program(drgn.host_platform)
    try:
        take_types(prog, module)
        types = {"kheap_list": prog.type("struct list_head"),
                 "kheap_map": prog.type("struct kheap_map")}
    except (drgn.MissingDebugInfoError, LookupError):
        raise KheapError(f"{module}: no debugging information of kheap: "
                         "name the kheap.ko that a build left, not stripped"
                         ) from None
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
    yield from entries(prog["kheap_list"], "struct kheap", "base.list")


def find_heap(prog, name):
    """Return the heap of a name."""
    for heap in heaps(prog):
        if heap.base.name.string_().decode() == name:
            return heap
    raise KheapError(f"no heap '{name}'")


def arenas(heap):
    """Yield the heap's arenas."""
    for i in range(NR_SPANS * nr_node_ids()):
        arena_set = heap.raw.sets[i]
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


def parked(pool):
    """Return the bits of the blocks that wait for a grace period, as a number.

    Up to a word of them are in the pool's descriptor.
    """
    at = pool.map.value_()
    nr_words = pool.sz_map.value_()
    if not nr_words:
        return at
    size = pool.map.type_.size
    return sum(pool.prog_.read_word(at + size * i) << 8 * size * i
               for i in range(nr_words))


def allocated(pool):
    """Return the numbers of the pool's blocks that the client has.

    Those were carved, have no mark, and do not wait for a grace period.
    """
    if not has_class(pool):
        return []
    of_class = pool.member_("class")
    base, size = pool.base.value_(), of_class.size.value_()
    key, at = of_class.key.value_(), of_class.mark_offset.value_()
    carved, bits = pool.nextoffset.value_(), parked(pool)
    data = pool.prog_.read(base, carved)
    marks = (int.from_bytes(data[i + at:i + at + 8], sys.byteorder) ^ key ^
             base + i for i in range(0, carved, size))
    return [nr for nr, mark in enumerate(marks)
            if mark > MARK_LINK and not bits >> nr & 1]


def large_blocks(heap):
    """Yield the heap's large blocks."""
    yield from itertools.islice(rbtree_inorder_for_each_entry(
        "struct kheap_large", heap.raw.large.address_of_(), "node"), LIST_MAX)


def blocks(heap, name=None):
    """Yield (address, size, class) of the blocks that the client has."""
    for pool in pools(heap):
        if has_class(pool) and name in (None, class_name(pool)):
            size = pool.member_("class").size.value_()
            for i in allocated(pool):
                yield pool.base.value_() + i * size, size, class_name(pool)
    if name in (None, "large"):
        for block in large_blocks(heap):
            yield block.ptr.value_(), block.bytes.value_(), "large"


def objects(heap, name=None):
    """Yield (address, references, type) of the heap's objects; those with no
    reference are dead and wait."""
    for pool in pools(heap):
        if not has_class(pool) or not pool.member_("class").type.value_() or \
                name not in (None, class_name(pool)):
            continue
        size = pool.member_("class").size.value_()
        for i in allocated(pool):
            obj = drgn.Object(pool.prog_, "struct kheap_object",
                              address=pool.base.value_() + i * size)
            yield obj.address_, obj.refs.refs.counter.value_(), \
                class_name(pool)


# --- Call sites --------------------------------------------------------------

@functools.lru_cache(maxsize=None)
def depot():
    """Return the address of the depot's pools, and its row of DEPOTS."""
    for row in DEPOTS:
        try:
            return symbol(row[0], ""), row
        except KheapError:
            continue
    raise KheapError("the kernel has no stack depot that is known here")


def bit_fields(word, *widths):
    """Return the first bit fields of a u32: the compiler starts with the lowest
    bits where the lowest byte is first, and else with the highest."""
    fields, at = [], 0
    for width in widths:
        shift = at if sys.byteorder == "little" else 32 - at - width
        fields.append(word >> shift & ((1 << width) - 1))
        at += width
    return fields


def stack(prog, handle):
    """Return the addresses of a stack in the kernel's stack depot."""
    pools_at, (_, index_bits, first, size_at, entries_at) = depot()
    index, offset = bit_fields(handle, index_bits, DEPOT_OFFSET_BITS)
    index -= first
    record = prog.read_u64(pools_at + 8 * index) + (offset << DEPOT_ALIGN)
    nr = min(prog.read_u32(record + size_at), DEPOT_MAX)
    return struct.unpack(f"={nr}Q", prog.read(record + entries_at, 8 * nr))


def chain(node):
    """Yield what is linked by "next", to its end."""
    for _ in range(LIST_MAX):
        if not node.value_():
            return
        yield node
        node = node.next


def call_sites(heap):
    """Yield the stacks that allocate, while they are recorded."""
    recorder = heap.watch.callsites
    if recorder.value_():
        for first in recorder.sites:
            yield from chain(first)


def record_of(heap, address):
    """Return the record of a block, None when there is none."""
    recorder = heap.watch.callsites
    if not recorder.value_():
        return None
    bits = len(recorder.records).bit_length() - 1
    bucket = (address * GOLDEN_RATIO_64 % (1 << 64)) >> (64 - bits)
    for record in chain(recorder.records[bucket]):
        if record.ptr.value_() == address:
            return record
    return None


def holder(heap, address):
    """Return who allocated a block, as lines of text."""
    record = record_of(heap, address)
    if record is None:
        return ""
    frames = stack(heap.prog_, record.site.stack.value_())
    return f", {record.bytes_req.value_()} bytes asked for by" + "".join(
        f"\n    {function(frame)}" for frame in frames)


# --- What there is -----------------------------------------------------------

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
        for block in large_blocks(heap):
            start, size = block.ptr.value_(), block.bytes.value_()
            if start <= address < start + size:
                return (f"heap '{heap.base.name.string_().decode()}': byte "
                        f"{address - start} of a large block of {size} bytes"
                        + holder(heap, start))
    return f"{address:#x} is in no pool of a heap"


def describe(heap, pool, offset):
    """Return a line on a place in a pool."""
    where = (f"heap '{heap.base.name.string_().decode()}', arena "
             f"{pool.arena.serial.value_()}, pool {pool.base.value_():#x} "
             f"({state(pool)}, {class_name(pool)})")
    if not has_class(pool):
        return f"{where}: no block"
    size = pool.member_("class").size.value_()
    nr, inside = divmod(offset, size)
    if nr >= pool.member_("class").nr_blocks.value_():
        return f"{where}: behind the last block"
    live = "allocated" if nr in allocated(pool) else "free or cached"
    return (f"{where}: byte {inside} of block {nr}, {size} bytes, {live}" +
            holder(heap, pool.base.value_() + nr * size))


# --- Command line ------------------------------------------------------------

def show_heaps(prog):
    """kheap.py heaps"""
    print("# name held_bytes nr_arenas nr_blocks")
    for heap in heaps(prog):
        nr_arenas = sum(1 for _ in arenas(heap))
        nr_blocks = sum(len(allocated(pool)) for pool in pools(heap))
        print(heap.base.name.string_().decode(),
              heap.base.held_bytes.counter.value_(), nr_arenas, nr_blocks)


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


def show_objects(prog, name, kind=None):
    """kheap.py objects"""
    print("# address references type")
    for address, refs, of_type in objects(find_heap(prog, name), kind):
        print(f"{address:#x}", refs, of_type)


def show_callsites(prog, name):
    """kheap.py callsites"""
    print("# live_bytes live_blocks requested_bytes")
    sites = sorted(call_sites(find_heap(prog, name)), reverse=True,
                   key=lambda site: site.live_bytes.value_())
    for site in sites:
        print(site.live_bytes.value_(), site.nr_live.value_(),
              site.req_bytes.value_())
        for frame in stack(prog, site.stack.value_()):
            print(f"    {function(frame)}")


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
    print(what(prog, address_of(address)))


COMMANDS = {"heaps": (show_heaps, 0, 0), "arenas": (show_arenas, 1, 1),
            "pools": (show_pools, 1, 1), "blocks": (show_blocks, 1, 2),
            "objects": (show_objects, 1, 2),
            "callsites": (show_callsites, 1, 1),
            "pinned": (show_pinned, 1, 1), "what": (show_what, 1, 1)}


def address_of(word):
    """Return the address that a word is, as %px and kallsyms print them too."""
    if re.fullmatch(r"0x[0-9a-f]{1,16}|[0-9a-f]{16}|[0-9]{1,20}", word, re.I):
        return int(word, 16 if not word.isdigit() or len(word) == 16 else 10)
    raise KheapError(f"what {word}: that is no address; write it as "
                     "0xffff8881012345c0")


def command(words):
    """Return the function of a command with its arguments."""
    if not words or words[0] not in COMMANDS:
        raise KheapError(f"'{' '.join(words)}': no such command; there are: "
                         + " ".join(COMMANDS))
    run, least, most = COMMANDS[words[0]]
    if not least <= len(words) - 1 <= most:
        raise KheapError(f"{' '.join(words)}: {words[0]} takes "
                         f"{least}{f' or {most}' * (least < most)} "
                         "arguments; see --help")
    if words[0] == "what":
        address_of(words[1])
    return run


def answer(prog, words):
    """Run a command; return 0, or 1 when it is refused."""
    try:
        command(words)(prog, *words[1:])
        sys.stdout.flush()
    except drgn.FaultError as error:
        return refuse(f"{' '.join(words)}: the heap changed while it was "
                      f"read: {error}; ask again")
    except (KheapError, OSError) as error:
        return refuse(error)
    return 0


def refuse(error):
    """Say what is wrong; return the status for it."""
    if isinstance(error, OSError):
        error = f"{error.filename or 'the output'}: {error.strerror}"
    print(f"kheap.py: {error}", file=sys.stderr)
    return 1


def answer_lines(prog):
    """Answer one command a line; return 1 when one was refused.

    Loading takes most of the time that a question does.
    """
    status = 0
    for line in sys.stdin:
        status |= answer(prog, line.split())
        print(flush=True)
    return status


def main(args):
    """Command line."""
    if len(args) < 2:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    try:
        if args[1:] != ["-"]:
            command(args[1:])
    except KheapError as error:
        refuse(error)
        return 2
    try:
        check_machine(args[0])
        prog = load(args[0])
    except (KheapError, OSError) as error:
        return refuse(error)
    if args[1:] == ["-"]:
        return answer_lines(prog)
    return answer(prog, args[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
