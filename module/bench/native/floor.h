/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Blocks, and nothing to find them with: what no allocator can be faster than
 * where memory is cold or another CPU's. Both sides ask struct page whose a block
 * is, and zero it when they allocate it. The side of kheap also does what a mark
 * is for: a free looks whether it is there, and leaves it, and an allocation looks
 * again. The other side's free has no need of the block.
 */
#ifndef _KHEAP_BENCH_FLOOR_H
#define _KHEAP_BENCH_FLOOR_H

#include <linux/mm.h>
#include <linux/string.h>

#include "ops.h"

#define FLOOR_MARK	0x1234567890abcdefULL
#define FLOOR_ORDER	8	/* of a chunk: 1 MiB with pages of 4 KiB */
#define FLOOR_BLOCKS	((PAGE_SIZE << FLOOR_ORDER) / BENCH_OBJECT_BYTES)
#define FLOOR_RING	2048	/* twice what is on its way to another CPU */

/**
 * struct floor - the blocks of a side
 * @last: freed last, to be allocated next
 * @nr: blocks ever allocated of those that were not yet
 * @nr_bad: what would have been refused; nothing is
 * @nr_chunks: allocated
 * @chunks: of FLOOR_BLOCKS blocks each
 */
struct floor {
	void *last;
	unsigned int nr;
	unsigned int nr_bad;
	unsigned int nr_chunks;
	void *chunks[];
};

void *floor_begin(unsigned int nr_chunks);
int floor_end(void *ctx);

static __always_inline u64 floor_mark(const void *block)
{
	return FLOOR_MARK ^ (unsigned long)block;
}

static __always_inline void *floor_take(struct floor *floor, void *block,
					bool marked)
{
	if (marked && unlikely(READ_ONCE(*(u64 *)block) != floor_mark(block)))
		floor->nr_bad++;
	return memset(block, 0, BENCH_OBJECT_BYTES);
}

static __always_inline void floor_give(struct floor *floor, void *block,
				       bool marked)
{
	if (unlikely(READ_ONCE(virt_to_page(block)->private) == ULONG_MAX))
		floor->nr_bad++;
	if (!marked)
		return;
	if (unlikely(READ_ONCE(*(u64 *)block) == floor_mark(block)))
		floor->nr_bad++;
	WRITE_ONCE(*(u64 *)block, floor_mark(block));
}

/* One block after the other, round and round: for another CPU to free. */
static __always_inline void *floor_take_next(struct floor *floor, bool marked)
{
	void *block = floor->chunks[0] +
		      floor->nr++ % FLOOR_RING * BENCH_OBJECT_BYTES;

	return floor_take(floor, block, marked);
}

/* The one that was freed last, or one that never was allocated. */
static __always_inline void *floor_take_last(struct floor *floor, bool marked)
{
	void *block = floor->last;

	if (likely(block)) {
		floor->last = NULL;
		return floor_take(floor, block, marked);
	}
	block = floor->chunks[floor->nr / FLOOR_BLOCKS];
	block += floor->nr++ % FLOOR_BLOCKS * BENCH_OBJECT_BYTES;
	return floor_take(floor, block, marked);
}

#define DEFINE_FLOOR_OPS(name, take, marked, keeps)			\
	static __always_inline void *name##_alloc(void *ctx, size_t size) \
	{								\
		return take(ctx, marked);				\
	}								\
	static __always_inline void name##_free(void *ctx, void *block)	\
	{								\
		struct floor *floor = ctx;				\
									\
		floor_give(floor, block, marked);			\
		if (keeps)						\
			floor->last = block;				\
	}								\
	static const struct bench_ops name##_ops = { name##_alloc, name##_free }

#endif /* _KHEAP_BENCH_FLOOR_H */
