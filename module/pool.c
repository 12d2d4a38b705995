// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: blocks of one class on one to eight pages, carved lazily, free ones
 * linked through themselves by encoded index.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/kmemleak.h>
#include <linux/kmsan-checks.h>
#include <linux/slab.h>

#include <kheap/object.h>

#include "trace.h"

/* --- Links -------------------------------------------------------------- */

/*
 * A link is the next block's index, twice, xor a key of the heap and the
 * place. A stray write to a free block is found when the halves differ, or, at
 * the latest, by the bound and the allocated bit: whatever is written there, no
 * address outside the pool can come of it, and no allocated block. A block that
 * goes to a magazine has a mark in the link's place, so that none is met twice.
 */
static __always_inline u32 link_key(const struct kheap *heap, const u32 *link)
{
	return heap->secret ^ (u32)((unsigned long)link >> KHEAP_BLOCK_SHIFT);
}

static __always_inline void link_write(const struct kheap *heap, u32 *link,
				       u16 next)
{
	kheap_store_unseen(link, (next * 0x10001U) ^ link_key(heap, link));
}

/* Set @next to the index after @link. Return false if it is none. */
static __always_inline bool link_read(const struct kheap *heap,
				      const u32 *link, unsigned int *next)
{
	u32 word = kheap_load_unseen(link) ^ link_key(heap, link);

	*next = (u16)word;
	return likely(word >> 16 == *next) &&
	       likely(*next != KHEAP_LINK_TAKEN);
}

static u32 *block_link(const struct kheap_class *class,
		       const struct kheap_pool *pool, unsigned int idx)
{
	return kheap_block_address(class, pool, idx) + class->link_offset;
}

/* For the checker: the block linked after @idx, nr_blocks if corrupted. */
u16 kheap_link_next(struct kheap_pool *pool, unsigned int idx)
{
	const struct kheap_class *class = pool->class;
	unsigned int next;

	if (!link_read(class->heap, block_link(class, pool, idx), &next))
		return class->nr_blocks;
	return next;
}

static void set_state(struct kheap_pool *pool, enum kheap_pool_state state)
{
	trace_kheap_pool_state(pool, pool->state, state);
	pool->state = state;
}

/* --- Lists by fill ------------------------------------------------------ */

static struct kheap_pool *fullest_used_pool(struct kheap_class_node *node)
{
	int fill;

	for (fill = KHEAP_NR_FILLS - 1; fill >= 0; fill--)
		if (!list_empty(&node->used[fill]))
			return list_first_entry(&node->used[fill],
						struct kheap_pool, list);
	return NULL;
}

/*
 * Put @pool where its state belongs after nr_used went from @was to what it
 * is. A pool that has no used block left leaves the class, onto @empties.
 */
static void pool_settle(struct kheap_class *class,
			struct kheap_class_node *node, struct kheap_pool *pool,
			unsigned int was, struct list_head *empties)
{
	unsigned int fill = kheap_pool_fill(class, pool->nr_used);

	lockdep_assert_held(&node->lock);
	if (pool->nr_used == class->nr_blocks) {
		list_del_init(&pool->list);
		set_state(pool, KHEAP_POOL_FULL);
	} else if (!pool->nr_used) {
		if (pool->state == KHEAP_POOL_FULL)
			list_add(&pool->list, empties);
		else
			list_move(&pool->list, empties);
		node->nr_virgin -= kheap_pool_nr_virgin(class, pool);
		set_state(pool, KHEAP_POOL_MOVING);
	} else if (pool->state == KHEAP_POOL_FULL) {
		set_state(pool, KHEAP_POOL_USED);
		list_add(&pool->list, &node->used[fill]);
	} else if (fill != kheap_pool_fill(class, was)) {
		list_move(&pool->list, &node->used[fill]);
	}
}

/*
 * @pool is damaged: its free blocks cannot be trusted any more. It leaves the
 * used list; its allocated blocks stay valid.
 */
