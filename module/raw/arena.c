// SPDX-License-Identifier: GPL-2.0
/*
 * Arenas: pages taken from the system 64 at a time, handed to the classes as
 * pools, and given back whole, or, when only some of them are empty, alone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>

#include "raw/raw.h"
#include "raw/trace.h"

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

/*
 * Make the pages of an arena separate. The lock of its set is held, or nobody
 * knows of it.
 */
static void arena_split(struct kheap_arena *arena)
{
	if (arena->split)
		return;
	split_page(arena->page, arena->order);
	arena->split = true;
}

/* Put an arena with holes where fill_hole() looks for it. */
static void arena_list_holed(struct kheap_arena *arena)
{
	struct kheap_arena_set *set = arena->set;

	if (arena->nr_holes > arena->nr_bare)
		list_move(&arena->holed_node, &set->holed);
	else
		list_move_tail(&arena->holed_node, &set->holed);
}

/* Descriptors that an arena need not have; not while somebody walks there. */
static void arena_shed(struct kheap_arena *arena, struct list_head *chunks)
{
	if (arena->nr_holes && !arena->nr_pins)
		kheap_arena_shed_chunks(arena, chunks);
	if (arena->nr_holes)
		arena_list_holed(arena);
}

/* --- Giving arenas back ------------------------------------------------- */

/* Free the pages of an arena that is in no list any more, and the arena. */
static void arena_free(struct kheap_arena *arena)
{
	struct kheap *heap = arena->set->heap;
	unsigned int span = arena->set->span;
	struct kheap_pool *pool;
	unsigned int i;

	trace_kheap_arena_release(arena);
	kheap_for_each_pool(pool, arena, i) {
		struct page *page;

		kheap_meta_free(heap, kheap_pool_detach_map(pool));
		if (pool->state == KHEAP_POOL_HOLE)
			continue;
		page = virt_to_page(pool->base);
		kheap_pool_unmark_pages(page, span);
		if (arena->split)
			kheap_pages_free_split(heap, page, span);
	}
	if (!arena->split)
		kheap_pages_free(heap, arena->page, arena->order);
	kheap_arena_free_chunks(arena);
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
	WRITE_ONCE(set->nr_arenas, set->nr_arenas - 1);
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
		llist_add(&arena->dead, &heap->raw.released);
	kheap_maint_now(heap);
}

/* Free what arenas_release() had to leave; where pages may be freed. */
void kheap_arenas_release_deferred(struct kheap *heap)
{
	struct kheap_arena *arena, *next;

	llist_for_each_entry_safe(arena, next,
				  llist_del_all(&heap->raw.released), dead)
		arena_free(arena);
}

/* --- Taking arenas ------------------------------------------------------ */

static void arena_init_pools(struct kheap_arena *arena)
{
	unsigned int span = arena->set->span;
	struct kheap_pool *pool;
	unsigned int i;

	INIT_LIST_HEAD(&arena->freepools);
	kheap_for_each_pool(pool, arena, i) {
		struct page *page = arena->page + (i << span);

		pool->base = page_address(page);
		pool->state = KHEAP_POOL_EMPTY;
		list_add_tail(&pool->list, &arena->freepools);
		kheap_pool_mark_pages(pool, page, span);
	}
}

