# SPDX-License-Identifier: GPL-2.0
"""Allocation traces: reading, verifying and writing. See FORMAT.rst.

The kernel's side of the same rules is module/samples/replay_trace.c.
"""

import collections
import struct
import zlib

MAGIC = b"\x89KHT\r\n\x1a\n"
VERSION = 1

# Field names in file order; "crc32" covers the file with itself as zero.
HEADER = struct.Struct("<8sHHIIIIIQIIQQQQQQQQQQ")
HEADER_FIELDS = (
    "magic", "version", "header_bytes", "event_bytes", "flags", "meta_bytes",
    "crc32", "reserved", "nr_events", "nr_ids", "nr_threads", "nr_allocs",
    "nr_reallocs", "nr_frees", "peak_bytes", "peak_event", "peak_live",
    "end_bytes", "end_live", "max_size", "total_bytes")
EVENT = struct.Struct("<BBHIII")
CRC_OFFSET = 24

FLAG_TIME = 1           # delta_ns of the events is recorded, else 0
FLAG_CPU = 2            # "thread" is a CPU number
FLAGS_ALL = FLAG_TIME | FLAG_CPU

ALLOC, FREE, REALLOC = 1, 2, 3
OP_NAMES = {ALLOC: "alloc", FREE: "free", REALLOC: "realloc"}
ALIGN_MASK = 0x1f       # event flags: log2 of an alignment asked for, or 0
ZERO = 0x20             # event flags: zeroed memory was asked for
EVENT_FLAGS_ALL = ALIGN_MASK | ZERO

SIZE_MAX = 0x7fffffff   # what kvmalloc() gives at most
META_MAX = 4096
EVENTS_MAX = 1 << 40

# The counts that the events themselves tell.
Totals = collections.namedtuple(
    "Totals", "nr_ids nr_threads nr_allocs nr_reallocs nr_frees peak_bytes "
    "peak_event peak_live end_bytes end_live max_size total_bytes")


class TraceError(Exception):
    """The file breaks a rule of the format, at a byte offset."""

    def __init__(self, offset, reason):
        super().__init__(f"offset {offset}: {reason}")
        self.offset = offset
        self.reason = reason


def header_offset(field):
    """The offset of a header field in the file."""
    layout = HEADER.format.lstrip("<")
    codes = ["8s"] + list(layout[2:])
    before = codes[:HEADER_FIELDS.index(field)]
    return struct.calcsize("<" + "".join(before))


class Trace:
    """A trace in memory: header (dict), metadata (str), events (bytes)."""

    def __init__(self, header, meta, events):
        self.header = header
        self.meta = meta
        self.events = events

    @property
    def events_offset(self):
        """Where the first event lies in the file."""
        return HEADER.size + self.header["meta_bytes"]

    def __iter__(self):
        """Yield (op, flags, thread, id, size, delta_ns)."""
        return EVENT.iter_unpack(self.events)


def parse_header(data):
    """Return the header's fields; raise TraceError if they make no sense."""
    if not MAGIC.startswith(data[:len(MAGIC)]) or not data:
        raise TraceError(0, "not a kheap trace: the magic number is wrong")
    if len(data) < HEADER.size:
        raise TraceError(len(data), f"truncated: the header has {HEADER.size} bytes")
    header = dict(zip(HEADER_FIELDS, HEADER.unpack_from(data)))
    check_header(header)
    return header


def check_header(header):
    """Check what can be checked in the header alone."""
    def require(holds, field, reason):
        if not holds:
            raise TraceError(header_offset(field), f"{field} is {header[field]}: {reason}")

    require(header["version"] == VERSION, "version", f"only version {VERSION} is known")
    require(header["header_bytes"] == HEADER.size, "header_bytes", f"must be {HEADER.size}")
    require(header["event_bytes"] == EVENT.size, "event_bytes", f"must be {EVENT.size}")
    require(not header["flags"] & ~FLAGS_ALL, "flags", "unknown flags")
    require(header["meta_bytes"] <= META_MAX, "meta_bytes", f"more than {META_MAX}")
    require(header["meta_bytes"] % EVENT.size == 0, "meta_bytes",
            f"not a multiple of {EVENT.size}")
    require(header["reserved"] == 0, "reserved", "must be 0")
    require(header["nr_events"] > 0, "nr_events", "there must be events")
    require(header["nr_events"] <= EVENTS_MAX, "nr_events", "more than 2^40")
    require(header["nr_ids"] <= header["nr_events"], "nr_ids", "more than events")
    require(header["nr_threads"] <= 65536, "nr_threads", "more than 65536")
    require(header["peak_event"] < header["nr_events"], "peak_event", "beyond the last event")
    require(header["max_size"] <= SIZE_MAX, "max_size", f"more than {SIZE_MAX}")


