/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the allocation and free of blocks, objects of caches and typed objects
 * share, inlined into each of them.
 */
#ifndef _KHEAP_ALLOC_H
#define _KHEAP_ALLOC_H

#include <linux/kmemleak.h>
#include <linux/sched/mm.h>

#include "cpu_cache.h"

/* As might_alloc(), but without its call on kernels that check nothing. */
static __always_inline void kheap_might_alloc(gfp_t gfp)
{
	if (IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP) || IS_ENABLED(CONFIG_LOCKDEP))
		might_alloc(gfp);
}

/* Zero a fresh block if that is wanted, and tell kmemleak of it. */
static __always_inline void *kheap_finish_alloc(struct kheap_class *class,
						void *block, gfp_t gfp)
{
	if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) && block)
		kmemleak_alloc(block, class->usable, 1, gfp);
	if (likely(block) && want_init_on_alloc(gfp))
		kheap_zero(block, class->zero_bytes);
	return block;
}

/**
 * kheap_free_block() - free a block to its class
 * @owner: the heap, for a block of a size class, else the class
 * @ptr: any pointer
 *
 * Return: false if @ptr is no allocated block of @owner; nothing was changed.
 */
static __always_inline bool kheap_free_block(const void *owner, const void *ptr)
{
	struct kheap_pool *pool = kheap_pool_of(ptr);
	struct kheap_class *class;
	struct kheap_slot slot;
	int idx;

	if (unlikely(!pool))
		return false;
	class = pool->class;
	if (unlikely(class->owner != owner))
		return false;
	idx = kheap_block_index(class, pool, ptr);
	if (unlikely(idx < 0))
		return false;
	slot.block = (void *)ptr;
	slot.bit = pool->map_bit + idx;
	if (unlikely(!test_and_clear_bit(slot.bit, kheap_bitmap())))
		return false;
	if (IS_ENABLED(CONFIG_DEBUG_KMEMLEAK))
		kmemleak_free(ptr);
	if (want_init_on_free())
		kheap_zero(slot.block, class->zero_bytes);
	if ((static_branch_unlikely(&kheap_numa_key) &&
	     pool->arena->set->node != numa_mem_id()) ||
	    unlikely(!kheap_push(class, slot)))
		kheap_class_free_slow(class, pool, slot);
	return true;
}

#endif /* _KHEAP_ALLOC_H */
