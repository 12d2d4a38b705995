// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas: pages taken from the system 64 at a time, handed to the classes as
 * pools, and given back whole, or, when only some of them are empty, alone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "trace.h"

static struct page *pages_alloc(struct kheap *heap, gfp_t gfp,
				unsigned int order, int node)
{
	struct page *page;

	if (!kheap_charge(heap, PAGE_SIZE << order))
		return NULL;
	page = heap->page_ops->alloc(heap->page_ctx, gfp, order, node);
	if (page)
		kheap_note_peak(heap);
	else
		kheap_uncharge(heap, PAGE_SIZE << order);
	return page;
}

static void pages_free(struct kheap *heap, struct page *page,
		       unsigned int order)
{
	heap->page_ops->free(heap->page_ctx, page, order);
	kheap_uncharge(heap, PAGE_SIZE << order);
}

/* What of the client's gfp flags is for the page allocator. */
static gfp_t page_gfp(struct kheap *heap, gfp_t gfp)
{
	gfp &= ~(__GFP_ZERO | __GFP_COMP | GFP_ZONEMASK);
	if (heap->flags & KHEAP_ACCOUNT)
		gfp |= __GFP_ACCOUNT;
	return gfp;
}

/* What kheap_pool_of() and kheap_parked_bits() read. */
static void pool_mark_pages(struct kheap_pool *pool, struct page *page,
			    unsigned int span)
{
	unsigned int i;

	for (i = 0; i < 1U << span; i++) {
		set_page_private(page + i, (unsigned long)pool);
		page[i].lru.next = (void *)((unsigned long)pool ^
					    kheap_map.secret);
		page[i].lru.prev = NULL;
		page[i].index = 0;
	}
}

static void pool_unmark_pages(struct page *page, unsigned int span)
{
	unsigned int i;

	for (i = 0; i < 1U << span; i++) {
		set_page_private(page + i, 0);
		page[i].index = 0;
		INIT_LIST_HEAD(&page[i].lru);
	}
}

/* What kheap_owned_pool() compares; 0 for a pool without a class. */
void kheap_pool_set_tag(struct kheap_pool *pool, unsigned int span,
			unsigned long tag)
{
	struct page *page = virt_to_page(pool->base);
	unsigned int i;

	for (i = 0; i < 1U << span; i++)
		WRITE_ONCE(page[i].index, tag);
}

/* --- The order of usable arenas ----------------------------------------- */

static void arena_set_nr_freepools(struct kheap_arena *arena, unsigned int nr)
{
	struct kheap_arena_set *set = arena->set;
	unsigned int old = arena->nr_freepools;

	lockdep_assert_held(&set->lock);
	if (old) {
		hlist_del(&arena->usable_node);
		if (hlist_empty(&set->usable[old]))
			__clear_bit(old, set->usable_map);
	}
	arena->nr_freepools = nr;
	if (nr) {
		hlist_add_head(&arena->usable_node, &set->usable[nr]);
		__set_bit(nr, set->usable_map);
	}
	/* One store: kheap_pool_get() looks at it without the lock. */
	WRITE_ONCE(set->nr_empty, set->nr_empty + nr - old);
	set->nr_idle = min(set->nr_idle, set->nr_empty);
}

static bool arena_is_empty(const struct kheap_arena *arena)
{
	return arena->nr_freepools + arena->nr_holes == arena->nr_totalpools;
}

static struct kheap_arena *fullest_usable_arena(struct kheap_arena_set *set)
{
	unsigned int nr = find_first_bit(set->usable_map,
					 KHEAP_ARENA_POOLS + 1);

	if (nr > KHEAP_ARENA_POOLS)
		return NULL;
	return hlist_entry(set->usable[nr].first, struct kheap_arena,
			   usable_node);
}

/* --- Giving arenas back ------------------------------------------------- */

