// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics: consistent readings of what a heap holds, without a counter on
 * any fast path. How they can be exact is in Documentation/design.rst.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/export.h>
#include <linux/rculist.h>
#include <linux/string.h>

#include "show/show.h"

/* Add what a class has on one node; cached blocks count as allocated here. */
static void add_class(struct kheap_stats *stats, struct kheap_class *class,
		      const struct kheap_class_stats *c, unsigned long nr_out)
{
	size_t tail = kheap_pool_bytes(class) -
		      (size_t)class->nr_blocks * class->size;

	stats->allocated_bytes += nr_out * class->size;
	stats->free_bytes += c->nr_free * class->size;
	stats->virgin_bytes += c->nr_virgin * class->size;
	stats->quarantined_bytes += c->nr_lost * class->size;
	stats->tail_bytes += c->nr_pools * tail;
	stats->nr_allocated += nr_out;
	stats->nr_pools_quarantined += c->nr_quarantined;
}

/*
 * One set and its share of all classes, under the set's lock: the pools of the
 * classes and the empty ones must be all pools that have pages, or the sum
 * over the parts would not be what is held.
 */
static void add_set(struct kheap *heap, struct kheap_arena_set *set,
		    struct kheap_stats *stats)
{
	size_t pool_bytes = PAGE_SIZE << set->span;
	struct kheap_class *class;
	unsigned long flags;

	raw_spin_lock_irqsave(&set->lock, flags);
	rcu_read_lock();
	list_for_each_entry_rcu(class, &heap->block.class_list, list) {
		struct kheap_class_stats c = {};
		unsigned long nr_out = 0;

		if (class->span != set->span ||
		    !class->node[set->node].nr_pools)
			continue;
		kheap_class_add_node(class, set->node, &c, &nr_out);
		add_class(stats, class, &c, nr_out);
	}
	rcu_read_unlock();
	stats->held_bytes += set->nr_pages * PAGE_SIZE;
	stats->empty_bytes += set->nr_empty * pool_bytes;
	stats->nr_arenas += set->nr_arenas;
	stats->nr_pools += set->nr_pages >> set->span;
	stats->nr_pools_empty += set->nr_empty;
	stats->nr_holes += set->nr_holes;
	raw_spin_unlock_irqrestore(&set->lock, flags);
}

/* Tell the blocks in per-CPU caches from those in the client's hands. */
static void split_cached(struct kheap *heap, struct kheap_stats *stats)
{
	struct kheap_class *class;
	unsigned long nr = 0;
	size_t bytes = 0;

	rcu_read_lock();
	list_for_each_entry_rcu(class, &heap->block.class_list, list) {
		unsigned long nr_cached = kheap_class_nr_cached(class);

		nr += nr_cached;
		bytes += nr_cached * class->size;
	}
	rcu_read_unlock();
	stats->cached_bytes = min(bytes, stats->allocated_bytes);
	stats->allocated_bytes -= stats->cached_bytes;
	stats->nr_allocated -= min(nr, stats->nr_allocated);
}

static void add_large(struct kheap *heap, struct kheap_stats *stats)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&heap->raw.large_lock, flags);
	stats->nr_large = heap->raw.nr_large;
	stats->large_bytes = heap->raw.large_bytes;
	raw_spin_unlock_irqrestore(&heap->raw.large_lock, flags);
	stats->held_bytes += stats->large_bytes;
}

void kheap_get_stats(struct kheap *heap, struct kheap_stats *stats)
{
	struct kheap_arena_set *set;
	unsigned int i;

	memset(stats, 0, sizeof(*stats));
	kheap_for_each_set(set, heap, i)
		add_set(heap, set, stats);
	split_cached(heap, stats);
	add_large(heap, stats);
	stats->metadata_bytes = atomic_long_read(&heap->base.metadata_bytes);
	stats->held_bytes += stats->metadata_bytes;
	stats->peak_held_bytes = max_t(size_t, stats->held_bytes,
				       atomic_long_read(&heap->base.peak_bytes));
	stats->limit_bytes = heap->base.limit_bytes;
	for (i = 0; i < NR_KHEAP_REFUSALS; i++)
		stats->nr_refused += atomic_long_read(&heap->base.nr_refused[i]);
	stats->nr_failed = atomic_long_read(&heap->base.nr_failed);
}
EXPORT_SYMBOL_GPL(kheap_get_stats);