def checksum(data):
    """CRC-32 of a whole file, its own field taken as zero."""
    crc = zlib.crc32(data[:CRC_OFFSET])
    crc = zlib.crc32(bytes(4), crc)
    return zlib.crc32(memoryview(data)[CRC_OFFSET + 4:], crc)


def parse(data):
    """Return the Trace in data, verified completely; raise TraceError."""
    header = parse_header(data)
    events_offset = HEADER.size + header["meta_bytes"]
    size = events_offset + header["nr_events"] * EVENT.size
    if len(data) < size:
        raise TraceError(len(data), f"truncated: {size} bytes announced")
    if len(data) > size:
        raise TraceError(size, f"{len(data) - size} bytes after the last event")
    meta = check_meta(data[HEADER.size:events_offset])
    trace = Trace(header, meta, memoryview(data)[events_offset:])
    compare_totals(header, verify_events(trace, header["nr_ids"], header["nr_threads"]))
    if checksum(data) != header["crc32"]:
        raise TraceError(CRC_OFFSET, "crc32 differs: the file was damaged")
    return trace


def check_meta(raw):
    """Return the metadata as text: UTF-8 lines, padded with NUL."""
    text = raw.rstrip(b"\0")
    if b"\0" in text:
        raise TraceError(HEADER.size + text.index(b"\0"), "NUL inside the metadata")
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise TraceError(HEADER.size + error.start, "metadata is not UTF-8") from None


def compare_totals(header, totals):
    """Check the header's counts against those found in the events."""
    for field, found in totals._asdict().items():
        if header[field] != found:
            raise TraceError(header_offset(field),
                             f"{field} is {header[field]}, but the events say {found}")


def event_fault(event, sizes, nr_threads):
    """Name what is wrong with an event that was found to be bad."""
    op, flags, thread, ident, size, _ = event
    if op not in OP_NAMES:
        return f"unknown operation {op}"
    if flags & ~EVENT_FLAGS_ALL:
        return f"unknown flags {flags:#x}"
    if flags and op != ALLOC:
        return f"flags {flags:#x} are for alloc only"
    if thread >= nr_threads:
        return f"thread {thread}, but only {nr_threads} announced"
    if size > SIZE_MAX:
        return f"size {size} is more than {SIZE_MAX}"
    if op == ALLOC:
        if ident > len(sizes):
            return f"new id {ident}, but the next new one is {len(sizes)}"
        if ident == len(sizes):
            return f"id {ident}, but only {len(sizes)} announced"
        return f"alloc of id {ident}, which is allocated"
    if ident >= len(sizes):
        return f"{OP_NAMES[op]} of id {ident}, which never was"
    if sizes[ident] < 0:
        return f"{OP_NAMES[op]} of id {ident}, which is free"
    return "free with a size"


def verify_events(trace, nr_ids, nr_threads):
    """Check every event; return the Totals. One loop, for speed."""
    sizes = []              # by id; -1 is free
    live = peak = peak_event = peak_live = max_size = total = 0
    nr_allocs = nr_reallocs = nr_frees = 0
    top_thread = -1

    for index, event in enumerate(trace):
        op, flags, thread, ident, size, _ = event
        if thread > top_thread:
            top_thread = thread
        good = thread < nr_threads and size <= SIZE_MAX and flags <= EVENT_FLAGS_ALL
        if op == ALLOC and good:
            if ident == len(sizes) < nr_ids:
                sizes.append(size)
            elif ident < len(sizes) and sizes[ident] < 0:
                sizes[ident] = size
            else:
                good = False
            nr_allocs += 1
            live += size
        elif op == FREE:
            good = good and ident < len(sizes) and sizes[ident] >= 0 and not size and not flags
            if good:
                live -= sizes[ident]
                sizes[ident] = -1
            nr_frees += 1
        elif op == REALLOC:
            good = good and ident < len(sizes) and sizes[ident] >= 0 and not flags
            if good:
                live += size - sizes[ident]
                sizes[ident] = size
            nr_reallocs += 1
        else:
            good = False
        if not good:
            raise TraceError(trace.events_offset + index * EVENT.size,
                             f"event {index}: {event_fault(event, sizes, nr_threads)}")
        total += size
        if size > max_size:
            max_size = size
        if live > peak:
            peak, peak_event, peak_live = live, index, nr_allocs - nr_frees

    return Totals(len(sizes), top_thread + 1, nr_allocs, nr_reallocs, nr_frees,
                  peak, peak_event, peak_live, live, nr_allocs - nr_frees, max_size,
                  total)


