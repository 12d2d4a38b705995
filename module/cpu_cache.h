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
 * kheap_own_and_enable() - set the allocated bit of a block, enable preemption
 * @bit: the bit's number
 *
 * The bit is clear, unless somebody forged a link by which the block is in the
 * caches twice: see pool_take_listed(). Preemption is off, and on afterwards.
 * "dec" leaves the carry flag alone, so one jump tells that the bit was set and
 * that the scheduler is due; and to look costs no instruction.
 *
 * Return: false if the bit was set: the block is somebody's.
 */
#ifdef KHEAP_PREEMPT_COUNT
static __always_inline bool kheap_own_and_enable(unsigned long bit)
{
	asm goto(LOCK_PREFIX "btsq %[bit], %[map]\n\t"
		 "decl %%gs:%a[count]\n\t"
		 "jbe 1f\n\t"
		 ".pushsection .text.unlikely, \"ax\"\n"
		 "1:\tjc %l[taken]\n\t"
		 "jmp %l[due]\n\t"
		 ".popsection"
		 : /* no output */
		 : [bit] "r" (bit), [map] "m" (*kheap_bitmap()),
		   [count] "i" (&KHEAP_PREEMPT_COUNT)
		 : "cc", "memory"
		 : taken, due);
	return true;
due:
	__preempt_schedule();
	return true;
taken:
	/* The scheduler may be due all the same. */
	preempt_disable();
	preempt_enable();
	return false;
}
#else
static __always_inline bool kheap_own_and_enable(unsigned long bit)
{
	bool taken = test_and_set_bit(bit, kheap_bitmap());

	preempt_enable();
	return !taken;
}
#endif

/**
 * kheap_pop_from() - take a block out of the CPU's loaded magazine
 * @caches: the per-CPU caches of a class
 *
 * Context: Any context, NMI included.
 * Return: The block, its allocated bit set; NULL if the magazine is empty or
 * somebody this CPU interrupted is at it, or if the block is in use already.
 */
static __always_inline void *
kheap_pop_from(struct kheap_cpu_cache __percpu **caches)
{
	struct kheap_cpu_cache *cache;
	struct kheap_slot *slot;
	unsigned long bit;
	void *block;

	preempt_disable();
	cache = raw_cpu_ptr(*caches);
	if (unlikely(!kheap_mark_busy(cache)))
		goto out;
	slot = cache->top;
	if (unlikely(slot == cache->base))
		goto out_clear;
	slot--;
	WRITE_ONCE(cache->top, slot);
	block = slot->block;
	if (!block)
		__builtin_unreachable();
	bit = slot->bit;
	kheap_clear_busy(cache);
	if (unlikely(!kheap_own_and_enable(bit)))
		goto out_taken;
	return block;

out_taken:
	/*
	 * No call: it would have registers saved on the way here; and no look
	 * at what is noted, which costs the good way an instruction. By now the
	 * cache may be another CPU's; kheap_cpu_cache_settle() reads it so. Of
	 * a block that was noted before and not settled yet, the pool is not put
	 * out of use and counts a block too much: it stays until the heap goes.
	 */
	WRITE_ONCE(cache->taken, block);
	return NULL;

out_clear:
	kheap_clear_busy(cache);
out:
	preempt_enable();
	return NULL;
}

/* The fast path: misses always while the heap is watched. */
static __always_inline void *kheap_pop(struct kheap_class *class)
{
	return kheap_pop_from(&class->cpu);
}

/**
 * kheap_push_into() - put a block into the CPU's loaded magazine
 * @class: the class
 * @caches: its per-CPU caches
 * @slot: the block, its allocated bit already clear
 *
 * When the magazine is full or somebody this CPU interrupted is at it,
 * kheap_push_missed() takes the block. That is called last and cleans up here,
 * so that no register need be saved before.
 *
 * Context: Any context, NMI included.
 */
static __always_inline void
kheap_push_into(struct kheap_class *class,
		struct kheap_cpu_cache __percpu **caches,
		struct kheap_slot slot)
{
	struct kheap_cpu_cache *cache;
	struct kheap_slot *top;

	preempt_disable();
	cache = raw_cpu_ptr(*caches);
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

/* The fast path. */
static __always_inline void kheap_push(struct kheap_class *class,
				       struct kheap_slot slot)
{
	kheap_push_into(class, &class->cpu, slot);
}

/* Zero @nr words; @nr is a constant. */
static __always_inline void kheap_zero_words(u64 *word, unsigned int nr)
{
	unsigned int i;

#pragma GCC unroll 8
	for (i = 0; i < nr; i++)
		WRITE_ONCE(word[i], 0);
}

/*
 * Zero up to 16 words: as many as the largest power of two that fits from the
 * start, and as many up to the end, overlapping.
 */
static __always_inline void kheap_zero_few(u64 *block, unsigned long nr_words)
{
	u64 *end = block + nr_words;

	if (nr_words >= 8) {
		kheap_zero_words(block, 8);
		kheap_zero_words(end - 8, 8);
	} else if (nr_words >= 4) {
		kheap_zero_words(block, 4);
		kheap_zero_words(end - 4, 4);
	} else if (nr_words >= 2) {
		kheap_zero_words(block, 2);
		kheap_zero_words(end - 2, 2);
	} else if (nr_words) {
		kheap_zero_words(block, 1);
	}
}

/**
 * kheap_zero() - zero a block as far as its class says
 * @class: its class
 * @block: the block
 *
 * Up to two lines are zeroed by stores: the string instruction takes longer
 * than that to start.
 */
static __always_inline void kheap_zero(const struct kheap_class *class,
				       void *block)
{
	if (likely(class->zero_kind == KHEAP_ZERO_LINE))
		kheap_zero_words(block, 8);
	else if (class->zero_kind > KHEAP_ZERO_LINE)
		memset64(block, 0, class->zero_words);
	else
		kheap_zero_few(block, class->zero_words);
}

#endif /* _KHEAP_CPU_CACHE_H */
