// SPDX-License-Identifier: GPL-2.0
/*
 * Pools: blocks of one class on one to eight pages, carved lazily, free ones
 * linked through themselves by encoded index.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <kheap/object.h>

#include "block/alloc.h"
#include "block/trace.h"
#include "raw/trace.h"

#define BYTES_APART	512	/* see pool_skip_lines() */
#define MOST_OTHERS	16	/* see fullest_used_pool() */

/* --- Links -------------------------------------------------------------- */

/*
 * The link to the next free block is a part of the block's mark. A stray write
 * to a free block is found when the rest of the mark is not there, and that of
 * somebody who knows the mark, by the bound and by the mark of the block that
 * the link leads to: no address outside the pool can come of it, and no block
 * in use. A block that goes to a cache has another link, so that none is met
 * twice.
 */

/* Set @next to the index after a block. Return false if there is none. */
static __always_inline bool link_read(const struct kheap_class *class,
				      const void *block, unsigned int *next)
{
	u64 link = kheap_mark_link(class, block);

	*next = link;
	return likely(link < KHEAP_LINK_WAITS) || likely(link == KHEAP_LINK_END);
}

/* For the checker: the block linked after @idx, nr_blocks if corrupted. */
unsigned int kheap_link_next(struct kheap_pool *pool, unsigned int idx)
{
	const struct kheap_class *class = pool->class;
	unsigned int next;

	if (!link_read(class, kheap_block_address(class, pool, idx), &next))
		return class->nr_blocks;
	return next;
}

/* Is a block in its pool's list? Yes, for a list that cannot be trusted. */
static bool pool_lists(struct kheap_pool *pool, unsigned int idx)
{
	unsigned int at, left = pool->class->nr_blocks;

	if (pool->state == KHEAP_POOL_QUARANTINED)
		return true;
	for (at = pool->freeblock; left-- && at < pool->class->nr_blocks;
	     at = kheap_link_next(pool, at))
		if (at == idx)
			return true;
	return false;
}

/**
 * kheap_pool_claim_unlisted() - take an allocated block that seems to be listed
 * @pool: the pool
 * @idx: the block's number
 *
 * What the client left in it looks like the mark of a listed block, and no list
 * has it. Under the lock a listed block stays listed; one that has come out of
 * its list on the way here has another link by now, or none.
 *
 * Context: Any context except NMI, no kheap lock held.
 * Return: Whether it was such a block, and has the mark of a cached one now.
 */
bool kheap_pool_claim_unlisted(struct kheap_pool *pool, unsigned int idx)
{
	struct kheap_class_node *node = kheap_pool_node(pool);
	const struct kheap_class *class = pool->class;
	void *block = kheap_block_address(class, pool, idx);
	unsigned long flags;
	unsigned int next;
	bool chance;

	raw_spin_lock_irqsave(&node->lock, flags);
	chance = link_read(class, block, &next) && !pool_lists(pool, idx);
	if (chance)
		kheap_mark_set_link(class, block, KHEAP_LINK_CACHED);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	return chance;
}

/* Note up to where blocks are freed without further questions, under lock 4. */
void kheap_pool_note_limit(const struct kheap_class *class,
			   struct kheap_pool *pool, u32 limit)
{
	struct page *page = virt_to_page(pool->base);
	unsigned int i;

	limit = limit << KHEAP_NOTE_SHIFT | class->szidx;
	for (i = 0; i < 1U << class->span; i++)
		WRITE_ONCE(kheap_page_note(page + i)->limit, limit);
}

/* The same, as the pool is now. Under lock 4, or nobody knows the pool yet. */
void kheap_pool_set_limit(const struct kheap_class *class,
			  struct kheap_pool *pool)
{
	bool asks = class->slow_free || pool->parking ||
		    pool->state == KHEAP_POOL_QUARANTINED;

	kheap_pool_note_limit(class, pool, asks ? 0 : pool->nextoffset);
}

static void set_state(struct kheap_pool *pool, enum kheap_pool_state state)
{
	trace_kheap_pool_state(pool, pool->state, state);
	/* Pairs with gather_pool(), under another lock: first the map. */
	smp_store_release(&pool->state, state);
}

/* --- Lists by fill ------------------------------------------------------ */

/* The second, for what may be wrong once in 18 hours. */
static u16 this_second(void)
{
	return jiffies / HZ;
}

