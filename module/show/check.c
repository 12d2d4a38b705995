// SPDX-License-Identifier: GPL-2.0
/*
 * The checker: every invariant written in raw/raw.h and block/block.h, walked arena by arena
 * while the heap is in use.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "show/show.h"

/* What can be wrong; the texts say what should hold. */
enum violation {
	POOL_TAG,
	POOL_CLASS,
	POOL_STATE,
	POOL_SUM,
	POOL_LINKS,
	POOL_MARKS,
	POOL_PARKED,
	ARENA_EMPTY,
	ARENA_HOLES,
	ARENA_BUCKET,
	SET_SUMS,
	SET_SPARE,
	CLASS_POOLS,
	CLASS_LISTS,
	ACCOUNT,
	NR_VIOLATIONS
};

static const char * const violation_texts[] = {
	[POOL_TAG]	= "a pool's pages carry its tag",
	[POOL_CLASS]	= "a pool's class is of its heap and span",
	[POOL_STATE]	= "a pool's state agrees with nr_used",
	[POOL_SUM]	= "nr_used + nr_free_listed + nr_virgin == nr_blocks",
	[POOL_LINKS]	= "links lead to free, carved blocks",
	[POOL_MARKS]	= "at most nr_used carved blocks have no mark",
	[POOL_PARKED]	= "a block that waits for a grace period is in no list",
	[ARENA_EMPTY]	= "nr_freepools is the length of freepools",
	[ARENA_HOLES]	= "nr_holes is the number of holes",
	[ARENA_BUCKET]	= "a bucket's bit is set when it has an arena",
	[SET_SUMS]	= "a set's sums are those of its arenas",
	[SET_SPARE]	= "the spare arena is empty and has no holes",
	[CLASS_POOLS]	= "nr_pools is the number of pools of the class",
	[CLASS_LISTS]	= "the used lists have the used pools, by fill",
	[ACCOUNT]	= "the parts add up to what is held",
};

static_assert(ARRAY_SIZE(violation_texts) == NR_VIOLATIONS);

/**
 * struct check - one run of the checker
 * @heap: the heap
 * @nr: violations found, by kind
 * @where: an address at the first of each kind
 */
struct check {
	struct kheap *heap;
	unsigned int nr[NR_VIOLATIONS];
	const void *where[NR_VIOLATIONS];
};

/* Nothing is printed under a lock: count, and remember the first place. */
static noinline __cold void violated(struct check *check, enum violation what,
				     const void *where)
{
	if (!check->nr[what]++)
		check->where[what] = where;
}

static void expect(struct check *check, bool holds, enum violation what,
		   const void *where)
{
	if (unlikely(!holds))
		violated(check, what, where);
}

static int report(struct check *check);

/* --- Pools -------------------------------------------------------------- */

/* A list that leads to a block twice has no end: it is longer than the pool. */
static unsigned int count_listed(struct check *check, struct kheap_pool *pool)
{
	const struct kheap_class *class = pool->class;
	unsigned int idx = pool->freeblock, nr = 0;

	while (idx != KHEAP_LINK_END) {
		if (idx >= class->nr_blocks ||
		    idx * class->size >= pool->nextoffset ||
		    nr++ == class->nr_blocks) {
			expect(check, false, POOL_LINKS, pool->base);
			break;
		}
		idx = kheap_link_next(pool, idx);
	}
	return nr;
}

static unsigned int count_unmarked(const struct kheap_pool *pool)
{
	const struct kheap_class *class = pool->class;
	unsigned int idx, nr = 0;

	for (idx = 0; idx * class->size < pool->nextoffset; idx++)
		nr += !kheap_is_marked(class,
				       kheap_block_address(class, pool, idx));
	return nr;
}

/*
 * Blocks that both wait for a grace period and are in a list, or were never
 * given out. While no sweep runs, none can be; what is in a cache may be on its
 * way to somebody.
 */
static unsigned int count_parked_free(const struct kheap_pool *pool)
{
	const struct kheap_class *class = pool->class;
	unsigned int idx, nr = 0;
	u64 link;

	for (idx = 0; idx < class->nr_blocks; idx++) {
		if (!test_bit(idx, kheap_parked_bits(pool)))
			continue;
		link = kheap_mark_link(class,
				       kheap_block_address(class, pool, idx));
		nr += idx * class->size >= pool->nextoffset ||
		      link < KHEAP_LINK_WAITS || link == KHEAP_LINK_END;
	}
	return nr;
}

