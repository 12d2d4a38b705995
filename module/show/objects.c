// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: what a heap's objects are, how many, and what the collector does;
 * see graph.c for who refers to whom. The formats are described in
 * Documentation/ABI/testing/debugfs-kheap.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "show/show.h"

/* --- types -------------------------------------------------------------- */

static int types_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_class *class;

	seq_puts(seq, "# type size live bytes created released resurrected held\n");
	mutex_lock(&heap->base.mutex);
	list_for_each_entry(class, &heap->block.class_list, list) {
		struct kheap_type *type = class->type;
		unsigned long nr_live, nr_created;

		if (!type)
			continue;
		nr_live = kheap_type_nr_live(type);
		nr_created = max(kheap_type_nr_created(type), nr_live);
		seq_printf(seq, "%s %u %lu %lu %lu %lu %ld %ld\n", class->name,
			   class->usable, nr_live, nr_live * class->size,
			   nr_created, nr_created - nr_live,
			   atomic_long_read(&type->nr_resurrected),
			   atomic_long_read(&type->nr_held));
	}
	mutex_unlock(&heap->base.mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(types);

/* --- gc ----------------------------------------------------------------- */

#define STAT(field) { #field, offsetof(struct kheap_gc_stats, field) }

static const struct {
	const char *key;
	size_t offset;
} gc_keys[] = {
	STAT(nr_runs), STAT(nr_full_runs), STAT(nr_automatic_runs),
	STAT(nr_given_up), STAT(nr_candidates), STAT(nr_visited),
	STAT(nr_suspects), STAT(nr_rescued), STAT(nr_dropped),
	STAT(nr_rejected), STAT(nr_reclaimed), STAT(nr_finalized),
	STAT(nr_resurrected), STAT(nr_uncollectable),
	STAT(nr_weakrefs_cleared), STAT(nr_pending), STAT(threshold),
	STAT(enabled), STAT(lock_max_ns), STAT(gather_ns), STAT(trial_ns),
	STAT(verify_ns), STAT(clear_ns), STAT(last_run_ns),
};

static_assert(ARRAY_SIZE(gc_keys) ==
	      sizeof(struct kheap_gc_stats) / sizeof(u64));

static void show_uncollectable(struct seq_file *seq, struct kheap_gc *gc)
{
	const struct kheap_gc_listed *listed, *end;

	if (!gc || !kheap_gc_lock(gc))
		return;
	listed = kheap_collector(gc)->listed;
	for (end = listed + KHEAP_GC_NR_LISTED; listed < end; listed++)
		if (listed->obj)
			seq_printf(seq, "uncollectable: %s %p %s in run %lu\n",
				   listed->type, listed->obj,
				   kheap_gc_reason_text(listed->reason),
				   listed->run);
	kheap_gc_unlock(gc);
}

static int gc_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_gc_stats stats;
	unsigned int i;

	kheap_gc_get_stats(heap, &stats);
	for (i = 0; i < ARRAY_SIZE(gc_keys); i++)
		seq_printf(seq, "%s: %llu\n", gc_keys[i].key,
			   *(u64 *)((void *)&stats + gc_keys[i].offset));
	show_uncollectable(seq, READ_ONCE(heap->object.gc));
	return 0;
}

/* Carry out a command. Return 0 or -errno. */
static int gc_command(struct kheap *heap, char *line)
{
	unsigned long nr;
	char *arg = line;
	char *word = strsep(&arg, " ");
	long ret = 0;

	if (!strcmp(word, "threshold")) {
		if (!arg || kstrtoul(arg, 0, &nr))
			return -EINVAL;
		kheap_gc_set_threshold(heap, nr);
		return 0;
	}
	if (arg)
		return -EINVAL;
	if (!strcmp(word, "collect"))
		ret = kheap_gc_collect(heap, 0);
	else if (!strcmp(word, "full"))
		ret = kheap_gc_collect(heap, KHEAP_GC_FULL);
	else if (!strcmp(word, "freeze"))
		ret = kheap_gc_freeze(heap);
	else if (!strcmp(word, "unfreeze"))
		ret = kheap_gc_unfreeze(heap);
	else if (!strcmp(word, "on") || !strcmp(word, "off"))
		kheap_gc_enable(heap, !strcmp(word, "on"));
	else
		return -EINVAL;
	return ret < 0 ? ret : 0;
}

static ssize_t gc_write(struct file *file, const char __user *buf, size_t len,
			loff_t *pos)
{
	struct seq_file *seq = file->private_data;
	char line[40];
	int err;

	if (len >= sizeof(line))
		return -EINVAL;
	if (copy_from_user(line, buf, len))
		return -EFAULT;
	line[len] = '\0';
	err = gc_command(seq->private, strim(line));
	return err ?: len;
}

static int gc_open(struct inode *inode, struct file *file)
{
	return single_open(file, gc_show, inode->i_private);
}

static const struct file_operations gc_fops = {
	.owner = THIS_MODULE,
	.open = gc_open,
	.read = seq_read,
	.write = gc_write,
	.llseek = seq_lseek,
	.release = single_release,
};

void kheap_debugfs_add_objects(struct kheap *heap)
{
	debugfs_create_file("types", 0400, heap->show.dir, heap, &types_fops);
	debugfs_create_file("objects", 0400, heap->show.dir, heap,
			    &kheap_graph_fops);
	debugfs_create_file("gc", 0600, heap->show.dir, heap, &gc_fops);
}
