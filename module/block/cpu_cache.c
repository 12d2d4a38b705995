// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU caches: two magazines of free blocks a CPU and class, sized by use.
 * The fast paths are in cpu_cache.h; this is what happens when they miss.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/cache.h>
#include <linux/kmemleak.h>
#include <linux/slab.h>
#include <linux/smp.h>

#include "block/cpu_cache.h"

/* Slots of a CPU's first magazines; how often it must miss to get larger ones. */
#define FIRST_SLOTS		5
#define MISSES_TO_GROW		8

/* Whoever looks at it finds somebody at it, and misses. */
DEFINE_PER_CPU(struct kheap_cpu_cache, kheap_cold_cache) = {
	.busy = KHEAP_BUSY,
};

/* --- Magazines ---------------------------------------------------------- */

static struct kheap_magazine *magazine_alloc(struct kheap_class *class,
					     unsigned int nr_slots)
{
	struct kheap_magazine *mag;
	size_t bytes = max_t(size_t, struct_size(mag, slots, nr_slots),
			     SMP_CACHE_BYTES);

	if (!kheap_mm_allowed())
		return NULL;
	mag = kheap_meta_alloc(class->heap, bytes, GFP_NOWAIT | __GFP_NOWARN,
			       numa_mem_id());
	if (!mag)
		return NULL;
	mag->nr_slots = nr_slots;
	mag->nil = kheap_class_nil(class);
	/* A slot keeps the address of the block that was taken out of it. */
	kmemleak_ignore(mag);
	return mag;
}

/* Make a magazine with @nr blocks the loaded one; under the mark. */
static void load_magazine(struct kheap_cpu_cache *cache,
			  struct kheap_magazine *mag, unsigned int nr)
{
	cache->loaded = mag;
	WRITE_ONCE(cache->base, mag->slots);
	WRITE_ONCE(cache->limit, mag->slots + mag->nr_slots);
	WRITE_ONCE(cache->top, mag->slots + nr);
}

/* Make the previous magazine, full or empty, the loaded one; under the mark. */
static void swap_magazines(struct kheap_cpu_cache *cache)
{
	struct kheap_magazine *loaded = cache->loaded;
	unsigned int nr = cache->nr_previous;

	WRITE_ONCE(cache->nr_previous, cache->top - cache->base);
	load_magazine(cache, cache->previous, nr);
	cache->previous = loaded;
}

/* An empty magazine of this CPU, to be used again unless it is too small. */
static void put_empty(struct kheap_cpu_cache *cache, struct kheap_magazine *mag)
{
	kheap_magazine_put(mag->nr_slots < cache->nr_slots ? &cache->outgrown :
			   &cache->empty, mag);
}

/* One that is large enough, or NULL. */
static struct kheap_magazine *get_empty(struct kheap_cpu_cache *cache)
{
	struct kheap_magazine *mag;

	while ((mag = kheap_magazine_get(&cache->empty))) {
		if (mag->nr_slots >= cache->nr_slots)
			break;
		kheap_magazine_put(&cache->outgrown, mag);
	}
	return mag;
}

static unsigned int wanted_slots(const struct kheap_class *class,
				 const struct kheap_cpu_cache *cache)
{
	unsigned int nr = READ_ONCE(cache->nr_slots);

	if (READ_ONCE(cache->asleep))
		return 0;
	if (!nr)
		return cache->nr_slow ? min_t(unsigned int, FIRST_SLOTS,
					      class->max_slots) : 0;
	/* A bulk request misses several times before it comes here. */
	if (nr < class->max_slots && cache->nr_slow / MISSES_TO_GROW !=
				     cache->grown_slow / MISSES_TO_GROW)
		return min_t(unsigned int, 2 * nr + 3, class->max_slots);
	return 0;
}

/*
 * Move into magazines that are twice as large, or the first ones; under the
 * mark. All blocks fit in the new loaded one. On return, @loaded and @previous
 * are the old ones.
 */
static void switch_magazines(struct kheap_cpu_cache *cache,
			     struct kheap_magazine **loaded,
			     struct kheap_magazine **previous)
{
	struct kheap_magazine *old = cache->loaded, *old_p = cache->previous;
	unsigned int nr = cache->nr_previous;
	struct kheap_magazine *mag;