/* The inside of a pool that a class owns; under the class's lock. */
static void check_class_pool(struct check *check, struct kheap_pool *pool)
{
	const struct kheap_class *class = pool->class;
	bool full = pool->nr_used == class->nr_blocks;

	if (pool->state == KHEAP_POOL_MOVING)
		return;
	expect(check, pool->state == KHEAP_POOL_QUARANTINED ||
		      (full ? pool->state == KHEAP_POOL_FULL :
			      pool->state == KHEAP_POOL_USED && pool->nr_used),
	       POOL_STATE, pool->base);
	/* What was written to there has been told. */
	if (pool->state == KHEAP_POOL_QUARANTINED)
		return;
	expect(check, count_unmarked(pool) <= pool->nr_used, POOL_MARKS,
	       pool->base);
	expect(check, pool->nr_used + count_listed(check, pool) +
		      kheap_pool_nr_virgin(class, pool) == class->nr_blocks,
	       POOL_SUM, pool->base);
}

/**
 * kheap_check_pool() - verify a pool that has a block in somebody's hands
 * @pool: the pool
 *
 * One in which something is wrong is put out of use, counted and reported as a
 * corrupted link is. Of one that was put out of use all has been said.
 *
 * Context: Any context except NMI, no kheap lock held.
 */
void kheap_check_pool(struct kheap_pool *pool)
{
	struct kheap_class_node *node = kheap_pool_node(pool);
	struct check check = { .heap = pool->class->heap };
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	if (pool->state != KHEAP_POOL_QUARANTINED)
		check_class_pool(&check, pool);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (likely(!memchr_inv(check.nr, 0, sizeof(check.nr))))
		return;
	kheap_pool_quarantine(pool);
	if (kheap_refuse(check.heap, KHEAP_BAD_LINK, pool->base, pool->class))
		report(&check);
}

static void check_pool(struct check *check, struct kheap_arena *arena,
		       struct kheap_pool *pool)
{
	struct kheap_class *class = pool->class;
	struct kheap_class_node *node;
	unsigned long flags;
	unsigned int i;

	if (pool->state == KHEAP_POOL_HOLE)
		return;
	for (i = 0; i < 1U << arena->set->span; i++)
		expect(check, kheap_pool_of(pool->base + i * PAGE_SIZE) == pool,
		       POOL_TAG, pool->base);
	if (pool->state == KHEAP_POOL_EMPTY) {
		expect(check, class == &kheap_cold_class, POOL_CLASS,
		       pool->base);
		return;
	}
	expect(check, class->heap == check->heap &&
		      class->span == arena->set->span, POOL_CLASS, pool->base);
	if (class->heap != check->heap)
		return;
	node = kheap_pool_node(pool);
	raw_spin_lock_irqsave(&node->lock, flags);
	check_class_pool(check, pool);
	if (pool->state >= KHEAP_POOL_USED)
		expect(check, !count_parked_free(pool), POOL_PARKED,
		       pool->base);
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/* --- Arenas ------------------------------------------------------------- */

static unsigned int list_length(const struct list_head *list)
{
	const struct list_head *node;
	unsigned int nr = 0;

	list_for_each(node, list)
		nr++;
	return nr;
}

static void check_arena(struct check *check, struct kheap_arena *arena)
{
	struct kheap_arena_set *set = arena->set;
	unsigned int i, nr_holes, nr_pools = 0;
	struct kheap_pool *pool;
	unsigned long flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	nr_holes = arena->nr_bare;
	kheap_for_each_pool(pool, arena, i) {
		check_pool(check, arena, pool);
		nr_holes += pool->state == KHEAP_POOL_HOLE;
		nr_pools++;
	}
	expect(check, nr_pools + arena->nr_bare == arena->nr_totalpools,
	       ARENA_HOLES, arena);
	expect(check, list_length(&arena->freepools) == arena->nr_freepools,
	       ARENA_EMPTY, arena);
	expect(check, nr_holes == arena->nr_holes, ARENA_HOLES, arena);
	expect(check, !arena->nr_freepools ||
		      test_bit(arena->nr_freepools, set->usable_map),
	       ARENA_BUCKET, arena);
	raw_spin_unlock_irqrestore(&set->lock, flags);
}

/* The sums of a set, all at once under its lock. */
static void check_set(struct check *check, struct kheap_arena_set *set)
{
	unsigned long nr_arenas = 0, nr_pages = 0, nr_holes = 0, nr_empty = 0;
	const struct kheap_arena *spare, *arena;
	unsigned long flags;
	unsigned int nr;

	raw_spin_lock_irqsave(&set->lock, flags);
	list_for_each_entry(arena, &set->arenas, list) {
		nr_arenas++;
		nr_pages += (arena->nr_totalpools - arena->nr_holes) <<
			    set->span;
		nr_holes += arena->nr_holes;
		nr_empty += arena->nr_freepools;
	}
	expect(check, nr_arenas == set->nr_arenas &&
		      nr_pages == set->nr_pages &&
		      nr_holes == set->nr_holes && nr_empty == set->nr_empty,
	       SET_SUMS, set);
	for (nr = 0; nr <= KHEAP_ARENA_POOLS; nr++)
		expect(check, test_bit(nr, set->usable_map) ==
			      !hlist_empty(&set->usable[nr]),
		       ARENA_BUCKET, set);
	spare = set->spare;
	expect(check, !spare || (!spare->nr_holes && spare->nr_freepools ==
						     spare->nr_totalpools),
	       SET_SPARE, spare);
	raw_spin_unlock_irqrestore(&set->lock, flags);
}

/* --- Classes ------------------------------------------------------------ */

static unsigned long count_used(struct check *check,
				const struct kheap_class *class,
				struct kheap_class_node *node)
{
	unsigned long flags, nr = 0;
	struct kheap_pool *pool;
	unsigned int fill;

