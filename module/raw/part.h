/* SPDX-License-Identifier: GPL-2.0 */
/* What a heap has for raw memory, raw/. */
#ifndef _KHEAP_RAW_PART_H
#define _KHEAP_RAW_PART_H

#include <linux/atomic.h>
#include <linux/llist.h>
#include <linux/rbtree.h>
#include <linux/spinlock.h>
#include <kheap/kheap.h>

struct kheap_arena_set;

/* Large blocks freed last that a heap remembers. */
#define KHEAP_NR_FREED_LARGE	16

/**
 * struct kheap_raw_part - a heap's arenas and large blocks
 * @sets: arena sets, by span and node; NULL until first used
 * @page_ops: where arenas come from
 * @page_ctx: for @page_ops
 * @nr_pages_freed: pages of pools that went back to the system, ever
 * @nr_serials: last arena's number
 * @large_lock: lock 5
 * @large: tree of large blocks by address
 * @freed_large: addresses of those freed last
 * @nr_freed_large: how many were ever freed
 * @nr_large: blocks in @large
 * @large_bytes: their bytes, as the system rounded them
 * @released: arenas whose pages could not be freed on the spot
 * @dead_large: large blocks that could not be freed on the spot
 * @parked_large: large blocks that wait for a grace period
 */
struct kheap_raw_part {
	struct kheap_arena_set **sets;
	const struct kheap_page_ops *page_ops;
	void *page_ctx;

	atomic_long_t nr_pages_freed;
	atomic_long_t nr_serials;

	raw_spinlock_t large_lock;
	struct rb_root large;
	const void *freed_large[KHEAP_NR_FREED_LARGE];
	unsigned int nr_freed_large;
	unsigned long nr_large;
	size_t large_bytes;

	struct llist_head released;
	struct llist_head dead_large;
	struct llist_head parked_large;
};

#endif /* _KHEAP_RAW_PART_H */