/* Describe 2^@order pages of one node as an arena that is in no set yet. */
static struct kheap_arena *arena_describe(struct kheap_arena_set *set,
					  struct page *page,
					  unsigned int order, gfp_t gfp)
{
	struct kheap *heap = set->heap;
	struct kheap_arena *arena;

	arena = kheap_meta_alloc(heap, sizeof(*arena), gfp, set->node);
	if (!arena)
		return NULL;
	arena->set = set;
	arena->page = page;
	arena->order = order;
	arena->nr_totalpools = 1U << (order - set->span);
	if (!kheap_arena_alloc_chunks(arena, gfp)) {
		kheap_meta_free(heap, arena);
		return NULL;
	}
	arena->serial = atomic_long_inc_return(&heap->raw.nr_serials);
	arena_init_pools(arena);
	trace_kheap_arena_new(arena);
	return arena;
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
	kheap_tenants->count(class, set->node, 1);
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

/*
 * A hole of the set. If none has a descriptor it is one of *@chunk, which is
 * used up; NULL if there is no chunk either, or no hole.
 */
static struct kheap_pool *find_hole(struct kheap_arena_set *set,
				    struct kheap_pool **chunk)
{
	struct kheap_arena *arena;

	arena = list_first_entry_or_null(&set->holed, struct kheap_arena,
					 holed_node);
	if (!arena)
		return NULL;
	if (arena->nr_holes == arena->nr_bare) {
		if (!*chunk)
			return NULL;
		kheap_arena_regain_chunk(arena, *chunk);
		*chunk = NULL;
	}
	return kheap_arena_first_hole(arena);
}

/* Put @page in a hole of @set, as an empty pool, and take it. */
static struct kheap_pool *fill_hole(struct kheap_arena_set *set,
				    struct kheap_class *class,
				    struct page *page,
				    struct kheap_pool **chunk)
{
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	unsigned long flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	pool = find_hole(set, chunk);
	if (pool) {
		arena = pool->arena;
		pool->base = page_address(page);
		trace_kheap_pool_state(pool, KHEAP_POOL_HOLE, KHEAP_POOL_EMPTY);
		pool->state = KHEAP_POOL_EMPTY;
		kheap_pool_mark_pages(pool, page, set->span);
		list_add(&pool->list, &arena->freepools);
		if (--arena->nr_holes)
			arena_list_holed(arena);
		else
			list_del(&arena->holed_node);
		set->nr_holes--;
		set->nr_pages += 1UL << set->span;
		arena_set_nr_freepools(arena, arena->nr_freepools + 1);
		pool_leave_arena(pool, class);
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	return pool;
}

/* As fill_hole(); all holes may be without a descriptor. */
static struct kheap_pool *fill_any_hole(struct kheap_arena_set *set,
					struct kheap_class *class, gfp_t gfp,
					struct page *page)
{
	struct kheap_pool *chunk = NULL;
	struct kheap_pool *pool = fill_hole(set, class, page, &chunk);

	if (pool || !READ_ONCE(set->nr_holes))
		return pool;
	chunk = kheap_chunk_alloc(set, KHEAP_CHUNK_POOLS, gfp);
	if (chunk)
		pool = fill_hole(set, class, page, &chunk);
	kheap_meta_free(set->heap, chunk);
	return pool;
}

/* Where this fails, a new arena can be had; that one must not fail. */
static struct kheap_pool *pool_from_hole(struct kheap_arena_set *set,
					 struct kheap_class *class, gfp_t gfp)
{
	struct kheap_pool *pool = NULL;
	struct page *page;

	if (!set || !READ_ONCE(set->nr_holes))
		return NULL;
	gfp = (gfp & ~__GFP_NOFAIL) | __GFP_NOWARN;
	page = kheap_pages_alloc(set->heap, gfp | __GFP_THISNODE, set->span,
				 set->node);
	if (!page)
		return NULL;
	if (set->span)
		split_page(page, set->span);
	/* The client's page source may not care for nodes. */
	if (page_to_nid(page) == set->node)
		pool = fill_any_hole(set, class, gfp, page);
	if (!pool)
		kheap_pages_free_split(set->heap, page, set->span);
	return pool;
}

static struct kheap_pool *pool_from_new_arena(struct kheap *heap,
					      unsigned int span,
					      struct kheap_class *class,
					      gfp_t gfp, int node)
{
	struct kheap_arena *arena = NULL;
	struct kheap_arena_set *set;
	struct kheap_pool *pool;
	unsigned long flags;
	unsigned int order;
	struct page *page;

	page = kheap_arena_pages(heap, span, gfp, node, &order);
	if (!page)
		return NULL;
	set = set_of_node(heap, span, page_to_nid(page), gfp);
	if (set)
		arena = arena_describe(set, page, order, gfp);
	if (!arena) {
		kheap_pages_free(heap, page, order);
		return NULL;
	}
	/*
	 * Pages in one piece are charged by their first one. The kernel asks the
	 * page that an object is in for its group: list_lru does, to find a list.
	 */
	if (heap->base.flags & KHEAP_ACCOUNT)
		arena_split(arena);
	pool = list_first_entry(&arena->freepools, struct kheap_pool, list);
	raw_spin_lock_irqsave(&set->lock, flags);
	list_add_tail(&arena->list, &set->arenas);
	WRITE_ONCE(set->nr_arenas, set->nr_arenas + 1);
	set->nr_pages += 1UL << order;
	arena_set_nr_freepools(arena, arena->nr_totalpools);
	pool_leave_arena(pool, class);
	raw_spin_unlock_irqrestore(&set->lock, flags);
	kheap_maint_later(heap);
	return pool;
}

/* An empty pool that a heap already has on another node. */
static struct kheap_pool *pool_from_other_nodes(struct kheap *heap,
						unsigned int span,
						struct kheap_class *class,
						int node)
{
	struct kheap_pool *pool = NULL;
	int other;

	for_each_online_node(other) {
		if (other == node)
			continue;
		pool = pool_from_usable(READ_ONCE(*kheap_set_slot(heap, span,
								  other)),
					class);
		if (pool)
			break;
	}
	return pool;
}

/**
 * kheap_pool_get() - get a pool for a class from an arena
 * @heap: the heap
 * @span: order of the pool
 * @class: the class
 * @gfp: what may be done to get one; with %__GFP_THISNODE it is of @node
 * @node: the memory node to prefer
 *
 * Context: No kheap lock held. Sleeps if @gfp allows it.
 * Return: A pool in state MOVING that knows its class and is otherwise as its
 * last user left it; NULL if there is no memory.
 */
struct kheap_pool *kheap_pool_get(struct kheap *heap, unsigned int span,
				  struct kheap_class *class, gfp_t gfp,
				  int node)
{
	struct kheap_arena_set *set;
	struct kheap_pool *pool;

	set = READ_ONCE(*kheap_set_slot(heap, span, node));
	pool = pool_from_usable(set, class);
	if (pool)
		return pool;
	gfp = kheap_page_gfp(heap, gfp);
	if (kheap_mm_allowed())
		pool = pool_from_hole(set, class, gfp);
	if (!pool && !(gfp & __GFP_THISNODE))
		pool = pool_from_other_nodes(heap, span, class, node);
	if (!pool && kheap_mm_allowed())
		pool = pool_from_new_arena(heap, span, class, gfp, node);
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
		kheap_tenants->count(pool->class, set->node, -1);
		trace_kheap_pool_state(pool, pool->state, KHEAP_POOL_EMPTY);
		pool->class = kheap_tenants->nobody;
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
	LIST_HEAD(chunks);
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
		else
			arena_shed(arena, &chunks);
	}
	raw_spin_unlock_irqrestore(&set->lock, flags);
	arenas_release(set->heap, &release);
	kheap_chunks_free(set->heap, &chunks);
	return next;
}

/* What is to be freed when the set's lock is released. */
struct taken {
	struct list_head pages;
	struct list_head chunks;
	struct list_head arenas;
	void *maps;		/* the first word of each leads to the next */
};

/* The bits that a pool has kept, see pool_attach_map(), do not go with it. */
static void take_map(struct kheap_pool *pool, struct taken *taken)
{
	void **map = kheap_pool_detach_map(pool);

	if (!map)
		return;
	*map = taken->maps;
	taken->maps = map;
}

/*
 * Make holes of @nr empty pools of an arena that stays, and collect their
 * pages; under the set's lock. Those that were returned first go.
 */
static void arena_punch_holes(struct kheap_arena *arena, unsigned int nr,
			      struct taken *taken)
{
	struct kheap_arena_set *set = arena->set;
	struct kheap_pool *pool, *next;
	unsigned int i, left = nr;

	arena_split(arena);
	if (!arena->nr_holes)
		list_add(&arena->holed_node, &set->holed);
	list_for_each_entry_safe_reverse(pool, next, &arena->freepools, list) {
		struct page *page = virt_to_page(pool->base);

		if (!left--)
			break;
		list_del(&pool->list);
		kheap_pool_unmark_pages(page, set->span);
		trace_kheap_pool_state(pool, pool->state, KHEAP_POOL_HOLE);
		pool->state = KHEAP_POOL_HOLE;
		take_map(pool, taken);
		for (i = 0; i < 1U << set->span; i++)
			kheap_page_list_add(page + i, &taken->pages);
	}
	arena->nr_holes += nr;
	set->nr_holes += nr;
	set->nr_pages -= (unsigned long)nr << set->span;
	arena_set_nr_freepools(arena, arena->nr_freepools - nr);
	arena_shed(arena, &taken->chunks);
}

/*
 * Take up to @nr empty pools out of the arena that has most of them, and is
 * thus the last to serve. An arena that is empty goes whole or stays; one that
 * a walker stands on goes when the walker leaves. Return how many were taken.
 */
static unsigned int set_take_empty(struct kheap_arena_set *set,
				   unsigned long nr, struct taken *taken)
{
	struct kheap_arena *arena;
	unsigned int nr_free;

	lockdep_assert_held(&set->lock);
	for (nr_free = KHEAP_ARENA_POOLS; nr_free; nr_free--) {
		hlist_for_each_entry(arena, &set->usable[nr_free],
				     usable_node) {
			if (!arena_is_empty(arena)) {
				nr_free = min_t(unsigned long, nr, nr_free);
				arena_punch_holes(arena, nr_free, taken);
				return nr_free;
			}
			if (nr_free > nr || arena->nr_pins)
				continue;
			arena_unlink(arena, &taken->arenas);
			return nr_free;
		}
	}
	return 0;
}

static void free_taken(struct kheap *heap, struct taken *taken)
{
	struct page *page;

	while ((page = kheap_page_list_take(&taken->pages)))
		kheap_pages_free(heap, page, 0);
	while (taken->maps) {
		void *map = taken->maps;

		taken->maps = *(void **)map;
		kheap_meta_free(heap, map);
	}
	kheap_chunks_free(heap, &taken->chunks);
	arenas_release(heap, &taken->arenas);
}

/* Give back up to @nr empty pools of a set. */
static void set_give_back(struct kheap_arena_set *set, unsigned long nr)
{
	unsigned int nr_taken;
	unsigned long flags;
	struct taken taken;

	while (nr) {
		INIT_LIST_HEAD(&taken.pages);
		INIT_LIST_HEAD(&taken.chunks);
		INIT_LIST_HEAD(&taken.arenas);
		taken.maps = NULL;
		raw_spin_lock_irqsave(&set->lock, flags);
		nr_taken = set_take_empty(set, nr, &taken);
		raw_spin_unlock_irqrestore(&set->lock, flags);
		if (!nr_taken)
			break;
		free_taken(set->heap, &taken);
		nr -= nr_taken;
		cond_resched();
	}
}

/**
 * kheap_arenas_trim() - give back every empty pool
 * @heap: the heap
 *
 * Arenas that are empty go whole, the others page by page.
 *
 * Context: Process context. May sleep.
 */
void kheap_arenas_trim(struct kheap *heap)
{
	struct kheap_arena_set *set;
	unsigned int i;

	kheap_for_each_set(set, heap, i)
		set_give_back(set, READ_ONCE(set->nr_empty));
	kheap_arenas_release_deferred(heap);
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
		heap->raw.sets[i] = NULL;
	}
}
