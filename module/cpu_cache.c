// SPDX-License-Identifier: GPL-2.0
/*
 * Per-CPU caches: two magazines of free blocks a CPU and class, sized by use.
 * The fast paths are in cpu_cache.h; this is what happens when they miss.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/slab.h>
#include <linux/smp.h>

#include "cpu_cache.h"

/* A CPU's first magazines, and how often it must miss to get larger ones. */
#define FIRST_SLOTS		8
#define MISSES_TO_GROW		8

DEFINE_PER_CPU(struct kheap_cpu_cache, kheap_cold_cache) = {
	.busy = LOCAL_INIT(-1),
};

static struct kheap_slot *other_magazine(struct kheap_cpu_cache *cache)
{
	return cache->base == cache->array ? cache->array + cache->nr_slots :
					     cache->array;
}

/* Load the other magazine, which has @nr blocks; under the mark. */
static void load_magazine(struct kheap_cpu_cache *cache,
			  struct kheap_slot *magazine, unsigned int nr)
{
	cache->base = magazine;
	cache->limit = magazine + cache->nr_slots;
	WRITE_ONCE(cache->top, magazine + nr);
}

/*
 * Zero a block that is not one line long: whole lines first, and what is left
 * over with stores that overlap. Long ones are worth the rep prefix.
 */
void *kheap_zero_unusual(void *block, int last)
{
	int bytes = last + 64;
	void *ptr;

	if (bytes > 1024) {
		memset(block, 0, bytes);
	} else if (bytes > 64) {
		for (ptr = block; ptr < block + last; ptr += 64)
			kheap_zero_words(ptr, 8);
		kheap_zero_words(block + last, 8);
	} else if (bytes >= 32) {
		kheap_zero_words(block, 4);
		kheap_zero_words(block + bytes - 32, 4);
	} else if (bytes >= 16) {
		kheap_zero_words(block, 2);
		kheap_zero_words(block + bytes - 16, 2);
	} else if (bytes) {
		kheap_zero_words(block, 1);
	}
	return block;
}

/* --- Arrays ---------------------------------------------------------------- */

static unsigned int wanted_slots(const struct kheap_class *class,
				 const struct kheap_cpu_cache *cache)
{
	unsigned int nr = cache->nr_slots;

	if (!nr)
		return cache->nr_slow ? min_t(unsigned int, FIRST_SLOTS,
					      class->max_slots) : 0;
	if (nr < class->max_slots && cache->nr_slow % MISSES_TO_GROW == 0)
		return min_t(unsigned int, 2 * nr, class->max_slots);
	return nr;
}

/*
 * Move into an array with magazines of @nr slots, twice as many or the first
 * ones; under the mark. All blocks there are fit in the new loaded magazine.
 * Return the old array.
 */
static struct kheap_slot *switch_array(struct kheap_cpu_cache *cache,
				       struct kheap_slot *array,
				       unsigned int nr)
{
	struct kheap_slot *old = cache->array;
	unsigned int nr_previous = cache->previous_full ? cache->nr_slots : 0;
	unsigned int nr_loaded = cache->top - cache->base;

	if (nr_previous)
		memcpy(array, other_magazine(cache),
		       nr_previous * sizeof(*array));
	memcpy(array + nr_previous, cache->base, nr_loaded * sizeof(*array));
	cache->array = array;
	WRITE_ONCE(cache->nr_slots, nr);
	cache->previous_full = false;
	load_magazine(cache, array, nr_previous + nr_loaded);
	return old;
}

/*
 * Get this CPU an array, or a larger one, if it misses often enough. May find
 * that it cannot, and then the next miss tries again.
 */
static void maybe_grow(struct kheap_class *class,
		       struct kheap_cpu_cache __percpu *caches)
{
	struct kheap_cpu_cache *cache = raw_cpu_ptr(caches);
	unsigned int nr = wanted_slots(class, cache);
	struct kheap_slot *array;

	if (likely(nr <= READ_ONCE(cache->nr_slots)) ||
	    !kheap_mm_allowed())
		return;
	array = kheap_meta_alloc(class->heap, 2 * nr * sizeof(*array),
				 GFP_NOWAIT | __GFP_NOWARN, numa_mem_id());
	if (!array)
		return;
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		if (nr >= 2 * cache->nr_slots)
			array = switch_array(cache, array, nr);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	kheap_meta_free(class->heap, array);
	kheap_maint_later(class->heap);
}

/* --- Misses ------------------------------------------------------------------ */

static bool refill_marked(struct kheap_class *class,
			  struct kheap_cpu_cache *cache)
{
	struct kheap_slot *other;
	unsigned int nr;

