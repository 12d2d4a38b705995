/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two fast paths: a block out of, and into, the CPU's loaded magazine.
 * Documentation/performance.rst accounts for every instruction of them.
 */
#ifndef _KHEAP_CPU_CACHE_H
#define _KHEAP_CPU_CACHE_H

#include <linux/string.h>

#include "block/block.h"

/*
 * The busy mark makes the few instructions between reading and writing a cache
 * exclusive without disabling interrupts: preemption is off, so only an
 * interrupt can come between, it sees the mark and leaves the cache alone, and
 * it has returned before the interrupted code goes on. One that comes between
 * the look at the mark and its setting has cleared it again by then. So these
 * are plain loads and stores, in an order that matters on one CPU only; hence
 * compiler barriers. The protocol is modelled in Documentation/models/busy.pml.
 *
 * Where nobody is at it the maintenance work may write KHEAP_ASKED, to learn
 * whether anybody comes by: the fast paths miss then, and who marks the cache
 * busy has answered.
 */
static __always_inline bool kheap_mark_busy(struct kheap_cpu_cache *cache)
{
	u8 was = READ_ONCE(cache->busy);

	if (unlikely(was == KHEAP_BUSY))
		return false;
	WRITE_ONCE(cache->busy, KHEAP_BUSY);
	barrier();
	if (unlikely(was == KHEAP_ASKED)) {
		WRITE_ONCE(cache->nr_answers, cache->nr_answers + 1);
		cache->answering = true;
	}
	return true;
}

static __always_inline void kheap_clear_busy(struct kheap_cpu_cache *cache)
{
	barrier();
	WRITE_ONCE(cache->busy, 0);
}

/**
 * kheap_pop_from() - take a block out of the CPU's loaded magazine
 * @class: the class
 * @cpu: its per-CPU caches
 * @offset: the class's mark_offset, which the compiler may know
 *
 * The fields are addressed relative to the CPU: that saves to find out where
 * they are. Below the last block stands one that has no mark, so that a single
 * look tells that there is a block and that it is in order.
 *
 * Context: Any context, NMI included.
 * Return: The block, its mark cleared; NULL if the magazine is empty or somebody
 * this CPU interrupted is at it, or if the block is not as it was left.
 */
static __always_inline void *
kheap_pop_from(const struct kheap_class *class,
	       struct kheap_cpu_cache __percpu *cpu, unsigned long offset)
{
	void **top, *block;

	preempt_disable();
	if (unlikely(raw_cpu_read(cpu->busy)))
		goto out;
	raw_cpu_write(cpu->busy, KHEAP_BUSY);
	barrier();
	top = raw_cpu_read(cpu->top) - 1;
	block = *top;
	if (unlikely(!kheap_mark_take(class, block, offset)))
		goto out_unmarked;
	raw_cpu_write(cpu->top, top);
	barrier();
	raw_cpu_write(cpu->busy, 0);
	preempt_enable();
	if (!block)
		__builtin_unreachable();
	return block;

out_unmarked:
	/*
	 * There is none, or one that kheap_cpu_cache_settle() is to look at. No
	 * call here: it would have registers saved on the way. Of one that was
	 * noted before and not settled yet, the pool is not put out of use and
	 * counts a block too much: it stays until the heap goes.
	 */
	if (top >= raw_cpu_read(cpu->base)) {
		raw_cpu_write(cpu->top, top);
		raw_cpu_write(cpu->stray, block);
	}
	barrier();
	raw_cpu_write(cpu->busy, 0);
out:
	preempt_enable();
	return NULL;
}

/* The fast path: misses always while the heap is watched. */
static __always_inline void *kheap_pop(struct kheap_class *class,
				       unsigned long offset)
{
	return kheap_pop_from(class, READ_ONCE(class->cpu), offset);
}

/**
 * kheap_push_into() - put a block into the CPU's loaded magazine
 * @class: the class
 * @cpu: its per-CPU caches
 * @block: the block, with its mark
 *
 * When the magazine is full or somebody this CPU interrupted is at it,
 * kheap_push_missed() takes the block. That is called last, so that no register
 * need be saved before.
 *
 * Context: Any context, NMI included; preemption off, and on again afterwards.
 */
static __always_inline void
kheap_push_into(struct kheap_class *class, struct kheap_cpu_cache __percpu *cpu,
		void *block)
{
	void **top;

	if (unlikely(raw_cpu_read(cpu->busy)))
		return kheap_push_missed(class, block);
	raw_cpu_write(cpu->busy, KHEAP_BUSY);
	barrier();
	top = raw_cpu_read(cpu->top);
	if (unlikely(top == raw_cpu_read(cpu->limit)))
		return kheap_push_full(class, block, cpu);
	*top = block;
	raw_cpu_write(cpu->top, top + 1);
	barrier();
	raw_cpu_write(cpu->busy, 0);
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

/*
 * Zero up to 7 words: as many as the largest power of two that fits from the
 * start, and as many up to the end, overlapping.
 */
static __always_inline void kheap_zero_few(u64 *block, unsigned long nr_words)
{
	u64 *end = block + nr_words;

	if (nr_words >= 4) {
		kheap_zero_words(block, 4);
		kheap_zero_words(end - 4, 4);
	} else if (nr_words >= 2) {
		kheap_zero_words(block, 2);
		kheap_zero_words(end - 2, 2);
	} else if (nr_words) {
		kheap_zero_words(block, 1);
	}
}

/* Zero more than 8 words, a line at a time, the last one overlapping. */
static __always_inline void kheap_zero_lines(u64 *block, unsigned long nr_words)
{
	u64 *last = block + nr_words - 8;

	do {
		kheap_zero_words(block, 8);
		block += 8;
	} while (block < last);
	kheap_zero_words(last, 8);
}

/**
 * kheap_zero() - zero a block as far as its class says
 * @class: its class
 * @block: the block
 * @nr_zero: words at its start that need not be: a constant
 *
 * By stores up to %KHEAP_ZERO_STORES bytes: the string instruction takes longer
 * than that to start.
 */
static __always_inline void kheap_zero(const struct kheap_class *class,
				       void *block, unsigned int nr_zero)
{
	u8 kind;

	if (likely(class->zero_kind == KHEAP_ZERO_LINE))
		return kheap_zero_words((u64 *)block + nr_zero, 8 - nr_zero);
	/* Read again, so that the comparison above needs no register. */
	kind = READ_ONCE(class->zero_kind);
	if (kind == KHEAP_ZERO_FEW)
		kheap_zero_few(block, class->zero_words);
	else if (kind == KHEAP_ZERO_LINES)
		kheap_zero_lines(block, class->zero_words);
	else
		memset64(block, 0, class->zero_words);
}

#endif /* _KHEAP_CPU_CACHE_H */
