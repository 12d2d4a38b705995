// SPDX-License-Identifier: GPL-2.0
/*
 * Bulk: many blocks a call, moved in runs between the caller, the CPU's
 * magazines and the pools.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>

#include "alloc.h"

/* Blocks that pass through the stack at a time. */
#define RUN	32

/* --- Allocation ------------------------------------------------------------------ */

/* Hand a run of slots out: set the bits, and store the addresses. */
static void hand_out(const struct kheap_slot *slots, unsigned int nr,
		     void **ptrs)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		set_bit(slots[i].bit, kheap_bitmap());
		ptrs[i] = slots[i].block;
	}
}

/* Some blocks, at least one, or 0 if there is no memory. */
static unsigned int alloc_some(struct kheap_class *class, gfp_t gfp,
			       unsigned int nr, void **ptrs)
{
	struct kheap_slot slots[RUN];
	unsigned int taken;

	nr = min_t(unsigned int, nr, RUN);
	taken = kheap_cpu_cache_take(class, slots, nr);
	if (!taken && nr > 1 && !in_nmi())
		taken = kheap_pools_take(class, numa_mem_id(), slots, nr);
	if (taken) {
		hand_out(slots, taken, ptrs);
		return taken;
	}
	ptrs[0] = kheap_class_alloc_slow(class, gfp, NUMA_NO_NODE);
	return ptrs[0] ? 1 : 0;
}

static void free_run(struct kheap_class *class, void **ptrs, size_t nr);

static int class_alloc_bulk(struct kheap_class *class, gfp_t gfp, size_t nr,
			    void **ptrs)
{
	size_t done = 0, i;

	while (done < nr) {
		unsigned int some = alloc_some(class, gfp, nr - done,
					       ptrs + done);

		if (!some)
			break;
		for (i = done; i < done + some; i++)
			kheap_finish_alloc(class, ptrs[i], gfp);
		done += some;
	}
	if (likely(done == nr))
		return nr;
	free_run(class, ptrs, done);
	return 0;
}

int kheap_alloc_bulk(struct kheap *heap, size_t size, gfp_t gfp, size_t nr,
		     void **ptrs)
{
	struct kheap_class *class = NULL;
	size_t i;

	if (unlikely(nr > INT_MAX))
		return 0;
	if (size <= KHEAP_BLOCK_MAX && !(gfp & GFP_ZONEMASK)) {
		if (likely(!in_nmi()))
			class = kheap_size_class(heap, size ? (size - 1) >>
						 KHEAP_BLOCK_SHIFT : 0, gfp);
		return class ? class_alloc_bulk(class, gfp, nr, ptrs) : 0;
	}
	for (i = 0; i < nr; i++) {
		ptrs[i] = __kheap_alloc(heap, size, gfp);
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
	return nr <= INT_MAX ? class_alloc_bulk(class, gfp, nr, ptrs) : 0;
}
EXPORT_SYMBOL_GPL(kheap_cache_alloc_bulk);

/* --- Free -------------------------------------------------------------------------- */

/**
 * struct run - blocks of one class on their way out
 * @class: their class
 * @nr: how many there are in @slots
 * @slots: the blocks
 */
struct run {
	struct kheap_class *class;
	unsigned int nr;
	struct kheap_slot slots[RUN];
};

/* Give a run to the CPU's magazines, and to the pools what they do not take. */
static void flush_run(struct run *run)
{
	LIST_HEAD(empties);
	unsigned int taken;

	if (!run->nr)
		return;
	if (unlikely(in_nmi())) {
		while (run->nr) {
			run->nr--;
			kheap_class_free_slow(run->class, run->slots[run->nr],
					      false);
		}
		return;
	}
	taken = kheap_cpu_cache_give(run->class, run->slots, run->nr);
	if (taken < run->nr)
		kheap_pools_give(run->class, run->slots + taken,
				 run->nr - taken, &empties);
	if (!list_empty(&empties))
		kheap_pools_put(run->class->heap, &empties);
	run->nr = 0;
}

/* Add @ptr to @run. Return false if no allocated block with @tag is there. */
static __always_inline bool add_to_run(struct run *run,
				       const unsigned long *tag,
				       const void *ptr)
{
	struct kheap_class *class;
	struct kheap_pool *pool;
	struct kheap_slot slot;

	if (unlikely(!kheap_owned_pool(ptr, tag, &pool)))
		return false;
	class = pool->class;
	if (unlikely(!kheap_claim(class, pool, ptr, &slot)))
		return false;
	if (static_branch_unlikely(&kheap_careful_key)) {
		kheap_class_free_careful(class, slot);
		return true;
	}
	if (unlikely(class != run->class || run->nr == RUN)) {
		flush_run(run);
		run->class = class;
	}
	run->slots[run->nr++] = slot;
	return true;
}

static void free_run(struct kheap_class *class, void **ptrs, size_t nr)
{
	struct run run;
	size_t i;

	run.class = class;
	run.nr = 0;
	for (i = 0; i < nr; i++)
		if (unlikely(!add_to_run(&run, &class->tag, ptrs[i])))
			kheap_class_refuse_free(class, ptrs[i]);
	flush_run(&run);
}

void kheap_free_bulk(struct kheap *heap, size_t nr, void **ptrs)
{
	struct run run;
	size_t i;

	run.class = NULL;
	run.nr = 0;
	for (i = 0; i < nr; i++)
		if (unlikely(!add_to_run(&run, &heap->tag, ptrs[i])))
			kheap_free(heap, ptrs[i]);
	flush_run(&run);
}
EXPORT_SYMBOL_GPL(kheap_free_bulk);

void kheap_cache_free_bulk(struct kheap_cache *cache, size_t nr, void **ptrs)
{
	free_run(&cache->class, ptrs, nr);
}
EXPORT_SYMBOL_GPL(kheap_cache_free_bulk);