	if (nr)
		memcpy((*loaded)->slots, old_p->slots,
		       nr * sizeof(void *));
	memcpy((*loaded)->slots + nr, cache->base,
	       (cache->top - cache->base) * sizeof(void *));
	nr += cache->top - cache->base;
	WRITE_ONCE(cache->nr_previous, 0);
	cache->grown_slow = cache->nr_slow;
	WRITE_ONCE(cache->nr_slots, (*loaded)->nr_slots);
	while ((mag = kheap_magazine_get(&cache->empty)))
		kheap_magazine_put(&cache->outgrown, mag);
	cache->previous = *previous;
	load_magazine(cache, *loaded, nr);
	*loaded = old;
	*previous = old_p;
}

/* Do the blocks of @cache fit in a magazine of @nr slots? Under the mark. */
static bool blocks_fit(const struct kheap_cpu_cache *cache, unsigned int nr)
{
	return cache->top - cache->base + cache->nr_previous <= nr;
}

/* Free the magazines that were too small. */
static void drop_outgrown(struct kheap_class *class,
			  struct kheap_cpu_cache __percpu *caches)
{
	struct kheap_cpu_cache *cache;
	struct kheap_stack mags = { };

	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		swap(cache->outgrown, mags);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	kheap_magazines_drop(class, &mags);
}

/**
 * kheap_cpu_cache_grow() - get magazines, or larger ones, where they are missed
 * @class: the class
 * @caches: its per-CPU caches, of which this CPU's may be served
 *
 * May find that it cannot, and then a later miss tries again. The small ones
 * that are put by or in the depot go when they are empty.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_cpu_cache_grow(struct kheap_class *class,
			  struct kheap_cpu_cache __percpu *caches)
{
	struct kheap_cpu_cache *cache = raw_cpu_ptr(caches);
	unsigned int nr = wanted_slots(class, cache);
	struct kheap_magazine *loaded, *previous;

	if (unlikely(READ_ONCE(cache->outgrown.nr)) && kheap_mm_allowed())
		drop_outgrown(class, caches);
	if (likely(!nr))
		return;
	loaded = magazine_alloc(class, nr);
	previous = magazine_alloc(class, nr);
	if (loaded && previous) {
		preempt_disable();
		cache = raw_cpu_ptr(caches);
		if (kheap_mark_busy(cache)) {
			if (!cache->asleep &&
			    cache->nr_slots < nr && blocks_fit(cache, nr))
				switch_magazines(cache, &loaded, &previous);
			kheap_clear_busy(cache);
		}
		preempt_enable();
	}
	kheap_meta_free(class->heap, loaded);
	kheap_meta_free(class->heap, previous);
}

/* --- Misses ------------------------------------------------------------- */

/* Count a miss, and let a sleeping cache take in blocks again; under the mark. */
static void note_miss(struct kheap_cpu_cache *cache)
{
	if (unlikely(cache->answering))
		cache->answering = false;
	else
		cache->nr_slow++;
	if (!cache->asleep)
		return;
	WRITE_ONCE(cache->asleep, false);
	load_magazine(cache, cache->loaded, 0);
}

/*
 * Load one of the full magazines put by; both others are empty, and the larger
 * one stays: what is put by last is loaded first, and a small one might come
 * round for ever.
 */
static void load_full(struct kheap_cpu_cache *cache)
{
	struct kheap_magazine *mag = kheap_magazine_get(&cache->full);

	WRITE_ONCE(cache->nr_put_by, cache->nr_put_by - mag->nr_slots);
	if (cache->previous &&
	    cache->previous->nr_slots > cache->loaded->nr_slots)
		swap(cache->previous, cache->loaded);
	if (cache->previous)
		put_empty(cache, cache->previous);
	cache->previous = cache->loaded;
	load_magazine(cache, mag, mag->nr_slots);
}

/**
 * kheap_cpu_cache_fill() - get blocks into the loaded magazine
 * @class: the class
 * @cache: this CPU's cache, under its busy mark
 * @bad: as of kheap_pools_take()
 *
 * Loads the previous magazine, or a full one that was put by or is in the depot,
 * or takes a run of blocks from used pools.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Whether there are blocks in it.
 */
bool kheap_cpu_cache_fill(struct kheap_class *class,
			  struct kheap_cpu_cache *cache, void **bad)
{
	unsigned int nr;

