// SPDX-License-Identifier: GPL-2.0
/*
 * Pools that get a class: parked bits, constructed blocks, what struct page says.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>
#include <linux/kmsan-checks.h>
#include <linux/slab.h>

#include "block/block.h"

/* Note, once for all, where the pool's pages are in it. */
static void set_skip(const struct kheap_class *class, struct kheap_pool *pool)
{
	struct page *page = virt_to_page(pool->base);
	unsigned int i;

	for (i = 0; i < 1U << class->span; i++)
		WRITE_ONCE(kheap_page_note(page + i)->skip,
			   i * PAGE_SIZE - class->front);
}

/*
 * Attach parked bits for @class, all clear. On PREEMPT_RT a pool that became
 * empty where nothing may be freed has kept its bits, and they do.
 */
static bool pool_attach_map(struct kheap_pool *pool, struct kheap_class *class,
			    gfp_t gfp)
{
	unsigned int sz_map = BITS_TO_LONGS(class->nr_blocks);
	unsigned long *map;

	if (class->nr_blocks <= KHEAP_INLINE_BLOCKS && !pool->sz_map) {
		pool->map = 0;
		return true;
	}
	if (pool->sz_map >= sz_map) {
		memset((void *)pool->map, 0, sz_map * sizeof(long));
		return true;
	}
	if (!kheap_mm_allowed())
		return false;
	map = kheap_meta_alloc(class->heap, sz_map * sizeof(long), gfp,
			       pool->arena->set->node);
	if (!map)
		return false;
	kheap_meta_free(class->heap, kheap_pool_detach_map(pool));
	pool->map = (unsigned long)map;
	pool->sz_map = sz_map;
	return true;
}

/* Constructed blocks are carved and linked at once: in order of address. */
static void pool_construct(struct kheap_pool *pool, struct kheap_class *class)
{
	unsigned int idx;

	for (idx = 0; idx < class->nr_blocks; idx++) {
		/* KMSAN knows former owners, and guard bytes of ours. */
		kmsan_poison_memory(kheap_block_address(class, pool, idx),
				    class->usable, GFP_NOWAIT);
		class->ctor(kheap_block_address(class, pool, idx));
		kheap_mark_set_link(class, kheap_block_address(class, pool, idx),
				    idx + 1 < class->nr_blocks ? idx + 1 :
				    KHEAP_LINK_END);
	}
	pool->freeblock = 0;
	pool->nextoffset = class->nr_blocks * class->size;
}

/**
 * kheap_pool_setup() - make a pool ready for its class
 * @pool: a pool from kheap_pool_get()
 * @class: its class
 * @gfp: what may be done to get memory for parked bits
 *
 * Context: No kheap lock held: the constructor runs here.
 * Return: false if there is no memory.
 */
bool kheap_pool_setup(struct kheap_pool *pool, struct kheap_class *class,
		      gfp_t gfp)
{
	if (!pool_attach_map(pool, class, gfp))
		return false;
	pool->nr_used = 0;
	pool->nextoffset = 0;
	pool->freeblock = KHEAP_LINK_END;
	pool->parking = false;
	pool->base = PTR_ALIGN_DOWN(pool->base, PAGE_SIZE);
	/* Nobody has anything to do there, but for us and for constructors. */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kasan_poison(pool->base, kheap_pool_bytes(class),
			     class->debug || class->ctor ? KHEAP_KASAN_LIVE :
			     KHEAP_KASAN_BEYOND, false);
	if (class->debug)
		kheap_watcher->pool_setup(class, pool);
	if (class->ctor)
		pool_construct(pool, class);
	set_skip(class, pool);
	kheap_pool_set_limit(class, pool);
	kheap_pool_set_tag(pool, class->span, class->tag);
	return true;
}
