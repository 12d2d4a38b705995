// SPDX-License-Identifier: GPL-2.0
/*
 * Emptying per-CPU caches into the pools: those of all CPUs, those that nobody
 * uses, and those of a CPU that is gone.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/smp.h>

#include "block/cpu_cache.h"

/* Blocks in one cache; exact when its CPU is quiet. */
static unsigned int nr_cached(const struct kheap_cpu_cache *cache)
{
	void **base = READ_ONCE(cache->base);
	void **limit = READ_ONCE(cache->limit);
	void **top = READ_ONCE(cache->top);
	unsigned int nr = 0;

	/* A magazine may be switched meanwhile: an old top, a new base. */
	if (top > base && top <= limit)
		nr = top - base;
	return nr + READ_ONCE(cache->nr_previous) +
	       READ_ONCE(cache->nr_put_by);
}

/*
 * Empty all magazines; under the mark, or when the CPU is dead. A cache that was
 * idle is sent to sleep: the fast paths find it both empty and full, so the next
 * block that comes or goes is a miss, which has it looked after again. Blocks
 * that are freed without ever missing would stay for good.
 * What was put by is left in @mags, for kheap_magazines_drop().
 */
static void drain_marked(struct kheap_class *class,
			 struct kheap_cpu_cache *cache, bool sleep,
			 struct list_head *empties, struct kheap_stack *mags)
{
	struct kheap_magazine *mag;

	if (cache->nr_previous) {
		kheap_pools_give(class, cache->previous->slots,
				 cache->nr_previous, empties);
		WRITE_ONCE(cache->nr_previous, 0);
	}
	if (cache->top != cache->base) {
		kheap_pools_give(class, cache->base,
				 cache->top - cache->base, empties);
		WRITE_ONCE(cache->top, cache->base);
	}
	while ((mag = kheap_magazine_get(&cache->full))) {
		kheap_pools_give(class, mag->slots, mag->nr_slots, empties);
		kheap_magazine_put(mags, mag);
	}
	WRITE_ONCE(cache->nr_put_by, 0);
	while ((mag = kheap_magazine_get(&cache->empty)))
		kheap_magazine_put(mags, mag);
	while ((mag = kheap_magazine_get(&cache->outgrown)))
		kheap_magazine_put(mags, mag);
	if (sleep && cache->loaded) {
		WRITE_ONCE(cache->asleep, true);
		WRITE_ONCE(cache->limit, cache->base);
	}
}

struct drain_request {
	struct kheap_class *class;
	struct kheap_cpu_cache __percpu *caches;
	bool sleep;
	struct list_head empties;
	struct kheap_stack mags;
	bool done;
};

/* Runs on the CPU whose cache it drains, with interrupts off. */
static void drain_this_cpu(void *info)
{
	struct drain_request *request = info;
	struct kheap_cpu_cache *cache = raw_cpu_ptr(request->caches);

	if (!kheap_mark_busy(cache))
		return;
	drain_marked(request->class, cache, request->sleep, &request->empties,
		     &request->mags);
	kheap_clear_busy(cache);
	request->done = true;
}

static void drain_cpu(struct kheap_class *class,
		      struct kheap_cpu_cache __percpu *caches, bool sleep,
		      int cpu)
{
	struct drain_request request = {
		.class = class,
		.caches = caches,
		.sleep = sleep,
	};

	INIT_LIST_HEAD(&request.empties);
	do {
		if (smp_call_function_single(cpu, drain_this_cpu, &request, 1))
			break;
	} while (!request.done);
	if (!list_empty(&request.empties))
		kheap_pools_put(class->heap, &request.empties);
	kheap_magazines_drop(class, &request.mags);
}

/*
 * Was a cache used since the last look? A busy one that never misses is not to
 * be taken for idle: its blocks would be those of other CPUs' lines afterwards.
 * So it is asked for one miss until the next look. Where it is marked busy, the
 * question is answered by that.
 */
static bool was_used(struct kheap_cpu_cache *cache)
{
	u32 nr = READ_ONCE(cache->nr_slow) + READ_ONCE(cache->nr_answers);

	if (cache->seen_uses == nr)
		return false;
	cache->seen_uses = nr;
	/* Its CPU writes there without a lock, and what it writes stands. */
	if (cmpxchg(&cache->busy, 0, KHEAP_ASKED) == KHEAP_BUSY)
		cache->seen_uses--;
	return true;
}

static bool drain_caches(struct kheap_class *class,
			 struct kheap_cpu_cache __percpu *caches,
			 bool only_idle)
{
	bool cached = false;
	int cpu;

	for_each_online_cpu(cpu) {
		struct kheap_cpu_cache *cache = per_cpu_ptr(caches, cpu);

		/* Asleep, or without magazines, no block can come in. */
		if (only_idle ? READ_ONCE(cache->limit) == READ_ONCE(cache->base)
			      : !nr_cached(cache) && !READ_ONCE(cache->empty.nr))
			continue;
		if (only_idle && was_used(cache))
			cached = true;
		else
			drain_cpu(class, caches, only_idle, cpu);
	}
	return cached;
}

/* What was noted on the way, or before. */
static void settle_all(struct kheap_class *class)
{
	int cpu;

	for_each_possible_cpu(cpu)
		kheap_cpu_cache_settle(class, per_cpu_ptr(class->caches, cpu));
}

/**
 * kheap_class_drain() - empty the per-CPU caches of all CPUs, and the depots
 * @class: the class
 * @only_idle: leave those alone that missed since the last call
 *
 * Context: Process context, interrupts on. Waits for the other CPUs.
 * Return: true if an only-idle call has left something in place.
 */
bool kheap_class_drain(struct kheap_class *class, bool only_idle)
{
	bool left;

	if (READ_ONCE(class->caches) == &kheap_cold_cache)
		return false;
	left = drain_caches(class, class->caches, only_idle);
	if (class->alien)
		left |= drain_caches(class, class->alien, only_idle);
	left |= kheap_depots_drain(class, only_idle);
	settle_all(class);
	return left;
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
	struct kheap_stack mags = { };
	LIST_HEAD(empties);

	if (READ_ONCE(class->caches) == &kheap_cold_cache)
		return;
	drain_marked(class, per_cpu_ptr(class->caches, cpu), true, &empties,
		     &mags);
	if (class->alien)
		drain_marked(class, per_cpu_ptr(class->alien, cpu), true,
			     &empties, &mags);
	kheap_pools_put(class->heap, &empties);
	kheap_magazines_drop(class, &mags);
	settle_all(class);
}

/**
 * kheap_class_nr_cached() - blocks in per-CPU caches and depots
 * @class: the class
 *
 * Return: Their number; a moment old while CPUs are at work.
 */
unsigned long kheap_class_nr_cached(struct kheap_class *class)
{
	unsigned long nr = 0;
	int cpu, nid;

	if (READ_ONCE(class->caches) == &kheap_cold_cache)
		return 0;
	for (nid = 0; nid < nr_node_ids; nid++)
		nr += READ_ONCE(class->node[nid].depot.nr_blocks);
	for_each_possible_cpu(cpu) {
		nr += nr_cached(per_cpu_ptr(class->caches, cpu));
		if (class->alien)
			nr += nr_cached(per_cpu_ptr(class->alien, cpu));
	}
	return nr;
}