static void pool_quarantine(struct kheap_class *class,
			    struct kheap_class_node *node,
			    struct kheap_pool *pool)
{
	lockdep_assert_held(&node->lock);
	list_del_init(&pool->list);
	set_state(pool, KHEAP_POOL_QUARANTINED);
	pool->freeblock = KHEAP_LINK_END;
	node->nr_virgin -= kheap_pool_nr_virgin(class, pool);
	node->nr_lost += class->nr_blocks - pool->nr_used;
	node->nr_quarantined++;
}

/**
 * kheap_pool_quarantine() - put a pool out of use in which damage was found
 * @pool: a pool of a class, with a block in somebody's hands
 *
 * Its allocated blocks stay valid. When all are free, it is as good as new.
 *
 * Context: Any context except NMI, no kheap lock held.
 */
void kheap_pool_quarantine(struct kheap_pool *pool)
{
	struct kheap_class_node *node = kheap_pool_node(pool);
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	if (pool->state == KHEAP_POOL_USED || pool->state == KHEAP_POOL_FULL)
		pool_quarantine(pool->class, node, pool);
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/* --- Setting up --------------------------------------------------------- */

/*
 * Detach the bits that a pool has outside its descriptor, if any. Return them,
 * for kheap_meta_free(). Nobody looks at the pool, or the set's lock is held.
 */
void *kheap_pool_detach_map(struct kheap_pool *pool)
{
	void *map = pool->sz_map ? (void *)pool->map : NULL;

	pool->sz_map = 0;
	pool->map = 0;
	return map;
}

/*
 * Attach allocated and parked bits for @class, all clear. On PREEMPT_RT a pool
 * that became empty where nothing may be freed has kept its bits, and they do.
 */
static bool pool_attach_map(struct kheap_pool *pool, struct kheap_class *class,
			    gfp_t gfp)
{
	unsigned int sz_map = 2 * kheap_map_words(class);
	unsigned long *map;

	if (class->nr_blocks <= KHEAP_INLINE_BLOCKS && !pool->sz_map) {
		pool->map = 0;
		pool->map_bit = kheap_bit_number(&pool->map);
		return true;
	}
	if (pool->sz_map < sz_map) {
		if (!kheap_mm_allowed())
			return false;
		map = kheap_meta_alloc(class->heap,
				       sz_map * sizeof(long), gfp,
				       pool->arena->set->node);
		if (!map)
			return false;
		kheap_meta_free(class->heap, kheap_pool_detach_map(pool));
		pool->map = (unsigned long)map;
		pool->sz_map = sz_map;
	} else {
		memset((void *)pool->map, 0, sz_map * sizeof(long));
	}
	pool->map_bit = kheap_bit_number((unsigned long *)pool->map);
	return true;
}

/* Constructed blocks are carved and linked at once: in order of address. */
static void pool_construct(struct kheap_pool *pool, struct kheap_class *class)
{
	unsigned int idx;

	for (idx = 0; idx < class->nr_blocks; idx++) {
		/* KMSAN knows former owners, and guard bytes of ours. */
		kmsan_poison_memory(kheap_block_address(class, pool, idx),
				    class->usable, GFP_NOWAIT);
		class->ctor(kheap_block_address(class, pool, idx));
		link_write(class->heap, block_link(class, pool, idx),
			   idx + 1 < class->nr_blocks ? idx + 1 :
			   KHEAP_LINK_END);
	}
	pool->freeblock = 0;
	pool->nextoffset = class->nr_blocks * class->size;
}

/**
 * kheap_pool_setup() - make a pool ready for its class
 * @pool: a pool from kheap_pool_get()
 * @class: its class
 * @gfp: what may be done to get memory for the allocated bits
 *
 * Context: No kheap lock held: the constructor runs here.
 * Return: false if there is no memory.
 */
bool kheap_pool_setup(struct kheap_pool *pool, struct kheap_class *class,
		      gfp_t gfp)
{
	if (!pool_attach_map(pool, class, gfp))
		return false;
	pool->nr_used = 0;
	pool->nextoffset = 0;
	pool->freeblock = KHEAP_LINK_END;
	kheap_pool_set_tag(pool, class->span, class->rcu ? 0 : class->tag);
	pool->base = PTR_ALIGN_DOWN(pool->base, PAGE_SIZE);
	/* Nobody has anything to do there, but for us and for constructors. */
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kasan_poison(pool->base, kheap_pool_bytes(class),
			     class->debug || class->ctor ? KHEAP_KASAN_LIVE :
			     KHEAP_KASAN_BEYOND, false);
	if (class->debug)
		kheap_debug_pool_setup(class, pool);
	if (class->ctor)
		pool_construct(pool, class);
	return true;
}

/* --- Taking blocks ------------------------------------------------------ */

static unsigned int nr_free_listed(const struct kheap_class *class,
				   const struct kheap_pool *pool)
{
	return class->nr_blocks - pool->nr_used -
	       kheap_pool_nr_virgin(class, pool);
}

/*
 * Take up to @nr listed blocks. Return how many, or, with a link found
 * corrupted, what was taken before, and the place in *@bad. The list is as
 * long as the counts say, so an end before that is a corruption too.
 */
static unsigned int pool_take_listed(const struct kheap_class *class,
				     struct kheap_pool *pool,
				     struct kheap_slot *slots, unsigned int nr,
				     void **bad)
{
	const unsigned int size = class->size, next = pool->nextoffset;
	const struct kheap_slot *end, *start = slots;
	const unsigned long link_offset = class->link_offset;
	const struct kheap *heap = class->heap;
	unsigned int idx = pool->freeblock;
	void *link = NULL;

	end = slots + min(nr, nr_free_listed(class, pool));
	for (; slots != end; slots++) {
		unsigned int offset = idx * size;
		unsigned long bit = pool->map_bit + idx;

		slots->block = pool->base + offset;
		slots->bit = bit;
		if (unlikely(offset >= next) ||
		    unlikely(test_bit(bit, kheap_bitmap()))) {
			*bad = link ?: pool->base;
			break;
		}
		link = slots->block + link_offset;
		if (unlikely(!link_read(heap, link, &idx))) {
			*bad = link;
			break;
		}
		link_write(heap, link, KHEAP_LINK_TAKEN);
	}
	pool->freeblock = idx;
	pool->nr_used += slots - start;
	return slots - start;
}

/* An object that was never born is dead to a walk, kheap_walk_objects(). */
static void carve_object(void *block)
{
	if (IS_ENABLED(CONFIG_KASAN_GENERIC))
		kasan_poison(block, sizeof(struct kheap_object),
			     KHEAP_KASAN_LIVE, false);
	WRITE_ONCE(*(u32 *)block, 0);
}

/* Carve up to @nr virgin blocks. Return how many. */
static unsigned int pool_carve(struct kheap_class *class,
			       struct kheap_class_node *node,
			       struct kheap_pool *pool,
			       struct kheap_slot *slots, unsigned int nr)
{
	unsigned int idx = class->nr_blocks - kheap_pool_nr_virgin(class, pool);
	unsigned int i;

	nr = min_t(unsigned int, nr, class->nr_blocks - idx);
	for (i = 0; i < nr; i++, idx++) {
		slots[i].block = kheap_block_address(class, pool, idx);
		slots[i].bit = pool->map_bit + idx;
		if (class->type)
			carve_object(slots[i].block);
	}
	pool->nextoffset += nr * class->size;
	pool->nr_used += nr;
	node->nr_virgin -= nr;
	return nr;
}

/* Take up to @nr blocks of @pool: free ones first, then virgin ones. */
static unsigned int pool_take(struct kheap_class *class,
			      struct kheap_class_node *node,
			      struct kheap_pool *pool,
			      struct kheap_slot *slots, unsigned int nr,
			      void **bad)
{
	unsigned int taken;

	lockdep_assert_held(&node->lock);
	taken = pool_take_listed(class, pool, slots, nr, bad);
	if (unlikely(*bad))
		pool_quarantine(class, node, pool);
	else if (taken < nr)
		taken += pool_carve(class, node, pool, slots + taken,
				    nr - taken);
	node->nr_out += taken;
	return taken;
}

/* Damage was met: the first is to be reported, others are counted only. */
static void note_damage(struct kheap_class *class, void *here, void **bad)
{
	if (*bad)
		atomic_long_inc(&class->heap->nr_refused[KHEAP_BAD_LINK]);
	else
		*bad = here;
}

/**
 * kheap_pools_take() - take a run of blocks out of a class's used pools
 * @class: the class
 * @nid: the memory node
 * @slots: filled in
 * @nr: how many blocks are wanted
 * @bad: set to the place of damage, if some is found; for kheap_refuse_link(),
 *	which the caller may not be able to call where it stands
 *
 * The fullest pools serve first, so that sparse ones can become empty.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: How many blocks were taken; fewer than @nr when the used pools have
 * no more.
 */
unsigned int kheap_pools_take(struct kheap_class *class, int nid,
			      struct kheap_slot *slots, unsigned int nr,
			      void **bad)
{
	struct kheap_class_node *node = &class->node[nid];
	struct kheap_pool *pool;
	unsigned int taken = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	while (taken < nr && (pool = fullest_used_pool(node))) {
		unsigned int was = pool->nr_used;
		void *here = NULL;

		taken += pool_take(class, node, pool, slots + taken,
				   nr - taken, &here);
		if (likely(!here))
			pool_settle(class, node, pool, was, NULL);
		else
			note_damage(class, here, bad);
	}
	node->nr_refills++;
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (taken)
		trace_kheap_refill(class, taken, nid, KHEAP_RUN_POOLS);
	return taken;
}

/**
 * kheap_pool_join() - take blocks of a new pool and put it in its class
 * @pool: a pool that was set up and is in state MOVING
 * @slots: filled in
 * @nr: how many blocks are wanted, at least 1
 * @bad: as of kheap_pools_take()
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: How many blocks were taken: at least 1, but for a constructed pool
 * that somebody wrote to since it was set up.
 */
unsigned int kheap_pool_join(struct kheap_pool *pool, struct kheap_slot *slots,
			     unsigned int nr, void **bad)
{
	struct kheap_class *class = pool->class;
	struct kheap_class_node *node = kheap_pool_node(pool);
	unsigned int taken;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	node->nr_virgin += kheap_pool_nr_virgin(class, pool);
	set_state(pool, KHEAP_POOL_USED);
	list_add(&pool->list, &node->used[0]);
	taken = pool_take(class, node, pool, slots, nr, bad);
	if (likely(!*bad))
		pool_settle(class, node, pool, 0, NULL);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (taken)
		trace_kheap_refill(class, taken, node - class->node,
				   KHEAP_RUN_POOLS);
	return taken;
}

/* --- Giving blocks back ------------------------------------------------- */

/* A block of a quarantined pool is not used again; the last one ends it. */
static void quarantined_pool_give(struct kheap_class *class,
				  struct kheap_class_node *node,
				  struct kheap_pool *pool,
				  struct list_head *empties)
{
	node->nr_lost++;
	if (--pool->nr_used)
		return;
	node->nr_lost -= class->nr_blocks;
	node->nr_quarantined--;
	set_state(pool, KHEAP_POOL_MOVING);
	list_add(&pool->list, empties);
}

/* Link a free block into its pool. */
static __always_inline void pool_link(const struct kheap_class *class,
				      struct kheap_pool *pool,
				      const struct kheap_slot *slot)
{
	link_write(class->heap, slot->block + class->link_offset,
		   pool->freeblock);
	pool->freeblock = slot->bit - pool->map_bit;
	pool->nr_used--;
}

/*
 * A free block that is somebody's: it was in two caches, see pool_take_listed(),
 * and came out of the other one. It counts on as taken twice, and is left to
 * kheap_cpu_cache_settle(); not in the cold cache, which outlives the heap.
 */
static __cold void pool_keep_taken(struct kheap_class *class,
				   struct kheap_class_node *node, void *block)
{
	lockdep_assert_held(&node->lock);
	node->nr_out++;
	if (class->caches != &kheap_cold_cache)
		WRITE_ONCE(raw_cpu_ptr(class->caches)->taken, block);
}

/* A free block by which the state or the list of its pool may change. */
static noinline void pool_give_settle(struct kheap_class *class,
				      struct kheap_class_node *node,
				      struct kheap_pool *pool,
				      const struct kheap_slot *slot,
				      struct list_head *empties)
{
	unsigned int was = pool->nr_used;

	if (unlikely(pool->state == KHEAP_POOL_QUARANTINED)) {
		quarantined_pool_give(class, node, pool, empties);
	} else if (unlikely(test_bit(slot->bit, kheap_bitmap()))) {
		pool_keep_taken(class, node, slot->block);
	} else {
		pool_link(class, pool, slot);
		pool_settle(class, node, pool, was, empties);
	}
}

/*
 * Give back blocks of one memory node, under its lock. A list changes only
 * when nr_used leaves a multiple of the quarter, or gets to 0.
 * Return how many blocks were given back.
 */
static unsigned int pools_give_node(struct kheap_class *class,
				    struct kheap_class_node *node,
				    const struct kheap_slot *slots,
				    unsigned int nr, struct list_head *empties)
{
	const unsigned int quarter = (1U << class->fill_shift) - 1;
	const struct kheap_slot *slot, *end = slots + nr;

	for (slot = slots; slot != end; slot++) {
		struct kheap_pool *pool = kheap_block_pool(slot->block);
		unsigned int was = pool->nr_used;

		if (static_branch_unlikely(&kheap_numa_key) &&
		    kheap_pool_node(pool) != node)
			break;
		if (unlikely(pool->state != KHEAP_POOL_USED) ||
		    unlikely(!(was & quarter)) || unlikely(was == 1) ||
		    unlikely(test_bit(slot->bit, kheap_bitmap())))
			pool_give_settle(class, node, pool, slot, empties);
		else
			pool_link(class, pool, slot);
	}
	return slot - slots;
}

/**
 * kheap_pools_give() - put a run of free blocks back into their pools
 * @class: the class of all of them
 * @slots: the blocks, with their allocated bits clear
 * @nr: how many
 * @empties: collects the pools that become empty, for kheap_pools_put()
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_pools_give(struct kheap_class *class, struct kheap_slot *slots,
		      unsigned int nr, struct list_head *empties)
{
	unsigned long flags;
	unsigned int given;

	while (nr) {
		struct kheap_pool *pool = kheap_block_pool(slots->block);
		struct kheap_class_node *node = kheap_pool_node(pool);

		raw_spin_lock_irqsave(&node->lock, flags);
		given = pools_give_node(class, node, slots, nr, empties);
		node->nr_out -= given;
		node->nr_drains++;
		raw_spin_unlock_irqrestore(&node->lock, flags);
		trace_kheap_drain(class, given, node - class->node,
				  KHEAP_RUN_POOLS);
		slots += given;
		nr -= given;
	}
}

/**
 * kheap_pool_block_twice() - a block came out of a cache that is somebody's
 * @block: the block
 *
 * A forged link led to it when it was in a cache already. The pool is put out
 * of use, and forgets that it gave the block twice; so it cannot have become
 * empty before.
 *
 * Context: Any context except NMI, no kheap lock held.
 */
noinline __cold void kheap_pool_block_twice(void *block)
{
	struct kheap_pool *pool = kheap_block_pool(block);
	struct kheap_class *class = pool->class;
	struct kheap_slot slot = { .block = block };
	LIST_HEAD(empties);

	kheap_refuse(class->heap, KHEAP_BAD_LINK, block, class);
	kheap_pool_quarantine(pool);
	kheap_pools_give(class, &slot, 1, &empties);
	kheap_pools_put(class->heap, &empties);
}