/* Free the pages of an arena that is in no list any more, and the arena. */
static void arena_free(struct kheap_arena *arena)
{
	struct kheap *heap = arena->set->heap;
	unsigned int span = arena->set->span;
	unsigned int i, j;

	trace_kheap_arena_release(arena);
	for (i = 0; i < arena->nr_totalpools; i++) {
		struct kheap_pool *pool = &arena->pools[i];
		struct page *page;

		kheap_meta_free(heap, kheap_pool_detach_map(pool));
		if (pool->state == KHEAP_POOL_HOLE)
			continue;
		page = virt_to_page(pool->base);
		pool_unmark_pages(page, span);
		if (arena->split)
			for (j = 0; j < 1U << span; j++)
				pages_free(heap, page + j, 0);
	}
	if (!arena->split)
		pages_free(heap, arena->page, arena->order);
	kheap_meta_free(heap, arena->pools);
	kheap_meta_free(heap, arena);
}

/* Take an arena out of its set, onto @release; under the set's lock. */
static void arena_unlink(struct kheap_arena *arena, struct list_head *release)
{
	struct kheap_arena_set *set = arena->set;
	unsigned int nr_live = arena->nr_totalpools - arena->nr_holes;

	if (set->spare == arena)
		set->spare = NULL;
	arena_set_nr_freepools(arena, 0);
	if (arena->nr_holes)
		list_del(&arena->holed_node);
	list_move(&arena->list, release);
	set->nr_arenas--;
	set->nr_pages -= nr_live << set->span;
	set->nr_holes -= arena->nr_holes;
}

/*
 * Decide about an arena that has become empty: one spare a set stays, so that
 * a load at the edge of an arena does not take and give it back all the time.
 * An arena with holes is no good spare. One that a walker stands on is decided
 * about when the walker leaves.
 */
static void arena_emptied(struct kheap_arena *arena, struct list_head *release)
{
	struct kheap_arena_set *set = arena->set;

	if (arena->nr_pins || set->spare == arena)
		return;
	if (!arena->nr_holes && !set->spare)
		set->spare = arena;
	else
		arena_unlink(arena, release);
}

/* Free what arena_unlink() collected, now or where it is allowed. */
static void arenas_release(struct kheap *heap, struct list_head *release)
{
	struct kheap_arena *arena, *next;

	if (list_empty(release))
		return;
	if (kheap_mm_allowed()) {
		list_for_each_entry_safe(arena, next, release, list)
			arena_free(arena);
		return;
	}
	list_for_each_entry_safe(arena, next, release, list)
		llist_add(&arena->dead, &heap->released);
	kheap_maint_now(heap);
}

/* Free what arenas_release() had to leave; where pages may be freed. */
void kheap_arenas_release_deferred(struct kheap *heap)
{
	struct kheap_arena *arena, *next;

	llist_for_each_entry_safe(arena, next,
				  llist_del_all(&heap->released), dead)
		arena_free(arena);
}

/* --- Taking arenas ------------------------------------------------------ */

static void arena_init_pools(struct kheap_arena *arena)
{
	unsigned int span = arena->set->span;
	unsigned int i;

	INIT_LIST_HEAD(&arena->freepools);
	for (i = 0; i < arena->nr_totalpools; i++) {
		struct kheap_pool *pool = &arena->pools[i];
		struct page *page = arena->page + (i << span);

		pool->arena = arena;
		pool->class = &kheap_cold_class;
		pool->base = page_address(page);
		pool->state = KHEAP_POOL_EMPTY;
		list_add_tail(&pool->list, &arena->freepools);
		pool_mark_pages(pool, page, span);
	}
}

/* Describe 2^@order pages of one node as an arena that is in no set yet. */
static struct kheap_arena *arena_describe(struct kheap_arena_set *set,
					  struct page *page,
					  unsigned int order, gfp_t gfp)
{
	unsigned int nr_pools = 1U << (order - set->span);
	struct kheap *heap = set->heap;
	struct kheap_arena *arena;

	arena = kheap_meta_alloc(heap, sizeof(*arena), gfp, set->node);
	if (!arena)
		return NULL;
	arena->pools = kheap_meta_alloc(heap, nr_pools * sizeof(*arena->pools),
					gfp, set->node);
	if (!arena->pools) {
		kheap_meta_free(heap, arena);
		return NULL;
	}
	arena->set = set;
	arena->page = page;
	arena->order = order;
	arena->nr_totalpools = nr_pools;
	arena->serial = atomic_long_inc_return(&heap->nr_serials);
	arena_init_pools(arena);
	trace_kheap_arena_new(arena);
	return arena;
}

