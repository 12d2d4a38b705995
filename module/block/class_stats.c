// SPDX-License-Identifier: GPL-2.0
/*
 * A consistent reading of one class, without a counter on any fast path. How it
 * can be exact is in Documentation/design.rst.
 */
#include <linux/string.h>

#include "block/block.h"

/*
 * Add one node's reading of a class. The number of pools cannot change under
 * the set's lock, which the caller holds; each of the others is read once and
 * bounded by what it is a part of, so the sum is exact whatever moves
 * meanwhile.
 */
void kheap_class_add_node(struct kheap_class *class, int nid,
			  struct kheap_class_stats *stats,
			  unsigned long *nr_out)
{
	struct kheap_class_node *node = &class->node[nid];
	unsigned long nr = READ_ONCE(node->nr_pools) * class->nr_blocks;
	unsigned long out = min(READ_ONCE(node->nr_out), nr);
	unsigned long virgin = min(READ_ONCE(node->nr_virgin), nr - out);
	unsigned long lost = min(READ_ONCE(node->nr_lost), nr - out - virgin);

	stats->nr_pools += READ_ONCE(node->nr_pools);
	stats->nr_quarantined += READ_ONCE(node->nr_quarantined);
	stats->nr_virgin += virgin;
	stats->nr_lost += lost;
	stats->nr_free += nr - out - virgin - lost;
	stats->nr_refills += READ_ONCE(node->nr_refills);
	stats->nr_drains += READ_ONCE(node->nr_drains);
	*nr_out += out;
}

/**
 * kheap_class_get_stats() - read one class
 * @class: the class
 * @stats: filled in
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_class_get_stats(struct kheap_class *class,
			   struct kheap_class_stats *stats)
{
	unsigned long nr_out = 0, flags;
	struct kheap_arena_set *set;
	int nid;

	memset(stats, 0, sizeof(*stats));
	for (nid = 0; nid < nr_node_ids; nid++) {
		set = READ_ONCE(*kheap_set_slot(class->heap, class->span, nid));
		if (!set)
			continue;
		raw_spin_lock_irqsave(&set->lock, flags);
		kheap_class_add_node(class, nid, stats, &nr_out);
		raw_spin_unlock_irqrestore(&set->lock, flags);
	}
	stats->nr_cached = min(kheap_class_nr_cached(class), nr_out);
	stats->nr_allocated = nr_out - stats->nr_cached;
}