/*
 * Whoever takes blocks of a pool has it for itself for a second or two: beside
 * each other's blocks, two CPUs would take lines from each other again and again,
 * as what a CPU writes in order has it fetch those beyond.
 */
static bool is_others(const struct kheap_class *class,
		      const struct kheap_pool *pool)
{
	return pool->cpu != (u16)raw_smp_processor_id() && class->max_slots &&
	       (s16)(pool->until - this_second()) >= 0;
}

/*
 * Not one of another CPU, but with @any: then the fullest of all. It is no
 * search without an end, nor are more free blocks kept from others, than
 * MOST_OTHERS pools.
 */
static struct kheap_pool *fullest_used_pool(const struct kheap_class *class,
					    struct kheap_class_node *node,
					    bool any)
{
	unsigned int left = any ? 0 : MOST_OTHERS;
	struct kheap_pool *pool, *first = NULL;
	int fill;

	for (fill = KHEAP_NR_FILLS - 1; fill >= 0; fill--)
		list_for_each_entry(pool, &node->used[fill], list) {
			if (!is_others(class, pool))
				return pool;
			first = first ?: pool;
			if (!left--)
				return first;
		}
	return NULL;
}

/*
 * Put @pool where its state belongs after nr_used went from @was to what it
 * is. A pool that has no used block left leaves the class, onto @empties.
 */