/*
 * Ask for 64 pages, and settle for fewer. Only the smallest request may try
 * as hard as the caller allows; a context that cannot wait leaves the high
 * orders, which are hard to make again, alone.
 */
static struct page *arena_pages(struct kheap *heap, unsigned int span,
				gfp_t gfp, int node, unsigned int *orderp)
{
	gfp_t soft = (gfp & ~(__GFP_DIRECT_RECLAIM | __GFP_NOFAIL)) |
		     __GFP_NORETRY | __GFP_NOWARN;
	unsigned int order = KHEAP_ARENA_ORDER;
	struct page *page;

	if (!gfpflags_allow_blocking(gfp))
		order = PAGE_ALLOC_COSTLY_ORDER;
	for (; order > span; order--) {
		page = pages_alloc(heap, soft, order, node);
		if (page)
			goto found;
	}
	page = pages_alloc(heap, gfp, order, node);
	if (!page)
		return NULL;
found:
	*orderp = order;
	return page;
}

/* The set for pages of @node; nodes other than the first need not have one. */
static struct kheap_arena_set *set_of_node(struct kheap *heap,
					   unsigned int span, int node,
					   gfp_t gfp)
{
	struct kheap_arena_set **slot = kheap_set_slot(heap, span, node);

	if (!READ_ONCE(*slot) &&
	    kheap_arena_set_create(heap, span, node, gfp))
		return NULL;
	return READ_ONCE(*slot);
}

/* Give @pool, an empty one, to @class; under the set's lock. */
static void pool_leave_arena(struct kheap_pool *pool,
			     struct kheap_class *class)
{
	struct kheap_arena *arena = pool->arena;
	struct kheap_arena_set *set = arena->set;

	lockdep_assert_held(&set->lock);
	if (set->spare == arena)
		set->spare = NULL;
	list_del(&pool->list);
	arena_set_nr_freepools(arena, arena->nr_freepools - 1);
	trace_kheap_pool_state(pool, pool->state, KHEAP_POOL_MOVING);
	pool->state = KHEAP_POOL_MOVING;
	pool->class = class;
	class->node[set->node].nr_pools++;
}

static struct kheap_pool *pool_from_usable(struct kheap_arena_set *set,
					   struct kheap_class *class)
{
	struct kheap_pool *pool = NULL;
	struct kheap_arena *arena;
	unsigned long flags;

	if (!set || !READ_ONCE(set->nr_empty))
		return NULL;
	raw_spin_lock_irqsave(&set->lock, flags);
	arena = fullest_usable_arena(set);
	if (arena) {
		pool = list_first_entry(&arena->freepools, struct kheap_pool,
					list);
		pool_leave_arena(pool, class);
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return pool;
}

static struct kheap_pool *first_hole(struct kheap_arena *arena)
{
	unsigned int i;

	for (i = 0; i < arena->nr_totalpools; i++)
		if (arena->pools[i].state == KHEAP_POOL_HOLE)
			return &arena->pools[i];
	return NULL;
}

/* Put @page in the first hole of @set, as an empty pool, and take it. */
static struct kheap_pool *fill_hole(struct kheap_arena_set *set,
				    struct kheap_class *class,
				    struct page *page)
{
	struct kheap_pool *pool = NULL;
	struct kheap_arena *arena;
	unsigned long flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	arena = list_first_entry_or_null(&set->holed, struct kheap_arena,
					 holed_node);
	if (arena) {
		pool = first_hole(arena);
		pool->base = page_address(page);
		trace_kheap_pool_state(pool, KHEAP_POOL_HOLE, KHEAP_POOL_EMPTY);
		pool->state = KHEAP_POOL_EMPTY;
		pool_mark_pages(pool, page, set->span);
		list_add(&pool->list, &arena->freepools);
		if (!--arena->nr_holes)
			list_del(&arena->holed_node);
		set->nr_holes--;
		set->nr_pages += 1UL << set->span;
		arena_set_nr_freepools(arena, arena->nr_freepools + 1);
		pool_leave_arena(pool, class);
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return pool;
}

static struct kheap_pool *pool_from_hole(struct kheap_arena_set *set,
					 struct kheap_class *class, gfp_t gfp)
{
	struct kheap_pool *pool;
	struct page *page;

