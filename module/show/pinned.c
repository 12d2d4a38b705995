// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: the file pinned. A pool goes back to the system when its last block
 * is free: the pools are listed that the fewest blocks keep for the most bytes,
 * and these blocks, with who allocated them where that is recorded.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "show/pinned.h"
#include "show/show.h"
#include "watch/callsite.h"

/* --- Collecting --------------------------------------------------------- */

/*
 * Count the blocks in the client's hands and note the first ones, at one look each:
 * it goes on allocating and freeing.
 */
static unsigned int list_live(const struct kheap_class *class,
			      const struct kheap_pool *pool,
			      const void **blocks)
{
	unsigned int idx, nr = 0;

	memset(blocks, 0, KHEAP_PINNED_BLOCKS * sizeof(*blocks));
	for (idx = 0; idx < class->nr_blocks; idx++) {
		if (!kheap_block_is_allocated(class, pool, idx))
			continue;
		if (nr < KHEAP_PINNED_BLOCKS)
			blocks[nr] = kheap_block_address(class, pool, idx);
		nr++;
	}
	return nr;
}

/*
 * Copy what there is to say of a pool of @class, under the class's lock. The
 * blocks without a mark are not in the pool, so that there are no more of them
 * than nr_used. Return false if more than half of it is in use.
 */
static bool copy_pool(const struct kheap_class *class,
		      const struct kheap_pool *pool,
		      struct kheap_pinned_pool *copy)
{
	copy->nr_live = list_live(class, pool, copy->blocks);
	if (!copy->nr_live || 2 * copy->nr_live > class->nr_blocks)
		return false;
	copy->nr_cached = pool->nr_used - copy->nr_live;
	copy->base = pool->base;
	return true;
}

/* The rest, which does not change while heap->base.mutex keeps the class. */
static void name_pool(const struct kheap_class *class,
		      const struct kheap_pool *pool,
		      struct kheap_pinned_pool *copy)
{
	copy->arena = pool->arena->serial;
	copy->node = pool->arena->set->node;
	copy->span = 1U << class->span;
	copy->size = class->size;
	copy->nr_blocks = class->nr_blocks;
	copy->unused_bytes = kheap_pool_bytes(class) -
			     (size_t)copy->nr_live * class->size;
	if (class->name)
		strscpy(copy->name, class->name, sizeof(copy->name));
	else
		snprintf(copy->name, sizeof(copy->name), "size-%u",
			 class->size);
}

/*
 * Read a pool, at a lock for this one. Without it, the pool may go to another
 * class, which is seen by its class and state once the lock is held.
 */
static bool read_pool(struct kheap *heap, struct kheap_pool *pool,
		      struct kheap_pinned_pool *copy)
{
	struct kheap_class *class = READ_ONCE(pool->class);
	struct kheap_class_node *node;
	unsigned long flags;
	bool is_pinned;
	u8 state;

	lockdep_assert_held(&heap->base.mutex);
	if (class == &kheap_cold_class)
		return false;
	node = &class->node[pool->arena->set->node];
	raw_spin_lock_irqsave(&node->lock, flags);
	state = READ_ONCE(pool->state);
	is_pinned = READ_ONCE(pool->class) == class &&
		    (state == KHEAP_POOL_USED || state == KHEAP_POOL_FULL) &&
		    copy_pool(class, pool, copy);
	raw_spin_unlock_irqrestore(&node->lock, flags);
	if (is_pinned)
		name_pool(class, pool, copy);
	return is_pinned;
}

/* Does a block of @a pin more than one of @b? */
static bool pins_more(const struct kheap_pinned_pool *a,
		      const struct kheap_pinned_pool *b)
{
	return a->unused_bytes * b->nr_live > b->unused_bytes * a->nr_live;
}

/* Put @pool where it belongs among those that are shown, if it does. */
static void insert(struct kheap_pinned *pinned,
		   const struct kheap_pinned_pool *pool)
{
	unsigned int i = pinned->nr_shown;

	pinned->nr_pools++;
	pinned->nr_live += pool->nr_live;
	pinned->unused_bytes += pool->unused_bytes;
	while (i && pins_more(pool, &pinned->pools[i - 1]))
		i--;
	if (i == KHEAP_PINNED_POOLS)
		return;
	pinned->nr_shown = min(pinned->nr_shown + 1,
			       (unsigned int)KHEAP_PINNED_POOLS);
	memmove(&pinned->pools[i + 1], &pinned->pools[i],
		(pinned->nr_shown - 1 - i) * sizeof(*pool));
	pinned->pools[i] = *pool;
}