void kheap_pool_settle(struct kheap_class *class,
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
	pool->freeblock = 0;
	kheap_pool_set_limit(class, pool);
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
				     void **slots, unsigned int nr,
				     void **bad)
{
	const unsigned int size = class->size, next = pool->nextoffset;
	unsigned int idx = pool->freeblock;
	void **end, **start = slots;
	void *block = pool->base;

	end = slots + min(nr, nr_free_listed(class, pool));
	for (; slots != end; slots++) {
		unsigned int offset = idx * size;

		if (unlikely(offset >= next)) {
			*bad = block;
			break;
		}
		block = pool->base + offset;
		if (unlikely(!link_read(class, block, &idx))) {
			*bad = block;
			break;
		}
		kheap_mark_set_link(class, block, KHEAP_LINK_CACHED);
		*slots = block;
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
	atomic64_set(&((struct kheap_object *)block)->word, 0);
}

/* Carve up to @nr virgin blocks. Return how many. */
static unsigned int pool_carve(struct kheap_class *class,
			       struct kheap_class_node *node,
			       struct kheap_pool *pool,
			       void **slots, unsigned int nr)
{
	unsigned int idx = class->nr_blocks - kheap_pool_nr_virgin(class, pool);
	unsigned int i;

	nr = min(nr, class->nr_blocks - idx);
	for (i = 0; i < nr; i++, idx++) {
		slots[i] = kheap_block_address(class, pool, idx);
		if (class->type)
			carve_object(slots[i]);
		kheap_mark_set_link(class, slots[i], KHEAP_LINK_CACHED);
	}
	/* Pairs with kheap_look_at_pool(), under another lock. */
	smp_wmb();
	pool->nextoffset += nr * class->size;
	kheap_pool_set_limit(class, pool);
	pool->nr_used += nr;
	node->nr_virgin -= nr;
	return nr;
}

/*
 * Link the virgin blocks up to where a CPU that writes to what was carved before
 * does not fetch lines ahead. Nothing is done where there is no block beyond.
 */
static void pool_skip_lines(struct kheap_class *class,
			   struct kheap_class_node *node,
			   struct kheap_pool *pool)
{
	unsigned int idx = class->nr_blocks - kheap_pool_nr_virgin(class, pool);
	unsigned int next = DIV_ROUND_UP(pool->nextoffset + BYTES_APART,
					 class->size);
	void *block;

	if (next >= class->nr_blocks)
		return;
	for (; idx < next; idx++) {
		block = kheap_block_address(class, pool, idx);
		if (class->type)
			carve_object(block);
		kheap_mark_set_link(class, block, pool->freeblock);
		pool->freeblock = idx;
		smp_wmb();	/* As in pool_carve(). */
		pool->nextoffset += class->size;
		node->nr_virgin--;
	}
}

/* Take up to @nr blocks of @pool: free ones first, then virgin ones. */
static unsigned int pool_take(struct kheap_class *class,
			      struct kheap_class_node *node,
			      struct kheap_pool *pool,
			      void **slots, unsigned int nr,
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
	pool->cpu = raw_smp_processor_id();
	pool->until = this_second() + 1;
	return taken;
}

/* Damage was met: the first is to be reported, others are counted only. */
static void note_damage(struct kheap_class *class, void *here, void **bad)
{
	if (*bad)
		atomic_long_inc(&class->heap->base.nr_refused[KHEAP_BAD_LINK]);
	else
		*bad = here;
}

/**
 * kheap_pools_take() - take a run of blocks out of a class's used pools
 * @class: the class
 * @nid: the memory node
 * @any: out of those that other CPUs carve, too
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
unsigned int kheap_pools_take(struct kheap_class *class, int nid, bool any,
			      void **slots, unsigned int nr,
			      void **bad)
{
	struct kheap_class_node *node = &class->node[nid];
	struct kheap_pool *pool;
	unsigned int taken = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	while (taken < nr && (pool = fullest_used_pool(class, node, any))) {
		unsigned int was = pool->nr_used;
		void *here = NULL;

		taken += pool_take(class, node, pool, slots + taken,
				   nr - taken, &here);
		if (likely(!here))
			kheap_pool_settle(class, node, pool, was, NULL);
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
 * kheap_pools_take_apart() - take a virgin block away from other CPUs' blocks
 * @class: the class
 * @nid: the memory node
 *
 * For the first block of a CPU, which is going to be its hot one: beside that of
 * another CPU, each would take the line from the other again and again.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: The block with its mark; NULL if the pool that would serve has none.
 */
void *kheap_pools_take_apart(struct kheap_class *class, int nid)
{
	struct kheap_class_node *node = &class->node[nid];
	struct kheap_pool *pool;
	void *block = NULL;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	pool = fullest_used_pool(class, node, true);
	if (pool && kheap_pool_nr_virgin(class, pool)) {
		pool_skip_lines(class, node, pool);
		node->nr_out += pool_carve(class, node, pool, &block, 1);
		kheap_pool_settle(class, node, pool, pool->nr_used - 1, NULL);
		node->nr_refills++;
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (block)
		trace_kheap_refill(class, 1, nid, KHEAP_RUN_POOLS);
	return block;
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
unsigned int kheap_pool_join(struct kheap_pool *pool, void **slots,
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
		kheap_pool_settle(class, node, pool, 0, NULL);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (taken)
		trace_kheap_refill(class, taken, node - class->node,
				   KHEAP_RUN_POOLS);
	return taken;
}

/* --- Blocks without a mark ---------------------------------------------- */

/*
 * A free block was found without its mark. Either somebody wrote to it while it
 * was free, and it is nobody's; or it was freed by two CPUs in the same instant,
 * was in two caches, came out of the other one, and is somebody's. Who knows?
 * Its pool is put out of use. It goes on counting as used there, so that the pool
 * cannot become empty while somebody may have it: then it stays until the heap
 * goes. But as nobody's it is told.
 *
 * What came out of the other cache may have been freed again, and the pool with
 * it. Then the page is anybody's, or the pool another class's, and nothing is to
 * be done.
 */
static __cold void pool_lose(struct kheap_class *class, void *block)
{
	struct kheap_pool *pool = kheap_pool_of(block);
	struct kheap_class_node *node;
	unsigned long flags;

	if (!pool || READ_ONCE(pool->class) != class)
		return;
	node = &class->node[pool->arena->set->node];
	raw_spin_lock_irqsave(&node->lock, flags);
	if (READ_ONCE(pool->class) == class && pool->state >= KHEAP_POOL_USED) {
		if (pool->state != KHEAP_POOL_QUARANTINED)
			pool_quarantine(class, node, pool);
		if (pool->freeblock < pool->nr_used) {
			pool->freeblock++;
			node->nr_out--;
			node->nr_lost++;
		}
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/**
 * kheap_pool_block_stray() - report a free block that has no mark
 * @class: the class whose caches it was in
 * @block: the block, which is in no cache or list any more
 * @lost: its pool is out of use already
 *
 * Context: Any context except NMI, no kheap lock held.
 */
noinline __cold void kheap_pool_block_stray(struct kheap_class *class,
					    void *block, bool lost)
{
	kheap_refuse(class->heap, KHEAP_BAD_LINK, block, class);
	if (!lost)
		pool_lose(class, block);
}

/*
 * A block without a mark is met on its way back to its pool, where no report
 * can be made: kheap_cpu_cache_settle() does that, of the first one. Others are
 * counted only. Not in the cold cache, which outlives the heap.
 */
static __cold void keep_stray(struct kheap_class *class, void *block)
{
	struct kheap_cpu_cache __percpu *caches = class->caches;

	pool_lose(class, block);
	if (caches == &kheap_cold_cache ||
	    cmpxchg(&raw_cpu_ptr(caches)->stray, NULL,
		    block + KHEAP_STRAY_LOST))
		atomic_long_inc(&class->heap->base.nr_refused[KHEAP_BAD_LINK]);
}

/* --- Giving blocks back ------------------------------------------------- */

/*
 * A block of a quarantined pool is not used again; the last one ends it. When no
 * more are in use than there are strays, a stray has turned out to be
 * somebody's, see pool_lose(): it counts as lost already.
 */
static void quarantined_pool_give(struct kheap_class *class,
				  struct kheap_class_node *node,
				  struct kheap_pool *pool,
				  struct list_head *empties)
{
	if (pool->freeblock == pool->nr_used) {
		pool->freeblock--;
		node->nr_out++;
	} else {
		node->nr_lost++;
	}
	if (--pool->nr_used)
		return;
	node->nr_lost -= class->nr_blocks;
	node->nr_quarantined--;
	set_state(pool, KHEAP_POOL_MOVING);
	list_add(&pool->list, empties);
}

/* Link a free block into its pool. */
static __always_inline void pool_link(const struct kheap_class *class,
				      struct kheap_pool *pool, void *block)
{
	unsigned long idx;

	kheap_mark_set_link(class, block, pool->freeblock);
	kheap_block_index(class, pool, block, &idx);
	pool->freeblock = idx;
	pool->nr_used--;
}

/* A free block by which the state or the list of its pool may change. */
static noinline void pool_give_settle(struct kheap_class *class,
				      struct kheap_class_node *node,
				      struct kheap_pool *pool, void *block,
				      struct list_head *empties)
{
	unsigned int was = pool->nr_used;

	if (unlikely(pool->state == KHEAP_POOL_QUARANTINED)) {
		quarantined_pool_give(class, node, pool, empties);
	} else {
		pool_link(class, pool, block);
		kheap_pool_settle(class, node, pool, was, empties);
	}
}

/*
 * Give back blocks of one memory node, under its lock, up to one without a mark:
 * where that leads to is not asked here. A list changes only when nr_used leaves
 * a multiple of the quarter, or gets to 0.
 * Return how many blocks were given back.
 */
static unsigned int pools_give_node(struct kheap_class *class,
				    struct kheap_class_node *node,
				    void **slots, unsigned int nr,
				    struct list_head *empties)
{
	const unsigned int quarter = (1U << class->fill_shift) - 1;
	void **slot, **end = slots + nr;

	for (slot = slots; slot != end; slot++) {
		struct kheap_pool *pool;
		unsigned int was;

		if (unlikely(!kheap_is_cached(class, *slot)))
			break;
		pool = kheap_block_pool(*slot);
		was = pool->nr_used;
		if (static_branch_unlikely(&kheap_numa_key) &&
		    kheap_pool_node(pool) != node)
			break;
		if (unlikely(pool->state != KHEAP_POOL_USED) ||
		    unlikely(!(was & quarter)) || unlikely(was == 1))
			pool_give_settle(class, node, pool, *slot, empties);
		else
			pool_link(class, pool, *slot);
	}
	return slot - slots;
}

/**
 * kheap_pools_give() - put a run of free blocks back into their pools
 * @class: the class of all of them
 * @slots: the blocks, with their marks
 * @nr: how many
 * @empties: collects the pools that become empty, for kheap_pools_put()
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_pools_give(struct kheap_class *class, void **slots,
		      unsigned int nr, struct list_head *empties)
{
	unsigned long flags;
	unsigned int given;

	while (nr) {
		struct kheap_class_node *node;

		if (unlikely(!kheap_is_cached(class, *slots))) {
			keep_stray(class, *slots++);
			nr--;
			continue;
		}
		node = kheap_pool_node(kheap_block_pool(*slots));
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
