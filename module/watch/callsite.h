/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The private side of call sites: callsite.c records, show/callsites.c shows.
 */
#ifndef _KHEAP_CALLSITE_H
#define _KHEAP_CALLSITE_H

#include <linux/sched.h>
#include <linux/timekeeping.h>

#include "watch/watch.h"

struct seq_file;

/**
 * struct kheap_site - a stack that allocates
 * @next: in its bucket
 * @stack: handle of the stack in the depot
 * @pid: the last task that was there, 0 if none was
 * @records: the blocks, the oldest first
 * @nr_live: length of @records
 * @live_bytes: taken by them
 * @req_bytes: asked for
 * @peak_bytes: the most that @live_bytes was
 * @nr_total: blocks ever
 * @least_bytes: taken by the smallest of them
 * @most_bytes: taken by the largest
 * @comm: the name of the last task
 * @cpus: the CPUs that were there
 */
struct kheap_site {
	struct kheap_site *next;
	u32 stack;
	pid_t pid;
	struct list_head records;
	unsigned long nr_live;
	unsigned long live_bytes;
	unsigned long req_bytes;
	unsigned long peak_bytes;
	unsigned long nr_total;
	u32 least_bytes;
	u32 most_bytes;
	char comm[TASK_COMM_LEN];
	unsigned long cpus[];
};

/**
 * struct kheap_callsite_row - a reading of a site, scaled to all blocks
 * @site: the site; its @stack and @cpus may be read
 * @nr_live: blocks
 * @live_bytes: taken by them
 * @req_bytes: asked for
 * @peak_bytes: the most that @live_bytes was
 * @nr_total: blocks ever
 * @least_bytes: taken by the smallest that there ever was
 * @most_bytes: taken by the largest
 * @oldest_ns: when the oldest of them was allocated
 * @newest_ns: when the newest was
 * @pid: the last task
 * @comm: its name
 */
struct kheap_callsite_row {
	const struct kheap_site *site;
	unsigned long nr_live;
	unsigned long live_bytes;
	unsigned long req_bytes;
	unsigned long peak_bytes;
	unsigned long nr_total;
	u32 least_bytes;
	u32 most_bytes;
	u64 oldest_ns;
	u64 newest_ns;
	pid_t pid;
	char comm[TASK_COMM_LEN];
};

/**
 * struct kheap_callsite_block - what is recorded of a block
 * @stack: handle of the stack that allocated it; 0: nothing is recorded
 * @bytes_req: asked for
 * @ns: when
 */
struct kheap_callsite_block {
	u32 stack;
	u32 bytes_req;
	u64 ns;
};

/**
 * struct kheap_callsite_stats - the recorder of a heap, not scaled
 * @one_in: every how many-th block has a record; 0: off
 * @nr_sites: stacks
 * @nr_live: blocks with a record
 * @live_bytes: taken by them
 * @nr_total: records ever made
 * @nr_dropped: blocks that should have one and for which there was no room
 * @nr_unknown_frees: frees of blocks without one, when all should have one
 */
struct kheap_callsite_stats {
	unsigned long one_in;
	unsigned long nr_sites;
	unsigned long nr_live;
	unsigned long live_bytes;
	unsigned long nr_total;
	unsigned long nr_dropped;
	unsigned long nr_unknown_frees;
};

struct kheap_callsites;

/* Nanoseconds, in any context. */
static inline u64 kheap_callsite_now(void)
{
	/*
	 * data_race() as the clock reads what another CPU may be updating,
	 * looks whether it did, and begins again. KCSAN is told of such latches
	 * since 6.13 only.
	 */
	return data_race(ktime_get_mono_fast_ns());
}

/* callsite.c */
int kheap_callsites_start(struct kheap *heap, unsigned int one_in);
void kheap_callsites_new(struct kheap *heap);
void kheap_callsites_stop(struct kheap *heap);
void kheap_callsite_alloc(struct kheap *heap, const struct kheap_class *class,
			  const void *ptr, size_t bytes_req, size_t bytes);
void kheap_callsite_free(struct kheap *heap, const void *ptr);
void kheap_callsites_forget(const struct kheap_class *class);
struct kheap_callsites *kheap_callsites_read_begin(struct kheap *heap);
void kheap_callsites_read_end(struct kheap *heap);
void kheap_callsites_get_stats(struct kheap_callsites *cs,
			       struct kheap_callsite_stats *stats);
unsigned int kheap_callsites_copy(struct kheap_callsites *cs,
				  const struct kheap_class *class,
				  struct kheap_callsite_row *rows,
				  unsigned int nr);
void kheap_callsites_find(struct kheap_callsites *cs, const void *ptr,
			  struct kheap_callsite_block *block);

#endif /* _KHEAP_CALLSITE_H */
