// SPDX-License-Identifier: GPL-2.0
/*
 * Depots: magazines on their way from one CPU to another, or put by for the
 * next burst. A full magazine changes hands without a look at its blocks or
 * their pools, which is also how blocks return that another CPU has freed.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "block/block.h"
#include "block/trace.h"

void kheap_magazine_put(struct kheap_stack *stack, struct kheap_magazine *mag)
{
	mag->next = stack->top;
	stack->top = mag;
	stack->nr++;
}

/* The one put there last, or NULL. */
struct kheap_magazine *kheap_magazine_get(struct kheap_stack *stack)
{
	struct kheap_magazine *mag = stack->top;

	if (mag) {
		stack->top = mag->next;
		stack->nr--;
	}
	return mag;
}

/* Move magazines from one stack to another, @nr at most; return the blocks. */
static unsigned int move(struct kheap_stack *from, struct kheap_stack *to,
			 unsigned int nr)
{
	struct kheap_magazine *mag;
	unsigned int blocks = 0;

	while (nr-- && (mag = kheap_magazine_get(from))) {
		blocks += mag->nr_slots;
		kheap_magazine_put(to, mag);
	}
	return blocks;
}

/* How many change hands at a time: one lock for several. */
static unsigned int batch(const struct kheap_class *class)
{
	return class->max_full / 4 + 1;
}

/**
 * kheap_depot_take() - exchange empty magazines for full ones
 * @class: the class
 * @cache: this CPU's cache, under its busy mark
 *
 * Context: Any context except NMI. Never sleeps.
 * Return: Whether there are full ones of the CPU now.
 */
bool kheap_depot_take(struct kheap_class *class, struct kheap_cpu_cache *cache)
{
	struct kheap_class_node *node = &class->node[numa_mem_id()];
	struct kheap_depot *depot = &node->depot;
	unsigned int blocks;
	unsigned long flags;

	if (!READ_ONCE(depot->full.nr))
		return false;
	raw_spin_lock_irqsave(&node->lock, flags);
	blocks = move(&depot->full, &cache->full, batch(class));
	depot->nr_blocks -= blocks;
	depot->nr_exchanges++;
	move(&cache->empty, &depot->empty, cache->empty.nr);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	WRITE_ONCE(cache->nr_put_by, cache->nr_put_by + blocks);
	if (blocks)
		trace_kheap_refill(class, blocks, numa_mem_id(),
				   KHEAP_RUN_DEPOT);
	return blocks;
}

/**
 * kheap_depot_give() - exchange full magazines for empty ones
 * @class: the class
 * @cache: this CPU's cache, under its busy mark; it has as many full ones as it
 *	may have, or no empty one
 *
 * Does what can be done: the depot may have no room, or no empty ones.
 *
 * Context: Any context except NMI. Never sleeps.
 */
void kheap_depot_give(struct kheap_class *class, struct kheap_cpu_cache *cache)
{
	struct kheap_class_node *node = &class->node[numa_mem_id()];
	struct kheap_depot *depot = &node->depot;
	unsigned int nr, blocks = 0;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	if (cache->full.nr >= class->max_full) {
		nr = min(batch(class), class->max_full - depot->full.nr);
		blocks = move(&cache->full, &depot->full, nr);
		depot->nr_blocks += blocks;
	}
	if (!cache->empty.nr)
		move(&depot->empty, &cache->empty, batch(class));
	depot->nr_exchanges++;
	raw_spin_unlock_irqrestore(&node->lock, flags);
	WRITE_ONCE(cache->nr_put_by, cache->nr_put_by - blocks);
	if (blocks)
		trace_kheap_drain(class, blocks, numa_mem_id(),
				  KHEAP_RUN_DEPOT);
}

/* Would an empty magazine be given for a full one? */
bool kheap_depot_has_empty(const struct kheap_class *class)
{
	return READ_ONCE(class->node[numa_mem_id()].depot.empty.nr);
}

/* Take everything out of a depot. */
static void empty_depot(struct kheap_class_node *node,
			struct kheap_stack *full, struct kheap_stack *empty)
{
	struct kheap_depot *depot = &node->depot;
	unsigned long flags;

	raw_spin_lock_irqsave(&node->lock, flags);
	*full = depot->full;
	*empty = depot->empty;
	depot->full = (struct kheap_stack){ };
	depot->empty = (struct kheap_stack){ };
	/* Until they are back in their pools, the blocks count as allocated. */
	depot->nr_blocks = 0;
	raw_spin_unlock_irqrestore(&node->lock, flags);
}

/* Free the magazines of a stack; what is in them is in its pools, or gone. */
void kheap_magazines_drop(struct kheap_class *class, struct kheap_stack *stack)
{
	struct kheap_magazine *mag;

	while ((mag = kheap_magazine_get(stack)))
		kheap_meta_free(class->heap, mag);
}

static void drain_depot(struct kheap_class *class,
			struct kheap_class_node *node)
{
	struct kheap_stack full, empty;
	struct kheap_magazine *mag;
	LIST_HEAD(empties);

	empty_depot(node, &full, &empty);
	for (mag = full.top; mag; mag = mag->next)
		kheap_pools_give(class, mag->slots, mag->nr_slots, &empties);
	kheap_pools_put(class->heap, &empties);
	kheap_magazines_drop(class, &full);
	kheap_magazines_drop(class, &empty);
}

/* Free the magazines of a class whose pools have gone with their blocks. */
void kheap_depots_drop(struct kheap_class *class)
{
	struct kheap_stack full, empty;
	int nid;

	for (nid = 0; nid < nr_node_ids; nid++) {
		empty_depot(&class->node[nid], &full, &empty);
		kheap_magazines_drop(class, &full);
		kheap_magazines_drop(class, &empty);
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

		if (!READ_ONCE(depot->full.nr) && !READ_ONCE(depot->empty.nr))
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