	if (!set || !READ_ONCE(set->nr_holes))
		return NULL;
	page = pages_alloc(set->heap, gfp | __GFP_NOWARN | __GFP_THISNODE,
			   set->span, set->node);
	if (!page)
		return NULL;
	if (page_to_nid(page) == set->node) {
		if (set->span)
			split_page(page, set->span);
		pool = fill_hole(set, class, page);
		if (pool)
			return pool;
		if (set->span) {
			unsigned int i;

			for (i = 0; i < 1U << set->span; i++)
				pages_free(set->heap, page + i, 0);
			return NULL;
		}
	}
	pages_free(set->heap, page, set->span);
	return NULL;
}

static struct kheap_pool *pool_from_new_arena(struct kheap_class *class,
					      gfp_t gfp, int node)
{
	struct kheap *heap = class->heap;
	struct kheap_arena *arena = NULL;
	struct kheap_arena_set *set;
	struct kheap_pool *pool;
	unsigned long flags;
	unsigned int order;
	struct page *page;

	page = arena_pages(heap, class->span, gfp, node, &order);
	if (!page)
		return NULL;
	set = set_of_node(heap, class->span, page_to_nid(page), gfp);
	if (set)
		arena = arena_describe(set, page, order, gfp);
	if (!arena) {
		pages_free(heap, page, order);
		return NULL;
	}
	pool = list_first_entry(&arena->freepools, struct kheap_pool, list);
	raw_spin_lock_irqsave(&set->lock, flags);
	list_add_tail(&arena->list, &set->arenas);
	set->nr_arenas++;
	set->nr_pages += 1UL << order;
	arena_set_nr_freepools(arena, arena->nr_totalpools);
	pool_leave_arena(pool, class);
	raw_spin_unlock_irqrestore(&set->lock, flags);
	kheap_maint_later(heap);
	return pool;
}

/* An empty pool that a heap already has on another node. */
static struct kheap_pool *pool_from_other_nodes(struct kheap_class *class,
						int node)
{
	struct kheap_pool *pool = NULL;
	int other;

	for_each_online_node(other) {
		if (other == node)
			continue;
		pool = pool_from_usable(READ_ONCE(*kheap_set_slot(class->heap,
								  class->span,
								  other)),
					class);
		if (pool)
			break;
	}
	return pool;
}

/**
 * kheap_pool_get() - get a pool for a class from an arena
 * @class: the class
 * @gfp: what may be done to get one; with %__GFP_THISNODE it is of @node
 * @node: the memory node to prefer
 *
 * Context: No kheap lock held. Sleeps if @gfp allows it.
 * Return: A pool in state MOVING that knows its class and is otherwise as its
 * last user left it; NULL if there is no memory.
 */
struct kheap_pool *kheap_pool_get(struct kheap_class *class, gfp_t gfp,
				  int node)
{
	struct kheap *heap = class->heap;
	struct kheap_arena_set *set;
	struct kheap_pool *pool;

	set = READ_ONCE(*kheap_set_slot(heap, class->span, node));
	pool = pool_from_usable(set, class);
	if (pool)
		return pool;
	gfp = page_gfp(heap, gfp);
	if (kheap_mm_allowed())
		pool = pool_from_hole(set, class, gfp);
	if (!pool && !(gfp & __GFP_THISNODE))
		pool = pool_from_other_nodes(class, node);
	if (!pool && kheap_mm_allowed())
		pool = pool_from_new_arena(class, gfp, node);
	return pool;
}

/**
 * kheap_pools_put() - give pools without an allocated block back
 * @heap: the heap
 * @pools: pools in state MOVING; the list is used up
 *
 * Context: No kheap lock held. Any context. Never sleeps.
 */
void kheap_pools_put(struct kheap *heap, struct list_head *pools)
{
	bool mm_allowed = kheap_mm_allowed();
	struct kheap_pool *pool, *next;
	LIST_HEAD(release);
	unsigned long flags;

	if (list_empty(pools))
		return;
	list_for_each_entry_safe(pool, next, pools, list) {
		struct kheap_arena *arena = pool->arena;
		struct kheap_arena_set *set = arena->set;
		void *map = NULL;

		raw_spin_lock_irqsave(&set->lock, flags);
		if (mm_allowed)
			map = kheap_pool_detach_map(pool);
		pool->class->node[set->node].nr_pools--;
		trace_kheap_pool_state(pool, pool->state, KHEAP_POOL_EMPTY);
		pool->class = &kheap_cold_class;
		pool->state = KHEAP_POOL_EMPTY;
		kheap_pool_set_tag(pool, set->span, 0);
		list_move(&pool->list, &arena->freepools);
		arena_set_nr_freepools(arena, arena->nr_freepools + 1);
		if (arena_is_empty(arena))
			arena_emptied(arena, &release);
		raw_spin_unlock_irqrestore(&set->lock, flags);
		kheap_meta_free(heap, map);
	}
	arenas_release(heap, &release);
	kheap_maint_later(heap);
}

/* --- Walking and trimming ----------------------------------------------- */

/**
 * kheap_arena_next() - step through the arenas of a set
 * @set: the set
 * @arena: the arena returned last, or NULL to start
 *
 * The arena returned is pinned, so that it stays in the set until the next
 * call. Arenas made meanwhile are met; those that go away may not be.
 *
 * Context: Process context. No kheap lock held but 1 and 2.
 * Return: The next arena, or NULL at the end.
 */
struct kheap_arena *kheap_arena_next(struct kheap_arena_set *set,
				     struct kheap_arena *arena)
{
	struct kheap_arena *next = NULL;
	LIST_HEAD(release);
	unsigned long flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	if (!arena)
		next = list_first_entry_or_null(&set->arenas,
						struct kheap_arena, list);
	else if (!list_is_last(&arena->list, &set->arenas))
		next = list_next_entry(arena, list);
	if (next)
		next->nr_pins++;
	if (arena) {
		arena->nr_pins--;
		if (arena_is_empty(arena))
			arena_emptied(arena, &release);
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	arenas_release(set->heap, &release);
	return next;
}

/*
 * Make holes of up to @nr empty pools of an arena that stays, and collect their
 * pages; under the set's lock. Those that were returned first go. Return how
 * many there are now.
 */
static unsigned int arena_punch_holes(struct kheap_arena *arena,
				      unsigned int nr, struct list_head *pages)
{
	struct kheap_arena_set *set = arena->set;
	struct kheap_pool *pool, *next;
	unsigned int i, left = nr;

	if (!arena->split) {
		split_page(arena->page, arena->order);
		arena->split = true;
	}
	if (!arena->nr_holes)
		list_add(&arena->holed_node, &set->holed);
	list_for_each_entry_safe_reverse(pool, next, &arena->freepools, list) {
		struct page *page = virt_to_page(pool->base);

		if (!left--)
			break;
		list_del(&pool->list);
		pool_unmark_pages(page, set->span);
		trace_kheap_pool_state(pool, pool->state, KHEAP_POOL_HOLE);
		pool->state = KHEAP_POOL_HOLE;
		for (i = 0; i < 1U << set->span; i++)
			list_add(&page[i].lru, pages);
	}
	arena->nr_holes += nr;
	set->nr_holes += nr;
	set->nr_pages -= (unsigned long)nr << set->span;
	arena_set_nr_freepools(arena, arena->nr_freepools - nr);
	return nr;
}

/*
 * Take up to @nr empty pools out of the arena that has most of them, and is
 * thus the last to serve. An arena that is empty goes whole or stays; one that
 * a walker stands on goes when the walker leaves. Return how many were taken.
 */
static unsigned int set_take_empty(struct kheap_arena_set *set,
				   unsigned long nr, struct list_head *pages,
				   struct list_head *release)
{
	struct kheap_arena *arena;
	unsigned int nr_free;

