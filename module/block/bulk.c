// SPDX-License-Identifier: GPL-2.0
/*
 * Bulk: many blocks a call, moved between the caller and the CPU's loaded
 * magazine in runs, each under one mark.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>

#include "block/alloc.h"

/* --- Allocation --------------------------------------------------------- */

/* Preemption is off for at most so many blocks. */
#define RUN_MAX		256

/* What a run has to see to when preemption is on again. */
struct run {
	void *stray;	/* a block without a mark */
	void *bad;	/* a damaged place, see kheap_pools_take() */
	bool missed;
};

/* After a run that missed: small magazines make it miss often. */
static __always_inline void grow(struct kheap_class *class, bool missed)
{
	if (unlikely(missed))
		kheap_cpu_cache_grow(class, READ_ONCE(class->caches));
}

/* Take up to @nr blocks out of the loaded magazine; under the busy mark. */
static size_t pop_marked(struct kheap_class *class,
			 struct kheap_cpu_cache *cache, void **ptrs, size_t nr,
			 struct run *run)
{
	const unsigned long offset = class->mark_offset;
	void **top = cache->top, **start = ptrs;
	void **end = ptrs + min_t(size_t, nr, top - cache->base);

	for (; ptrs != end; ptrs++) {
		*ptrs = *--top;
		if (unlikely(!kheap_mark_take(class, *ptrs, offset))) {
			run->stray = *ptrs;
			break;
		}
	}
	WRITE_ONCE(cache->top, top);
	return ptrs - start;
}

/*
 * Take up to @nr blocks out of this CPU's magazines, which are filled as they
 * become empty. Return how many; 0 also when somebody is at it. It ends at a
 * block that has no mark.
 */
static size_t pop_run(struct kheap_class *class, void **ptrs, size_t nr)
{
	struct kheap_cpu_cache *cache;
	struct run run = { };
	size_t done = 0;

	nr = min_t(size_t, nr, RUN_MAX);
	preempt_disable();
	cache = raw_cpu_ptr(READ_ONCE(class->cpu));
	if (likely(kheap_mark_busy(cache))) {
		for (;;) {
			done += pop_marked(class, cache, ptrs + done,
					   nr - done, &run);
			if (likely(done == nr) || unlikely(run.stray))
				break;
			run.missed = true;
			if (!kheap_cpu_cache_fill(class, cache, &run.bad))
				break;
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	grow(class, run.missed);
	if (unlikely(run.stray))
		kheap_pool_block_stray(class, run.stray, false);
	kheap_refuse_link(class, run.bad);
	return done;
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

/* Is a page that carries the class's tag of the class? */
static __always_inline bool is_page_of(const struct kheap_class *class,
				       const struct page *page)
{
	/* The size classes of a heap have one tag. */
	return likely((u8)READ_ONCE(kheap_page_note(page)->limit) ==
		      class->szidx);
}

/* Mark a block of @class as free. Return false if @ptr is no such block. */
static __always_inline bool claim(struct kheap_class *class, void *ptr)
{
	const struct page *page = kheap_owned_page(ptr, &class->tag);

	return page && is_page_of(class, page) &&
	       kheap_block_at(class, page, ptr) &&
	       kheap_mark_put(class, ptr, class->mark_offset);
}

/* A run of so many fills magazines that are going to be put by. */
static __always_inline void spare(struct kheap_class *class, size_t nr)
{
	struct kheap_cpu_cache __percpu *cpu = READ_ONCE(class->cpu);

	if (cpu != &kheap_cold_cache && nr > raw_cpu_read(cpu->nr_slots))
		kheap_cpu_cache_spare(class, cpu, nr);
}

/* Put blocks into the loaded magazine, while they are of @class. */
static size_t push_marked(struct kheap_class *class,
			  struct kheap_cpu_cache *cache, void **ptrs, size_t nr)
{
	void **top = cache->top, **start = ptrs;
	void **end = ptrs + min_t(size_t, nr, cache->limit - top);

	for (; ptrs != end; ptrs++) {
		if (unlikely(!claim(class, *ptrs)))
			break;
		kheap_kasan_mark(class, *ptrs, KHEAP_KASAN_FREE);
		kheap_kmsan_free(class, *ptrs);
		*top++ = *ptrs;
	}
	WRITE_ONCE(cache->top, top);
	return ptrs - start;
}

/*
 * Put blocks of @class at the start of @ptrs into this CPU's magazines, which
 * are emptied as they become full. Return how many: it ends at a pointer that
 * is no block of the class. Frees that need care do not start.
 */
static size_t push_run(struct kheap_class *class, void **ptrs, size_t nr)
{
	struct kheap_cpu_cache *cache;
	LIST_HEAD(empties);
	bool missed = false;
	size_t done = 0;

	if (static_branch_unlikely(&kheap_careful_key) ||
	    kheap_tracks_leaks() || unlikely(in_nmi()))
		return 0;
	nr = min_t(size_t, nr, RUN_MAX);
	spare(class, nr);
	preempt_disable();
	cache = raw_cpu_ptr(READ_ONCE(class->cpu));
	if (likely(kheap_mark_busy(cache))) {
		for (;;) {
			done += push_marked(class, cache, ptrs + done,
					    nr - done);
			if (likely(done == nr) || cache->top != cache->limit)
				break;
			missed = true;
			if (!kheap_cpu_cache_make_room(class, cache, &empties))
				break;
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	grow(class, missed);
	if (!list_empty(&empties))
		kheap_pools_put(class->heap, &empties);
	return done;
}

/**
 * kheap_class_free_bulk() - free blocks of one class
 * @class: the class
 * @nr: how many
 * @ptrs: the blocks; others are refused
 */
void kheap_class_free_bulk(struct kheap_class *class, size_t nr, void **ptrs)
{
	const struct page *page;
	size_t i = 0;
	void *ptr;

	for (;;) {
		i += push_run(class, ptrs + i, nr - i);
		if (i >= nr)
			break;
		ptr = ptrs[i++];
		page = kheap_owned_page(ptr, &class->tag);
		if (unlikely(!page) || unlikely(!is_page_of(class, page)) ||
		    unlikely(!kheap_block_at(class, page, ptr)) ||
		    unlikely(!kheap_give(class, ptr, class->mark_offset)))
			kheap_class_free_unusual(class, ptr);
	}
}

void kheap_free_bulk(struct kheap *heap, size_t nr, void **ptrs)
{
	struct kheap_pool *pool;
	size_t i = 0;

	while (i < nr) {
		if (kheap_owned_pool(ptrs[i], &heap->block.tag, &pool))
			i += push_run(READ_ONCE(pool->class), ptrs + i,
				      nr - i);
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
