/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The memory that recorded programs and the collector share. The recorder in a
 * program appends to it, the collector empties it into a file. It is private to
 * the recorder and the collector of one build and changes without notice.
 *
 * Chunks go round: a process takes a free one, fills it, marks it done and takes
 * the next; the collector copies it out and frees it. A process that is cut
 * short leaves its last one, and one that falls asleep may lose it.
 *
 * A slot of a chunk is free, busy or written, and carries the number of times
 * that the chunk has gone round. Who writes to it makes it busy first, by one
 * compare-and-exchange that expects it free in the round in which it was
 * reserved. So a writer that was late, for whatever reason, finds that its slot
 * is gone and takes another, and the collector can take any chunk from anybody
 * at any time, but for slots that are busy.
 *
 * A chunk's head is not written slot by slot. So a chunk is claimed first, which
 * the collector leaves alone, and owned when its head is complete.
 */
#ifndef _KHEAP_RING_H
#define _KHEAP_RING_H

#include <stdatomic.h>
#include <stdint.h>

#define RING_MAGIC	"KHRING1\n"
#define RING_CHUNKS_AT	65536		/* a multiple of every page size */
#define RING_MAX_CHUNKS	1024		/* 32 MiB */
#define RING_MIN_CHUNKS	4
#define CHUNK_BYTES	32768
#define CHUNK_HEAD	1024
#define CHUNK_EVENTS	((CHUNK_BYTES - CHUNK_HEAD) / sizeof(struct raw_event))
#define IMAGE_BYTES	512

/* ring->flags */
#define RING_TIME	1		/* the time of each event is wanted */
#define RING_CHILDREN	2		/* processes that it starts are, too */

/* chunk->flags */
#define PROC_FORKED	1		/* it inherited the blocks of its parent */
#define PROC_OWN_MALLOC	2		/* the program has a malloc() of its own */

/* Operations of the raw recording. */
enum raw_op {
	RAW_EMPTY,
	RAW_ALLOC,		/* addr, size; flags below */
	RAW_FREE,		/* addr */
	RAW_REALLOC_BEGIN,	/* addr: the old block, size: that asked for */
	RAW_REALLOC_END,	/* addr: the new block, size: place of the begin */
	RAW_EXEC,		/* flags bytes of a path; RAW_EXEC_FIRST: begins */
	RAW_EXEC_FAILED,	/* it did not become that program */
	RAW_BUSY = 0xfe,	/* is being written */
	RAW_CLOSED = 0xff,	/* was never written, and cannot be any more */
};

#define RAW_ALIGN_MASK	0x1f	/* flags: log2 of the alignment asked for */
#define RAW_ZERO	0x20	/* flags: zeroed memory was asked for */
#define RAW_EXEC_FIRST	0x80	/* flags: the first part of the path */

/* word: op, flags, round (16 bits), thread (32 bits), from the lowest bit. */
struct raw_event {
	_Atomic uint64_t word;
	uint64_t body[3];	/* time_ns, addr, size; or a part of a path */
};

struct ring_chunk {
	uint32_t proc;		/* which process image, from 1 */
	uint32_t parent;	/* that which forked it, or 0 */
	uint32_t pid;
	uint32_t flags;
	uint64_t seq;		/* which chunk of its process, from 1 */
	uint64_t nr_lost;	/* events that were lost before it */
	char image[IMAGE_BYTES];	/* path of the executable */
	char reserved[CHUNK_HEAD - 32 - IMAGE_BYTES];
	struct raw_event events[];
};

enum chunk_state {
	CHUNK_FREE, CHUNK_CLAIMED, CHUNK_OWNED, CHUNK_DONE, CHUNK_TAKEN
};

struct ring {
	char magic[8];
	uint32_t nr_chunks;
	uint32_t flags;
	_Atomic uint32_t closed;	/* no event is wanted any more */
	_Atomic uint32_t nr_procs;
	_Atomic uint32_t progress;	/* changes when a chunk becomes free */
	_Atomic uint32_t nr_unwanted;	/* forked children that are not recorded */
	_Atomic uint64_t nr_lost;	/* events for which there was no chunk */
	/* chunk_state, round (16 bits from bit 16), process (32 bits) */
	_Atomic uint64_t states[RING_MAX_CHUNKS];
};

_Static_assert(sizeof(struct raw_event) == 32, "raw event");
_Static_assert(sizeof(struct ring_chunk) == CHUNK_HEAD, "chunk head");
_Static_assert(sizeof(struct ring) <= RING_CHUNKS_AT, "ring head");

static inline struct ring_chunk *ring_chunk(struct ring *ring, uint32_t index)
{
	return (void *)((char *)ring + RING_CHUNKS_AT +
			(uint64_t)index * CHUNK_BYTES);
}

static inline uint64_t ring_bytes(uint32_t nr_chunks)
{
	return RING_CHUNKS_AT + (uint64_t)nr_chunks * CHUNK_BYTES;
}

static inline uint64_t event_word(uint8_t op, uint8_t flags, uint16_t round,
				  uint32_t thread)
{
	return op | (uint64_t)flags << 8 | (uint64_t)round << 16 |
	       (uint64_t)thread << 32;
}

static inline uint64_t chunk_word(enum chunk_state state, uint16_t round,
				  uint32_t proc)
{
	return state | (uint64_t)round << 16 | (uint64_t)proc << 32;
}

static inline uint8_t word_op(uint64_t word)
{
	return word;
}

static inline uint8_t word_flags(uint64_t word)
{
	return word >> 8;
}

static inline uint16_t word_round(uint64_t word)
{
	return word >> 16;
}

static inline uint32_t word_high(uint64_t word)
{
	return word >> 32;
}

#endif /* _KHEAP_RING_H */
