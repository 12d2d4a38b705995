/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two fast paths: a block out of, and into, the CPU's loaded magazine.
 * Documentation/performance.rst accounts for every instruction of them.
 */
#ifndef _KHEAP_CPU_CACHE_H
#define _KHEAP_CPU_CACHE_H

#include "internal.h"

/*
 * The mark makes the few instructions between reading and writing a cache
 * exclusive without disabling interrupts: preemption is off, so only an
 * interrupt can come between, it sees the mark and leaves the cache alone, and
 * it has returned before the interrupted code goes on. One that arrives
 * between the test and the set finds the cache whole and leaves it whole. The
 * order matters on one CPU only, hence compiler barriers. The protocol is
 * modelled in Documentation/models/busy.pml.
 */
static __always_inline bool kheap_mark_busy(struct kheap_cpu_cache *cache)
{
	if (unlikely(READ_ONCE(cache->busy)))
		return false;
	WRITE_ONCE(cache->busy, 1);
	barrier();
	return true;
}

static __always_inline void kheap_clear_busy(struct kheap_cpu_cache *cache)
{
	barrier();
	WRITE_ONCE(cache->busy, 0);
}

/**
 * kheap_pop() - take a block out of the CPU's loaded magazine
 * @class: the class
 *
 * Context: Any context, NMI included.
 * Return: The block, its allocated bit set; NULL if the magazine is empty or
 * somebody this CPU interrupted is at it.
 */
static __always_inline void *kheap_pop(struct kheap_class *class)
{
	struct kheap_cpu_cache *cache;
	struct kheap_slot *slot;
	void *block = NULL;
	unsigned long bit;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		slot = cache->top;
		if (likely(slot != cache->base)) {
			slot--;
			block = slot->block;
			bit = slot->bit;
			WRITE_ONCE(cache->top, slot);
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (likely(block))
		set_bit(bit, kheap_bitmap());
	return block;
}

/**
 * kheap_push() - put a block into the CPU's loaded magazine
 * @class: the class
 * @slot: the block, its allocated bit already clear
 *
 * Context: Any context, NMI included.
 * Return: false if the magazine is full or somebody this CPU interrupted is
 * at it.
 */
static __always_inline bool kheap_push(struct kheap_class *class,
				       struct kheap_slot slot)
{
	struct kheap_cpu_cache *cache;
	bool pushed = false;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		struct kheap_slot *top = cache->top;

		if (likely(top != cache->limit)) {
			*top = slot;
			WRITE_ONCE(cache->top, top + 1);
			pushed = true;
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	return pushed;
}

/*
 * Zero @bytes, a multiple of 8. No call, no rep prefix with its start-up
 * cost: whole lines first, and what is left over with stores that overlap.
 */
static __always_inline void kheap_zero_words(u64 *word, unsigned int nr)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0; i < nr; i++)
		WRITE_ONCE(word[i], 0);
}

static __always_inline void kheap_zero(void *block, unsigned int bytes)
{
	void *end = block + bytes;

	if (bytes >= 64) {
		void *last = end - 64;

		if (bytes > 1024) {
			memset(block, 0, bytes);
			return;
		}
		for (; block < last; block += 64)
			kheap_zero_words(block, 8);
		kheap_zero_words(last, 8);
	} else if (bytes >= 32) {
		kheap_zero_words(block, 4);
		kheap_zero_words(end - 32, 4);
	} else if (bytes >= 16) {
		kheap_zero_words(block, 2);
		kheap_zero_words(end - 16, 2);
	} else if (bytes) {
		kheap_zero_words(block, 1);
	}
}

#endif /* _KHEAP_CPU_CACHE_H */
