/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way from an address in a pool to its block and its bits, from a size to its
 * class, and from a class or a pool to what it belongs to. Included by
 * block/block.h.
 */
#ifndef _KHEAP_LOOKUP_H
#define _KHEAP_LOOKUP_H

#include "block/geometry.h"

static inline struct kheap_class_node *kheap_pool_node(struct kheap_pool *pool)
{
	return &pool->class->node[pool->arena->set->node];
}

static inline size_t kheap_pool_bytes(const struct kheap_class *class)
{
	return PAGE_SIZE << class->span;
}

#define KHEAP_TOP_BITS	(3UL << 62)

/**
 * kheap_no_address() - make a word that is no address, of one that may be
 * @word: the word
 *
 * The two upper bits of an address are the same. With one set and one clear,
 * whatever the others are, the processor refuses the word as an address, with a
 * fault that may be expected: kheap_flag_nofault().
 *
 * Return: The word, but for those bits.
 */
static inline unsigned long kheap_no_address(unsigned long word)
{
	return (word & ~KHEAP_TOP_BITS) | 2UL << 62;
}

static inline bool kheap_is_no_address(unsigned long word)
{
	return word >> 62 == 2;
}

/**
 * struct kheap_page_note - what a free has to know of a pool, in its struct page
 * @limit: a block at an offset below this is freed without further questions:
 *	the pool's nextoffset, or 0 while its blocks need them; and, in the
 *	lowest KHEAP_NOTE_SHIFT bits, the pool's size class
 * @skip: what is added to an offset in the page to get the one in the pool
 *
 * In the line that the look at the tag has brought: the descriptor of a pool
 * that this CPU has not used lately is one miss more. Written under lock 4.
 */
struct kheap_page_note {
	u32 limit;
	u32 skip;
};

#define KHEAP_NOTE_SHIFT	8
static_assert(KHEAP_NR_CLASSES < 1 << KHEAP_NOTE_SHIFT);
static_assert((u64)PAGE_SIZE << (KHEAP_NR_SPANS - 1 + KHEAP_NOTE_SHIFT) <
	      U32_MAX);

static __always_inline struct kheap_page_note *
kheap_page_note(const struct page *page)
{
	static_assert(sizeof(struct kheap_page_note) == sizeof(long));
	return (struct kheap_page_note *)kheap_page_note_word(page);
}

/**
 * kheap_block_index() - number of the block that starts at an address
 * @class: the pool's class
 * @pool: the pool
 * @ptr: an address in the pool's pages
 * @idx: set to the index if the answer is true; it may be nr_blocks in the
 *	pool's tail, where nothing is ever carved
 *
 * Return: Whether a block starts at @ptr.
 */
static __always_inline bool kheap_block_index(const struct kheap_class *class,
					      const struct kheap_pool *pool,
					      const void *ptr,
					      unsigned long *idx)
{
	return kheap_divide((unsigned long)ptr - (unsigned long)pool->base,
			    class->recip, class->recip_low, idx);
}

static inline void *kheap_block_address(const struct kheap_class *class,
					const struct kheap_pool *pool,
					unsigned int idx)
{
	return pool->base + (size_t)idx * class->size;
}

static inline unsigned int kheap_pool_nr_virgin(const struct kheap_class *class,
						const struct kheap_pool *pool)
{
	return class->nr_blocks - (pool->nextoffset * class->recip >> 32);
}

/* Any node will do for one that is none, as it will for kmalloc_node(). */
static inline bool kheap_node_exists(int node)
{
	return (unsigned int)node < nr_node_ids && node_online(node);
}

/* Medium classes start at this power of two, and go by quarters of it. */
#define MEDIUM_ORDER	ilog2(KHEAP_BLOCK_MAX)
static_assert(KHEAP_BLOCK_MAX << (KHEAP_NR_MEDIUM_CLASSES / 4) ==
	      KHEAP_MEDIUM_MAX);

/* The size class for a request of KHEAP_BLOCK_MAX to KHEAP_MEDIUM_MAX bytes. */
static inline unsigned int kheap_medium_szidx(size_t size)
{
	unsigned int order = ilog2(size - 1);

	/* The size less 1 starts with 1, at @order; two bits are the quarter. */
	return KHEAP_NR_SIZE_CLASSES + 4 * (order - MEDIUM_ORDER) +
	       (((size - 1) >> (order - 2)) - 4);
}

/* The size class for a request of up to KHEAP_MEDIUM_MAX bytes. */
static inline unsigned int kheap_size_szidx(size_t size)
{
	if (size > KHEAP_BLOCK_MAX)
		return kheap_medium_szidx(size);
	return size ? (size - 1) >> KHEAP_BLOCK_SHIFT : 0;
}

/**
 * kheap_parked_bits() - the bits of blocks that wait for a grace period
 * @pool: a pool with a class
 *
 * Up to 64 of them are in the descriptor. All are clear in a pool without
 * allocated blocks.
 *
 * Return: The word that bit 0 is in.
 */
static inline unsigned long *kheap_parked_bits(const struct kheap_pool *pool)
{
	return pool->sz_map ? (unsigned long *)pool->map :
			      (unsigned long *)&pool->map;
}

/**
 * kheap_class_nil() - what stands in a magazine below its last block
 * @class: its class
 *
 * To the fast path it is a block without a mark: one look tells that there is
 * no block to take, or none that is as it should be.
 *
 * Return: An address that is not a block's.
 */
static inline void *kheap_class_nil(struct kheap_class *class)
{
	return (void *)&class->nil - class->mark_offset;
}

/*
 * The list of a class's used pools that one with @nr_used blocks is on. Lists
 * go by quarters of the power of two that nr_blocks fits in.
 */
static inline unsigned int kheap_pool_fill(const struct kheap_class *class,
					   unsigned int nr_used)
{
	return nr_used >> class->fill_shift;
}

#endif /* _KHEAP_LOOKUP_H */
