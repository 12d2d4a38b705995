/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The replay client: a recorded program's requests, made again of a private
 * heap, of kmalloc, or of nobody. The trace format is described in scripts/trace/FORMAT.rst.
 */
#ifndef _REPLAY_H
#define _REPLAY_H

#include <linux/build_bug.h>
#include <linux/types.h>

#include <kheap/kheap.h>

#define TRACE_MAGIC		"\x89KHT\r\n\x1a\n"
#define TRACE_VERSION		1
#define TRACE_FLAGS_ALL		0x3U
#define TRACE_META_MAX		4096
#define TRACE_THREADS_MAX	65536
#define TRACE_SIZE_MAX		0x7fffffffU
#define TRACE_CRC_OFFSET	offsetof(struct trace_header, crc32)

/* All fields little endian, as in the file. */
struct trace_header {
	u8 magic[8];
	__le16 version;
	__le16 header_bytes;
	__le32 event_bytes;
	__le32 flags;
	__le32 meta_bytes;
	__le32 crc32;
	__le32 reserved;
	__le64 nr_events;
	__le32 nr_ids;
	__le32 nr_threads;
	__le64 nr_allocs;
	__le64 nr_reallocs;
	__le64 nr_frees;
	__le64 peak_bytes;
	__le64 peak_event;
	__le64 peak_live;
	__le64 end_bytes;
	__le64 end_live;
	__le64 max_size;
	__le64 total_bytes;
};

static_assert(sizeof(struct trace_header) == 128);

enum trace_op {
	TRACE_ALLOC	= 1,
	TRACE_FREE	= 2,
	TRACE_REALLOC	= 3,
};

/* Flags of an event. The alignment is not replayed; the zeroing is. */
#define TRACE_ALIGN_MASK	0x1f
#define TRACE_ZERO		0x20
#define TRACE_EVENT_FLAGS_ALL	(TRACE_ALIGN_MASK | TRACE_ZERO)

struct trace_event {
	u8 op;
	u8 flags;
	__le16 thread;
	__le32 id;
	__le32 size;
	__le32 delta_ns;
};

static_assert(sizeof(struct trace_event) == 16);

/* Why a trace or a run was refused, and where in the file. */
struct replay_fault {
	int error;		/* negative errno, 0 for none */
	u64 offset;
	char reason[112];
};

/**
 * struct replay_slot - the block of one id
 * @ptr: the block, NULL if the id is free
 * @size: bytes asked for
 * @seed: number of the event that filled it, part of its pattern
 *
 * Verifying a trace uses @seed for the event and @ptr for "allocated".
 */
struct replay_slot {
	void *ptr;
	u32 size;
	u32 seed;
};

/**
 * struct replay_trace - a trace, whole or still being written
 * @data: the file's bytes, NULL until the header is there
 * @header: the header's bytes; checked once @data is set
 * @size: length of the file, as its header has it
 * @nr_filled: bytes written so far
 * @verified: every rule of the format holds
 * @events: into @data
 * @nr_events: number of @events
 * @nr_ids: number of @slots
 * @peak_event: index of the event after which most bytes are requested
 * @slots: one per id, all free unless a run is under way
 */
struct replay_trace {
	u8 *data;
	struct trace_header header;
	u64 size;
	u64 nr_filled;
	bool verified;
	const struct trace_event *events;
	u64 nr_events;
	u32 nr_ids;
	u64 peak_event;
	struct replay_slot *slots;
};

int replay_trace_write(struct replay_trace *trace, const char __user *buf,
		       size_t len, u64 max_bytes, struct replay_fault *fault);
void replay_trace_drop(struct replay_trace *trace);

__printf(4, 5)
int replay_refuse(struct replay_fault *fault, int error, u64 offset,
		  const char *reason, ...);

struct replay_run;

/**
 * struct replay_held - what an allocator holds at a moment
 * @held_bytes: kheap: held from the system; kmalloc: the pages in which the
 *	blocks lie, each page counted once (what else the slab caches hold is
 *	in /proc/meminfo)
 * @usable_bytes: size of the blocks as the allocator rounded it
 * @nr_classes: kmalloc: caches with a block; of a heap, the file ``classes`` in
 *	debugfs has them
 * @requested_bytes: size of the blocks as asked for
 * @nr_live: blocks
 */
struct replay_held {
	u64 held_bytes;
	u64 usable_bytes;
	u64 nr_classes;
	u64 requested_bytes;
	u64 nr_live;
};

/**
 * struct replay_rival - an allocator under test
 * @name: as written to ``run`` and as first part of the keys in ``result``
 * @begin: before the first event; may sleep; 0 or -errno
 * @alloc: a block or NULL
 * @realloc: a block with the content kept, or NULL and the old one stays
 * @free: ends a block
 * @measure: fills in held_bytes and usable_bytes; 0 or -errno
 * @verify: 0, or -EUCLEAN with the fault filled in if the allocator's figures
 *	contradict each other or the replay's
 * @end: after all blocks are free
 */
struct replay_rival {
	const char *name;
	int (*begin)(struct replay_run *run);
	void *(*alloc)(struct replay_run *run, size_t size, gfp_t gfp);
	void *(*realloc)(struct replay_run *run, void *ptr, size_t old_size,
			 size_t size);
	void (*free)(struct replay_run *run, void *ptr);
	int (*measure)(struct replay_run *run, struct replay_held *held);
	int (*verify)(struct replay_run *run);
	void (*end)(struct replay_run *run);
};

enum { REPLAY_KHEAP, REPLAY_KMALLOC, REPLAY_NONE, NR_REPLAY_RIVALS };

extern const struct replay_rival *const replay_rivals[NR_REPLAY_RIVALS];

/* Moments at which a run is measured. */
enum replay_moment {
	REPLAY_PEAK,		/* after the peak event */
	REPLAY_END,		/* after the last event */
	REPLAY_FREED,		/* after freeing what the trace left */
	REPLAY_TRIMMED,		/* after kheap_trim(); for kmalloc as FREED */
	NR_REPLAY_MOMENTS
};

/* What became of the last run with one rival. */
struct replay_result {
	bool complete;
	u64 nr_done;
	u64 total_ns;
	u64 most_held_bytes;	/* kheap only: at any moment */
	struct replay_held held[NR_REPLAY_MOMENTS];
};

/**
 * struct replay_run - one replay, under way or stopped
 * @trace: what is replayed; stays loaded meanwhile
 * @rival: the allocator, NULL if there is no run
 * @heap: the private heap of the kheap rival
 * @result: filled in as the run goes on
 * @fault: set when the run fails
 * @next: index of the next event
 * @requested_bytes: of the live blocks
 * @nr_live: live blocks
 * @pattern: fill the blocks' ends and verify them
 */
struct replay_run {
	struct replay_trace *trace;
	const struct replay_rival *rival;
	struct kheap *heap;
	struct replay_result *result;
	struct replay_fault *fault;
	u64 next;
	u64 requested_bytes;
	u64 nr_live;
	bool pattern;
};

int replay_run_begin(struct replay_run *run);
int replay_run_until(struct replay_run *run, u64 stop);
int replay_run_measure(struct replay_run *run, struct replay_held *held);
int replay_run_finish(struct replay_run *run);
void replay_run_abort(struct replay_run *run);

#endif /* _REPLAY_H */
