/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the allocation and free of blocks, objects of caches and typed objects
 * share, inlined into each of them.
 */
#ifndef _KHEAP_ALLOC_H
#define _KHEAP_ALLOC_H

#include <linux/kmemleak.h>
#include <linux/kmsan-checks.h>
#include <linux/sched/mm.h>

#include <kheap/object.h>

#include "block/cpu_cache.h"

/* As might_alloc(), but without its call on kernels that check nothing. */
static __always_inline void kheap_might_alloc(gfp_t gfp)
{
	if (IS_ENABLED(CONFIG_DEBUG_ATOMIC_SLEEP) || IS_ENABLED(CONFIG_LOCKDEP))
		might_alloc(gfp);
}

/*
 * Tell KASAN that a block is free, or that all of it is in use. The header of
 * an object stays accessible: walks of the pools look at it. So does what is
 * constructed.
 */
static __always_inline void kheap_kasan_mark(const struct kheap_class *class,
					     void *block, u8 mark)
{
	size_t header = class->type ? sizeof(struct kheap_object) : 0;
	size_t bytes = ALIGN(class->usable, KHEAP_KASAN_GRANULE);

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC) || class->ctor)
		return;
	if (header)
		kasan_poison(block, header, KHEAP_KASAN_LIVE, false);
	kasan_poison(block + header, bytes - header, mark, false);
}

/*
 * Tell KASAN which bytes of a block the client has asked for. Blocks with
 * debug flags have guard bytes behind them.
 */
static __always_inline void kheap_kasan_bound(const struct kheap_class *class,
					      void *block, size_t size)
{
	size_t bytes = ALIGN(class->usable, KHEAP_KASAN_GRANULE);
	size_t whole = ALIGN_DOWN(size ?: 1, KHEAP_KASAN_GRANULE);
	size_t rest = (size ?: 1) - whole;

	if (!IS_ENABLED(CONFIG_KASAN_GENERIC) || class->ctor || class->debug)
		return;
	if (rest) {
		kasan_poison(block + whole, KHEAP_KASAN_GRANULE, rest, false);
		whole += KHEAP_KASAN_GRANULE;
	}
	kasan_poison(block + whole, bytes - whole, KHEAP_KASAN_BEYOND, false);
}

/*
 * Tell KMSAN of a fresh block: what is in it is nobody's, unless zeroes were
 * asked for. Where KMSAN was interrupted itself, and in NMI, it refuses to
 * poison: there a block counts as written to. With debug flags there are guard
 * bytes behind what was asked for. What is constructed stays as it was.
 */
static __always_inline void kheap_kmsan_alloc(const struct kheap_class *class,
					      void *block, size_t size,
					      gfp_t gfp)
{
	if (!IS_ENABLED(CONFIG_KMSAN) || class->ctor)
		return;
	kmsan_unpoison_memory(block, class->usable);
	if (!(gfp & __GFP_ZERO))
		kmsan_poison_memory(block, class->debug ? size ?: 1 :
				    class->usable, gfp);
}

/*
 * Tell KMSAN that what is in a block is nobody's any more; the report of a
 * later use has the stack from here. The header of an object stays.
 */
static __always_inline void kheap_kmsan_free(const struct kheap_class *class,
					     void *block)
{
	size_t header = class->type ? sizeof(struct kheap_object) : 0;

	if (IS_ENABLED(CONFIG_KMSAN) && !class->ctor)
		kmsan_poison_memory(block + header, class->usable - header,
				    GFP_NOWAIT);
}

/*
 * Tell KMSAN that the client has no bytes beyond the first @size any more. With
 * debug flags they are guard bytes.
 */
static __always_inline void kheap_kmsan_bound(const struct kheap_class *class,
					      void *block, size_t size)
{
	if (IS_ENABLED(CONFIG_KMSAN) && !class->ctor && !class->debug &&
	    size < class->usable)
		kmsan_poison_memory(block + size, class->usable - size,
				    GFP_NOWAIT);
}

/* Is kmemleak to know of every block? */
static __always_inline bool kheap_tracks_leaks(void)
{
	return IS_ENABLED(CONFIG_DEBUG_KMEMLEAK) &&
	       READ_ONCE(kheap_leak_tracking);
}

/*
 * Tell kmemleak of a fresh block, but not in NMI, where it cannot allocate. The
 * first block of a pool has one reference more than others: pool->base.
 */
static __always_inline void kheap_track_block(const struct kheap_class *class,
					      void *block, gfp_t gfp)
{
	if (kheap_tracks_leaks() && !in_nmi())
		kmemleak_alloc(block, class->usable,
			       kheap_block_pool(block)->base == block ? 2 : 1,
			       gfp);
}

/*
 * Zero a fresh block if that is wanted, and tell all checkers of it. The first
 * @nr_zero words, a constant, are zero: where a mark has been.
 */
static __always_inline void *kheap_finish_popped(struct kheap_class *class,
						 void *block, size_t size,
						 gfp_t gfp,
						 unsigned int nr_zero)
{
	kheap_kasan_mark(class, block, KHEAP_KASAN_LIVE);
	kheap_track_block(class, block, gfp);
	if (want_init_on_alloc(gfp))
		kheap_zero(class, block, nr_zero);
	kheap_kmsan_alloc(class, block, size, gfp);
	kheap_kasan_bound(class, block, size);
	return block;
}

/* The same of a block that came another way. */
static __always_inline void *kheap_finish_alloc(struct kheap_class *class,
						void *block, size_t size,
						gfp_t gfp)
{
	return kheap_finish_popped(class, block, size, gfp, 0);
}

/**
 * kheap_block_at() - does a block start at an address, and may it be freed?
 * @class: the pool's class
 * @page: a page of the pool
 * @ptr: an address in the page
 *
 * Return: false if none starts there, or if it was never given out, or if the
 * pool's blocks need more questions than this one: see kheap_block_claim().
 */
static __always_inline bool kheap_block_at(const struct kheap_class *class,
					   const struct page *page,
					   const void *ptr)
{
	const struct kheap_page_note *note = kheap_page_note(page);
	u32 offset = offset_in_page(ptr) + note->skip;

	return likely(offset * class->recip_low < class->recip_low) &&
	       likely(offset < data_race(note->limit) >> KHEAP_NOTE_SHIFT); /* one word */
}

/* The class of a page that carries the tag of @heap's size classes. */
static __always_inline struct kheap_class *
kheap_page_class(struct kheap *heap, const struct page *page)
{
	u8 szidx = data_race(kheap_page_note(page)->limit); /* see below */
	struct kheap_class **classes = heap->block.classes;

	/* See class_of_words(); what a page says of us is so. */
	return data_race(classes[szidx]);
}

/**
 * kheap_give() - free a block that is no other's
 * @class: its class
 * @block: the block, see kheap_block_at()
 * @offset: the class's mark_offset, which the compiler may know
 *
 * Return: false if it was free already; then nothing was changed.
 */
static __always_inline bool kheap_give(struct kheap_class *class, void *block,
				       unsigned long offset)
{
	preempt_disable();
	if (unlikely(!kheap_mark_put(class, block, offset))) {
		preempt_enable();
		return false;
	}
	if (kheap_tracks_leaks() ||
	    static_branch_unlikely(&kheap_careful_key)) {
		preempt_enable();
		kheap_class_free_careful(class, block);
		return true;
	}
	kheap_kasan_mark(class, block, KHEAP_KASAN_FREE);
	kheap_kmsan_free(class, block);
	kheap_push_into(class, READ_ONCE(class->cpu), block);
	return true;
}

#endif /* _KHEAP_ALLOC_H */
