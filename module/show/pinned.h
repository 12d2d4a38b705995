/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which pools few blocks keep from going back, and which blocks these are.
 */
#ifndef _KHEAP_PINNED_H
#define _KHEAP_PINNED_H

#include "block/block.h"

#define KHEAP_PINNED_POOLS	16	/* most that are shown */
#define KHEAP_PINNED_BLOCKS	4	/* most that are shown of each */

/**
 * struct kheap_pinned_pool - a reading of a pool, taken under its class's lock
 * @base: the address of its first block
 * @arena: number of its arena
 * @node: memory node
 * @span: pages
 * @size: bytes of a block
 * @nr_blocks: blocks in the pool
 * @nr_live: of these, those in the client's hands
 * @nr_cached: those in per-CPU caches and depots
 * @unused_bytes: of its pages, what is not in the client's hands
 * @blocks: the first of the live ones
 * @name: of the class, as in the file classes
 */
struct kheap_pinned_pool {
	const void *base;
	unsigned long arena;
	int node;
	unsigned int span;
	u32 size;
	u16 nr_blocks;
	u16 nr_live;
	u16 nr_cached;
	size_t unused_bytes;
	const void *blocks[KHEAP_PINNED_BLOCKS];
	char name[KHEAP_NAME_MAX + 1];
};

/**
 * struct kheap_pinned - the pools whose blocks pin the most
 * @nr_pools: pools that are at most half in use
 * @nr_live: blocks in them
 * @unused_bytes: sum over them
 * @nr_shown: length of @pools
 * @pools: those with the most unused bytes for each live block, in this order
 */
struct kheap_pinned {
	unsigned long nr_pools;
	unsigned long nr_live;
	size_t unused_bytes;
	unsigned int nr_shown;
	struct kheap_pinned_pool pools[KHEAP_PINNED_POOLS];
};

/* pinned.c */
void kheap_pinned_get(struct kheap *heap, struct kheap_pinned *pinned);
void kheap_debugfs_add_pinned(struct kheap *heap);

#endif /* _KHEAP_PINNED_H */
