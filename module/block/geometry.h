/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The arithmetic of pools: how many pages, and which block an offset is in. Plain
 * functions of numbers, for pages of any size, so that KUnit can try them all.
 * Included by block/lookup.h.
 */
#ifndef _KHEAP_BLOCK_GEOMETRY_H
#define _KHEAP_BLOCK_GEOMETRY_H

/**
 * kheap_best_span() - how many pages a pool of a class has
 * @size: bytes from one block to the next, and those in front of the first
 * @shift: %PAGE_SHIFT
 *
 * Return: The order of the fewest pages whose tail waste is under 1/8 of a page
 * each, else of the least wasteful.
 */
static inline unsigned int kheap_best_span(size_t size, unsigned int shift)
{
	size_t page = 1UL << shift, least = page;
	unsigned int span, best = 0;

	if (size <= KHEAP_BLOCK_MAX)
		return 0;
	for (span = 0; span < KHEAP_SPANS_OF(shift); span++) {
		size_t bytes = page << span;
		size_t waste;

		if (bytes < size)
			continue;
		waste = (bytes % size) >> span;
		if (waste < page / 8)
			return span;
		if (waste < least) {
			least = waste;
			best = span;
		}
	}
	return best;
}

/* 2^32 / @size, rounded up. */
static inline unsigned long kheap_recip(u32 size)
{
	return DIV_ROUND_UP_ULL(1ULL << 32, size);
}

/**
 * kheap_divide() - divide an offset in a pool by the size of its blocks
 * @offset: the offset
 * @recip: kheap_recip() of the size
 * @recip_low: its lower half
 * @quotient: set to the quotient, if the answer is true
 *
 * A division and its remainder by one multiplication (Lemire, Kaser and Kurz,
 * "Faster remainder by direct computation", 2019): the product's upper half is
 * the quotient, and its lower half is less than @recip exactly when nothing
 * remains. That is so as long as (quotient + 1) * e < @recip, where e is what
 * rounding up has added, @recip * size - 2^32: in every pool that there can be,
 * which the suite kheap_class tries.
 *
 * Return: Whether nothing remains.
 */
static __always_inline bool kheap_divide(unsigned long offset,
					 unsigned long recip, u32 recip_low,
					 unsigned long *quotient)
{
	u64 product = offset * recip;

	*quotient = product >> 32;
	return likely((u32)product < recip_low);
}

#endif /* _KHEAP_BLOCK_GEOMETRY_H */
