// SPDX-License-Identifier: GPL-2.0
/*
 * Failures on demand: allocations of a heap that fail although there is memory,
 * so that a client's error paths can be tried on any kernel. The kernel's own
 * fault injection has to be built in, and knows no heaps.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "watch/watch.h"

#define PER_MILLE	1000

/* Longest command. */
#define COMMAND_MAX	160

/* Which is to fail? Under the lock. */
static bool decide(struct kheap_inject *inject)
{
	const struct kheap_inject_rule *rule = &inject->rule;

	inject->nr_seen++;
	if (rule->nth)
		return inject->nr_seen == rule->nth;
	if (rule->per_mille < PER_MILLE)
		return prandom_u32_state(&inject->rnd) % PER_MILLE <
		       rule->per_mille;
	return true;
}

/**
 * kheap_inject_fails() - is a request of a watched heap to fail?
 * @heap: the heap
 * @size: bytes asked for
 * @gfp: the request's flags; with %__GFP_NOFAIL it does not
 *
 * Context: Any context; in NMI no request is made to fail.
 * Return: Whether; then it is counted.
 */
bool kheap_inject_fails(struct kheap *heap, size_t size, gfp_t gfp)
{
	struct kheap_inject *inject = &heap->watch.inject;
	unsigned long flags;
	bool fails = false;

	if (!(READ_ONCE(heap->base.watch) & KHEAP_WATCH_INJECT) || in_nmi() ||
	    (gfp & __GFP_NOFAIL))
		return false;
	raw_spin_lock_irqsave(&inject->lock, flags);
	if (size >= inject->rule.min && size <= inject->rule.max)
		fails = decide(inject);
	inject->nr_failed += fails;
	raw_spin_unlock_irqrestore(&inject->lock, flags);
	if (fails)
		atomic_long_inc(&heap->base.nr_failed);
	return fails;
}

/**
 * kheap_inject_start() - have allocations fail from now on
 * @heap: the heap
 * @rule: which; copied
 *
 * The counts start from 0.
 *
 * Context: Process context. May sleep.
 */
void kheap_inject_start(struct kheap *heap,
			const struct kheap_inject_rule *rule)
{
	struct kheap_inject *inject = &heap->watch.inject;

	raw_spin_lock_irq(&inject->lock);
	inject->rule = *rule;
	inject->nr_seen = 0;
	inject->nr_failed = 0;
	prandom_seed_state(&inject->rnd, rule->seed);
	raw_spin_unlock_irq(&inject->lock);
	kheap_watch_start(heap, KHEAP_WATCH_INJECT);
}

/* Have none fail any more. The counts stay to be read. */
void kheap_inject_stop(struct kheap *heap)
{
	kheap_watch_stop(heap, KHEAP_WATCH_INJECT);
}

void kheap_inject_init(struct kheap *heap)
{
	raw_spin_lock_init(&heap->watch.inject.lock);
	heap->watch.inject.rule.max = ULONG_MAX;
}

/* --- debugfs ------------------------------------------------------------ */

static int inject_show(struct seq_file *seq, void *unused)
{
	struct kheap *heap = seq->private;
	struct kheap_inject copy;

	raw_spin_lock_irq(&heap->watch.inject.lock);
	copy = heap->watch.inject;
	raw_spin_unlock_irq(&heap->watch.inject.lock);
	seq_printf(seq, "on: %u\n",
		   !!(READ_ONCE(heap->base.watch) & KHEAP_WATCH_INJECT));
	seq_printf(seq, "nth: %lu\npermille: %lu\nseed: %lu\n", copy.rule.nth,
		   copy.rule.per_mille, copy.rule.seed);
	seq_printf(seq, "min: %lu\nmax: %lu\n", copy.rule.min, copy.rule.max);
	seq_printf(seq, "nr_seen: %lu\nnr_failed: %lu\n", copy.nr_seen,
		   copy.nr_failed);
	return 0;
}

static int inject_open(struct inode *inode, struct file *file)
{
	return single_open(file, inject_show, inode->i_private);
}

/* Set the field of @rule that "KEY=NUMBER" names. Return 0 or -EINVAL. */
static int parse_word(struct kheap_inject_rule *rule, char *word)
{
	const struct {
		const char *key;
		unsigned long *value;
	} fields[] = {
		{ "nth", &rule->nth },
		{ "permille", &rule->per_mille },
		{ "seed", &rule->seed },
		{ "min", &rule->min },
		{ "max", &rule->max },
	};
	char *key = strsep(&word, "=");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++)
		if (word && !strcmp(key, fields[i].key))
			return kstrtoul(word, 0, fields[i].value);
	return -EINVAL;
}

static int parse_rule(struct kheap_inject_rule *rule, char *text)
{
	char *word;
	int err = 0;

	*rule = (struct kheap_inject_rule){
		.per_mille = PER_MILLE,
		.max = ULONG_MAX,
	};
	while (!err && (word = strsep(&text, " \t\n")))
		if (*word)
			err = parse_word(rule, word);
	if (rule->per_mille > PER_MILLE || rule->min > rule->max)
		err = -EINVAL;
	return err;
}

static ssize_t inject_write(struct file *file, const char __user *buf,
			    size_t len, loff_t *pos)
{
	struct kheap *heap = ((struct seq_file *)file->private_data)->private;
	struct kheap_inject_rule rule;
	char *text;
	int err = 0;

	if (len > COMMAND_MAX)
		return -EINVAL;
	text = memdup_user_nul(buf, len);
	if (IS_ERR(text))
		return PTR_ERR(text);
	if (sysfs_streq(text, "off")) {
		kheap_inject_stop(heap);
	} else {
		err = parse_rule(&rule, text);
		if (!err)
			kheap_inject_start(heap, &rule);
	}
	kfree(text);
	return err ?: len;
}

const struct file_operations kheap_inject_fops = {
	.owner = THIS_MODULE,
	.open = inject_open,
	.read = seq_read,
	.write = inject_write,
	.llseek = seq_lseek,
	.release = single_release,
};