	lockdep_assert_held(&set->lock);
	for (nr_free = KHEAP_ARENA_POOLS; nr_free; nr_free--) {
		hlist_for_each_entry(arena, &set->usable[nr_free],
				     usable_node) {
			if (!arena_is_empty(arena))
				return arena_punch_holes(arena,
							 min_t(unsigned long,
							       nr, nr_free),
							 pages);
			if (nr_free > nr || arena->nr_pins)
				continue;
			arena_unlink(arena, release);
			return nr_free;
		}
	}
	return 0;
}

/* Give back up to @nr empty pools of a set. Return the bytes. */
static size_t set_give_back(struct kheap_arena_set *set, unsigned long nr)
{
	struct page *page, *next;
	unsigned int taken;
	unsigned long flags;
	size_t bytes = 0;

	while (nr) {
		LIST_HEAD(release);
		LIST_HEAD(pages);

		raw_spin_lock_irqsave(&set->lock, flags);
		taken = set_take_empty(set, nr, &pages, &release);
		raw_spin_unlock_irqrestore(&set->lock, flags);
		if (!taken)
			break;
		list_for_each_entry_safe(page, next, &pages, lru) {
			list_del(&page->lru);
			pages_free(set->heap, page, 0);
		}
		arenas_release(set->heap, &release);
		nr -= taken;
		bytes += (size_t)taken << set->span << PAGE_SHIFT;
		cond_resched();
	}
	return bytes;
}

/**
 * kheap_arenas_trim() - give back every empty pool
 * @heap: the heap
 *
 * Arenas that are empty go whole, the others page by page.
 *
 * Context: Process context. May sleep.
 * Return: Bytes given back.
 */
size_t kheap_arenas_trim(struct kheap *heap)
{
	struct kheap_arena_set *set;
	size_t bytes = 0;
	unsigned int i;

	kheap_for_each_set(set, heap, i)
		bytes += set_give_back(set, READ_ONCE(set->nr_empty));
	kheap_arenas_release_deferred(heap);
	return bytes;
}

/*
 * A load that comes and goes between two looks of the maintenance work uses the
 * same empty pools again; what nobody has used between two looks is idle. Of
 * that, a part of what the set holds is kept for a load that grows.
 */
#define IDLE_KEPT_SHIFT	3

/* Return what is idle beyond that, and *@used: it was used, and may be later. */
static unsigned long set_nr_idle(struct kheap_arena_set *set, bool *used)
{
	unsigned long nr_idle, kept, flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	kept = ((set->nr_pages >> set->span) - set->nr_empty) >>
	       IDLE_KEPT_SHIFT;
	nr_idle = set->nr_idle;
	*used |= nr_idle < set->nr_empty && set->nr_empty > kept;
	set->nr_idle = set->nr_empty;
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return nr_idle > kept ? nr_idle - kept : 0;
}

/**
 * kheap_arenas_trim_idle() - give back pools that were empty since the last call
 * @heap: the heap
 *
 * Context: Process context. May sleep.
 * Return: true if more may be idle by the next call.
 */
bool kheap_arenas_trim_idle(struct kheap *heap)
{
	struct kheap_arena_set *set;
	bool again = false;
	unsigned int i;

	kheap_for_each_set(set, heap, i)
		set_give_back(set, set_nr_idle(set, &again));
	return again;
}

/* --- Life cycle --------------------------------------------------------- */

/**
 * kheap_arena_set_create() - prepare for pools of one span and node
 * @heap: the heap
 * @span: order of a pool
 * @node: the memory node
 * @gfp: what the allocation may do
 *
 * Return: 0, also when there is one already; -ENOMEM.
 */
int kheap_arena_set_create(struct kheap *heap, unsigned int span, int node,
			   gfp_t gfp)
{
	struct kheap_arena_set **slot = kheap_set_slot(heap, span, node);
	struct kheap_arena_set *set;

	if (READ_ONCE(*slot))
		return 0;
	set = kheap_meta_alloc(heap, sizeof(*set), gfp, node);
	if (!set)
		return -ENOMEM;
	raw_spin_lock_init(&set->lock);
	INIT_LIST_HEAD(&set->arenas);
	INIT_LIST_HEAD(&set->holed);
	set->heap = heap;
	set->node = node;
	set->span = span;
	if (cmpxchg(slot, NULL, set))
		kheap_meta_free(heap, set);
	return 0;
}

/* Free every arena of a heap that nobody uses any more. */
void kheap_arenas_destroy(struct kheap *heap)
{
	struct kheap_arena *arena, *next;
	struct kheap_arena_set *set;
	unsigned int i;

	kheap_arenas_release_deferred(heap);
	kheap_for_each_set(set, heap, i) {
		list_for_each_entry_safe(arena, next, &set->arenas, list) {
			arena_free(arena);
			cond_resched();
		}
		kheap_meta_free(heap, set);
		heap->sets[i] = NULL;
	}
}
