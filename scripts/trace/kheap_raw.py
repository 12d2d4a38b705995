# SPDX-License-Identifier: GPL-2.0
"""From the raw recording of kheap_record.c to the events of a trace.

A raw recording names blocks by address. Here they get ids: small numbers that
are used again once free, so a replayer needs a table no longer than the most
blocks that were ever live together.
"""

import os
import struct

from kheap_trace import (ALLOC, EVENT, FLAG_TIME, FREE, REALLOC, SIZE_MAX)

RAW_HEADER = struct.Struct("<8sIIQ")
RAW_EVENT = struct.Struct("<BBHIQQ")
RAW_MAGIC = b"KHTRAW1\n"
RAW_ALLOC, RAW_FREE, RAW_REALLOC_BEGIN, RAW_REALLOC_END = 1, 2, 3, 4
DELTA_MAX = 0xffffffff

LEFT_OUT = -1           # stands for the id of a block too large for a trace


class RawError(Exception):
    """The recording cannot be used."""


class Converter:
    """Turns raw events into those of a trace."""

    def __init__(self):
        self.events = bytearray()
        self.by_addr = {}       # address: id
        self.free_ids = []
        self.nr_ids = 0
        self.moving = {}        # thread: (address, id) between realloc's halves
        self.delta = 0          # time of events that left no trace
        self.nr_foreign = 0     # frees of blocks never seen
        self.nr_missed = 0      # addresses handed out again without a free
        self.nr_left_out = 0    # blocks over SIZE_MAX

    def emit(self, op, flags, thread, ident, size):
        """Append one event, with the time since the last one."""
        self.events += EVENT.pack(op, flags, thread, ident, size,
                                  min(self.delta, DELTA_MAX))
        self.delta = 0

    def alloc(self, flags, thread, addr, size):
        """A new block at addr."""
        if addr in self.by_addr:
            self.nr_missed += 1
            self.drop(thread, self.by_addr[addr])
        if size > SIZE_MAX:
            self.nr_left_out += 1
            self.by_addr[addr] = LEFT_OUT
            return
        if self.free_ids:
            ident = self.free_ids.pop()
        else:
            ident = self.nr_ids
            self.nr_ids += 1
        self.by_addr[addr] = ident
        self.emit(ALLOC, flags, thread, ident, size)

    def drop(self, thread, ident):
        """The block of this id ends."""
        if ident != LEFT_OUT:
            self.free_ids.append(ident)
            self.emit(FREE, 0, thread, ident, 0)

    def free(self, thread, addr):
        """The block at addr ends, if it was ever seen."""
        ident = self.by_addr.pop(addr, None)
        if ident is None:
            self.nr_foreign += 1
        else:
            self.drop(thread, ident)

    def realloc_begin(self, thread, addr):
        """From here the address may be handed out to another thread."""
        self.moving[thread] = (addr, self.by_addr.pop(addr, None))

    def realloc_end(self, thread, addr, size):
        """realloc() returned addr: moved, freed (size 0) or failed."""
        old, ident = self.moving.pop(thread, (0, None))
        if not addr and size:
            if ident is not None:
                self.by_addr[old] = ident
        elif not addr:
            if ident is not None:
                self.drop(thread, ident)
        elif ident is None or ident == LEFT_OUT:
            self.nr_foreign += ident is None
            self.alloc(0, thread, addr, size)
        elif size > SIZE_MAX:
            self.drop(thread, ident)
            self.alloc(0, thread, addr, size)
        else:
            self.by_addr[addr] = ident
            self.emit(REALLOC, 0, thread, ident, size)

    def run(self, raw):
        """Convert all of raw, up to the first event that was never written."""
        raw = memoryview(raw)[:len(raw) // RAW_EVENT.size * RAW_EVENT.size]
        for op, flags, thread, delta, addr, size in RAW_EVENT.iter_unpack(raw):
            self.delta += delta
            if op == RAW_ALLOC:
                self.alloc(flags, thread, addr, size)
            elif op == RAW_FREE:
                self.free(thread, addr)
            elif op == RAW_REALLOC_BEGIN:
                self.realloc_begin(thread, addr)
            elif op == RAW_REALLOC_END:
                self.realloc_end(thread, addr, size)
            else:
                break

    def notes(self):
        """Metadata lines about what could not be traced."""
        counts = (("nr_foreign_frees", self.nr_foreign),
                  ("nr_missed_frees", self.nr_missed),
                  ("nr_left_out", self.nr_left_out))
        return "".join(f"{name}: {count}\n" for name, count in counts if count)


def convert(data):
    """Return (events, trace flags, metadata lines) of a raw recording."""
    if len(data) < RAW_HEADER.size or data[:8] != RAW_MAGIC:
        raise RawError("the recorder could not begin; its message is above")
    _, _, error, flags = RAW_HEADER.unpack_from(data)
    if error:
        raise RawError(f"the recording ended early: {os.strerror(error)}")
    converter = Converter()
    converter.run(memoryview(data)[RAW_HEADER.size:])
    if not converter.events:
        raise RawError("the program made no request to malloc()")
    return bytes(converter.events), FLAG_TIME if flags & 1 else 0, converter.notes()
