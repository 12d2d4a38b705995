# SPDX-License-Identifier: GPL-2.0
"""From addresses to the events of a trace: what record-kernel has seen.

Blocks are named by address there. Here they get ids: small numbers that are used
again once free, so a replayer needs a table no longer than the most blocks that
were ever live together. kheap_convert.c does the same for record, whose events
are too many for this.
"""

from kheap_trace import ALLOC, EVENT, FREE, REALLOC, SIZE_MAX

DELTA_MAX = 0xffffffff

LEFT_OUT = -1           # stands for the id of a block too large for a trace


class Converter:
    """Turns raw events into those of a trace."""

    def __init__(self):
        self.events = bytearray()
        self.by_addr = {}       # address: id
        self.free_ids = []
        self.nr_ids = 0
        self.moving = {}        # thread: [(address, id)] between realloc's halves
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
        """From here the address may be handed out to another thread. A thread may be
        in one realloc() while a signal handler of its is in another."""
        self.moving.setdefault(thread, []).append((addr, self.by_addr.pop(addr, None)))

    def realloc_end(self, thread, addr, size):
        """realloc() returned addr: moved, freed (size 0) or failed."""
        pending = self.moving.get(thread)
        old, ident = pending.pop() if pending else (0, None)
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

    def notes(self):
        """Metadata lines about what could not be traced."""
        counts = (("nr_foreign_frees", self.nr_foreign),
                  ("nr_missed_frees", self.nr_missed),
                  ("nr_left_out", self.nr_left_out))
        return "".join(f"{name}: {count}\n" for name, count in counts if count)
