/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the parts of the collector have in common: kheap_collect.c empties the
 * memory of kheap_ring.h into a spool and obeys scripts/trace/record,
 * kheap_convert.c makes traces of the spool, kheap_file.c writes them.
 */
#ifndef _KHEAP_COLLECT_H
#define _KHEAP_COLLECT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "kheap_ring.h"

/* One chunk that was recorded, and where it is in the spool. */
struct spooled {
	uint32_t proc;
	uint32_t at;
	uint64_t seq;
};

/* Chunks of one process are together, in the order in which it filled them. */
struct spool {
	int fd;
	int error;		/* errno that ended the recording, or 0 */
	struct spooled *chunks;
	size_t nr;
	size_t room;
	uint64_t nr_lost;	/* events that no chunk tells of */
};

bool spool_sort(struct spool *spool);
ssize_t spool_read(const struct spool *spool, size_t index, void *chunk);
void spool_forget(const struct spool *spool, size_t index);

/* The chunks of a process: their number, the first in *first. */
size_t spool_find(const struct spool *spool, uint32_t proc, size_t *first);

/* What a trace's events say of themselves. */
struct totals {
	uint64_t nr_events, nr_allocs, nr_reallocs, nr_frees;
	uint64_t live_bytes, peak_bytes, peak_event, peak_live;
	uint64_t max_size, total_bytes;
	uint32_t nr_ids, nr_threads;
};

/* A trace that is being written, event by event. */
struct trace_file {
	int fd;
	uint32_t meta_bytes;
	uint32_t crc;		/* of the events that were written */
	int error;		/* errno that ended the writing, or 0 */
	size_t nr_buffered;
	struct totals now;
	struct totals written;
	uint8_t *buffer;
};

/* Room for what is known only at the end, in the metadata. */
#define NOTES_BYTES	640

int trace_begin(struct trace_file *file, const char *path, size_t meta_bytes);
void trace_event(struct trace_file *file, uint8_t op, uint8_t flags,
		 uint16_t thread, uint32_t id, uint32_t size, uint32_t delta_ns,
		 uint32_t old_size);
void trace_flush(struct trace_file *file);
int trace_end(struct trace_file *file, const char *meta, uint32_t flags);

/*
 * Makes the trace of one process. @meta: what is known of it already. Prints the
 * answer to record. False if there was no memory.
 */
void convert(const struct spool *spool, uint32_t proc, bool timed,
	     const char *path, const char *meta);

#endif /* _KHEAP_COLLECT_H */