def assemble(events, meta="", flags=0):
    """Return the file that holds these events (bytes) and metadata (str)."""
    text = meta.encode(errors="replace")[:META_MAX]
    text = text.decode(errors="ignore").encode()
    text += bytes(-len(text) % EVENT.size)
    header = {"meta_bytes": len(text), "nr_events": len(events) // EVENT.size}
    totals = verify_events(Trace(header, meta, events), 1 << 32, 65536)
    fields = dict(totals._asdict(), magic=MAGIC, version=VERSION, flags=flags,
                  header_bytes=HEADER.size, event_bytes=EVENT.size, crc32=0,
                  reserved=0, **header)
    data = bytearray(HEADER.pack(*(fields[name] for name in HEADER_FIELDS)))
    data += text
    data += events
    struct.pack_into("<I", data, CRC_OFFSET, checksum(data))
    return bytes(data)


def size_label(bits):
    """The range of sizes that have this many bits, as text."""
    if bits <= 3:
        return "0-8"
    return f"{(1 << bits - 1) + 1}-{1 << bits}"


def size_histogram(trace):
    """Return {bits: number of requests}, where 2**bits covers the size."""
    sizes = collections.Counter(
        size for op, _, _, _, size, _ in trace if op != FREE)
    histogram = collections.Counter()
    for size, count in sizes.items():
        histogram[max(3, (size - 1).bit_length() if size else 0)] += count
    return histogram


def missing(trace):
    """Return what is known to be missing in a trace that breaks no rule: what its
    recorder said, and what it did not say."""
    pairs = [line.split(": ", 1) for line in trace.meta.split("\n") if ": " in line]
    found = [value for key, value in pairs if key == "incomplete"]
    values = dict(pairs)
    if values.get("source") == "malloc" and not found and "nr_missed_frees" in values:
        found.append(f"{values['nr_missed_frees']} blocks were freed unseen")
    if trace.header["nr_threads"] == 65536 and not trace.header["flags"] & FLAG_CPU \
            and "nr_threads" not in values:
        found.append("more threads than there are numbers: the recorder took them for "
                     "one another, and frees may be missing; record it again")
    return found


def printable(text):
    """Text with nothing that a terminal would obey."""
    return "".join(char if char.isprintable() else
                   char.encode("unicode_escape").decode() for char in text)


def summary(trace):
    """Return the lines that describe a trace to a person."""
    head = trace.header
    lines = [printable(line) for line in trace.meta.split("\n") if line]
    lines += [
        f"events: {head['nr_events']} ({head['nr_allocs']} alloc, "
        f"{head['nr_reallocs']} realloc, {head['nr_frees']} free)",
        f"threads: {head['nr_threads']}" + (
            ", the last one standing for all from there on"
            if head["nr_threads"] == 65536 else ""),
        f"peak: {head['peak_bytes']} bytes in {head['peak_live']} blocks "
        f"after event {head['peak_event']}",
        f"end: {head['end_bytes']} bytes in {head['end_live']} blocks",
        f"requested: {head['total_bytes']} bytes in all, largest {head['max_size']}"]
    histogram = size_histogram(trace)
    total = sum(histogram.values())
    most = max(histogram.values(), default=1)
    for bits in sorted(histogram):
        count = histogram[bits]
        lines.append(f"{size_label(bits):>21} {count:9} {100 * count / total:5.1f} % "
                     f"{'#' * round(36 * count / most)}".rstrip())
    return lines
