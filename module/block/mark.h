/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The mark by which a free block says so itself. Included by block/block.h.
 *
 * While a block is free, a word of it is its mark: its class's secret xor the
 * block's address, and in the lowest 16 bits, inverted, what follows it in its
 * pool's list, or one of the KHEAP_LINK_* values. A block in a cache has the
 * bare mark: nothing differs. So whoever frees a block looks at the block, and
 * writes to it, and to nothing that another CPU writes to for a block of its
 * own.
 *
 * What the client leaves in that word looks like a mark by chance once in 2^48
 * frees of random data, and then it is looked for in the pool's list.
 *
 * A mark is written by who frees, and cleared by who allocates; no step of that
 * is atomic. Two CPUs that free one block in the same instant may both find
 * none, and put it in two caches: the second one that takes it out finds none
 * again. Documentation/design.rst says what that promises;
 * Documentation/models/mark.pml shows it.
 */
#ifndef _KHEAP_MARK_H
#define _KHEAP_MARK_H

/* What of a mark differs from block to block of a list, see above. */
#define KHEAP_MARK_LINK		U16_MAX

/**
 * kheap_mark() - the bare mark of a block
 * @class: its class
 * @block: the block
 *
 * Return: The mark.
 */
static __always_inline u64 kheap_mark(const struct kheap_class *class,
				      const void *block)
{
	return class->key ^ (unsigned long)block;
}

/**
 * kheap_mark_put() - mark a block that is freed
 * @class: its class
 * @block: the block
 * @offset: the class's mark_offset, which the compiler may know
 *
 * Preemption is off, so that look and store are two instructions apart with
 * nothing between them but, at times, an interrupt.
 *
 * Return: false if it has a mark already; then it was left as it is.
 */
static __always_inline bool kheap_mark_put(const struct kheap_class *class,
					   void *block, unsigned long offset)
{
	u64 mark = kheap_mark(class, block);
	u64 *word = block + offset;

	if (unlikely((kheap_load_unseen(word) ^ mark) <= KHEAP_MARK_LINK))
		return false;
	kheap_store_unseen(word, mark);
	return true;
}

/**
 * kheap_mark_take() - clear the mark of a block that is allocated
 * @class: its class
 * @block: a block that was in a cache
 * @offset: the class's mark_offset, which the compiler may know
 *
 * Preemption is off, see kheap_mark_put().
 *
 * Return: false if it has no bare mark: it is somebody's, or somebody wrote to
 * it while it was free. Then it was left as it is.
 */
static __always_inline bool kheap_mark_take(const struct kheap_class *class,
					    void *block, unsigned long offset)
{
	u64 *word = block + offset;

	if (unlikely(kheap_load_unseen(word) != kheap_mark(class, block)))
		return false;
	kheap_store_unseen(word, 0);
	return true;
}

/* The link in a block's mark; above %U16_MAX if it has no mark. */
static __always_inline u64 kheap_mark_link(const struct kheap_class *class,
					   const void *block)
{
	const u64 *word = block + class->mark_offset;

	return kheap_load_unseen(word) ^ kheap_mark(class, block) ^ U16_MAX;
}

/* Set the link in a free block's mark. */
static __always_inline void kheap_mark_set_link(const struct kheap_class *class,
						void *block, u16 link)
{
	u64 *word = block + class->mark_offset;

	kheap_store_unseen(word, kheap_mark(class, block) ^ link ^ U16_MAX);
}

/* Does the block have a mark of any kind? */
static inline bool kheap_is_marked(const struct kheap_class *class,
				   const void *block)
{
	return kheap_mark_link(class, block) <= U16_MAX;
}

/* Does it have the mark of a block in a cache? */
static __always_inline bool kheap_is_cached(const struct kheap_class *class,
					    const void *block)
{
	return kheap_mark_link(class, block) == KHEAP_LINK_CACHED;
}

/**
 * kheap_block_is_allocated() - is a block in somebody's hands?
 * @class: its class
 * @pool: its pool
 * @idx: its number
 *
 * One that waits for a grace period is not: its owner has freed it.
 *
 * Context: Any. The answer is exact under the class's lock as far as blocks in
 * the pool are concerned, and a moment old otherwise.
 * Return: Whether it is.
 */
static inline bool kheap_block_is_allocated(const struct kheap_class *class,
					    const struct kheap_pool *pool,
					    unsigned int idx)
{
	return idx * class->size < READ_ONCE(pool->nextoffset) &&
	       !kheap_is_marked(class, kheap_block_address(class, pool, idx)) &&
	       !test_bit(idx, kheap_parked_bits(pool));
}

#endif /* _KHEAP_MARK_H */