	note_miss(cache);
	if (cache->top != cache->base)
		return true;
	if (!cache->loaded)
		return false;
	if (cache->nr_previous) {
		swap_magazines(cache);
		return true;
	}
	if (cache->full.nr || kheap_depot_take(class, cache)) {
		load_full(cache);
		return true;
	}
	nr = kheap_pools_take(class, numa_mem_id(), false, cache->base,
			      cache->limit - cache->base, bad);
	WRITE_ONCE(cache->top, cache->base + nr);
	return nr;
}

/* Take the topmost block, of which there is one, under the busy mark. */
static void *pop_marked(struct kheap_cpu_cache *cache)
{
	void *block = cache->top[-1];

	WRITE_ONCE(cache->top, cache->top - 1);
	return block;
}

/**
 * kheap_cpu_cache_refill() - serve an allocation that missed
 * @class: the class
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: A block with its mark; NULL if there is no used pool, or the cache is
 * busy or cold.
 */
void *kheap_cpu_cache_refill(struct kheap_class *class)
{
	struct kheap_cpu_cache __percpu *caches = READ_ONCE(class->caches);
	void *block = NULL, *bad = NULL;
	struct kheap_cpu_cache *cache;

	if (caches == &kheap_cold_cache)
		return NULL;
	kheap_cpu_cache_grow(class, caches);
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		if (kheap_cpu_cache_fill(class, cache, &bad))
			block = pop_marked(cache);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	kheap_refuse_link(class, bad);
	kheap_maint_later(class->heap);
	return block;
}

/* The pool's blocks go into the loaded magazine; under the busy mark. */
static void *join_marked(struct kheap_cpu_cache *cache,
			 struct kheap_pool *pool, bool *joined, void **bad)
{
	unsigned int nr = cache->limit - cache->base;

	*joined = cache->top == cache->base && nr &&
		  pool->arena->set->node == numa_mem_id();
	if (!*joined)
		return NULL;
	nr = kheap_pool_join(pool, cache->base, nr, bad);
	WRITE_ONCE(cache->top, cache->base + nr);
	return nr ? pop_marked(cache) : NULL;
}

/**
 * kheap_cpu_cache_join() - put a new pool in its class, and fill the cache
 * @class: the class
 * @pool: a pool that was set up and is in state MOVING
 *
 * Others of its blocks go into the loaded magazine, if that is of its node, is
 * empty and nobody is at it: else the next request would miss again.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: One of its blocks, with its mark; NULL if the pool was corrupted before
 * it came here.
 */
void *kheap_cpu_cache_join(struct kheap_class *class, struct kheap_pool *pool)
{
	void *block = NULL, *bad = NULL;
	struct kheap_cpu_cache *cache;
	bool joined = false;

	preempt_disable();
	cache = raw_cpu_ptr(class->caches);
	if (kheap_mark_busy(cache)) {
		block = join_marked(cache, pool, &joined, &bad);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (!joined && !kheap_pool_join(pool, &block, 1, &bad))
		block = NULL;
	kheap_refuse_link(class, bad);
	return block;
}

/*
 * Put the previous magazine, which is full, by, and have an empty one in its
 * place; some that were put by may go to the depot. Return false if there is no
 * room, or no empty one.
 */
static bool put_by(struct kheap_class *class, struct kheap_cpu_cache *cache)
{
	struct kheap_magazine *full = cache->previous, *empty;

	if (cache->full.nr >= class->max_full || !cache->empty.nr)
		kheap_depot_give(class, cache);
	if (cache->full.nr >= class->max_full)
		return false;
	empty = get_empty(cache);
	if (!empty)
		return false;
	WRITE_ONCE(cache->nr_put_by, cache->nr_put_by + full->nr_slots);
	kheap_magazine_put(&cache->full, full);
	cache->previous = empty;
	return true;
}

/* Make room in the loaded magazine, if there is one; under the busy mark. */
static bool make_room(struct kheap_class *class, struct kheap_cpu_cache *cache,
		      bool alien, struct list_head *empties)
{
	struct kheap_magazine *full = cache->previous;

	note_miss(cache);
	if (!cache->loaded)
		return false;
	if (cache->top != cache->limit)
		return true;
	if (cache->nr_previous) {
		if (alien || !put_by(class, cache))
			kheap_pools_give(class, full->slots, full->nr_slots,
					 empties);
		WRITE_ONCE(cache->nr_previous, 0);
	}
	swap_magazines(cache);
	return true;
}

/**
 * kheap_cpu_cache_make_room() - make room for more blocks
 * @class: the class
 * @cache: this CPU's cache, under its busy mark
 * @empties: as of kheap_pools_give()
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Whether there is room.
 */
bool kheap_cpu_cache_make_room(struct kheap_class *class,
			       struct kheap_cpu_cache *cache,
			       struct list_head *empties)
{
	return make_room(class, cache, false, empties);
}

/* Give this CPU an empty magazine. Return false if that cannot be done. */
static bool add_empty(struct kheap_class *class,
		      struct kheap_cpu_cache __percpu *caches,
		      unsigned int nr_slots)
{
	struct kheap_magazine *mag = magazine_alloc(class, nr_slots);
	struct kheap_cpu_cache *cache;

	if (!mag)
		return false;
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		put_empty(cache, mag);
		mag = NULL;
		kheap_clear_busy(cache);
	}
	preempt_enable();
	kheap_meta_free(class->heap, mag);
	return !mag;
}

