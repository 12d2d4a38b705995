// SPDX-License-Identifier: GPL-2.0
/*
 * Depots: magazines on their way from one CPU to another, or put by for the
 * next burst. A full magazine changes hands without a look at its blocks or
 * their pools, which is also how blocks return that another CPU has freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "trace.h"

static void put(struct kheap_magazine **list, struct kheap_magazine *mag)
{
	mag->next = *list;
	*list = mag;
}

static struct kheap_magazine *get(struct kheap_magazine **list)
{
	struct kheap_magazine *mag = *list;

	if (mag)
		*list = mag->next;
	return mag;
}

/**
 * kheap_depot_take_full() - exchange an empty magazine for a full one
 * @class: the class
 * @empty: the empty one, or NULL
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: A full magazine, and then the depot has @empty; or NULL.
 */
struct kheap_magazine *kheap_depot_take_full(struct kheap_class *class,
					     struct kheap_magazine *empty)
{
	struct kheap_class_node *node = &class->node[numa_mem_id()];
	struct kheap_depot *depot = &node->depot;
	struct kheap_magazine *full;
	unsigned long flags;

	if (!READ_ONCE(depot->nr_full))
		return NULL;
	raw_spin_lock_irqsave(&node->lock, flags);
	full = get(&depot->full);
	if (full) {
		depot->nr_full--;
		depot->nr_blocks -= full->nr_slots;
		depot->nr_exchanges++;
		if (empty) {
			put(&depot->empty, empty);
			depot->nr_empty++;
		}
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (full)
		trace_kheap_refill(class, full->nr_slots, numa_mem_id(),
				   KHEAP_RUN_DEPOT);
	return full;
}

/**
 * kheap_depot_give_full() - exchange a full magazine for an empty one
 * @class: the class
 * @full: the full one
 * @empty: an empty one if the caller has one to spare, else set to the depot's
 *	or to NULL
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: false if the depot has no room, or no empty magazine when the caller
 * has none; then nothing is changed.
 */
bool kheap_depot_give_full(struct kheap_class *class,
			   struct kheap_magazine *full,
			   struct kheap_magazine **empty)
{
	struct kheap_class_node *node = &class->node[numa_mem_id()];
	struct kheap_depot *depot = &node->depot;
	unsigned int nr = full->nr_slots;
	bool given = false;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	if (depot->nr_full < class->max_depot && (*empty || depot->empty)) {
		if (!*empty) {
			*empty = get(&depot->empty);
			depot->nr_empty--;
		}
		put(&depot->full, full);
		depot->nr_full++;
		depot->nr_blocks += full->nr_slots;
		depot->nr_exchanges++;
		given = true;
	}
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (given)
		trace_kheap_drain(class, nr, numa_mem_id(), KHEAP_RUN_DEPOT);
	return given;
}

/* Would a full magazine be taken, and an empty one be given for it? */
bool kheap_depot_has_empty(const struct kheap_class *class)
{
	const struct kheap_class_node *node = &class->node[numa_mem_id()];

	return READ_ONCE(node->depot.nr_empty) ||
	       READ_ONCE(node->depot.nr_full) >= class->max_depot;
}

/* Take everything out of a depot. */
static void empty_depot(struct kheap_class_node *node,
			struct kheap_magazine **full,
			struct kheap_magazine **empty)
{
	struct kheap_depot *depot = &node->depot;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	*full = depot->full;
	*empty = depot->empty;
	depot->full = NULL;
	depot->empty = NULL;
	depot->nr_full = 0;
	depot->nr_empty = 0;
	/* Until they are back in their pools, the blocks count as allocated. */
	depot->nr_blocks = 0;
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

static void drain_depot(struct kheap_class *class,
			struct kheap_class_node *node)
{
	struct kheap_magazine *full, *empty, *mag;
	LIST_HEAD(empties);

	empty_depot(node, &full, &empty);
	while ((mag = get(&full))) {
		kheap_pools_give(class, mag->slots, mag->nr_slots, &empties);
		put(&empty, mag);
	}
	kheap_pools_put(class->heap, &empties);
	while ((mag = get(&empty)))
		kheap_meta_free(class->heap, mag);
}

/* Free the magazines of a class whose pools have gone with their blocks. */
void kheap_depots_drop(struct kheap_class *class)
{
	struct kheap_magazine *full, *empty, *mag;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		empty_depot(&class->node[nid], &full, &empty);
		while ((mag = get(&full)) || (mag = get(&empty)))
			kheap_meta_free(class->heap, mag);
	}
}

/**
 * kheap_depots_drain() - put the blocks of all depots back into their pools
 * @class: the class
 * @only_idle: leave those alone that were used since the last call
 *
 * The magazines are freed.
 *
 * Context: Process context.
 * Return: true if an only-idle call has left something in place.
 */
bool kheap_depots_drain(struct kheap_class *class, bool only_idle)
{
	bool left = false;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		struct kheap_depot *depot = &class->node[nid].depot;
		unsigned long nr = READ_ONCE(depot->nr_exchanges);

		if (!READ_ONCE(depot->nr_full) && !READ_ONCE(depot->nr_empty))
			continue;
		if (only_idle && depot->seen_exchanges != nr) {
			depot->seen_exchanges = nr;
			left = true;
			continue;
		}
		drain_depot(class, &class->node[nid]);
	}
	return left;
}
