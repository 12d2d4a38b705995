// SPDX-License-Identifier: GPL-2.0
/*
 * Pools with blocks that wait for a grace period: whether any may, and how they
 * come back, a word of parked bits at a time.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/bitmap.h>

#include "block/alloc.h"
#include "block/trace.h"

/* Turned off, but for blocks that wait by now: first this, then the bits. */
static void end_parking(struct kheap_class *class, struct kheap_pool *pool)
{
	smp_store_mb(pool->parking, false); /* Pairs with park_block_at(). */
	pool->parking = !bitmap_empty(kheap_parked_bits(pool),
				      class->nr_blocks);
	kheap_pool_set_limit(class, pool);
}

/**
 * kheap_pool_set_parking() - say whether blocks may wait for a grace period
 * @pool: a pool with a block in somebody's hands, or that waits
 * @on: whether; if not, blocks that wait by now keep it on
 *
 * While they may, every free asks whether its block is one of them.
 *
 * Context: Any context except NMI, no kheap lock held.
 */
void kheap_pool_set_parking(struct kheap_pool *pool, bool on)
{
	struct kheap_class_node *node = kheap_pool_node(pool);
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	if (on) {
		kheap_pool_note_limit(pool->class, pool, 0);
		/* Who sees it on, in park_block_at(), has the limit at 0. */
		smp_store_mb(pool->parking, true);
	} else {
		end_parking(pool->class, pool);
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/*
 * Mark the blocks of @done->bits and link them into their pool, but for those
 * that have a mark. What was freed in NMI has one that says so.
 */
static void link_parked(struct kheap_class *class, struct kheap_pool *pool,
			unsigned int first, struct kheap_unparked *done)
{
	unsigned int bit, next = pool->freeblock;

	for_each_set_bit(bit, &done->bits, BITS_PER_LONG) {
		void *block = kheap_block_address(class, pool, first + bit);
		u64 link = kheap_mark_link(class, block);

		if (unlikely(link <= U16_MAX) && link != KHEAP_LINK_WAITS) {
			/* At once: it is another's, who may park it again. */
			clear_bit(first + bit, kheap_parked_bits(pool));
			__set_bit(bit, &done->bad);
			continue;
		}
		kheap_kasan_mark(class, block, KHEAP_KASAN_FREE);
		kheap_kmsan_free(class, block);
		kheap_mark_set_link(class, block, next);
		next = first + bit;
	}
	pool->freeblock = next;
}

static atomic_long_t *parked_word(const struct kheap_pool *pool,
				  unsigned int first)
{
	return (atomic_long_t *)kheap_parked_bits(pool) + first / BITS_PER_LONG;
}

static bool give_parked(struct kheap_class *class,
			struct kheap_class_node *node, struct kheap_pool *pool,
			unsigned int first, struct kheap_unparked *done,
			struct list_head *empties)
{
	atomic_long_t *parked = parked_word(pool, first);
	unsigned int nr, was = pool->nr_used;

	lockdep_assert_held(&node->lock);
	if (unlikely(pool->state == KHEAP_POOL_QUARANTINED))
		return false;
	done->bits &= atomic_long_read(parked);
	link_parked(class, pool, first, done);
	/* Pairs with kheap_block_claim(): first the marks. */
	atomic_long_fetch_andnot_release(done->bits & ~done->bad, parked);
	end_parking(class, pool);
	nr = hweight_long(done->bits & ~done->bad);
	pool->nr_used -= nr;
	node->nr_out -= nr;
	node->nr_drains++;
	if (nr)
		kheap_pool_settle(class, node, pool, was, empties);
	return true;
}

/**
 * kheap_pool_give_parked() - free blocks whose grace period is over
 * @pool: their pool; it is there because they are in use
 * @first: index of the block of bit 0, a multiple of %BITS_PER_LONG
 * @bits: which blocks; what has been taken back meanwhile is not freed
 * @done: filled in
 * @empties: collects the pool if it becomes empty, for kheap_pools_put()
 *
 * All of them at once: as unpark_word() and kheap_class_free_careful(), where
 * that has no questions to ask.
 *
 * Context: Any context except NMI, no kheap lock held. Never sleeps.
 * Return: false if the pool is out of use; then nothing was done.
 */
bool kheap_pool_give_parked(struct kheap_pool *pool, unsigned int first,
			    unsigned long bits, struct kheap_unparked *done,
			    struct list_head *empties)
{
	struct kheap_class *class = pool->class;
	struct kheap_class_node *node;
	unsigned long flags;
	bool given;

	/*
	 * Who set one that is clear has found a mark, and taken it back; if that
	 * is so of all, the pool may be another class's by now, or nobody's.
	 */
	done->bits = bits & atomic_long_read(parked_word(pool, first));
	done->bad = 0;
	if (unlikely(!done->bits))
		return true;
	node = kheap_pool_node(pool);
	raw_spin_lock_irqsave(&node->lock, flags);
	given = give_parked(class, node, pool, first, done, empties);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (given)
		trace_kheap_drain(class, hweight_long(done->bits & ~done->bad),
				  node - class->node, KHEAP_RUN_POOLS);
	return given;
}