	cache->nr_slow++;
	if (cache->top != cache->base)
		return true;
	if (!cache->nr_slots)
		return false;
	if (cache->previous_full) {
		other = other_magazine(cache);
		cache->previous_full = false;
		load_magazine(cache, other, cache->nr_slots);
		return true;
	}
	nr = kheap_pools_take(class, numa_mem_id(), cache->base,
			      cache->nr_slots);
	WRITE_ONCE(cache->top, cache->base + nr);
	return nr;
}

/**
 * kheap_cpu_cache_refill() - serve an allocation that missed
 * @class: the class
 * @slot: filled in
 *
 * Loads the previous magazine, or takes a run of blocks from used pools.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if there is no used pool, or the cache is busy or cold.
 */
bool kheap_cpu_cache_refill(struct kheap_class *class, struct kheap_slot *slot)
{
	struct kheap_cpu_cache __percpu *caches = READ_ONCE(class->cpu);
	struct kheap_cpu_cache *cache;
	bool found = false;

	if (caches == &kheap_cold_cache)
		return false;
	maybe_grow(class, caches);
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		found = refill_marked(class, cache);
		if (found) {
			*slot = cache->top[-1];
			WRITE_ONCE(cache->top, cache->top - 1);
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (found)
		kheap_maint_later(class->heap);
	return found;
}

/**
 * kheap_cpu_cache_join() - put a new pool in its class, and fill the cache
 * @class: the class
 * @pool: a pool that was set up and is in state MOVING
 * @slot: set to one of its blocks
 *
 * Others of its blocks go into the loaded magazine, if that is of its node, is
 * empty and nobody is at it: else the next request would miss again.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: true.
 */
bool kheap_cpu_cache_join(struct kheap_class *class, struct kheap_pool *pool,
			  struct kheap_slot *slot)
{
	struct kheap_cpu_cache *cache;
	unsigned int nr = 0;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (kheap_mark_busy(cache)) {
		if (cache->top == cache->base && cache->nr_slots &&
		    pool->arena->set->node == numa_mem_id()) {
			nr = kheap_pool_join(pool, cache->base,
					     cache->nr_slots);
			*slot = cache->base[nr - 1];
			WRITE_ONCE(cache->top, cache->base + nr - 1);
		}
		kheap_clear_busy(cache);
	}
	preempt_enable();
	return nr || kheap_pool_join(pool, slot, 1);
}

static bool push_marked(struct kheap_class *class,
			struct kheap_cpu_cache *cache, struct kheap_slot slot,
			struct list_head *empties)
{
	struct kheap_slot *other;

	cache->nr_slow++;
	if (!cache->nr_slots)
		return false;
	if (cache->top == cache->limit) {
		other = other_magazine(cache);
		if (cache->previous_full)
			kheap_pools_give(class, other, cache->nr_slots,
					 empties);
		cache->previous_full = true;
		load_magazine(cache, other, 0);
	}
	*cache->top = slot;
	WRITE_ONCE(cache->top, cache->top + 1);
	return true;
}

/**
 * kheap_cpu_cache_push() - take in a freed block that missed
 * @class: the class
 * @alien: the block is of another memory node
 * @slot: the block, its allocated bit clear
 *
 * When both magazines are full, the previous one goes back to the pools. The
 * blocks of other nodes gather in caches of their own, so that they go home in
 * runs and are not handed out here.
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if the cache is busy or has no array.
 */
bool kheap_cpu_cache_push(struct kheap_class *class, bool alien,
			  struct kheap_slot slot)
{
	struct kheap_cpu_cache __percpu *caches;
	struct kheap_cpu_cache *cache;
	LIST_HEAD(empties);
	bool pushed = false;

	caches = READ_ONCE(class->cpu);
	if (caches == &kheap_cold_cache)
		return false;
	if (alien)
		caches = class->alien;
	maybe_grow(class, caches);
	preempt_disable();
	cache = raw_cpu_ptr(caches);
	if (kheap_mark_busy(cache)) {
		pushed = push_marked(class, cache, slot, &empties);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	if (!list_empty(&empties))
		kheap_pools_put(class->heap, &empties);
	if (pushed)
		kheap_maint_later(class->heap);
	return pushed;
}

/* --- Runs ------------------------------------------------------------------------ */

/**
 * kheap_cpu_cache_take() - take several blocks out of this CPU's cache
 * @class: the class
 * @slots: filled in
 * @nr: how many are wanted
 *
 * Context: Any context.
 * Return: How many were taken: those at the top of the loaded magazine, or of
 * the previous one when that is empty.
 */
unsigned int kheap_cpu_cache_take(struct kheap_class *class,
				  struct kheap_slot *slots, unsigned int nr)
{
	struct kheap_cpu_cache *cache;
	unsigned int i = 0;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		struct kheap_slot *top;

		if (cache->top == cache->base && cache->previous_full) {
			cache->previous_full = false;
			load_magazine(cache, other_magazine(cache),
				      cache->nr_slots);
		}
		top = cache->top;
		while (i < nr && top != cache->base)
			slots[i++] = *--top;
		WRITE_ONCE(cache->top, top);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	return i;
}

/**
 * kheap_cpu_cache_give() - put several blocks into this CPU's cache
 * @class: the class
 * @slots: the blocks, their allocated bits clear, of this CPU's node
 * @nr: how many
 *
 * Context: Any context.
 * Return: How many were taken in; no magazine is drained to make room.
 */
unsigned int kheap_cpu_cache_give(struct kheap_class *class,
				  const struct kheap_slot *slots,
				  unsigned int nr)
{
	struct kheap_cpu_cache *cache;
	unsigned int i = 0;

	preempt_disable();
	cache = raw_cpu_ptr(class->cpu);
	if (likely(kheap_mark_busy(cache))) {
		struct kheap_slot *top;

		if (cache->top == cache->limit && cache->nr_slots &&
		    !cache->previous_full) {
			cache->previous_full = true;
			load_magazine(cache, other_magazine(cache), 0);
		}
		top = cache->top;
		while (i < nr && top != cache->limit)
			*top++ = slots[i++];
		WRITE_ONCE(cache->top, top);
		kheap_clear_busy(cache);
	}
	preempt_enable();
	return i;
}

/* --- Draining ------------------------------------------------------------------ */

/* Blocks in one cache; exact when its CPU is quiet. */
static unsigned int nr_cached(const struct kheap_cpu_cache *cache)
{
	struct kheap_slot *base = READ_ONCE(cache->base);
	struct kheap_slot *top = READ_ONCE(cache->top);
	unsigned int nr_slots = READ_ONCE(cache->nr_slots);
	unsigned int nr = 0;

	/* A magazine may be switched meanwhile: an old top, a new base. */
	if (top > base && top - base <= nr_slots)
		nr = top - base;
	return nr + (READ_ONCE(cache->previous_full) ? nr_slots : 0);
}

/* Empty both magazines; under the mark, or when the CPU is dead. */
static void drain_marked(struct kheap_class *class,
			 struct kheap_cpu_cache *cache,
			 struct list_head *empties)
{
	if (cache->previous_full) {
		kheap_pools_give(class, other_magazine(cache),
				 cache->nr_slots, empties);
		cache->previous_full = false;
	}
	if (cache->top != cache->base) {
		kheap_pools_give(class, cache->base,
				 cache->top - cache->base, empties);
		WRITE_ONCE(cache->top, cache->base);
	}
}

struct drain_request {
	struct kheap_class *class;
	struct kheap_cpu_cache __percpu *caches;
	struct list_head empties;
	bool done;
};

/* Runs on the CPU whose cache it drains, with interrupts off. */
static void drain_this_cpu(void *info)
{
	struct drain_request *request = info;
	struct kheap_cpu_cache *cache = raw_cpu_ptr(request->caches);

	if (!kheap_mark_busy(cache))
		return;
	drain_marked(request->class, cache, &request->empties);
	kheap_clear_busy(cache);
	request->done = true;
}

static void drain_cpu(struct kheap_class *class,
		      struct kheap_cpu_cache __percpu *caches, int cpu)
{
	struct drain_request request = {
		.class = class,
		.caches = caches,
	};

	INIT_LIST_HEAD(&request.empties);
	do {
		if (smp_call_function_single(cpu, drain_this_cpu, &request, 1))
			break;
	} while (!request.done);
	if (!list_empty(&request.empties))
		kheap_pools_put(class->heap, &request.empties);
}

static bool drain_caches(struct kheap_class *class,
			 struct kheap_cpu_cache __percpu *caches,
			 bool only_idle)
{
	bool cached = false;
	int cpu;

	for_each_online_cpu(cpu) {
		struct kheap_cpu_cache *cache = per_cpu_ptr(caches, cpu);
		unsigned long nr_slow = READ_ONCE(cache->nr_slow);

		if (!nr_cached(cache))
			continue;
		if (only_idle && cache->seen_slow != nr_slow) {
			cache->seen_slow = nr_slow;
			cached = true;
			continue;
		}
		drain_cpu(class, caches, cpu);
	}
	return cached;
}

/**
 * kheap_class_drain() - empty the per-CPU caches of all CPUs
 * @class: the class
 * @only_idle: leave those alone that missed since the last call
 *
 * Context: Process context, interrupts on. Waits for the other CPUs.
 * Return: true if an only-idle call has left something in place.
 */
bool kheap_class_drain(struct kheap_class *class, bool only_idle)
{
	bool cached;

	if (READ_ONCE(class->cpu) == &kheap_cold_cache)
		return false;
	cached = drain_caches(class, class->cpu, only_idle);
	if (class->alien)
		cached |= drain_caches(class, class->alien, only_idle);
	return cached;
}

/**
 * kheap_class_drain_cpu() - empty the caches of a CPU that is gone
 * @class: the class
 * @cpu: the CPU, which cannot come back meanwhile
 *
 * Context: Process context.
 */
void kheap_class_drain_cpu(struct kheap_class *class, unsigned int cpu)
{
	LIST_HEAD(empties);

	if (READ_ONCE(class->cpu) == &kheap_cold_cache)
		return;
	drain_marked(class, per_cpu_ptr(class->cpu, cpu), &empties);
	if (class->alien)
		drain_marked(class, per_cpu_ptr(class->alien, cpu), &empties);
	kheap_pools_put(class->heap, &empties);
}

/**
 * kheap_class_nr_cached() - blocks in per-CPU caches
 * @class: the class
 *
 * Return: Their number; a moment old while CPUs are at work.
 */
unsigned long kheap_class_nr_cached(struct kheap_class *class)
{
	unsigned long nr = 0;
	int cpu;

	if (READ_ONCE(class->cpu) == &kheap_cold_cache)
		return 0;
	for_each_possible_cpu(cpu) {
		nr += nr_cached(per_cpu_ptr(class->cpu, cpu));
		if (class->alien)
			nr += nr_cached(per_cpu_ptr(class->alien, cpu));
	}
	return nr;
}

/* --- Life cycle ------------------------------------------------------------------ */

static size_t percpu_bytes(void)
{
	return sizeof(struct kheap_cpu_cache) * num_possible_cpus();
}

static struct kheap_cpu_cache __percpu *caches_alloc(struct kheap *heap)
{
	struct kheap_cpu_cache __percpu *caches;
	int cpu;

	if (!kheap_charge(heap, percpu_bytes()))
		return NULL;
	caches = alloc_percpu_gfp(struct kheap_cpu_cache,
				  GFP_KERNEL | __GFP_NOWARN);
	if (!caches) {
		kheap_uncharge(heap, percpu_bytes());
		return NULL;
	}
	atomic_long_add(percpu_bytes(), &heap->metadata_bytes);
	for_each_possible_cpu(cpu)
		local_set(&per_cpu_ptr(caches, cpu)->busy, -1);
	return caches;
}

static void caches_free(struct kheap *heap,
			struct kheap_cpu_cache __percpu *caches)
{
	int cpu;

	if (!caches)
		return;
	for_each_possible_cpu(cpu)
		kheap_meta_free(heap, per_cpu_ptr(caches, cpu)->array);
	free_percpu(caches);
	atomic_long_sub(percpu_bytes(), &heap->metadata_bytes);
	kheap_uncharge(heap, percpu_bytes());
}

/**
 * kheap_cpu_caches_setup() - give a class its per-CPU caches
 * @class: the class
 * @gfp: what may be done; if that is less than %GFP_KERNEL, the maintenance
 *	work does it soon
 *
 * The caches start without arrays. Until this is done, every request misses.
 */
void kheap_cpu_caches_setup(struct kheap_class *class, gfp_t gfp)
{
	struct kheap_cpu_cache __percpu *cpu, *alien = NULL;

	if (!class->max_slots)
		return;
	if ((gfp & GFP_KERNEL) != GFP_KERNEL) {
		WRITE_ONCE(class->wants_cpu, true);
		kheap_maint_now(class->heap);
		return;
	}
	cpu = caches_alloc(class->heap);
	if (!cpu)
		return;
	if (static_branch_unlikely(&kheap_numa_key)) {
		alien = caches_alloc(class->heap);
		if (!alien || cmpxchg(&class->alien, NULL, alien))
			goto out_free;
	}
	/* The caches are used as soon as they are seen here. */
	if (cmpxchg(&class->cpu, &kheap_cold_cache, cpu) == &kheap_cold_cache)
		return;
	alien = NULL;
out_free:
	caches_free(class->heap, alien);
	caches_free(class->heap, cpu);
}

/* Free the caches of a class that nobody uses any more, full or not. */
void kheap_cpu_caches_exit(struct kheap_class *class)
{
	if (class->cpu == &kheap_cold_cache)
		return;
	caches_free(class->heap, class->cpu);
	caches_free(class->heap, class->alien);
	class->cpu = &kheap_cold_cache;
	class->alien = NULL;
}
