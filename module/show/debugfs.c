// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: /sys/kernel/debug/kheap. The formats are a promise, described in
 * Documentation/ABI/testing/debugfs-kheap, and only ever appended to. Values
 * are read under the locks and printed after them.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "show/pinned.h"
#include "show/show.h"
#include "watch/callsite.h"

static struct dentry *kheap_dir;

/* --- heaps -------------------------------------------------------------- */

static int heaps_show(struct seq_file *seq, void *unused)
{
	struct kheap_stats stats;
	struct kheap *heap;

	seq_puts(seq, "# name held_bytes allocated_bytes large_bytes nr_allocated nr_large creator\n");
	mutex_lock(&kheap_list_lock);
	list_for_each_entry(heap, &kheap_list, base.list) {
		kheap_get_stats(heap, &stats);
		seq_printf(seq, "%s %zu %zu %zu %lu %lu %s\n", heap->base.name,
			   stats.held_bytes, stats.allocated_bytes,
			   stats.large_bytes, stats.nr_allocated,
			   stats.nr_large, heap->base.creator);
	}
	mutex_unlock(&kheap_list_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(heaps);

/* --- stats -------------------------------------------------------------- */

#define STAT(field) { #field, offsetof(struct kheap_stats, field) }

static const struct {
	const char *key;
	size_t offset;
} stat_keys[] = {
	STAT(held_bytes), STAT(allocated_bytes), STAT(cached_bytes),
	STAT(free_bytes), STAT(virgin_bytes), STAT(quarantined_bytes),
	STAT(empty_bytes), STAT(tail_bytes), STAT(metadata_bytes),
	STAT(large_bytes), STAT(peak_held_bytes), STAT(limit_bytes),
	STAT(nr_allocated), STAT(nr_large), STAT(nr_arenas), STAT(nr_pools),
	STAT(nr_pools_empty), STAT(nr_pools_quarantined), STAT(nr_holes),
	STAT(nr_refused), STAT(nr_failed),
};

static_assert(ARRAY_SIZE(stat_keys) ==
	      sizeof(struct kheap_stats) / sizeof(unsigned long));

static int stats_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_stats stats;
	unsigned int i;

	kheap_get_stats(heap, &stats);
	for (i = 0; i < ARRAY_SIZE(stat_keys); i++)
		seq_printf(seq, "%s: %lu\n", stat_keys[i].key,
			   *(unsigned long *)((void *)&stats +
					      stat_keys[i].offset));
	for (i = 0; i < NR_KHEAP_REFUSALS; i++)
		seq_printf(seq, "nr_refused_%s: %ld\n", kheap_refusal_name(i),
			   atomic_long_read(&heap->base.nr_refused[i]));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(stats);

/* --- classes ------------------------------------------------------------ */

static int classes_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_class *class;

	seq_puts(seq, "# class size usable span blocks pools allocated cached free virgin lost refills drains\n");
	mutex_lock(&heap->base.mutex);
	list_for_each_entry(class, &heap->block.class_list, list) {
		struct kheap_class_stats stats;

		kheap_class_get_stats(class, &stats);
		if (class->name)
			seq_puts(seq, class->name);
		else
			seq_printf(seq, "size-%u", class->size);
		seq_printf(seq, " %u %u %u %u %lu %lu %lu %lu %lu %lu %lu %lu\n",
			   class->size, class->usable, 1U << class->span,
			   class->nr_blocks, stats.nr_pools,
			   stats.nr_allocated, stats.nr_cached, stats.nr_free,
			   stats.nr_virgin, stats.nr_lost, stats.nr_refills,
			   stats.nr_drains);
	}
	mutex_unlock(&heap->base.mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(classes);

/* --- arenas ------------------------------------------------------------- */

/* What arenas_show() prints of an arena; @map has a character a pool. */
struct arena_copy {
	unsigned long serial;
	unsigned int nr_totalpools;
	unsigned int nr_freepools;
	unsigned int nr_holes;
	char map[KHEAP_ARENA_POOLS + 1];
	u32 sizes[KHEAP_ARENA_POOLS];
};

/*
 * One character a pool: '.' empty, ' ' would be lost at the end of a line so a
 * hole is '_', a quarantined pool '!', else how full the pool is: '1' to '9'
 * tenths, '#' for full.
 */
static char pool_char(const struct kheap_pool *pool)
{
	const struct kheap_class *class = READ_ONCE(pool->class);
	unsigned int nr_used = READ_ONCE(pool->nr_used);

	switch (READ_ONCE(pool->state)) {
	case KHEAP_POOL_HOLE:
		return '_';
	case KHEAP_POOL_EMPTY:
		return '.';
	case KHEAP_POOL_QUARANTINED:
		return '!';
	case KHEAP_POOL_FULL:
		return '#';
	}
	if (class == &kheap_cold_class)
		return '.';
	return '0' + clamp(10 * nr_used / class->nr_blocks, 1U, 9U);
}

/* Bytes of the pool's blocks; 0 for a hole and for a pool of no class. */
static u32 pool_block_size(const struct kheap_pool *pool, char map_char)
{
	if (map_char == '_' || map_char == '.')
		return 0;
	return READ_ONCE(pool->class)->size;
}

static void copy_arena(struct kheap_arena *arena, struct arena_copy *copy)
{
	struct kheap_arena_set *set = arena->set;
	struct kheap_pool *pool;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&set->lock, flags);
	copy->serial = arena->serial;
	copy->nr_totalpools = arena->nr_totalpools;
	copy->nr_freepools = arena->nr_freepools;
	copy->nr_holes = arena->nr_holes;
	memset(copy->map, '_', copy->nr_totalpools);
	memset(copy->sizes, 0, sizeof(copy->sizes));
	kheap_for_each_pool(pool, arena, i) {
		copy->map[i] = pool_char(pool);
		copy->sizes[i] = pool_block_size(pool, copy->map[i]);
	}
	copy->map[i] = '\0';
	raw_spin_unlock_irqrestore(&set->lock, flags);
}

/* The block sizes, pools of one size in a row as one word: "3x40,61x0". */
static void show_sizes(struct seq_file *seq, const struct arena_copy *copy)
{
	unsigned int i, first = 0;

	for (i = 1; i <= copy->nr_totalpools; i++) {
		if (i < copy->nr_totalpools &&
		    copy->sizes[i] == copy->sizes[first])
			continue;
		seq_printf(seq, "%c%ux%u", first ? ',' : ' ', i - first,
			   copy->sizes[first]);
		first = i;
	}
	seq_putc(seq, '\n');
}

static int arenas_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_arena_set *set;
	struct kheap_arena *arena;
	struct arena_copy copy;
	unsigned int i;

	seq_puts(seq, "# arena node span pools empty holes map sizes\n");
	mutex_lock(&heap->base.mutex);
	kheap_for_each_set(set, heap, i) {
		arena = NULL;
		while ((arena = kheap_arena_next(set, arena))) {
			copy_arena(arena, &copy);
			seq_printf(seq, "%lu %d %u %u %u %u %s", copy.serial,
				   set->node, 1U << set->span,
				   copy.nr_totalpools, copy.nr_freepools,
				   copy.nr_holes, copy.map);
			show_sizes(seq, &copy);
			cond_resched();
		}
	}
	mutex_unlock(&heap->base.mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(arenas);

/* --- trim and check ----------------------------------------------------- */

/* Accept a written 1 only. Return 0 or -errno. */
static int expect_one(const char __user *buf, size_t len)
{
	bool value;
	int err;

	err = kstrtobool_from_user(buf, len, &value);
	if (err)
		return err;
	return value ? 0 : -EINVAL;
}

/* See kheap_debugfs_init(). */
static size_t (*trim)(struct kheap *heap);

static ssize_t trim_write(struct file *file, const char __user *buf,
			  size_t len, loff_t *pos)
{
	int err = expect_one(buf, len);

	if (err)
		return err;
	trim(file->private_data);
	return len;
}

static const struct file_operations trim_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = trim_write,
	.llseek = noop_llseek,
};

static ssize_t check_write(struct file *file, const char __user *buf,
			   size_t len, loff_t *pos)
{
	int err = expect_one(buf, len);

	if (!err)
		err = kheap_check(file->private_data);
	return err > 0 ? -EUCLEAN : err ?: len;
}

static const struct file_operations check_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = check_write,
	.llseek = noop_llseek,
};

/* --- Life cycle --------------------------------------------------------- */

void kheap_debugfs_add(struct kheap *heap)
{
	heap->show.dir = debugfs_create_dir(heap->base.name, kheap_dir);
	debugfs_create_file("stats", 0400, heap->show.dir, heap, &stats_fops);
	debugfs_create_file("classes", 0400, heap->show.dir, heap, &classes_fops);
	debugfs_create_file("arenas", 0400, heap->show.dir, heap, &arenas_fops);
	kheap_debugfs_add_pinned(heap);
	debugfs_create_file("trim", 0200, heap->show.dir, heap, &trim_fops);
	debugfs_create_file("check", 0200, heap->show.dir, heap, &check_fops);
	debugfs_create_file("debug", 0600, heap->show.dir, heap, &kheap_debug_fops);
	debugfs_create_file("inject", 0600, heap->show.dir, heap,
			    &kheap_inject_fops);
	kheap_debugfs_add_callsites(heap);
	kheap_debugfs_add_objects(heap);
}

/* Waits for readers that are inside. */
void kheap_debugfs_del(struct kheap *heap)
{
	debugfs_remove(heap->show.dir);
}

/* @how: what a write to a heap's file trim does; it is of all layers. */
void kheap_debugfs_init(size_t (*how)(struct kheap *heap))
{
	trim = how;
	kheap_dir = debugfs_create_dir("kheap", NULL);
	debugfs_create_file("heaps", 0400, kheap_dir, NULL, &heaps_fops);
}

void kheap_debugfs_exit(void)
{
	debugfs_remove(kheap_dir);
}