/**
 * kheap_pinned_get() - find the pools that few blocks keep
 * @heap: the heap
 * @pinned: filled in
 *
 * Each pool is read at another moment, and the client goes on meanwhile. A lock
 * that it may wait for is held for one pool at a time.
 *
 * Context: Process context. May sleep.
 */
void kheap_pinned_get(struct kheap *heap, struct kheap_pinned *pinned)
{
	struct kheap_pinned_pool copy;
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct kheap_pool *pool;
	unsigned int i, p;

	memset(pinned, 0, sizeof(*pinned));
	mutex_lock(&heap->base.mutex);
	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			kheap_for_each_pool(pool, arena, p)
				if (read_pool(heap, pool, &copy))
					insert(pinned, &copy);
			cond_resched();
		}
	}
	mutex_unlock(&heap->base.mutex);
}

/* --- Showing ------------------------------------------------------------ */

/* Blocks in a row that one stack has allocated have it below the last one. */
static unsigned int show_blocks(struct seq_file *seq,
				struct kheap_callsites *cs,
				const struct kheap_pinned_pool *pool, u64 now)
{
	struct kheap_callsite_block who[KHEAP_PINNED_BLOCKS + 1] = {};
	unsigned int i, nr;

	for (nr = 0; nr < KHEAP_PINNED_BLOCKS && pool->blocks[nr]; nr++)
		kheap_callsites_find(cs, pool->blocks[nr], &who[nr]);
	for (i = 0; i < nr; i++) {
		if (!who[i].stack) {
			seq_printf(seq, "+ %p - -\n", pool->blocks[i]);
			continue;
		}
		seq_printf(seq, "+ %p %u %lu\n", pool->blocks[i],
			   who[i].bytes_req, kheap_ms_since(now, who[i].ns));
		if (who[i + 1].stack != who[i].stack)
			kheap_show_stack(seq, who[i].stack);
	}
	return nr;
}

static unsigned int show_pool(struct seq_file *seq, struct kheap_callsites *cs,
			      const struct kheap_pinned_pool *pool, u64 now)
{
	seq_printf(seq, "%zu %s %u %u %u %u %p %lu %d %u\n",
		   pool->unused_bytes, pool->name, pool->size, pool->nr_live,
		   pool->nr_cached, pool->nr_blocks, pool->base, pool->arena,
		   pool->node, pool->span);
	return show_blocks(seq, cs, pool, now);
}

static void show_pinned(struct seq_file *seq, struct kheap_callsites *cs,
			const struct kheap_pinned *pinned)
{
	u64 now = kheap_callsite_now();
	unsigned long nr_blocks = 0;
	unsigned int i;

	seq_puts(seq, "# unused_bytes class size live cached blocks pool arena node span\n");
	seq_puts(seq, "# + block requested_bytes age_ms\n");
	for (i = 0; i < pinned->nr_shown; i++)
		nr_blocks += show_pool(seq, cs, &pinned->pools[i], now);
	seq_printf(seq, "# pools: %u shown, %lu cut\n", pinned->nr_shown,
		   pinned->nr_pools - pinned->nr_shown);
	seq_printf(seq, "# blocks: %lu shown, %lu cut\n", nr_blocks,
		   pinned->nr_live - nr_blocks);
	seq_printf(seq, "# unused_bytes: %zu\n", pinned->unused_bytes);
}

static int pinned_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_pinned *pinned;

	pinned = kzalloc(sizeof(*pinned), GFP_KERNEL);
	if (!pinned)
		return -ENOMEM;
	kheap_pinned_get(heap, pinned);
	show_pinned(seq, kheap_callsites_read_begin(heap), pinned);
	kheap_callsites_read_end(heap);
	kfree(pinned);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(pinned);

void kheap_debugfs_add_pinned(struct kheap *heap)
{
	debugfs_create_file("pinned", 0400, heap->show.dir, heap, &pinned_fops);
}
