/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two fast paths: a block out of, and into, the CPU's loaded magazine.
 * Documentation/performance.rst accounts for every instruction of them.
 */
#ifndef _KHEAP_CPU_CACHE_H
#define _KHEAP_CPU_CACHE_H

#include <linux/string.h>

#include "internal.h"

/*
 * The mark makes the few instructions between reading and writing a cache
 * exclusive without disabling interrupts: preemption is off, so only an
 * interrupt can come between, it sees the mark and leaves the cache alone, and
 * it has returned before the interrupted code goes on. Testing and setting is
 * one instruction, without a lock prefix, because the order matters on one CPU
 * only; hence also compiler barriers. The protocol is modelled in
 * Documentation/models/busy.pml.
 */
static __always_inline bool kheap_mark_busy(struct kheap_cpu_cache *cache)
{
	if (unlikely(!local_inc_and_test(&cache->busy))) {
		local_dec(&cache->busy);
		return false;
	}
	barrier();
	return true;
}

static __always_inline void kheap_clear_busy(struct kheap_cpu_cache *cache)
{
	barrier();
	local_dec(&cache->busy);
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
	unsigned long bit;
	void *block;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (unlikely(!kheap_mark_busy(cache)))
		goto out;
	slot = cache->top;
	if (unlikely(slot == cache->base))
		goto out_clear;
	block = slot[-1].block;
	if (!block)
		__builtin_unreachable();
	bit = slot[-1].bit;
	WRITE_ONCE(cache->top, slot - 1);
	kheap_clear_busy(cache);
	preempt_enable();
	set_bit(bit, kheap_bitmap());
	return block;

out_clear:
	kheap_clear_busy(cache);
out:
	preempt_enable();
	return NULL;
}

/**
 * kheap_push() - put a block into the CPU's loaded magazine
 * @class: the class
 * @slot: the block, its allocated bit already clear
 *
 * When the magazine is full or somebody this CPU interrupted is at it,
 * kheap_push_missed() takes the block. That is called last and cleans up here,
 * so that no register need be saved before.
 *
 * Context: Any context, NMI included.
 */
static __always_inline void kheap_push(struct kheap_class *class,
				       struct kheap_slot slot)
{
	struct kheap_cpu_cache *cache;
	struct kheap_slot *top;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (unlikely(!local_inc_and_test(&cache->busy)))
		return kheap_push_missed(class, slot, cache);
	barrier();
	top = cache->top;
	if (unlikely(top == cache->limit))
		return kheap_push_missed(class, slot, cache);
	*top = slot;
	WRITE_ONCE(cache->top, top + 1);
	kheap_clear_busy(cache);
	preempt_enable();
}

/* Zero @nr words; @nr is a constant. */
static __always_inline void kheap_zero_words(u64 *word, unsigned int nr)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0; i < nr; i++)
		WRITE_ONCE(word[i], 0);
}

/* Blocks up to so many bytes are zeroed without the rep prefix. */
#define KHEAP_ZERO_BY_STORES	256

void *kheap_zero_few(void *block, int last);

/**
 * kheap_zero() - zero a block as far as its class says
 * @class: its class
 * @block: the block
 *
 * One line of 64 bytes is zeroed here, without a call, and without the rep
 * prefix, whose start-up cost only long blocks are worth.
 *
 * Return: @block, so that this can be the last call of an allocation.
 */
static __always_inline void *kheap_zero(const struct kheap_class *class,
					void *block)
{
	if (likely(class->zero_line)) {
		kheap_zero_words(block, 8);
		return block;
	}
	if (class->zero_last <= KHEAP_ZERO_BY_STORES - 64)
		return kheap_zero_few(block, class->zero_last);
	memset64(block, 0, (class->zero_last + 64) / 8);
	return block;
}

#endif /* _KHEAP_CPU_CACHE_H */
