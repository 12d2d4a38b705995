// SPDX-License-Identifier: GPL-2.0
/*
 * Bulk: many blocks a call, moved between the caller and the CPU's loaded
 * magazine in runs, each under one mark.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>

#include "alloc.h"

/* --- Allocation --------------------------------------------------------- */

/*
 * Take up to @nr blocks out of the loaded magazine, their allocated bits set.
 * Return how many; 0 also when somebody is at it. It ends at a block that is in
 * use already, see kheap_own_and_enable().
 */
static size_t pop_run(struct kheap_class *class, void **ptrs, size_t nr)
{
	unsigned long *bitmap = kheap_bitmap();
	struct kheap_cpu_cache *cache;
	void **start = ptrs;
	void *twice = NULL;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		const struct kheap_slot *slot = cache->top;
		void **end = ptrs + min_t(size_t, nr, slot - cache->base);

		for (; ptrs != end; ptrs++) {
			slot--;
			if (unlikely(test_and_set_bit(slot->bit, bitmap))) {
				twice = slot->block;
				break;
			}
			*ptrs = slot->block;
		}
		WRITE_ONCE(cache->top, (struct kheap_slot *)slot);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (unlikely(twice))
		kheap_pool_block_twice(twice);
	return ptrs - start;
}

static int class_alloc_bulk(struct kheap_class *class, size_t size, gfp_t gfp,
			    size_t nr, void **ptrs, unsigned long caller)
{
	size_t done = 0, some, i;

	while (done < nr) {
		some = pop_run(class, ptrs + done, nr - done);
		if (unlikely(!some)) {
			ptrs[done] = kheap_class_alloc_missed(class, size, gfp,
							      NUMA_NO_NODE,
							      caller);
			if (!ptrs[done])
				break;
			some = 1;
		}
		done += some;
	}
	for (i = 0; i < done; i++)
		kheap_finish_alloc(class, ptrs[i], size, gfp);
	if (likely(done == nr))
		return nr;
	kheap_class_free_bulk(class, done, ptrs);
	return 0;
}

int kheap_alloc_bulk(struct kheap *heap, size_t size, gfp_t gfp, size_t nr,
		     void **ptrs)
{
	struct kheap_class *class = NULL;
	size_t i;

	if (unlikely(nr > INT_MAX))
		return 0;
	if (size <= KHEAP_MEDIUM_MAX && !(gfp & GFP_ZONEMASK)) {
		if (likely(!in_nmi()))
			class = kheap_size_class_or_fail(heap, size, gfp);
		return class ? class_alloc_bulk(class, size, gfp, nr, ptrs,
						_RET_IP_) : 0;
	}
	for (i = 0; i < nr; i++) {
		ptrs[i] = kheap_alloc(heap, size, gfp);
		if (!ptrs[i]) {
			kheap_free_bulk(heap, i, ptrs);
			return 0;
		}
	}
	return nr;
}
EXPORT_SYMBOL_GPL(kheap_alloc_bulk);

int kheap_cache_alloc_bulk(struct kheap_cache *cache, gfp_t gfp, size_t nr,
			   void **ptrs)
{
	struct kheap_class *class = &cache->class;

	if (unlikely(gfp & class->bad_gfp)) {
		kheap_refuse(class->heap, KHEAP_BAD_GFP, NULL, class);
		return 0;
	}
	/* See pop_run(): what is wrong there is dealt with under locks. */
	if (unlikely(in_nmi()))
		return 0;
	return nr <= INT_MAX ? class_alloc_bulk(class, class->usable, gfp, nr,
						ptrs, _RET_IP_) : 0;
}
EXPORT_SYMBOL_GPL(kheap_cache_alloc_bulk);

/* --- Free --------------------------------------------------------------- */

/* Claim @ptr for @class, from a pool that carries @tag. */
static __always_inline bool claim(struct kheap_class *class,
				  const unsigned long *tag, const void *ptr,
				  struct kheap_slot *slot)
{
	struct kheap_pool *pool;

	return kheap_owned_pool(ptr, tag, &pool) &&
	       likely(pool->class == class) &&
	       kheap_claim(class, pool, ptr, slot);
}

/*
 * Put blocks of @class at the start of @ptrs into the loaded magazine. Return
 * how many: it ends at a full magazine, and at a pointer that is no block of
 * the class. Frees that need care do not start.
 */
static size_t push_run(struct kheap_class *class, const unsigned long *tag,
		       void **ptrs, size_t nr)
{
	struct kheap_cpu_cache *cache;
	size_t i = 0;

	if (static_branch_unlikely(&kheap_careful_key) ||
	    kheap_must_defer_free())
		return 0;
	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		struct kheap_slot *top = cache->top, *limit = cache->limit;

		for (; i < nr && top != limit; i++, top++) {
			if (unlikely(!claim(class, tag, ptrs[i], top)))
				break;
			kheap_kasan_mark(class, ptrs[i], KHEAP_KASAN_FREE);
			kheap_kmsan_free(class, ptrs[i]);
		}
		WRITE_ONCE(cache->top, top);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	return i;
}

/**
 * kheap_class_free_bulk() - free blocks of one class
 * @class: the class
 * @nr: how many
 * @ptrs: the blocks; others are refused
 */
void kheap_class_free_bulk(struct kheap_class *class, size_t nr, void **ptrs)
{
	struct kheap_slot slot;
	size_t i = 0;

	for (;;) {
		i += push_run(class, &class->tag, ptrs + i, nr - i);
		if (i >= nr)
			break;
		if (likely(claim(class, &class->tag, ptrs[i], &slot)))
			kheap_release(class, slot);
		else
			kheap_cache_free_unusual(class, ptrs[i]);
		i++;
	}
}

void kheap_free_bulk(struct kheap *heap, size_t nr, void **ptrs)
{
	struct kheap_pool *pool;
	size_t i = 0;

	while (i < nr) {
		if (kheap_owned_pool(ptrs[i], &heap->tag, &pool))
			i += push_run(READ_ONCE(pool->class), &heap->tag,
				      ptrs + i, nr - i);
		if (i < nr)
			kheap_free(heap, ptrs[i++]);
	}
}
EXPORT_SYMBOL_GPL(kheap_free_bulk);

void kheap_cache_free_bulk(struct kheap_cache *cache, size_t nr, void **ptrs)
{
	kheap_class_free_bulk(&cache->class, nr, ptrs);
}
EXPORT_SYMBOL_GPL(kheap_cache_free_bulk);