	raw_spin_lock_irqsave(&node->lock, flags);
	for (fill = 0; fill < KHEAP_NR_FILLS; fill++) {
		list_for_each_entry(pool, &node->used[fill], list) {
			expect(check, pool->state == KHEAP_POOL_USED &&
				      pool->class == class &&
				      kheap_pool_fill(class, pool->nr_used) ==
				      fill, CLASS_LISTS, pool->base);
			nr++;
		}
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
	return nr;
}

/* A class's pools on one node, counted in the arenas under the set's lock. */
static void check_class_node(struct check *check, struct kheap_class *class,
			     struct kheap_arena_set *set)
{
	struct kheap_class_node *node = &class->node[set->node];
	unsigned long flags, nr_pools = 0;
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	unsigned int i;

	raw_spin_lock_irqsave(&set->lock, flags);
	list_for_each_entry(arena, &set->arenas, list)
		kheap_for_each_pool(pool, arena, i)
			nr_pools += pool->class == class;
	expect(check, nr_pools == node->nr_pools, CLASS_POOLS, class);
	/* While the set is locked, no pool comes to the class or goes. */
	expect(check, count_used(check, class, node) <= node->nr_pools,
	       CLASS_LISTS, class);
	raw_spin_unlock_irqrestore(&set->lock, flags);
}

static void check_account(struct check *check)
{
	struct kheap_stats s;

	kheap_get_stats(check->heap, &s);
	expect(check, s.allocated_bytes + s.cached_bytes + s.free_bytes +
		      s.virgin_bytes + s.quarantined_bytes + s.empty_bytes +
		      s.tail_bytes + s.metadata_bytes + s.large_bytes ==
		      s.held_bytes, ACCOUNT, check->heap);
}

static int report(struct check *check)
{
	int total = 0;
	int i;

	for (i = 0; i < NR_VIOLATIONS; i++) {
		if (!check->nr[i])
			continue;
		pr_err("heap '%s': check: violated %u times, first at %p: %s\n",
		       check->heap->base.name, check->nr[i], check->where[i],
		       violation_texts[i]);
		total += check->nr[i];
	}
	return total;
}

int kheap_check(struct kheap *heap)
{
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_class *class;
	struct check *check;
	unsigned int i;
	int total;

	might_sleep();
	check = kzalloc(sizeof(*check), GFP_KERNEL);
	if (!check)
		return -ENOMEM;
	check->heap = heap;
	mutex_lock(&heap->block.rcu_mutex);
	mutex_lock(&heap->base.mutex);
	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			check_arena(check, arena);
			cond_resched();
		}
		check_set(check, set);
		list_for_each_entry(class, &heap->block.class_list, list)
			if (class->span == set->span)
				check_class_node(check, class, set);
	}
	check_account(check);
	mutex_unlock(&heap->base.mutex);
	mutex_unlock(&heap->block.rcu_mutex);
	total = report(check) + kheap_large_check(heap);
	kfree(check);
	return total;
}
EXPORT_SYMBOL_GPL(kheap_check);