/**
 * kheap_cpu_cache_spare() - have empty magazines for blocks to come
 * @class: the class
 * @caches: its per-CPU caches
 * @nr: how many blocks are to be freed here
 *
 * With them, full magazines can be put by; without, their blocks would have to go
 * back into the pools. What CPUs have put by before comes back as empty.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_cpu_cache_spare(struct kheap_class *class,
			   struct kheap_cpu_cache __percpu *caches, size_t nr)
{
	struct kheap_cpu_cache *cache = raw_cpu_ptr(caches);
	unsigned int nr_slots = READ_ONCE(cache->nr_slots), want, i;
	long room;

	if (!nr_slots || kheap_depot_has_empty(class))
		return;
	room = READ_ONCE(cache->limit) - READ_ONCE(cache->top);
	if (!cache->nr_previous)
		room += nr_slots;
	if ((long)nr <= room)
		return;
	want = min_t(size_t, DIV_ROUND_UP(nr - room, nr_slots),
		     class->max_full - min(cache->full.nr, class->max_full));
	for (i = READ_ONCE(cache->empty.nr); i < want; i++)
		if (!add_empty(class, caches, nr_slots))
			break;
}

/**
 * kheap_cpu_cache_push() - take in a freed block that missed
 * @class: the class
 * @alien: the block is of another memory node
 * @block: the block, with its mark
 *
 * The blocks of other nodes gather in caches of their own, so that they go home
 * in runs and are not handed out here.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if the cache is busy or has no magazine.
 */
bool kheap_cpu_cache_push(struct kheap_class *class, bool alien, void *block)
{
	struct kheap_cpu_cache __percpu *caches = READ_ONCE(class->caches);
	struct kheap_cpu_cache *cache;
	LIST_HEAD(empties);
	bool pushed = false;

	if (caches == &kheap_cold_cache)
		return false;
	if (alien) {
		/* Pairs with kheap_cpu_caches_setup(): the alien ones were first. */
		smp_rmb();
		caches = READ_ONCE(class->alien);
	}
	kheap_cpu_cache_grow(class, caches);
	if (!alien)
		kheap_cpu_cache_spare(class, caches, 1);
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		pushed = make_room(class, cache, alien, &empties);
		if (pushed) {
			*cache->top = block;
			WRITE_ONCE(cache->top, cache->top + 1);
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (!list_empty(&empties))
		kheap_pools_put(class->heap, &empties);
	kheap_maint_later(class->heap);
	return pushed;
}

/* --- Blocks without a mark ---------------------------------------------- */

/**
 * kheap_cpu_cache_settle() - deal with a block that had no mark when popped
 * @class: the class
 * @cache: the cache it came out of
 *
 * Context: Any context except NMI, no kheap lock held. Any CPU.
 */
void kheap_cpu_cache_settle(struct kheap_class *class,
			    struct kheap_cpu_cache *cache)
{
	unsigned long stray;

	if (likely(!READ_ONCE(cache->stray)))
		return;
	stray = (unsigned long)xchg(&cache->stray, NULL);
	if (stray)
		kheap_pool_block_stray(class,
				       (void *)(stray & ~KHEAP_STRAY_LOST),
				       stray & KHEAP_STRAY_LOST);
}
